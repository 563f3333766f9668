"""What an archive of notes says of itself, and its lines of saved searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest
from registry.formats.packing import clean_text, pack_json
from registry.formats.values import OddValueError, as_int, quoted
from registry.notes.lines import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "lora-registry notes"
VERSION: Final = 1
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which catalog an archive is of, when it was made, in milliseconds, and how much is in it.

    Of what did not fit into it there is a count as well, `left_out`. `content` is a digest of all but the
    manifest: archives that hold the same have the same.
    """

    catalog: str
    made_at: int
    counts: Mapping[str, int] = field(default_factory=dict)
    content: str = ""
    version: int = VERSION


class SavedLine(NamedTuple):
    """A saved search: the text of a query under its name."""

    name: str
    query: str


def write_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as JSON."""
    return pack_json(
        {
            "format": FORMAT,
            "version": manifest.version,
            "catalog": manifest.catalog,
            "made_at": manifest.made_at,
            "counts": dict(manifest.counts),
            "content": manifest.content,
        }
    )


def read_manifest(raw: bytes) -> Manifest:
    """Return a manifest; raises BadRequest for one that is of no archive of notes."""
    try:
        told = read_object(raw)
    except OddValueError as odd:
        raise BadRequest(f"the manifest of the archive is {odd}", remedy=_REMEDY) from None
    version = as_int(told.get("version"))
    if told.get("format") != FORMAT or version is None or version < 1:
        raise BadRequest("that is no archive of notes", remedy=_REMEDY)
    counts = told.get("counts")
    return Manifest(
        _text(told.get("catalog")),
        as_int(told.get("made_at")) or 0,
        {name: as_int(value) or 0 for name, value in counts.items()} if isinstance(counts, dict) else {},
        _text(told.get("content")),
        version,
    )


_REMEDY: Final = "name a file that `loras notes export` wrote"


def _text(value: object) -> str:
    return clean_text(value[:_LONGEST]) if isinstance(value, str) else ""


def write_saved(saved: SavedLine) -> bytes:
    """Return a saved search as a line of JSON."""
    return pack_json({"name": saved.name, "query": saved.query})


def read_saved(raw: bytes) -> SavedLine:
    """Return the saved search of a line; raises OddValueError for what is none."""
    told = read_object(raw)
    name, query = told.get("name"), told.get("query")
    if not (isinstance(name, str) and isinstance(query, str)):
        raise OddValueError(f"not a name and a query: {quoted(str(name))}")
    return SavedLine(name, query)
