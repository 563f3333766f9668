"""Time `GET /sdapi/v1/loras`: `python -m bench.a1111_list --files 10000`.

The baselines run in the same run, each server in a process of its own: a plain tool reads stored metadata
from SQLite, parses them as A1111 does and returns dicts from a FastAPI route, once without and once with a
declared item type. Ours is asked right after its start, after each of some changes of one lora and of a
root (then it is made anew), again without any, without compression, and with the ETag it gave. Of repeated
requests the fastest counts, for all alike. Times are from sending the request to the last byte of the body;
memory is the resident set of the server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from bench.library import FOLDERS
from registry.api.application import create_app
from registry.api.context import Context
from registry.api.feed import Feed
from registry.api.server import Server
from registry.catalog.engine import Catalog
from registry.config import Settings
from registry.pictures.store import PictureStore
from registry.pictures.studio import Studio
from registry.search.index import Place
from registry.search.service import Searching
from registry.search.translations import load
from registry.wire.a1111 import FIRST_KEYS
from tests.support.catalogs import MACHINE, open_builder
from tests.support.files import kohya_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LIST = "/sdapi/v1/loras"
GZIP = {"Accept-Encoding": "gzip"}
_WRITTEN = 500


class Item(BaseModel):
    """The declared type of the annotated baseline."""

    name: str
    alias: str
    path: str
    metadata: dict[str, Any]


class Taken(NamedTuple):
    """One request: status, seconds, bytes of the body, growth of the server in MB, ETag."""

    status: int
    seconds: float
    size: int
    grown_mb: float
    etag: str | None


def make(folder: Path, files: int) -> None:
    """Store the same metadata in our catalog and in the table of the plain tool."""
    builder = open_builder(folder)
    root = builder.root("/models/lora")
    with closing(sqlite3.connect(folder / "plain.sqlite3")) as plain:
        plain.execute("CREATE TABLE lora (name TEXT, path TEXT, metadata TEXT)")
        for index in range(files):
            name = f"style_{index:06d}"
            path = f"set_{index % FOLDERS:03d}/{name}.safetensors"
            metadata = kohya_metadata(seed=index, tags=150, name=name)
            plain.execute(
                "INSERT INTO lora VALUES (?, ?, ?)", (name, f"/models/lora/{path}", json.dumps(metadata))
            )
            builder.file(root, path, metadata)
            if index % _WRITTEN == _WRITTEN - 1:
                builder.write()
        builder.write()
        plain.commit()
    builder.catalog.close()


def plain_app(folder: Path) -> FastAPI:
    """Return what one writes in an afternoon."""
    app = FastAPI()

    def entries() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(folder / "plain.sqlite3")) as connection:
            return [
                entry(*row)
                for row in connection.execute("SELECT name, path, metadata FROM lora ORDER BY path")
            ]

    def entry(name: str, path: str, text: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(text)
        for key, value in found.items():
            if value.startswith("{"):
                found[key] = json.loads(value)
        ordered = sorted(found, key=lambda key: FIRST_KEYS.index(key) if key in FIRST_KEYS else 999)
        shown = {key: found[key] for key in ordered}
        return {"name": name, "alias": shown.get("ss_output_name", name), "path": path, "metadata": shown}

    app.get("/plain", response_model=None)(entries)
    app.get("/annotated", response_model=list[Item])(entries)
    return app


def our_app(folder: Path) -> tuple[FastAPI, Feed]:
    """Return our application over the catalog, able to answer only."""
    catalog = Catalog(f"sqlite:///{(folder / 'catalog.sqlite3').as_posix()}")
    feed = Feed(catalog)

    def absent(*_: object) -> Any:
        raise NotImplementedError

    searching = Searching(catalog, Place(folder / "search"), load(()))
    context = Context(
        catalog=catalog,
        machine_id=MACHINE,
        settings=Settings(data_dir=folder),
        feed=feed,
        scan=absent,
        add_root=absent,
        change_root=absent,
        remove_root=absent,
        relocate_root=absent,
        rescan_and_wait=absent,
        pause_hashing=absent,
        searching=searching,
        progress=dict,
        sync=absent,
        plan_sync=absent,
        sync_version=absent,
        studio=Studio(PictureStore(folder / "pictures")),
        export=absent,
        plan_export=absent,
        find=absent,
        plan_render=absent,
        render=absent,
        measure=absent,
        fingerprint=absent,
        relatives=absent,
    )
    return create_app(context), feed


def serve(folder: Path, listener: socket.socket, *, ours: bool) -> None:
    """Serve one of both until killed."""
    options: dict[str, Any] = {"log_level": "warning", "access_log": False}
    if ours:
        app, feed = our_app(folder)
        server: uvicorn.Server = Server(app, feed, **options)
    else:
        server = uvicorn.Server(uvicorn.Config(plain_app(folder), **options))
    server.run(sockets=[listener])


@contextmanager
def running(folder: Path, *, ours: bool) -> Iterator[Callable[..., Taken]]:
    """Start a server and give what asks it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(folder, listener), kwargs={"ours": ours}
        )
        process.start()
    watched = psutil.Process(process.pid)

    def ask(path: str, **headers: str) -> Taken:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
            connection.connect()
            with growth(watched) as grown:
                begun = time.perf_counter()
                connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
                answer = connection.getresponse()
                size = 0
                while block := answer.read(1 << 20):
                    size += len(block)
                seconds = time.perf_counter() - begun
            return Taken(answer.status, seconds, size, grown[0], answer.headers.get("etag"))

    try:
        wait_for(port)
        ask("/openapi.json")
        yield ask
    finally:
        process.terminate()
        process.join()


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server did not start")


