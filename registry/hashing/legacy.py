"""Which bytes of a file `sshs_legacy_hash` stands for.

kohya-ss/sd-scripts (`precalculate_safetensors_hashes` in library/train_util.py) saves the tensors with only
the `ss_*` metadata into memory and hashes the 64 KiB at 1 MiB of that *virtual* file. The header of the real
file is longer, so the same bytes lie elsewhere in it. The length of the virtual header follows from the real
one; safetensors pads it to 8 bytes from 0.3 on and did not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from registry.formats.safetensors import Header

ANCHOR = 0x100000
LENGTH = 0x10000
_SHORTEST_ENTRY = len('"":{"dtype":"I8","shape":[],"data_offsets":[0,0]}')


class Span(NamedTuple):
    """A range of bytes of a file; `end` is excluded."""

    start: int
    end: int


def legacy_spans(header: Header, size: int) -> tuple[Span, Span] | None:
    """Return where the hashed bytes lie in the real file, for a padded and for an unpadded virtual header.

    The likelier one comes first: unpadded if the real header, written by the same library, is not padded
    either. Spans are clipped to the file, and empty for virtual files of up to 1 MiB. `None` if the virtual
    header reaches into the hashed region: the order of its keys is random, so nobody can reproduce that.
    """
    plain = virtual_header_length(header)
    if plain is None or header.data_start is None:
        return None
    padded = plain + -plain % 8
    if 8 + padded > ANCHOR:
        return None
    likely, other = (plain, padded) if header.data_start % 8 else (padded, plain)
    return _span(header.data_start, likely, size), _span(header.data_start, other, size)


def _span(data_start: int, virtual_length: int, size: int) -> Span:
    start = data_start + ANCHOR - (8 + virtual_length)
    return Span(min(start, size), min(start + LENGTH, size))


def virtual_header_length(header: Header) -> int | None:
    """Return the length of the JSON of the virtual header without padding, `None` if it exceeds 1 MiB.

    Without any `ss_*` entry the producer passes an empty mapping, which is written as `"__metadata__":{}`.
    """
    if len(header.tensors) * _SHORTEST_ENTRY > ANCHOR:
        return None
    kept = {key: value for key, value in (header.metadata or {}).items() if key.startswith("ss_")}
    virtual: dict[str, object] = {"__metadata__": kept}
    for name, tensor in header.tensors.items():
        virtual[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": (tensor.start, tensor.end),
        }
    length = len(orjson.dumps(virtual))
    return length if length <= ANCHOR else None
