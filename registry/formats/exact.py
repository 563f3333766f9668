"""The exact reader of header JSON: every rule of the reference, none of its speed, and salvage.

The reference is serde_json reading `HashMetadata` of huggingface/safetensors (tensor.rs): entries are
buffered and then read as `TensorInfo`, which is why arrays, repeated names and unknown fields are let pass.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple, NoReturn

from registry.formats.header import DTYPE_BITS, MAX_U64, Problem, Tensor
from registry.formats.json_rules import (
    MAX_DEPTH,
    check_range,
    depth_exceeds,
    first_object,
    has_lone_surrogate,
)
from registry.views import Note

_METADATA: Final = "__metadata__"
_QUOTED: Final = 80
_METADATA_AT: Final = re.compile(r'"__metadata__"[ \t\r\n]*:[ \t\r\n]*')


class Reading(NamedTuple):
    """What the exact reader made of a header; without a `problem` the tensors still need a layout check."""

    problem: Problem | None
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    notes: tuple[Note, ...]


class _Object(tuple[tuple[str, object], ...]):
    """A JSON object as its pairs, in order and with repetitions."""

    __slots__ = ()


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class _NotATensorError(ValueError):
    """A header entry that does not describe a tensor."""


def read_exactly(raw: bytes) -> Reading:
    """Read header JSON by the reference's rules; a reading with a problem holds what could be salvaged."""
    problem: Problem | None = None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        problem = Problem("invalid-utf8", f"Byte {error.start} of the header is not UTF-8.")
        text = raw.decode(errors="surrogateescape")
    if depth_exceeds(text, MAX_DEPTH):
        problem = problem or Problem("invalid-json", f"It is nested deeper than {MAX_DEPTH} levels.")
        return Reading(problem, {}, _find_metadata(text), ())
    try:
        document = _STRICT.decode(text)
    except ValueError as error:
        problem = problem or Problem("invalid-json", f"{_reason(error)}.")
        try:
            document = _LENIENT.decode(text)
        except ValueError:
            return Reading(problem, {}, _find_metadata(text), ())
    if problem is None and has_lone_surrogate(text):
        problem = Problem("invalid-json", "A string holds half a surrogate pair.")
    if not isinstance(document, _Object):
        return Reading(problem or Problem("invalid-json", "It is not an object."), {}, {}, ())
    return _read_entries(document, problem)


def _read_entries(document: _Object, problem: Problem | None) -> Reading:
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    notes: dict[str, Note] = {}
    has_metadata = False
    for name, value in document:
        if name == _METADATA:
            if has_metadata:
                problem = problem or Problem("invalid-metadata", "It occurs twice.")
            has_metadata = True
            found = _read_metadata(value, metadata, notes)
            problem = problem or found
            continue
        try:
            tensor, ignored = _tensor(value)
        except _NotATensorError as error:
            problem = problem or Problem("invalid-tensor", f"Entry {shown(name)}: {error}.")
            continue
        if tensor.dtype not in DTYPE_BITS:
            problem = problem or Problem(
                "unknown-dtype", f"Tensor {shown(name)} has the type {shown(tensor.dtype)}."
            )
        if ignored:
            notes["ignored-fields"] = Note(
                "ignored-fields", f"Tensor {shown(name)} has fields besides dtype, shape and data_offsets."
            )
        if name in tensors:
            notes["repeated-tensor"] = Note(
                "repeated-tensor", f"Tensor {shown(name)} is described more than once; the last one counts."
            )
        tensors[name] = tensor
    return Reading(problem, tensors, metadata, tuple(notes.values()))


def _read_metadata(value: object, into: dict[str, str], notes: dict[str, Note]) -> Problem | None:
    if value is None:
        return None
    if not isinstance(value, _Object):
        return Problem("invalid-metadata", "It is not a map.")
    problem = None
    for key, item in value:
        if not isinstance(item, str) or isinstance(item, _Number):
            problem = problem or Problem("invalid-metadata", f"The value of {shown(key)} is not a string.")
        text = str(item) if isinstance(item, str) else json.dumps(_plain(item), ensure_ascii=False)
        if key in into:
            notes["repeated-metadata-key"] = Note(
                "repeated-metadata-key", f"The metadata key {shown(key)} is repeated; the last value counts."
            )
        into[key] = text
    return problem


def _tensor(value: object) -> tuple[Tensor, bool]:
    """Return the tensor an entry describes and whether it has further fields."""
    ignored = False
    if isinstance(value, _Object):
        names = [name for name, _ in value]
        for name in ("dtype", "shape", "data_offsets"):
            if names.count(name) != 1:
                raise _NotATensorError(f"{name} is missing" if name not in names else f"{name} is repeated")
        ignored = len(names) > 3
        fields = dict(value)
        parts = [fields["dtype"], fields["shape"], fields["data_offsets"]]
    elif isinstance(value, list):
        parts = value
        if len(parts) != 3:
            raise _NotATensorError("it is not three values")
    else:
        raise _NotATensorError("it is not an object")
    dtype, shape, offsets = parts
    sizes = [_usize(item) for item in shape] if isinstance(shape, list) else [None]
    if None in sizes:
        raise _NotATensorError("its shape is not a list of natural numbers")
    bounds = [_usize(item) for item in offsets] if isinstance(offsets, list) else []
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        raise _NotATensorError("its data_offsets are not two natural numbers")
    shape_known = tuple(size for size in sizes if size is not None)
    return Tensor(_dtype(dtype), shape_known, bounds[0], bounds[1]), ignored


def _dtype(value: object) -> str:
    # serde reads a unit variant from {"F32": null} as well as from "F32".
    if isinstance(value, _Object) and len(value) == 1 and value[0][1] is None:
        value = value[0][0]
    if not isinstance(value, str) or isinstance(value, _Number):
        raise _NotATensorError("its dtype is not a name")
    return value


def _usize(value: object) -> int | None:
    if isinstance(value, _Number) and len(value) <= 20 and value.isdigit() and int(value) <= MAX_U64:
        return int(value)
    return None


def _plain(value: object) -> object:
    if isinstance(value, _Object):
        return {key: _plain(item) for key, item in value}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, _Number):
        return int(value) if value.isdigit() and len(value) < 20 else float(value)
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)


def shown(text: str) -> str:
    """Return foreign text short enough for a sentence, in quotes and with odd characters escaped."""
    return ascii(text if len(text) <= _QUOTED else text[:_QUOTED] + "...")


def _find_metadata(text: str) -> dict[str, str]:
    """Return the metadata of a document that is not JSON as a whole, if they can be read by themselves."""
    found = _METADATA_AT.search(text)
    if found is None:
        return {}
    if depth_exceeds(first_object(text, found.end()), MAX_DEPTH):
        return {}
    try:
        value, _ = _LENIENT.raw_decode(text, found.end())
    except ValueError:
        return {}
    into: dict[str, str] = {}
    _read_metadata(value, into, {})
    return into


def _within_range(written: str) -> _Number:
    if len(written) > 290 or "e" in written or "E" in written:
        check_range(written)
    return _Number(written)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _pairs(pairs: list[tuple[str, object]]) -> _Object:
    return _Object(pairs)


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_within_range,
    parse_float=_within_range,
    parse_constant=_refuse_constant,
)
_LENIENT: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_Number, parse_float=_Number, parse_constant=_Number, strict=False
)
