"""Everything that can be said of one file without a catalog, as plain JSON values."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from registry.errors import ReaderFailed, RegistryError
from registry.formats.elements import count_elements
from registry.formats.safetensors import parse
from registry.formats.training import read_training
from registry.formats.training_json import training_json
from registry.formats.triggers import trigger_words
from registry.formats.values import MAX_INT
from registry.hashing.claims import check_claims, claim_problems
from registry.hashing.opening import display
from registry.hashing.reader import hash_file, read_head
from registry.identify import identify
from registry.ingest.derive import reader_failed
from registry.views import Note, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.formats.safetensors import Header
    from registry.hashing.opening import AnyPath
    from registry.views import Claim, Hashes

KEYS: Final = (
    "path",
    "size",
    "header",
    "metadata",
    "training",
    "trigger_words",
    "identification",
    "hashes",
    "claims",
    "problems",
)
HASHES: Final = (
    "sha256",
    "autov1",
    "autov2",
    "autov3",
    "data_sha256",
    "sshs_legacy_hash",
    "blake3",
    "crc32",
    "tensor_hash",
)


def inspect_file(
    path: AnyPath,
    *,
    hashes: bool = True,
    progress: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, object]:
    """Read one file and return what its header and its bytes say, under the names of `KEYS` in their order.

    Strings are as the file has them, lone surrogates included; numbers that are not finite become null. With
    `hashes=False` only the head is read, all hashes are null and all claims unchecked. `progress` gets the
    number of bytes read so far. Raises UnreadableFile, also where we fail at a file as we never should,
    NotARegularFile, FileChanged, Cancelled.
    """
    try:
        if hashes:
            read = hash_file(path, progress=progress, cancelled=cancelled, threads=os.cpu_count() or 1)
            return _facts(display(path), read.header, read.hashes)
        head = read_head(path)
        return _facts(display(path), parse(head.data, head.stat.size), None)
    except RegistryError:
        raise
    except Exception as error:  # an edge: a stranger's file must never keep the others from being looked at
        raise ReaderFailed(f"{display(path)}: {reader_failed(error)}") from error


def unreadable(path: AnyPath, error: RegistryError) -> dict[str, object]:
    """Return the same keys for a file that could not be read: its path and why, the rest null."""
    facts: dict[str, object] = dict.fromkeys(KEYS)
    facts.update(path=display(path), problems=[_note(Note(error.slug, str(error)))])
    return facts


def _facts(path: str, header: Header, computed: Hashes | None) -> dict[str, object]:
    metadata = header.metadata
    training = read_training(metadata)
    tensors = {name: TensorInfo(tensor.dtype, tensor.shape) for name, tensor in header.tensors.items()}
    claims = check_claims(metadata, computed, header, training.trainer)
    return {
        "path": path,
        "size": header.size,
        "header": _header(header),
        "metadata": dict(metadata),
        "training": training_json(training),
        "trigger_words": asdict(trigger_words(metadata, training)),
        "identification": _finite(asdict(identify(tensors, metadata))),
        "hashes": {name: getattr(computed, name, None) for name in HASHES},
        "claims": [asdict(claim) for claim in claims],
        "problems": [_note(note) for note in _problems(header, claims)],
    }


def _header(header: Header) -> dict[str, object]:
    verdict, start = header.verdict, header.data_start
    dtypes = Counter(tensor.dtype for tensor in header.tensors.values())
    return {
        "accepted": verdict.accepted,
        "cause": verdict.cause or None,
        "detail": verdict.detail or None,
        "data_start": start,
        "length": None if start is None else start - 8,
        "tensors": len(header.tensors),
        "dtypes": dict(dtypes.most_common()),
        "parameters": _parameters(header),
        "notes": [_note(note) for note in header.notes],
    }


def _parameters(header: Header) -> int | None:
    """Count the elements of all tensors; what a rejected header claims is no count of anything."""
    if not header.verdict.accepted:
        return None
    counts = [count_elements(tensor.shape) for tensor in header.tensors.values()]
    total = sum(count or 0 for count in counts)
    return total if total <= MAX_INT else None


def _problems(header: Header, claims: Sequence[Claim]) -> list[Note]:
    verdict = header.verdict
    found = [] if verdict.accepted else [Note(verdict.cause, verdict.detail)]
    return found + claim_problems(claims)


def _note(note: Note) -> dict[str, object]:
    return {"slug": note.slug, "text": note.text}


def _finite(values: dict[str, object]) -> dict[str, object]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
