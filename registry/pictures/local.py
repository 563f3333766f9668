"""The picture of a model that its folder or its header holds already, without asking anybody."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import UnreadableFile
from registry.formats.covers import embedded
from registry.wire.companions import PREVIEW, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from registry.pictures.picture import Picture

MAX_TRIED: Final = 8
HEADER: Final = "header"


class Found(NamedTuple):
    """A picture and where it is from: the name of a file, or `header`."""

    source: str
    original: bytes
    picture: Picture


class Local(NamedTuple):
    """The best picture, if there is any, and of each that was refused its source and why."""

    found: Found | None
    refused: tuple[tuple[str, str], ...]


def previews(names: Iterable[str], models: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Give each model file of a folder the names that may be its preview, best first.

    The ranks are those of `registry.wire.companions`; models without any are left out.
    """
    found = {
        model: tuple(owned.file_name for owned in companions if owned.kind == PREVIEW)
        for model, companions in pair(names, models).items()
    }
    return {model: files for model, files in found.items() if files}


def local_picture(
    files: Iterable[str],
    metadata: Mapping[str, str],
    read: Callable[[str], bytes],
    look: Callable[[bytes], Picture],
) -> Local:
    """Return the first picture with a thumbnail: of the files, best first, then of the header.

    `read` gives the bytes of a name, `look` what they are; whatever they refuse (UnreadableFile) is left out.
    A video that nobody could look into is returned where there is nothing better.
    """
    spare: Found | None = None
    refused: list[tuple[str, str]] = []
    for source, original in _originals(files, metadata, read, refused):
        try:
            found = Found(source, original, look(original))
        except UnreadableFile as error:
            refused.append((source, str(error)))
            continue
        if found.picture.thumbnail is not None:
            return Local(found, tuple(refused))
        spare = spare or found
    return Local(spare, tuple(refused))


def _originals(
    files: Iterable[str],
    metadata: Mapping[str, str],
    read: Callable[[str], bytes],
    refused: list[tuple[str, str]],
) -> Iterator[tuple[str, bytes]]:
    for name in islice(files, MAX_TRIED):
        try:
            yield name, read(name)
        except UnreadableFile as error:
            refused.append((name, str(error)))
    for cover in embedded(metadata):
        yield HEADER, cover