@contextmanager
def growth(process: psutil.Process) -> Iterator[list[float]]:
    """Measure by how many MB a process grows at most."""
    before = process.memory_info().rss
    result = [0.0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.005):
            result[0] = max(result[0], (process.memory_info().rss - before) / 2**20)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield result
    finally:
        over.set()
        thread.join()


def best(taken: Iterable[Taken]) -> Taken:
    """Return the fastest of some requests."""
    return min(taken, key=lambda each: each.seconds)


def change(folder: Path, *, root: bool = False) -> bool:
    """Change one lora, or the root that all are in, so that there is a new generation of the catalog."""
    catalog = Catalog(f"sqlite:///{(folder / 'catalog.sqlite3').as_posix()}")
    with catalog.write() as unit:
        if root:
            unit.changed("root", 1, "changed")
        else:
            unit.changed("lora", 77, "changed", lora_id=77)
    catalog.close()
    return True


def told(taken: Taken) -> dict[str, float]:
    """Return the figures of a request."""
    return {
        "seconds": round(taken.seconds, 4),
        "megabytes": round(taken.size / 1e6, 1),
        "server_grew_mb": round(taken.grown_mb, 1),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Ask all servers and return the figures and their ratios."""
    with running(folder, ours=True) as ask:
        started = ask(LIST, **GZIP)
        changed = best(ask(LIST, **GZIP) for _ in range(3) if change(folder))
        anew = best(ask(LIST, **GZIP) for _ in range(3) if change(folder, root=True))
        again = best(ask(LIST, **GZIP) for _ in range(5))
        identity = best(ask(LIST) for _ in range(3))
        known = {"If-None-Match": str(again.etag)}
        checks = [ask(LIST, **GZIP, **known) for _ in range(30)]
    if {check.status for check in checks} != {304}:
        raise RuntimeError("the ETag was not recognised")
    with running(folder, ours=False) as ask:
        plain = best(ask("/plain") for _ in range(3))
        annotated = best(ask("/annotated") for _ in range(3))
    return {
        "plain": told(plain),
        "annotated": told(annotated),
        "ours_after_start": told(started),
        "ours_after_change": told(changed),
        "ours_made_anew": told(anew),
        "ours_again": told(again),
        "ours_uncompressed": told(identity),
        "ours_304_ms": round(statistics.median(check.seconds for check in checks) * 1000, 2),
        "ratios": {
            f"{name}_to_{against}": round(baseline.seconds / taken.seconds, 1)
            for name, baseline in (("plain", plain), ("annotated", annotated))
            for against, taken in (
                ("after_start", started),
                ("after_change", changed),
                ("made_anew", anew),
                ("again", again),
                ("uncompressed", identity),
            )
        },
    }


def main() -> None:
    """Run the benchmark that the command line asks for and print its figures."""
    parser = argparse.ArgumentParser(description="Time the A1111 list against plain tools.")
    parser.add_argument("--files", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), asked.files)
        figures = {"files": asked.files, **measure(Path(name))}
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
