"""Versions and models as the mirror of Civitai tells of them: as they were sent, else as they are shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from registry.api.dialects.origins import Asked
from registry.api.profiles import limits_of
from registry.catalog.origins import sent_models, sent_versions
from registry.civitai.run import SOURCE
from registry.formats.nsfw import BLOCKED, highest_of
from registry.wire import civitai_mirror as mirror
from registry.wire.civitai_shapes import model_id, version_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.dialects.addresses import Addresses
    from registry.api.profiles import Limits
    from registry.shown import Entry
    from registry.told import RemoteImage

    Json = dict[str, object]
    Made = Callable[..., Json]

NAME: Final = "civitai"


class Teller:
    """Tells of versions and models to one request, in the read unit that answers it."""

    def __init__(self, request: Request, conn: Connection, addresses: Addresses) -> None:
        self.conn = conn
        self._asked = Asked(request, conn, NAME)
        self._limits = limits_of(request, conn=conn)
        self._addresses = addresses

    def of_loras(self, lora_ids: Iterable[int]) -> list[Entry]:
        """Return the files of these loras that the request may be told of."""
        return self._asked.of_loras(lora_ids)

    def versions(self, entries: Iterable[Entry]) -> dict[int, Json]:
        """Return the versions of these files by id, each with all of its files that are here."""
        found = self._whole(entries, version_id, self._asked.of_versions)
        return self._told(found, sent_versions(self.conn, found, SOURCE), version_id, mirror.version)

    def versions_of(self, numbers: Sequence[int]) -> dict[int, Json]:
        """Return versions of Civitai of which a file is here, by id."""
        raws = sent_versions(self.conn, numbers, SOURCE)
        return self._told(self._asked.of_versions(numbers), raws, version_id, mirror.version)

    def models(self, found: Mapping[int, Sequence[Entry]]) -> dict[int, Json]:
        """Return models by id, given as the files of each that are here."""
        return self._told(found, sent_models(self.conn, found, SOURCE), model_id, mirror.model)

    def models_of(self, numbers: Sequence[int]) -> dict[int, Json]:
        """Return models of Civitai of which a file is here, by id."""
        return self.models(self._asked.of_models(numbers))

    def files_of_models(self, entries: Iterable[Entry]) -> dict[int, list[Entry]]:
        """Return the models of these files by id, as all files of each that are here."""
        return self._whole(entries, model_id, self._asked.of_models)

    def _whole(
        self,
        entries: Iterable[Entry],
        number: Callable[[Entry], int],
        known: Callable[[Iterable[int]], dict[int, list[Entry]]],
    ) -> dict[int, list[Entry]]:
        """Return files by the number that they are shown with, with all others that have it."""
        groups: dict[int, list[Entry]] = {}
        for entry in entries:
            groups.setdefault(number(entry), []).append(entry)
        found = known([key for key in groups if key > 0])
        for entry in self.of_loras(one.lora_id for key, some in groups.items() if key < 0 for one in some):
            found.setdefault(number(entry), []).append(entry)
        for key, some in groups.items():
            there = found.setdefault(key, [])
            have = {entry.file_id for entry in there}
            there += [entry for entry in some if entry.file_id not in have]
        return {key: found[key] for key in groups}

    def _told(
        self,
        found: Mapping[int, Sequence[Entry]],
        raws: Mapping[int, object],
        number: Callable[[Entry], int],
        made: Made,
    ) -> dict[int, Json]:
        told: dict[int, Json] = {}
        for key, some in found.items():
            raw = raws.get(key)
            # Without an answer of Civitai only what is shown as this can tell of it.
            entries = some if raw is not None else [entry for entry in some if number(entry) == key]
            if entries:
                told[key] = made(
                    sorted(entries, key=_newest),
                    download_url=self._addresses.file,
                    raw=raw,
                    shows=_shows(self._limits, entries),
                )
        return told


def _shows(limits: Limits, entries: Sequence[Entry]) -> Callable[[RemoteImage], bool]:
    """Return what says whether an image may be sent; one whose own level nobody said has that of the lora."""
    if limits.pictures >= BLOCKED:
        return mirror.everything
    return partial(_is_shown, limits, highest_of(entry.shown.nsfw_level for entry in entries))


def _is_shown(limits: Limits, whole: int | None, image: RemoteImage) -> bool:
    return limits.shows(whole if image.nsfw_level is None else image.nsfw_level)


def _newest(entry: Entry) -> int:
    """Sort versions as Civitai does, the newest first; files of one version keep the order of the roots."""
    told = entry.version
    moment = None if told is None else told.published_at or told.created_at
    return -(entry.added if moment is None else moment)
