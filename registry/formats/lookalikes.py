"""Name what a file really is that carries a safetensors name, from its first bytes."""

from __future__ import annotations

from typing import Final, NamedTuple

from registry.formats.header import LENGTH_FIELD, MAX_HEADER, Problem

SNIFFED: Final = 512
"""How many bytes of a file without a header are looked at."""

_PRINTABLE: Final = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}


class _Signature(NamedTuple):
    prefix: bytes
    cause: str


_SIGNATURES: Final = (
    _Signature(b"version https://git-lfs.github.com/", "git-lfs-pointer"),
    _Signature(b"version https://hawser.github.com/", "git-lfs-pointer"),
    _Signature(b"pk\x03\x04", "zip-archive"),
    _Signature(b"pk\x05\x06", "zip-archive"),
    _Signature(b"gguf", "gguf"),
    _Signature(b"\x80\x02", "pickle"),
    _Signature(b"\x80\x03", "pickle"),
    _Signature(b"\x80\x04", "pickle"),
    _Signature(b"\x80\x05", "pickle"),
    _Signature(b"<!doctype", "html-page"),
    _Signature(b"<html", "html-page"),
    _Signature(b"<head", "html-page"),
    _Signature(b"<?xml", "html-page"),
    _Signature(b"<!--", "html-page"),
    _Signature(b"{", "json-text"),
    _Signature(b"[", "json-text"),
    _Signature(b"7z\xbc\xaf\x27\x1c", "archive"),
    _Signature(b"rar!\x1a\x07", "archive"),
    _Signature(b"\x1f\x8b", "archive"),
    _Signature(b"\x28\xb5\x2f\xfd", "archive"),
    _Signature(b"\xfd7zxz\x00", "archive"),
    _Signature(b"\x89png\r\n\x1a\n", "image"),
    _Signature(b"\xff\xd8\xff", "image"),
    _Signature(b"gif8", "image"),
)
"""Compared with the lower-cased start of the file, after white space and a byte order mark."""


def looks_like(first: bytes, size: int) -> Problem:
    """Return the best name for a file of `size` bytes whose `first` bytes hold no readable header length."""
    start = first[:SNIFFED]
    if size == 0 or not start:
        return Problem("empty-file")
    length = int.from_bytes(start[:LENGTH_FIELD], "little")
    if len(start) >= LENGTH_FIELD and length <= MAX_HEADER:
        if not any(start):
            return Problem("all-zeros")
        return Problem(
            "truncated-header", f"The header would end at {LENGTH_FIELD + length} of {size} bytes."
        )
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    cause = next((cause for prefix, cause in _SIGNATURES if bare.startswith(prefix)), None)
    if cause is not None:
        return Problem(cause)
    if size < LENGTH_FIELD:
        return Problem("too-small", f"It has {size} bytes.")
    return Problem("text-file") if _is_text(start) else _too_large(length)


def _is_text(start: bytes) -> bool:
    return all(byte in _PRINTABLE for byte in start)


def _too_large(length: int) -> Problem:
    return Problem("header-too-large", f"The first eight bytes announce {length} bytes of header.")
