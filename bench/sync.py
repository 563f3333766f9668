"""What a sync with Civitai costs: `python -m bench.sync [--files 30000] [--per-model 3] [--place FOLDER]`.

A catalog of so many hashed files is synced over HTTP with a stand-in for Civitai on loopback, which knows all
of them, each side in a process of its own; the pauses between requests, which the service decides, are left
out.

- `requests`: without those for models, of which there is one for each distinct model;
- `memory_mb`: the most that the syncing process held, all told;
- `again`: requests of a second run, which has nothing to ask;
- `killed`: how many batches of details are asked for in all, if the run is killed in the middle and begun
  again: what was answered is not asked for twice.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from itertools import accumulate, count
from pathlib import Path
from typing import TYPE_CHECKING

from bench.search_catalog import catalog_of, url
from bench.search_library import digests
from registry.catalog.engine import Catalog
from registry.catalog.lookups import hash_page
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.run import Desk, Wish, summary
from registry.civitai.sync import carry_out
from registry.net import Door
from tests.support.civitai import civitai_server
from tests.support.civitai_library import DETAILS, IDS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TARGET_REQUESTS = 310
TARGET_MEMORY_MB = 300


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=30_000)
    parser.add_argument("--per-model", type=int, default=3)
    parser.add_argument("--place", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("CATALOG", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        sync(*given.child)
        return
    place = given.place or Path(tempfile.mkdtemp())
    # Some loras of the library are not hashed.
    hashed = accumulate(bool(digests(number)) for number in count(1))
    loras = next(number for number, files in enumerate(hashed, 1) if files == given.files)
    made = place / f"sync-{given.files}.sqlite3"
    with closing(catalog_of(made, loras)) as catalog, catalog.read() as conn:
        sha256s = hash_page(conn, "", loras)
    print(json.dumps(measure(made, sha256s, given.per_model), indent=2))


def measure(made: Path, sha256s: list[str], per_model: int) -> dict[str, object]:
    """Return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (Path(shutil.copy(made, f"{folder}/{name}.sqlite3")) for name in ("first", "second"))
        with_server = Server(sha256s, per_model)
        told, asked = with_server.synced(first)
        again, _ = with_server.synced(first)
        before = kill_in_the_middle(second, with_server, len(sha256s) // 200)
        rest, after = with_server.synced(second)
        with_server.close()
    models = asked["models"]
    requests = int(str(told["requests"])) - models
    return {
        "files": len(sha256s),
        "found": told["found"],
        "requests": requests,
        "requests_target": TARGET_REQUESTS,
        "requests_ok": requests <= TARGET_REQUESTS,
        "asked": dict(asked),
        "seconds": told["seconds"],
        "memory_mb": told["memory_mb"],
        "memory_target": TARGET_MEMORY_MB,
        "memory_ok": float(str(told["memory_mb"])) < TARGET_MEMORY_MB,
        "again": again["requests"],
        "killed": {
            "details_before": before["details"],
            "details_after": after["details"],
            "ids_after": after["ids"],
            "found_after": rest["found"],
        },
    }


class Server:
    """The stand-in in a process of its own, which tells what it was asked."""

    def __init__(self, sha256s: list[str], per_model: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=stand_in, args=(theirs, sha256s, per_model), daemon=True)
        self._process.start()
        self.url = str(self._ours.recv())

    def asked(self) -> Counter[str]:
        """Return how often each kind of request came in since the last time."""
        self._ours.send("asked")
        found: Counter[str] = self._ours.recv()
        return found

    def synced(self, catalog: Path) -> tuple[dict[str, object], Counter[str]]:
        """Sync a catalog to the end and return the summary and what was asked."""
        self.asked()
        done = subprocess.run(command(catalog, self.url), check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout), self.asked()

    def close(self) -> None:
        """End it."""
        self._ours.send("stop")
        self._process.join(20)


def kill_in_the_middle(catalog: Path, server: Server, batches: int) -> Counter[str]:
    """Sync until so many batches of details are there and kill the process; return what was asked."""
    running = subprocess.Popen(command(catalog, server.url), stdout=subprocess.DEVNULL)
    seen: Counter[str] = server.asked()
    while seen["details"] < batches and running.poll() is None:
        time.sleep(0.05)
        seen += server.asked()
    running.send_signal(signal.SIGKILL)
    running.wait()
    return seen + server.asked()


def command(catalog: Path, address: str) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-m", "bench.sync", "--child", str(catalog), address]


def sync(catalog: str, address: str) -> None:
    """Sync in this process and print the summary."""
    opened = Catalog(url(Path(catalog)))
    door = Door(own_hosts={"127.0.0.1"})
    client = Client(door, address, waiting=Waiting(sleep=lambda _seconds: None))
    began = time.monotonic()
    desk = Desk(opened, client)
    carry_out(desk, Wish())
    told = summary(desk.progress, client.requests, time.monotonic() - began)
    told["memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(told))


def stand_in(connection: Connection, sha256s: list[str], per_model: int) -> None:
    """Run the stand-in until told to stop."""
    with civitai_server() as fake:
        fake.add_many(sha256s, per_model)
        connection.send(fake.url)
        seen = 0
        while connection.recv() != "stop":
            asked = fake.asked
            kinds = Counter(kind(one.path) for one in asked[seen:])
            seen = len(asked)
            connection.send(kinds)


def kind(path: str) -> str:
    """Return what a request is for."""
    if path == IDS:
        return "ids"
    return "details" if path == DETAILS else "models" if "/models/" in path else "single"


if __name__ == "__main__":
    main()
