"""How fast a library is taken in: `python -m bench.ingest [--files 10000] [--latency 5ms]`.

Without `--latency`, over generated files in the page cache:

- `header_phase`: a first scan until everything is committed and listed, in a process of its own with its
  child processes, beside a bare read and JSON parse of the same headers in one process (orjson, json);
- `rescan`: a scan that finds nothing changed, in-process, beside a bare `os.walk` with a `stat` of each file;
- `memory_mb`: the proportional set size of all these processes together, at its highest.

With `--latency`, each open and each read of a file takes so much longer, as on a share: eight readers of
headers against one.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import psutil

from bench.library import library
from registry.app import Reading, open_registry
from registry.catalog.reading import list_loras
from registry.config import load_settings
from registry.ingest.derive import read_unless_known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.hashing.reader import QuickHead

TARGET_FILES_PER_SECOND = 600
TARGET_RESCAN_RATIO = 2.0
TARGET_MEMORY_MB = 300
TARGET_READERS_RATIO = 6.0
ROUNDS = 3
RESCANS = 9


def slow_read(seconds: float, path: str, known: bytes | None) -> QuickHead | None:
    """Read a header and the end of a file as from a share that takes `seconds` for each open and read."""
    time.sleep(seconds)
    found = read_unless_known(path, known)
    if found is not None:
        # One read of the head, one of the end unless the head was all of it.
        time.sleep(seconds * (2 if found.stat.size > len(found.data) else 1))
    return found


def scan(data: Path, folder: Path) -> dict[str, float]:
    """Scan a folder into new catalogs, then again into the last, and return how long both took at best."""
    firsts = [_scan(data / str(number), folder) for number in range(ROUNDS)]
    return {**firsts[-1], "first_s": min(took["first_s"] for took in firsts)}


def _scan(data: Path, folder: Path) -> dict[str, float]:
    with open_registry(load_settings(data_dir=data)) as registry:
        root = registry.add_root(str(folder))
        begun = time.perf_counter()
        counts = registry.scan(root.id)
        with registry.catalog.read() as conn:
            page = list_loras(conn, machine_id=registry.machine_id, limit=1)
        first = time.perf_counter() - begun
        if page.total != counts.new:
            raise SystemExit(f"{counts.new} files are new, {page.total} loras are listed")
        walks, scans = [], []
        for _ in range(RESCANS):
            # Turn by turn, so that both meet the machine in the same mood.
            walks.append(timed(lambda: bare_walk(folder)))
            scans.append(timed(lambda: registry.scan(root.id)))
    return {"files": counts.new, "first_s": first, "rescan_s": min(scans), "walk_s": min(walks)}


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the shortest of some runs, in seconds."""
    return min(timed(work) for _ in range(rounds))


def timed(work: Callable[[], object]) -> float:
    """Return how long something takes, in seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def bare_parse(paths: Sequence[Path], loads: Callable[[bytes], object]) -> None:
    """Read and parse the headers, nothing more."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        length = int.from_bytes(os.read(descriptor, 8), "little")
        loads(os.read(descriptor, length))
        os.close(descriptor)


def bare_walk(folder: Path) -> None:
    """Walk a folder and look at each file, nothing more."""
    for parent, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(parent, name))  # noqa: PTH116, PTH118 - as bare as it gets


class Memory:
    """Watches the memory of a process and all below it, in a thread."""

    def __init__(self, pid: int) -> None:
        self.highest = 0
        self._process = psutil.Process(pid)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.highest = max(self.highest, sum(_pss(process.pid) for process in family))
            time.sleep(0.5)  # asking is work for the kernel, which the scan would pay for


def _pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes; 0 where nobody says."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def measure(folder: Path, place: Path, paths: Sequence[Path]) -> dict[str, object]:
    """Return the figures of a library in the page cache."""
    # What this program has imported would slow a parser down that makes so many objects.
    gc.freeze()
    with_orjson = len(paths) / best(lambda: bare_parse(paths, orjson.loads))
    with_json = len(paths) / best(lambda: bare_parse(paths, json.loads), rounds=1)
    program = [sys.executable, "-m", "bench.ingest", "--scan", str(place / "data"), str(folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        memory = Memory(process.pid)
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    took = json.loads(out)
    speed = took["files"] / took["first_s"]
    return {
        "files": len(paths),
        "header_phase": {
            "files_per_s": round(speed),
            "target_files_per_s": TARGET_FILES_PER_SECOND,
            "bare_orjson_files_per_s": round(with_orjson),
            "bare_json_files_per_s": round(with_json),
            "ratio_to_orjson": round(speed / with_orjson, 3),
            "ratio_to_json": round(speed / with_json, 3),
        },
        "rescan": {
            "seconds": round(took["rescan_s"], 3),
            "bare_walk_seconds": round(took["walk_s"], 3),
            "ratio": round(took["rescan_s"] / took["walk_s"], 2),
            "target_ratio": TARGET_RESCAN_RATIO,
        },
        "memory_mb": round(memory.highest / 1e6, 1),
        "target_memory_mb": TARGET_MEMORY_MB,
    }


def measure_latency(folder: Path, place: Path, files: int, seconds: float) -> dict[str, object]:
    """Return how much faster eight readers are than one where each open and read takes `seconds` more."""
    took = {}
    for readers in (1, 8):
        settings = load_settings(data_dir=place / f"data-{readers}")
        reading = Reading(functools.partial(slow_read, seconds))
        with open_registry(settings, reading=reading) as registry:
            root = registry.add_root(str(folder), header_readers=readers)
            # The start of the child processes is the same for both and no matter of readers.
            registry.deriver.answers(registry.deriver.submit([], readers))
            begun = time.perf_counter()
            registry.scan(root.id)
            took[readers] = time.perf_counter() - begun
    return {
        "files": files,
        "latency_ms": seconds * 1000,
        "one_reader_files_per_s": round(files / took[1], 1),
        "eight_readers_files_per_s": round(files / took[8], 1),
        "ratio": round(took[1] / took[8], 2),
        "target_ratio": TARGET_READERS_RATIO,
    }


def milliseconds(text: str) -> float:
    """Parse `5ms` or `5` into seconds."""
    return float(text.removesuffix("ms")) / 1000


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, help="how many files (10,000; with --latency 2,000)")
    parser.add_argument(
        "--latency", type=milliseconds, help="time each open and read takes longer, such as 5ms"
    )
    parser.add_argument("--library", type=Path, help="a folder that `bench.library` filled already")
    parser.add_argument("--scan", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.scan:
        print(json.dumps(scan(*asked.scan)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        place = Path(name)
        folder = asked.library or place / "library"
        count = asked.files or (2000 if asked.latency else 10_000)
        paths = sorted(folder.rglob("*.safetensors")) if asked.library else library(folder, count)
        if asked.latency:
            print(json.dumps(measure_latency(folder, place, len(paths), asked.latency), indent=2))
        else:
            print(json.dumps(measure(folder, place, paths), indent=2))


if __name__ == "__main__":
    main()
