"""Ordinary, flawless headers, read fast; whatever is doubtful is left to the exact reader.

orjson reads what serde_json reads, but keeps only the last of repeated names, reads `-0` as an integer and
nests deeper. An ordinary header nests no deeper than its entries; the other two are ruled out here. All loops
run inside C functions, since a header may hold thousands of tensors.

Metadata and tensors are read apart: files of one trainer, base model and rank have byte-equal tensor entries,
and the last few of those are kept.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, repeat
from math import prod
from operator import itemgetter, mul, sub
from typing import TYPE_CHECKING, Final

import orjson

from registry.formats.header import DTYPE_BITS, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

Flawless = tuple["Mapping[str, Tensor]", "Mapping[str, str] | None"]

_METADATA: Final = "__metadata__"
_METADATA_FIRST: Final = b'{"__metadata__":{"'
_METADATA_END: Final = b'"},"'
_DTYPE: Final = itemgetter("dtype")
_SHAPE: Final = itemgetter("shape")
_OFFSETS: Final = itemgetter("data_offsets")
_PLAIN_ZERO: Final = b'"data_offsets":[0,'
_MOST_DIMENSIONS: Final = 64
KEPT: Final = 32
_WORTH_KEEPING: Final = 512 * 1024


def read_flawless(raw: bytes, data_size: int) -> Flawless | None:
    """Return tensors in data-offset order and metadata of a header that the library accepts.

    `raw` is the JSON text, `data_size` the length of the data section. `None` says nothing about the header.
    """
    if raw.startswith(_METADATA_FIRST) and len(raw) <= _WORTH_KEEPING:
        # Within a string this needs a quotation mark that ends it, and then the first part is no JSON.
        end = raw.find(_METADATA_END)
        if end > 0:
            first = _read(raw[: end + 2] + b"}", 0)
            rest = _read_kept(b"{" + raw[end + 3 :].rstrip(b" "), data_size)
            if first is None or rest is None or rest[1] is not None:
                return None
            return rest[0], first[1]
    return _read(raw, data_size)


@lru_cache(maxsize=KEPT)
def _read_kept(raw: bytes, data_size: int) -> Flawless | None:
    return _read(raw, data_size)


def _read(raw: bytes, data_size: int) -> Flawless | None:
    try:
        document = orjson.loads(raw)
        metadata = document.pop(_METADATA, None)
        entries = list(document.values())
        dtypes = list(map(_DTYPE, entries))
        shapes = list(map(_SHAPE, entries))
        offsets = list(map(_OFFSETS, entries))
        bits = list(map(DTYPE_BITS.__getitem__, dtypes))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, IndexError):
        return None
    # The document and its entries are objects by now: nothing else in JSON has items of a name.
    if set(map(type, chain(shapes, offsets))) - {list}:
        return None
    sizes = list(chain.from_iterable(shapes))
    bounds = list(chain.from_iterable(offsets))
    is_ordinary = (
        set(map(type, chain(bounds, sizes))) <= {int}
        and min(sizes, default=1) > 0
        and max(map(len, shapes), default=0) <= _MOST_DIMENSIONS
        and set(map(len, entries)) <= {3}
        and set(map(len, offsets)) <= {2}
        and (metadata is None or (type(metadata) is dict and set(map(type, metadata.values())) <= {str}))
    )
    if not is_ordinary or _hides_something(raw, document, metadata):
        return None
    # Only now: `prod` repeats sequences, and takes ages over thousands of large numbers.
    counts = list(map(prod, shapes))
    names = list(document)
    if bounds != sorted(bounds):
        order = sorted(range(len(names)), key=offsets.__getitem__)
        names, dtypes, shapes, bits, counts, offsets = (
            [column[place] for place in order] for column in (names, dtypes, shapes, bits, counts, offsets)
        )
        bounds = list(chain.from_iterable(offsets))
    starts, ends = bounds[::2], bounds[1::2]
    needed = list(map(mul, counts, bits))
    is_flawless = [*starts, data_size] == [0, *ends] and needed == list(
        map(mul, map(sub, ends, starts), repeat(8))
    )
    if not is_flawless:
        return None
    rows = zip(dtypes, map(tuple, shapes), starts, ends, strict=True)
    # What `Tensor._make` does, without a Python call for each tensor.
    tensors = dict(zip(names, map(tuple.__new__, repeat(Tensor), rows), strict=True))
    return tensors, metadata


def _hides_something(raw: bytes, tensors: Mapping[str, object], metadata: Mapping[str, str] | None) -> bool:
    """Tell whether a header that looks ordinary may hold repeated names or the number `-0`.

    Repeated names show in the number of quotation marks: ten for each tensor (its name, three field names,
    the dtype), four for each metadata entry, two for `__metadata__`, and those inside strings. The last are
    known unless one is written as an escaped code point.
    """
    if b"\\u0022" in raw:
        return True
    strings = tensors.keys() if metadata is None else [*tensors, *metadata, *metadata.values()]
    inside = "".join(strings).count('"')
    frame = 10 * len(tensors)
    if metadata is not None:
        frame += 4 * len(metadata) + 2
    elif b"__metadata__" in raw or b"\\u" in raw:
        return True
    if raw.count(b'"') != frame + inside:
        return True
    # No shape of an ordinary header holds a zero, and of its offsets only the first start is one.
    return bool(tensors) and _PLAIN_ZERO not in raw and _has_negative_zero(raw)


def _has_negative_zero(raw: bytes) -> bool:
    """Tell whether `-0` stands where JSON may have a number; within a string it may, too."""
    at = raw.find(b"-0")
    while at >= 0:
        if raw[at - 1] in b"[, \t\r\n:":
            return True
        at = raw.find(b"-0", at + 2)
    return False
