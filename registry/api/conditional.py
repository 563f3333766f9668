"""Answers that stay valid as long as the catalog does: a 304 before any row is read."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from registry.api.serialise import REVALIDATE, VARY, answer, coding_for, matches
from registry.api.version import version
from registry.catalog.counting import stamp

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.catalog.counting import Stamp


class View(NamedTuple):
    """What a request sees of one generation of the catalog."""

    request: Request
    generation: int
    etag: str

    @property
    def unchanged(self) -> bool:
        """Whether the client has this answer already."""
        return matches(self.request.headers.get("if-none-match"), self.etag)

    def not_modified(self) -> Response:
        """Return the answer for a client that has it already."""
        headers = {"etag": self.etag, "cache-control": REVALIDATE, "vary": VARY}
        return Response(status_code=304, headers=headers)

    def answer(self, value: object) -> Response:
        """Return the value as a JSON answer that can be revalidated."""
        return answer(self.request, value, etag=self.etag)


def view(request: Request, conn: Connection, mark: str = "") -> View:
    """Return the view of a request in the read unit that will answer it; `mark` as for `etag_of`."""
    now = stamp(conn)
    return View(request, now.generation, etag_of(now, request, coding_for(request), mark))


def etag_of(now: Stamp, request: Request, coding: str, mark: str = "") -> str:
    """Return the strong validator of an answer: `"g<generation>-<hash of what was asked for>"`.

    `mark` tells apart what depends on anything but the address.
    """
    url = request.url
    asked = "\n".join((version(), str(now.at), coding, url.path, url.query, mark))
    return f'"g{now.generation}-{blake2b(asked.encode("utf-8", "replace"), digest_size=8).hexdigest()}"'
