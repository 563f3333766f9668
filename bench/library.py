"""Make a library of generated LoRA files: `python -m bench.library DIR --files 10000`.

Each is a Stable Diffusion 1.5 LoRA of 264 modules as kohya-ss/sd-scripts writes it, with 66 metadata
entries and 150 tags. Data sections are sparse apart from eight bytes, which differ from file to file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.files import join_header, kohya_metadata, kohya_tensors, tensor_entries, tensor_size

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = 320


def library(folder: Path, count: int, *, folders: int = FOLDERS, rank: int = 8, seed: int = 0) -> list[Path]:
    """Write `count` files into `folders` folders below `folder` and return their paths, sorted.

    The same arguments give the same bytes. What is there already under such a name is replaced.
    """
    tensors = kohya_tensors(rank=rank)
    entries = tensor_entries(tensors)
    size = sum(tensor_size(dtype, shape) for dtype, shape, _ in tensors.values())
    paths = sorted(_names(folder, count, folders))
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(paths):
        number = seed * 10_000_019 + index
        head = join_header(entries, kohya_metadata(seed=number, rank=rank, name=path.stem))
        _write(path, head, size, random.Random(number).randbytes(8))
    return paths


def _names(folder: Path, count: int, folders: int) -> Iterator[Path]:
    for index in range(count):
        yield folder / f"set_{index % folders:03d}" / f"style_{index:06d}.safetensors"


def _write(path: Path, head: bytes, size: int, mark: bytes) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(size // 2, os.SEEK_CUR)
        file.write(mark)


def main() -> None:
    """Write the library that the command line asks for and print what it is."""
    parser = argparse.ArgumentParser(description="Generate a library of LoRA files with sparse data.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folders", type=int, default=FOLDERS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    begun = time.perf_counter()
    paths = library(asked.folder, asked.files, folders=asked.folders, seed=asked.seed)
    size = sum(path.stat().st_size for path in paths)
    made = {"files": len(paths), "bytes": size, "seconds": round(time.perf_counter() - begun, 2)}
    sys.stdout.write(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
