"""Links that carry a permission: to read one path until a time, signed with a key of the catalog.

The signature is an HMAC-SHA256 (RFC 2104) over the time, the path, and the level of pictures if the link asks
for one. Other parameters of a link are not signed: only sign paths whose answer does not depend on any.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qs

from registry.errors import Forbidden

_PURPOSE = b"lora-registry link 1\n"
_UNTIL = re.compile(r"[0-9]{1,11}", re.ASCII)
_MOST_FIELDS = 50
_LEVEL = "nsfw"
_AGAIN = "ask for a new link"


class Signed(NamedTuple):
    """What a link says of itself; nothing of it is believed before `check`.

    `level` is the one that it asks for, which is signed too.
    """

    until: str
    signature: str
    level: str | None = None


def sign(key: bytes, path: str, until: int) -> str:
    """Return the query string with which `path` may be read until a time, in seconds since the epoch.

    `path` is as the server gets it: decoded, without host and query.
    """
    return f"until={until}&signature={_signature(key, path, until)}"


def find_signature(query: str) -> Signed | None:
    """Return what a query string says of a permission; `None` for one that does not claim any."""
    if "signature=" not in query:
        return None
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError:
        return Signed("", "")
    found = [fields.get(name, []) for name in ("until", "signature")]
    if not found[1]:
        return None
    # What is there twice may be read differently by others.
    until, signature = ("".join(values) if len(values) == 1 else "" for values in found)
    return Signed(until, signature, "\n".join(fields[_LEVEL]) if _LEVEL in fields else None)


def with_level(path: str, level: str | None) -> str:
    """Return what is signed of a link to a path that asks for a level of pictures, or for none."""
    return path if level is None else f"{path}\n{_LEVEL}={level}"


def check(key: bytes | None, path: str, signed: Signed, now: int) -> None:
    """Raise Forbidden unless `path` may be read at `now`, in seconds; without a key nothing was signed."""
    until = int(signed.until) if _UNTIL.fullmatch(signed.until) else -1
    expected = _signature(key or b"", with_level(path, signed.level), until)
    genuine = hmac.compare_digest(expected.encode(), signed.signature.encode("utf-8", "replace"))
    if key is None or until < 0 or not genuine:
        raise Forbidden("this link was not made here, or it was changed since", remedy=_AGAIN)
    if now >= until:
        end = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M:%S")
        raise Forbidden(f"this link ended at {end} UTC", remedy=_AGAIN)


def _signature(key: bytes, path: str, until: int) -> str:
    told = b"%d\n%s" % (until, path.encode("utf-8", "surrogatepass"))
    return hmac.digest(key, _PURPOSE + told, "sha256").hex()
