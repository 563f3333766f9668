"""What fields read from a record: what people typed, what Civitai and sidecars say, what the header holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Final

from registry.formats import nsfw as levels
from registry.formats.licences import licence_words
from registry.formats.markup import readable
from registry.told import Licence
from registry.views import SearchRecord

_LAST: Final = 253_402_300_799  # seconds: the last year that has four digits
UNKNOWN: Final = levels.UNKNOWN
Read = Callable[[SearchRecord], Iterable[object]]


def column(name: str) -> Read:
    """Return what reads a column of the header."""

    def read(record: SearchRecord) -> Iterable[object]:
        value = record.header.get(name)
        return () if value is None else (value,)

    return read


def first_number(name: str) -> Callable[[SearchRecord], str | int | float | None]:
    """Return what reads a number of the header to sort by."""

    def value(record: SearchRecord) -> str | int | float | None:
        found = record.header.get(name)
        return found if isinstance(found, int | float) else None

    return value


def shown(name: str) -> Callable[[SearchRecord], Iterable[str]]:
    """Return what reads a column of the header as facets show it."""

    def values(record: SearchRecord) -> Iterable[str]:
        value = record.header.get(name)
        return () if value in {None, ""} else (str(value),)

    return values


def names(record: SearchRecord) -> Iterable[str]:
    """Give all names: of files, in the header, of the user, of Civitai and sidecars."""
    yield from dict.fromkeys(file.name for file in record.files)
    for name in ("output_name", "title"):
        if isinstance(value := record.header.get(name), str) and value:
            yield value
    yield from dict.fromkeys(_other_names(record))


def _other_names(record: SearchRecord) -> Iterable[str]:
    if record.curation is not None and record.curation.display_name:
        yield record.curation.display_name
    if record.link is not None:
        for version in record.link.versions:
            if version.told.model_name:
                yield version.told.model_name
    for told in record.sidecars:
        yield from (name for name in (told.user.title, told.name) if name)


def triggers(record: SearchRecord) -> Iterable[str]:
    """Give all trigger words that somebody claims, and names of dataset folders."""
    yield from record.claimed
    yield from record.datasets
    yield from _told_triggers(record)


def _told_triggers(record: SearchRecord) -> Iterable[str]:
    if record.curation is not None:
        yield from (word for group in record.curation.triggers for word in group)
    if record.link is not None and record.link.version is not None:
        yield from record.link.version.told.trained_words
    for told in record.sidecars:
        yield from told.trigger_words
        if told.user.activation_text:
            yield told.user.activation_text


def whole_names(record: SearchRecord) -> Iterable[str]:
    """Give the names of its files."""
    yield from dict.fromkeys(file.name for file in record.files)


def architecture(record: SearchRecord) -> Iterable[str]:
    """Give the family of the base model."""
    yield str(record.header.get("architecture") or "unknown")


def adapter(record: SearchRecord) -> Iterable[str]:
    """Give the kind of adapter."""
    yield str(record.header.get("adapter") or "unknown")


def resolution(width: str, height: str) -> Read:
    """Return what reads a width and a height of the header."""

    def read(record: SearchRecord) -> Iterable[object]:
        w, h = record.header.get(width), record.header.get(height)
        if isinstance(w, int) and isinstance(h, int):
            yield (w, h)

    return read


def shown_resolution(record: SearchRecord) -> Iterable[str]:
    """Give the training resolution as facets show it."""
    for found in resolution("resolution_width", "resolution_height")(record):
        if isinstance(found, tuple):
            yield f"{found[0]}x{found[1]}"


def longer_side(record: SearchRecord) -> int | None:
    """Return the longer side of the training resolution."""
    sides = [record.header.get(name) for name in ("resolution_width", "resolution_height")]
    return max((side for side in sides if isinstance(side, int)), default=None)


def is_missing(record: SearchRecord) -> bool:
    """Whether none of its files is there now."""
    return not any(file.state == "present" for file in record.files)


def is_duplicate(record: SearchRecord) -> bool:
    """Whether several present files hold these weights."""
    return sum(file.state == "present" for file in record.files) > 1


def yes_no(value: Callable[[SearchRecord], bool]) -> Callable[[SearchRecord], Iterable[str]]:
    """Return what tells a truth as facets show it."""
    return lambda record: ("yes" if value(record) else "no",)


def year_of(record: SearchRecord) -> Iterable[object]:
    """Give the year in which the file was changed last."""
    yield dt.datetime.fromtimestamp(min(max(record.date / 1000, 0), _LAST), dt.UTC).year


def trained(record: SearchRecord) -> Iterable[object]:
    """Give when its training ended, or began."""
    for name in ("finished_at", "started_at"):
        if isinstance(moment := record.header.get(name), int):
            yield moment
            return


def things(record: SearchRecord) -> Iterable[str]:
    """Give what a lora has, by the names that `has:` knows."""
    companions = {kind for file in record.files for kind in file.companions}
    having = {
        "preview": "preview" in companions or record.rendered,
        "sidecar": "sidecar" in companions,
        "triggers": bool(record.claimed or any(_told_triggers(record))),
        "tags": bool(record.tags),
        "datasets": bool(record.datasets),
        "title": bool(record.header.get("title")),
        "description": bool(record.description),
        "comment": bool(record.header.get("comment")),
        "training": bool(record.header.get("trainer") or record.header.get("steps")),
        "hash": any(file.hashed for file in record.files),
        "claims": any(file.verdicts for file in record.files),
        "civitai": any(from_civitai("model_id", model="id")(record)),
        "notes": any(notes(record)),
    }
    return tuple(name for name, there in having.items() if there)


def from_files(attribute: str) -> Read:
    """Return what reads an attribute of all files, each value once."""

    def read(record: SearchRecord) -> Iterable[object]:
        found: dict[object, None] = {}
        for file in record.files:
            value = getattr(file, attribute)
            found.update(dict.fromkeys(value) if isinstance(value, tuple) else {value: None})
        return tuple(found)

    return read


def comments(record: SearchRecord) -> Iterable[str]:
    """Give comments, descriptions and notes as plain text."""
    found = (record.header.get("comment"), record.description)
    yield from (text for text in found if isinstance(text, str) and text)
    if record.curation is not None and record.curation.note:
        yield record.curation.note
    for text in dict.fromkeys(_descriptions(record)):
        if plain := readable(text):
            yield plain


def _descriptions(record: SearchRecord) -> Iterable[str]:
    link = record.link
    if link is not None:
        if link.model is not None and link.model.told.description:
            yield link.model.told.description
        if link.version is not None and link.version.told.description:
            yield link.version.told.description
    for told in record.sidecars:
        texts = (told.user.notes, told.user.description, told.description, told.version_description)
        yield from (text for text in texts if text)


def notes(record: SearchRecord) -> Iterable[str]:
    """Give the notes of the user and those in sidecars."""
    if record.curation is not None and record.curation.note:
        yield record.curation.note
    yield from (readable(told.user.notes) for told in record.sidecars if told.user.notes)


def from_civitai(*names: str, version: str = "", model: str = "") -> Read:
    """Return what reads a fact of sidecars, of versions and of a model, each under names of its own."""

    def read(record: SearchRecord) -> Iterable[object]:
        found: dict[object, None] = {}
        link = record.link
        if link is not None:
            if version:
                for one in link.versions:
                    _put(found, getattr(one.told, version))
            if model and link.model is not None:
                _put(found, getattr(link.model.told, model))
        for told in record.sidecars:
            for name in names:
                _put(found, getattr(told, name))
        return tuple(str(value) for value in found if value is not None)

    return read


def _put(found: dict[object, None], value: object) -> None:
    found.update(dict.fromkeys(value if isinstance(value, tuple) else (value,)))


def both(*reads: Read) -> Read:
    """Return what reads the values of several readers, each once."""
    return lambda record: dict.fromkeys(value for read in reads for value in read(record))


def level(record: SearchRecord) -> Iterable[str]:
    """Give its level."""
    yield UNKNOWN if record.nsfw is None else levels.NAMES[record.nsfw]


def rating(record: SearchRecord) -> int | None:
    """Return the rating of the user."""
    return None if record.curation is None else record.curation.rating


def is_favorite(record: SearchRecord) -> bool:
    """Whether it is a favourite, as the user or else a sidecar says."""
    return _user_says(record, "favorite")


def is_hidden(record: SearchRecord) -> bool:
    """Whether it is hidden, as the user or else a sidecar says."""
    return _user_says(record, "hidden")


def _user_says(record: SearchRecord, name: str) -> bool:
    own = None if record.curation is None else getattr(record.curation, name)
    if own is not None:
        return bool(own)
    return next(
        (bool(said) for told in record.sidecars if (said := getattr(told.user, name)) is not None), False
    )


def user_tags(record: SearchRecord) -> Iterable[str]:
    """Give the tags of the user."""
    return () if record.curation is None else record.curation.tags


def has_update(record: SearchRecord) -> bool:
    """Whether there is a newer version for the same base that is not in the catalog."""
    return record.link is not None and any(not update.have for update in record.link.updates)


def sync(record: SearchRecord) -> Iterable[str]:
    """Give what asking Civitai came to."""
    yield "never" if record.link is None else record.link.state


def licence(record: SearchRecord) -> Iterable[str]:
    """Give what may be done, in words of one licence: that of Civitai, else of the first sidecar with one."""
    model = None if record.link is None else record.link.model
    licences = [
        *(() if model is None else (model.told.licence,)),
        *(told.licence for told in record.sidecars),
    ]
    licence = next((one for one in licences if one != Licence()), None)
    return () if licence is None else licence_words(licence)


def folders(record: SearchRecord) -> Iterable[str]:
    """Give the folders of its files; `/` is a root itself."""
    return dict.fromkeys(file.folder or "/" for file in record.files)


def texts_of(values: Read) -> Callable[[SearchRecord], Iterable[str]]:
    """Return what reads values as texts."""
    return lambda record: [str(value) for value in values(record)]
