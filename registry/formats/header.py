"""What a safetensors header says, and why a file may not be one: values and tables, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.views import Note

LENGTH_FIELD: Final = 8
MAX_HEADER: Final = 100_000_000
MAX_U64: Final = 2**64 - 1

DTYPE_BITS: Final[Mapping[str, int]] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element by dtype name, as safetensors 0.8 knows them (huggingface/safetensors, tensor.rs)."""

CAUSES: Final[Mapping[str, str]] = {
    "empty-file": "The file is empty; download or copy it again.",
    "too-small": "The file is too small to hold a safetensors header; download or copy it again.",
    "git-lfs-pointer": "This is a Git LFS pointer, not the model; fetch the real file with `git lfs pull`.",
    "html-page": "This is a web page, not a model (often a log-in or error page); download it again.",
    "zip-archive": "This is a zip archive (a PyTorch .pt/.ckpt or a packed download); convert or unpack it.",
    "pickle": "This is a Python pickle, which can run code when opened; get a safetensors version.",
    "gguf": "This is a GGUF model; give it the extension .gguf.",
    "json-text": "This is JSON text (often an error message of a download), not a model; download it again.",
    "archive": "This is a compressed archive, not a model; unpack it.",
    "image": "This is an image under a model's name; rename it or get the model.",
    "text-file": "This is a text file, not a model; download the model again.",
    "all-zeros": "The file begins with zeros, as an unfinished download does; download it again.",
    "empty-header": "The header has no content; download the file again.",
    "header-too-large": "The header claims more than the 100 MB allowed; this is not a safetensors file.",
    "header-too-complex": "The header holds millions of values; no honest file does.",
    "truncated-header": "The file ends inside its header; finish the download or copy it again.",
    "truncated-data": "The file ends before its last tensor; finish the download or copy it again.",
    "trailing-data": "There are bytes after the last tensor, which the safetensors library refuses.",
    "invalid-utf8": "The header is not UTF-8 text; the file is damaged or of another kind.",
    "invalid-json": "The header is not valid JSON; the file is damaged or written by faulty software.",
    "invalid-metadata": "`__metadata__` must be one map of strings to strings; re-save the file.",
    "invalid-tensor": "A header entry does not describe a tensor; re-save the file.",
    "unknown-dtype": "A tensor has a number type that the safetensors library does not know.",
    "invalid-offsets": "Tensors overlap, leave holes or do not begin at zero; download the file again.",
    "size-mismatch": "A tensor's bytes do not fit its shape and number type; download the file again.",
    "overflow": "A tensor claims more bytes than can exist; the header is damaged or hostile.",
}
"""Why a file is rejected: stable slug -> what it means and what to do about it."""


class Tensor(NamedTuple):
    """One tensor of a header: `start` and `end` are byte offsets from the start of the data section."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the safetensors library opens the file; `cause` is a key of `CAUSES`, `detail` a sentence."""

    accepted: bool
    cause: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """A verdict on one file and, apart from it, everything its header says.

    `size` is the file's size in bytes; `data_start` the offset of the data section, or `None` where the file
    holds no whole header. `tensors` are in data-offset order when accepted, otherwise whatever could be
    salvaged. `metadata` keeps the header's order and is salvaged too; its strings may hold lone surrogates.
    """

    size: int
    data_start: int | None
    verdict: Verdict
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


class Problem(NamedTuple):
    """The first thing that makes a header unacceptable: a key of `CAUSES` and what exactly was seen."""

    cause: str
    seen: str = ""

    def verdict(self) -> Verdict:
        """Return the rejection this problem leads to."""
        return Verdict(accepted=False, cause=self.cause, detail=f"{self.seen} {CAUSES[self.cause]}".strip())
