"""All digests in one pass, against each in a pass of its own: `python -m bench.hash`.

Three ways over the same files, all in the page cache, best of several rounds:

- `one_pass`: what the registry does, one thread a file, as many at once as there are cores;
- `own_passes`: the same digests, each reading what it needs by itself, one thread, 1 MiB blocks;
- `a1111`: the two passes of AUTOMATIC1111 (SHA-256 of the file, SHA-256 of its data section), one thread.

Beside it, one file alone with its digests spread over threads, and the memory that hashing adds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from registry.formats.safetensors import parse
from registry.hashing.digests import AllDigests
from registry.hashing.reader import hash_file, read_head
from tests.support.files import header_bytes, kohya_metadata, kohya_tensors, tensor_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.views import Hashes

BLOCK = 1024 * 1024
TARGET_RATIO = 2.0
TARGET_MEMORY = 64


def make_files(folder: Path, count: int, megabytes: int) -> list[Path]:
    """Write `count` LoRA files of about `megabytes` MB of random data, block by block."""
    rank = max(1, round(megabytes * 8 / 9.55))
    tensors = kohya_tensors(rank=rank)
    size = sum(tensor_size(dtype, shape) for dtype, shape, _ in tensors.values())
    paths = [folder / f"style_{number}.safetensors" for number in range(count)]
    for number, path in enumerate(paths):
        source = random.Random(number)
        with path.open("wb") as file:
            file.write(header_bytes(tensors, kohya_metadata(seed=number, rank=rank)))
            for start in range(0, size, BLOCK):
                file.write(source.randbytes(min(BLOCK, size - start)))
    return paths


def one_pass(paths: Sequence[Path], threads: int) -> list[Hashes]:
    """Hash the files as the registry does."""
    with ThreadPoolExecutor(threads) as pool:
        return [hashed.hashes for hashed in pool.map(hash_file, paths)]


def own_passes(paths: Sequence[Path]) -> list[Hashes]:
    """Compute each digest in its own pass over the bytes it covers."""
    results = []
    buffer = memoryview(bytearray(BLOCK))
    for path in paths:
        head = read_head(path)
        digests = AllDigests(head.stat.size, parse(head.data, head.stat.size))
        for computation in digests.lanes(1)[0]:
            with path.open("rb", buffering=0) as file:
                at = file.seek(computation.start)
                while at < computation.end and (count := file.readinto(buffer)):
                    computation.feed(at, buffer[:count])
                    at += count
        results.append(digests.hashes())
    return results


def a1111(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Hash as AUTOMATIC1111 does: modules/hashes.py, `calculate_sha256` and `addnet_hash_safetensors`."""
    results = []
    for path in paths:
        whole = hashlib.sha256()
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(BLOCK), b""):
                whole.update(chunk)
        data = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(8 + int.from_bytes(file.read(8), "little"))
            for chunk in iter(lambda: file.read(BLOCK), b""):
                data.update(chunk)
        results.append((whole.hexdigest(), data.hexdigest()))
    return results


class Taken(NamedTuple):
    """Seconds by the clock, and of processor time over all threads."""

    wall: float
    cpu: float


def taken_by(work: Callable[[], object]) -> Taken:
    """Return how long `work` takes."""
    begun, spent = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - begun, time.process_time() - spent)


def extra_memory(work: Callable[[], object]) -> float:
    """Return by how many MB the resident memory of this process rises while `work` runs."""
    process = psutil.Process()
    before: int = process.memory_info().rss
    peak = before
    done = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        work()
    finally:
        done.set()
        sampler.join()
    return (peak - before) / 1e6


def measure(paths: Sequence[Path], *, threads: int, rounds: int) -> dict[str, object]:
    """Run everything and return the figures."""
    first = one_pass(paths[:1], 1)  # loads what is loaded once
    memory = extra_memory(lambda: one_pass(paths, threads))
    results = one_pass(paths, threads)
    if results != own_passes(paths) or results[:1] != first:
        raise SystemExit("the two ways disagree about a digest")
    if [(one.sha256, one.data_sha256) for one in results] != a1111(paths):
        raise SystemExit("A1111's way disagrees about a digest")
    ways: dict[str, Callable[[], object]] = {
        "one_pass": lambda: one_pass(paths, threads),
        "own_passes": lambda: own_passes(paths),
        "a1111": lambda: a1111(paths),
        "one_file_one_thread": lambda: hash_file(paths[0]),
        "one_file_threads": lambda: hash_file(paths[0], threads=threads),
    }
    all_taken = [{name: taken_by(work) for name, work in ways.items()} for _ in range(rounds)]
    taken = {name: min(one[name] for one in all_taken) for name in ways}
    wall = {name: one.wall for name, one in taken.items()}
    ratio = wall["own_passes"] / wall["one_pass"]
    return {
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "threads": threads,
        "seconds": {name: round(value, 3) for name, value in wall.items()},
        "ratio": round(ratio, 2),
        "ratio_to_a1111": round(wall["a1111"] / wall["one_pass"], 2),
        "ratio_of_threads_for_one_file": round(wall["one_file_one_thread"] / wall["one_file_threads"], 2),
        "cores_one_pass_got": round(taken["one_pass"].cpu / wall["one_pass"], 2),
        "peak_extra_mb": round(memory, 1),
        "target": {"ratio": TARGET_RATIO, "peak_extra_mb": TARGET_MEMORY},
        "met": ratio >= TARGET_RATIO and memory < TARGET_MEMORY,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measure hashing in one pass.")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put the files for the time being")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        paths = make_files(Path(name), asked.files, asked.megabytes)
        print(json.dumps(measure(paths, threads=asked.threads, rounds=asked.rounds), indent=1))


if __name__ == "__main__":
    main()
