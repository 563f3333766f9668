"""What a catalog keeps secret: the key that signs links to its files.

It lies in the catalog as it is, so that all processes that serve one catalog know the links of each other.
Who can read the database can sign links; who deletes the row makes all links useless.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from registry.catalog.changes import get_setting, set_setting

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from registry.catalog.engine import Unit

_LINK_KEY = "link_key"
_BYTES = 32


def find_link_key(conn: Connection) -> bytes | None:
    """Return the key that links are signed with; `None` if no link was ever made."""
    kept = get_setting(conn, _LINK_KEY)
    return None if kept is None else bytes.fromhex(kept)


def make_link_key(unit: Unit) -> bytes:
    """Return the key that links are signed with, made at random if there is none."""
    known = find_link_key(unit.conn)
    if known is not None:
        return known
    fresh = secrets.token_bytes(_BYTES)
    set_setting(unit, _LINK_KEY, fresh.hex())
    return fresh
