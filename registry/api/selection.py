"""Whether a request wants a file at all, and which part of it (RFC 9110, sections 13 and 14).

Several ranges at once are answered with the whole file, as section 14.2 allows. Times are too coarse to tell
two states of a file apart: If-Range is only believed with an ETag, If-Modified-Since only with the very time
that was sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_RANGE = re.compile(r"bytes=([0-9]{0,100})-([0-9]{0,100})", re.IGNORECASE | re.ASCII)


class Validators(NamedTuple):
    """What tells a file from another: its strong ETag and its Last-Modified, `None` where unknown."""

    etag: str | None
    modified: str | None


def precondition(headers: Headers, validators: Validators) -> int | None:
    """Return the status that the conditions of a request ask for, 304 or 412; `None` to send the file."""
    if (wanted := _joined(headers, "if-match")) is not None and not _names(wanted, validators.etag):
        return 412
    if (known := _joined(headers, "if-none-match")) is not None:
        return 304 if _names(known, validators.etag, weak="W/") else None
    since = headers.get("if-modified-since")
    return 304 if since is not None and since == validators.modified else None


def wanted_range(headers: Headers, etag: str | None, size: int) -> range | None:
    """Return the bytes that are asked for, empty if there are none such; `None` for the whole file."""
    asked = headers.getlist("range")
    match = _RANGE.fullmatch(asked[0].strip()) if len(asked) == 1 else None
    if match is None:
        return None
    condition = headers.getlist("if-range")
    if condition and (etag is None or condition != [etag]):
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        return None if last and int(last) < start else range(start, stop)
    return range(max(size - int(last), 0), size) if last else None


def _joined(headers: Headers, name: str) -> str | None:
    found = headers.getlist(name)
    return ",".join(found) if found else None


def _names(tags: str, etag: str | None, *, weak: str = "") -> bool:
    """Whether a list of ETags names a file, where `weak` before one does not matter; `*` names any."""
    given = [tag.strip().removeprefix(weak) for tag in tags.split(",")]
    return given == ["*"] or etag in given
