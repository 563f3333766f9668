"""Addresses in answers to clients of other tools, which fetch what they name without any token for a while.

They end, so that an answer that has them is the same only as long as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.api.context import context_of
from registry.api.links import path_signer, signer
from registry.api.profiles import limits_of
from registry.catalog.picture_rows import CIVITAI, ties_of
from registry.catalog.pictures import cover_of
from registry.catalog.showing import known_of
from registry.formats.nsfw import BLOCKED, NAMES
from registry.toolpaths import NSFW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.profiles import Limits
    from registry.shown import Entry
    from registry.told import RemoteImage

HOUR: Final = 3600


class Addresses:
    """Makes addresses that hold for an hour at least and end at a full one, `until`, in seconds."""

    def __init__(self, request: Request) -> None:
        context = context_of(request)
        self._request = request
        self._now = context.catalog.clock() // 1000
        self.until = (self._now // HOUR + 2) * HOUR
        self._file = signer(context, request, self.until)
        unasked, limit = NSFW_LEVELS.get(context.settings.nsfw_pictures, BLOCKED), limits_of(request).pictures
        # What the viewer raised has to be raised again by whoever fetches a picture.
        level = NAMES[limit] if limit > unasked else None
        self._path = path_signer(context, request, self.until, level)

    @property
    def seconds(self) -> int:
        """For how long they hold."""
        return self.until - self._now

    def file(self, entry: Entry) -> str:
        """Return where the very bytes of a file are had from; of one without a hash those of its lora."""
        sha256 = entry.hashes.get("sha256")
        return self._file(f"id:{entry.lora_id}" if sha256 is None else f"hash:{sha256}")

    def picture(self, key: str) -> str:
        """Return where the thumbnail of a picture is had from, which must be one that may be sent."""
        return self._path(str(self._request.app.url_path_for("thumbnail", key=key)))

    def covers(self, conn: Connection, entries: Sequence[Entry], limits: Limits) -> dict[int, str]:
        """Return the pictures that stand for loras, by lora: those kept here, else where they were published.

        None is above the limit.
        """
        words = context_of(self._request).searching.place.words
        known = known_of(conn, [entry.lora_id for entry in entries if entry.preview], words=words)
        kept = cover_of(conn, known, limits.pictures)
        found = {
            entry.lora_id: image.url
            for entry in entries
            if (image := next((one for one in entry.shown.images if not one.video), None)) is not None
        }
        for lora_id, cover in kept.items():
            if limits.shows(cover.level):
                found[lora_id] = self.picture(cover.key)
        return found

    def images(
        self, conn: Connection, entries: Sequence[Entry]
    ) -> Callable[[Entry], Callable[[RemoteImage], str]]:
        """Return what gives, for one of these files, the addresses of its images: here, else there."""
        versions = {entry.shown.version_id for entry in entries}
        kept = ties_of(conn, CIVITAI, [key for key in versions if key is not None])

        def of(entry: Entry) -> Callable[[RemoteImage], str]:
            rows = kept.get(entry.shown.version_id or 0, {})

            def url(image: RemoteImage) -> str:
                row = rows.get(image.url.encode())
                return image.url if row is None or row.key is None else self.picture(row.key)

            return url

        return of
