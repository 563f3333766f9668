"""The lines of an archive of notes: one JSON object for each lora of which anything is noted.

Lines come from strangers: what of a line cannot be used is told, and the rest of it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from registry.curation import FIELDS, Noted, plain, read_noted
from registry.formats.packing import clean_text, pack_json
from registry.formats.values import MAX_INT, OddValueError, as_int, json_value, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEYS: Final = 100
"""So many hashes, and so many places, are told of one lora."""
MAX_PICTURES: Final = 1000
"""So many pictures are told of one lora: more than can be given to one, for several may become one."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_QUICK_KEY: Final = re.compile(r"(?:[0-9a-f]{2}){1,64}", re.ASCII)
_MAX_PATH: Final = 16_384
_MAX_NAME: Final = 1000
_MAX_ACTOR: Final = 200
_YEAR_10000_MS: Final = 253_402_300_800_000
_MEMBERS: Final = frozenset({"data_sha256", "sha256", "files", "name", "fields", "pictures"})


@dataclass(frozen=True, slots=True)
class Place:
    """A file of a lora: the label of its root, its path below that, and what tells it from others."""

    root: str
    path: bytes
    quick_key: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Line:
    """What is noted of one lora, with all that it can be known by, the strongest first.

    `data_sha256` is the SHA-256 of its weights, `sha256` those of its files. `name` is for people. `pictures`
    are the keys of those that the user added, each the SHA-256 of one, the latest last.
    """

    data_sha256: str | None = None
    sha256: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    name: str | None = None
    fields: Mapping[str, Noted] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()

    @property
    def hashed(self) -> bool:
        """Whether it is known by a hash."""
        return self.data_sha256 is not None or bool(self.sha256)


def by_then(fields: Mapping[str, Noted], latest: int) -> dict[str, Noted]:
    """Return what is noted with no time that is later: a clock that is ahead wins over nobody."""
    return {name: noted._replace(at=min(noted.at, latest)) for name, noted in fields.items()}


def write_line(line: Line) -> bytes:
    """Return a line as JSON without a line break; equal lines give equal bytes."""
    told: dict[str, object] = {}
    if line.data_sha256 is not None:
        told["data_sha256"] = line.data_sha256
    if line.sha256:
        told["sha256"] = list(line.sha256)
    if line.places:
        told["files"] = [_place_told(place) for place in line.places]
    if line.name is not None:
        told["name"] = line.name
    told["fields"] = {
        name: {"value": plain(noted.value), "at": noted.at, "actor": noted.actor}
        for name in FIELDS
        if (noted := line.fields.get(name)) is not None
    }
    if line.pictures:
        told["pictures"] = list(line.pictures)
    return pack_json(told)


def _place_told(place: Place) -> dict[str, object]:
    path = place.path.decode("utf-8", "surrogateescape")
    return {"root": place.root, "path": path, "quick_key": place.quick_key.hex(), "size": place.size}


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a line; raises OddValueError for what is none."""
    try:
        found = json_value(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise OddValueError("not UTF-8") from None
    if not isinstance(found, dict):
        raise OddValueError("not a JSON object")
    return found


def read_line(raw: bytes) -> tuple[Line | None, list[str]]:
    """Return what a line says and what is wrong with it; `None` where nothing of it can be used."""
    try:
        told = read_object(raw)
    except OddValueError as odd:
        return None, [str(odd)]
    wrong = [f"{quoted(name)} is not known" for name in told if name not in _MEMBERS][:MAX_KEYS]
    line = Line(
        _one_hash(told.get("data_sha256"), wrong),
        _hashes("sha256", told.get("sha256"), wrong, MAX_KEYS),
        _places(told.get("files"), wrong),
        clean_text(name[:_MAX_NAME]) if isinstance(name := told.get("name"), str) else None,
        _fields(told.get("fields"), wrong),
        _hashes("pictures", told.get("pictures"), wrong, MAX_PICTURES),
    )
    if not line.hashed and not line.places:
        return None, [*wrong, "it does not say which lora it is about"]
    del wrong[MAX_KEYS:]
    return (line if line.fields or line.pictures else None), wrong


def _one_hash(value: object, wrong: list[str]) -> str | None:
    if value is None:
        return None
    found = value.lower() if isinstance(value, str) else ""
    if _SHA256.fullmatch(found):
        return found
    wrong.append("data_sha256 is no SHA-256")
    return None


def _hashes(name: str, value: object, wrong: list[str], most: int) -> tuple[str, ...]:
    if value is None:
        return ()
    some = value if isinstance(value, list) else [value]
    found = [one.lower() for one in some[:most] if isinstance(one, str) and _SHA256.fullmatch(one.lower())]
    if len(found) != len(some):
        wrong.append(f"{name} is not a list of up to {most:,} SHA-256")
    return tuple(dict.fromkeys(found))


def _places(value: object, wrong: list[str]) -> tuple[Place, ...]:
    if value is None:
        return ()
    some = value if isinstance(value, list) else [value]
    found = [place for one in some[:MAX_KEYS] if (place := _place(one)) is not None]
    if len(found) != len(some):
        wrong.append(f"files is not a list of up to {MAX_KEYS} files with root, path, quick_key and size")
    return tuple(dict.fromkeys(found))


def _place(told: object) -> Place | None:
    if not isinstance(told, dict):
        return None
    root, path, key = (told.get(name) for name in ("root", "path", "quick_key"))
    size = as_int(told.get("size"))
    if not (isinstance(root, str) and isinstance(path, str) and isinstance(key, str)) or size is None:
        return None
    if not _QUICK_KEY.fullmatch(key) or not 0 < len(path) <= _MAX_PATH or not 0 <= size <= MAX_INT:
        return None
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    return Place(clean_text(root[:_MAX_NAME]), raw, bytes.fromhex(key), size)


def _fields(told: object, wrong: list[str]) -> dict[str, Noted]:
    if not isinstance(told, dict):
        wrong.append("it has no fields")
        return {}
    found: dict[str, Noted] = {}
    for name, one in told.items():
        if name not in FIELDS:
            wrong.append(f"there is no field {quoted(name)}")
            continue
        try:
            noted, cut = _noted(name, one)
        except OddValueError as odd:
            wrong.append(f"{name} is {odd}")
            continue
        if noted is not None:
            found[name] = noted
        if cut:
            wrong.append(f"{name} is too long a list: only its first items are taken")
    return found


def _noted(name: str, told: object) -> tuple[Noted | None, bool]:
    """Return a value with who set it and when, and whether items of its list are left out."""
    if not isinstance(told, dict):
        raise OddValueError("not an object with value and at")
    at, actor = as_int(told.get("at")), told.get("actor")
    if at is None or not 0 <= at < _YEAR_10000_MS:
        raise OddValueError("of no time: at is in milliseconds since the epoch")
    value, cut = read_noted(name, told.get("value"))
    if value is None or value == ():
        return None, cut
    return Noted(value, at, clean_text(actor[:_MAX_ACTOR]) if isinstance(actor, str) else None), cut
