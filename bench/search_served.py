"""How fast loras are found over HTTP, by the real program on a copy of the catalog of `bench.search`.

- `http`: `GET /api/v1/search` of 50 rows with eight facets, one request after the other with a pause between
  them: first while nothing else happens, then while the server takes in generated files;
- `fresh`: from the moment at which a change is committed to that at which it is found: a change that the
  server itself makes when it is asked to, and one of another process.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bench.library import library
from bench.search_catalog import MACHINE, url
from registry.app import catalog_name
from registry.catalog import tables
from registry.catalog.engine import Catalog
from registry.catalog.roots import add_root, change_root
from registry.config import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PAUSE: Final = 0.02
IDLE: Final = 400
CHANGES: Final = 20
FRESH: Final = "fresh root"
WAIT: Final = 600.0


@dataclass
class Server:
    """A running program, asked over one connection that is kept."""

    connection: http.client.HTTPConnection

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return the JSON of its answer."""
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        self.connection.request(method, f"/api/v1{path}", content, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data[:500]!r}")
        return json.loads(data) if data else None

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return self.ask("GET", path)

    def finds(self, root: str) -> bool:
        """Whether the one lora of a root is found by the name of the root."""
        asked = quote(f'root:"{root}"')
        return bool(self.get(f"/search?q={asked}&limit=1")["total"] == 1)

    def rename(self, root: int, name: str) -> None:
        """Let the server give a root another name."""
        self.ask("PATCH", f"/roots/{root}", {"label": name})

    def scanning(self) -> bool:
        """Whether a scan runs."""
        return bool(self.get("/status")["progress"]["scans"])

    def timed(self, path: str) -> float:
        """Pause, then return how long a GET takes, in seconds."""
        time.sleep(PAUSE)
        begun = time.perf_counter()
        self.get(path)
        return time.perf_counter() - begun


def told(seconds: Iterable[float], target: float | None = None) -> dict[str, float]:
    """Return the median and the 95th percentile of some times, in milliseconds, and a target of that."""
    ordered = sorted(seconds)
    p95 = ordered[max(0, round(0.95 * len(ordered)) - 1)]
    figures = {"p50_ms": round(statistics.median(ordered) * 1000, 3), "p95_ms": round(p95 * 1000, 3)}
    return figures if target is None else {**figures, "target_p95_ms": target}


def measure_served(
    data: Path, parts: list[str], queries: list[str], facets: list[str], files: int
) -> dict[str, Any]:
    """Serve a copy of the catalog and its index and return the figures of the parts asked for."""
    copy = data / "served"
    shutil.rmtree(copy, ignore_errors=True)
    try:
        root = copied(data, copy)
        if "http" in parts:
            library(copy / "library", files)
        with serving(copy) as server:
            figures: dict[str, Any] = {}
            # First what leaves the catalog nearly as it was.
            if "fresh" in parts:
                figures["fresh"] = measure_fresh(server, copy, root)
            if "http" in parts:
                figures["http"] = measure_http(server, copy, queries, facets)
            return figures
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def copied(data: Path, copy: Path) -> int:
    """Copy the catalog and the index to where the program keeps them; return a root that holds one lora."""
    copy.mkdir(parents=True)
    shutil.copy(data / "catalog.sqlite3", copy)
    settings = load_settings(data_dir=copy)
    shutil.copytree(data / "index", copy / f"search-{catalog_name(settings)}")
    file = tables.TABLES["file"]
    with closing(Catalog(url(copy / "catalog.sqlite3"))) as catalog, catalog.write() as unit:
        root, _ = add_root(unit, MACHINE, "/bench/fresh", label=FRESH)
        unit.conn.execute(file.update().where(file.c.lora_id == 1).values(root_id=root))
        unit.changed("lora", 1, "changed", lora_id=1)
    return root


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """Run `loras serve` until its index is up to date and for the length of the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LORAS_")}
    own = {"LORAS_DATA_DIR": str(data), "LORAS_CONFIG": str(data / "none.toml"), "LORAS_HASH_HOURS": ""}
    command = [sys.executable, "-m", "cli", "serve", "--port", "0"]
    with (
        (data / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={**kept, **own}) as process,
    ):
        try:
            address = place_of(data, process).removeprefix("http://")
            with closing(http.client.HTTPConnection(address, timeout=WAIT)) as connection:
                server = Server(connection)
                until(lambda: server.finds(FRESH))
                yield server
        finally:
            process.terminate()


def place_of(data: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the URL at which the program serves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for place in data.glob("serving-*.json"):
            return str(json.loads(place.read_text(encoding="utf-8"))["url"])
        time.sleep(0.05)
    raise SystemExit("the server did not start: " + (data / "log").read_text(encoding="utf-8"))


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("it does not happen")
        time.sleep(0.05)


def measure_http(server: Server, copy: Path, queries: list[str], facets: list[str]) -> dict[str, Any]:
    """Time searches while nothing else happens, then while files are taken in."""
    paths = [f"/search?q={quote(query)}&limit=50&facets={','.join(facets)}" for query in queries]
    server.ask("PUT", "/hashing", {"paused": True})
    until(lambda: not server.scanning())
    for path in paths:
        server.get(path)
    idle = [server.timed(paths[number % len(paths)]) for number in range(IDLE)]
    begun = time.perf_counter()
    server.ask("POST", "/roots", {"path": str(copy / "library"), "poll": "never"})
    until(server.scanning)
    busy: list[float] = []
    while server.scanning():
        busy += [server.timed(path) for path in paths[len(busy) % len(paths) :][:15]]
    seconds = time.perf_counter() - begun
    until(lambda: server.get("/search?limit=1")["generation"] == server.get("/status")["generation"])
    indexed = time.perf_counter() - begun
    ours, theirs = told(busy), told(idle, 30)
    return {
        "idle": theirs,
        "while_scanning": ours,
        "searches_meanwhile": len(busy),
        "scan_to_idle_p95": round(ours["p95_ms"] / theirs["p95_ms"], 2),
        "target_ratio": 3,
        "scan_seconds": round(seconds, 1),
        "found_after_seconds": round(indexed, 1),
    }


def measure_fresh(server: Server, copy: Path, root: int) -> dict[str, Any]:
    """Time how long a renamed root that holds one lora takes to be found by its new name."""
    own = [found(server, lambda name: server.rename(root, name), number) for number in range(CHANGES)]
    with closing(Catalog(url(copy / "catalog.sqlite3"))) as catalog:

        def change(name: str) -> None:
            with catalog.write() as unit:
                change_root(unit, root, label=name)

        others = [found(server, change, CHANGES + n) for n in range(CHANGES)]
    return {
        "of_the_server": told(own),
        "of_another_process": told(others),
        "target_p95_ms": 1000,
    }


def found(server: Server, change: Callable[[str], object], number: int) -> float:
    """Make a change and return how long it takes from its commit until it is found, in seconds."""
    # Not in step with whoever looks for changes now and then.
    time.sleep(0.1 + number * 0.37 % 1)
    name = f"renamed {number}"
    change(name)
    begun = time.perf_counter()
    while not server.finds(name):
        time.sleep(0.005)
    return time.perf_counter() - begun
