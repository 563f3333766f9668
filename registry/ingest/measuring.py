"""Measure the weights of one file, in a child process; it answers with plain values."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from registry.errors import Cancelled, UnsupportedKind
from registry.hashing.contents import open_tensors
from registry.hashing.opening import FileStat
from registry.lora.compare import compare
from registry.lora.fingerprint import VERSION, Fingerprint, fingerprint
from registry.lora.tensors import FloatTensors
from registry.measured import UNSUPPORTED, Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.lora.numbers import Floats

_SECONDS: Final = 600.0
"""What no adapter takes; a file made to take for ever does."""


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """A file to measure: its path and what it was when it was hashed."""

    path: str | bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """What measuring a file gave: its fingerprint and the sketches, in 16-bit floats of length one."""

    measured: Measured
    unet: bytes | None = None
    te: bytes | None = None


def measure(task: MeasureTask, seconds: float = _SECONDS) -> Weighed:
    """Measure a file.

    An adapter of a kind that cannot be measured is an answer. Raises FileChanged, UnreadableFile,
    NotARegularFile, and Cancelled where it takes too long.
    """
    end = time.monotonic() + seconds

    def before() -> None:
        if time.monotonic() > end:
            raise Cancelled(f"measuring the weights took more than {seconds:g} seconds")

    try:
        with _opened(task) as tensors:
            found = fingerprint(tensors, before)
    except UnsupportedKind as error:
        return Weighed(unmeasured(str(error)))
    except MemoryError:
        return Weighed(unmeasured("measuring it takes more memory than there is"))
    return Weighed(_told(found), _unit(found.unet), _unit(found.te))


@dataclass(frozen=True, slots=True)
class PairTask:
    """Two files to compare."""

    first: MeasureTask
    second: MeasureTask


def compare_files(task: PairTask) -> dict[str, float | None]:
    """Return the cosines of the changes of two adapters, by part (`unet`, `te`).

    Raises UnsupportedKind, FileChanged, UnreadableFile, NotARegularFile.
    """
    with _opened(task.first) as first, _opened(task.second) as second:
        try:
            return {part: angle.cosine for part, angle in compare(first, second).items()}
        except MemoryError:
            raise UnsupportedKind("comparing them takes more memory than there is") from None


@contextmanager
def _opened(task: MeasureTask) -> Iterator[FloatTensors]:
    with open_tensors(task.path, FileStat(task.size, task.mtime_ns, 0, 0, 1)) as raw:
        yield FloatTensors(raw)


def unmeasured(problem: str) -> Measured:
    """Return what is kept of an adapter that cannot be measured."""
    return Measured("change", (UNSUPPORTED,), 0, 0.0, 0.0, None, None, (), VERSION, 0, problem)


def _told(found: Fingerprint) -> Measured:
    return Measured(
        found.basis,
        found.health,
        found.layers,
        found.unet_norm,
        found.te_norm,
        found.spectral,
        found.effective_rank,
        found.blocks,
        found.version,
        0,
    )


def _unit(sketch: Floats | None) -> bytes | None:
    if sketch is None:
        return None
    length = float(np.linalg.norm(sketch))
    return (sketch / length).astype("<f2").tobytes() if 0 < length < float("inf") else None
