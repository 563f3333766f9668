"""Bearer tokens: made once, shown once, stored as the SHA-256 of a random secret."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, insert, select, update

from registry.catalog import tables
from registry.errors import BadRequest, Conflict, NotFound
from registry.formats.nsfw import LEVELS, NAMES
from registry.formats.packing import clean_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from registry.catalog.engine import Unit

TOKEN, JOB = (tables.TABLES[name] for name in ("token", "job"))
# Each role may do what the ones before it may.
ROLES = ("read", "write", "admin")
PREFIX = "lrt_"


class TokenScope(NamedTuple):
    """What a token chooses and how far it reaches.

    `tool` is the name of a profile. `nsfw_pictures` and `nsfw_entries` are the highest levels that whoever
    has the token is sent, as bits of `registry.formats.nsfw`; `None` limits nothing.
    """

    tool: str | None = None
    nsfw_pictures: int | None = None
    nsfw_entries: int | None = None


class TokenView(NamedTuple):
    """A token without its secret."""

    id: int
    name: str
    role: str
    created_at: int
    used_at: int | None
    revoked_at: int | None
    scope: TokenScope


_WHOLE = TokenScope()
_OWN = TokenView._fields[:-1]
_COLUMNS = tuple(TOKEN.c[name] for name in (*_OWN, *TokenScope._fields))


def create_token(unit: Unit, name: str, role: str, scope: TokenScope = _WHOLE) -> str:
    """Make a token and return its secret, which is not kept.

    A revoked token of that name stays in the list as `NAME (revoked ID)`, and its jobs are called so too.
    Whether there is such a tool is for the configuration to say. Raises BadRequest for an empty name, an
    unknown role or what is no level, Conflict for the name of a token that can be used.
    """
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise BadRequest("a token needs a name of up to 100 printable characters")
    if role not in ROLES:
        raise BadRequest(f"there is no role {role!r}", remedy=f"roles are {', '.join(ROLES)}")
    if not {scope.nsfw_pictures, scope.nsfw_entries} <= {None, *NAMES}:
        raise BadRequest("that is no level", remedy=f"levels are {', '.join(LEVELS)}")
    _free_name(unit, name)
    # 32 random bytes cannot be guessed, so one round of SHA-256 is as good as a slow password hash.
    secret = PREFIX + secrets.token_urlsafe(32)
    row = {"name": name, "role": role, "digest": _digest(secret), "created_at": unit.now}
    unit.conn.execute(insert(TOKEN).values(row | scope._asdict()))
    return secret


def _free_name(unit: Unit, name: str) -> None:
    """Rename a revoked token of that name; Conflict if it can still be used."""
    where = TOKEN.c.name == name
    row = unit.conn.execute(select(TOKEN.c.id, TOKEN.c.revoked_at).where(where)).first()
    if row is None:
        return
    if row.revoked_at is None:
        raise Conflict(
            f"there is a token called {name!r} already",
            remedy="choose another name, or revoke that one first",
        )
    past = name
    while unit.conn.execute(select(TOKEN.c.id).where(TOKEN.c.name == past)).first() is not None:
        past = f"{past} (revoked {row.id})"
    unit.conn.execute(update(TOKEN).where(where).values(name=past))
    # A job is known to be somebody's by the name: those of the old one are not the new one's.
    unit.conn.execute(update(JOB).where(JOB.c.actor == name).values(actor=past))


def list_tokens(conn: Connection) -> list[TokenView]:
    """Return all tokens, revoked ones too."""
    return [_view(row) for row in conn.execute(select(*_COLUMNS).order_by(TOKEN.c.id))]


def revoke_token(unit: Unit, name: str) -> None:
    """Make a token useless; NotFound if there is none of that name."""
    where = (TOKEN.c.name == clean_text(name)) & TOKEN.c.revoked_at.is_(None)
    if not unit.conn.execute(update(TOKEN).where(where).values(revoked_at=unit.now)).rowcount:
        raise NotFound(f"there is no token called {name!r}", remedy="`loras token list` shows them")


def find_token(conn: Connection, secret: str) -> TokenView | None:
    """Return the token with that secret, unless it was revoked."""
    row = conn.execute(
        select(*_COLUMNS).where(TOKEN.c.digest == _digest(secret), TOKEN.c.revoked_at.is_(None))
    ).first()
    return _view(row) if row else None


def is_usable(conn: Connection, token_id: int) -> bool:
    """Whether a token that was found before is still to be obeyed."""
    where = (TOKEN.c.id == token_id) & TOKEN.c.revoked_at.is_(None)
    return conn.execute(select(TOKEN.c.id).where(where)).first() is not None


def used_token(unit: Unit, token_id: int) -> None:
    """Note when a token was used last."""
    unit.conn.execute(update(TOKEN).where(TOKEN.c.id == token_id).values(used_at=unit.now))


def any_token(conn: Connection) -> bool:
    """Whether there is a token that can be used."""
    return bool(conn.execute(select(func.count()).where(TOKEN.c.revoked_at.is_(None))).scalar())


def _view(row: Row[Any]) -> TokenView:
    return TokenView._make((*row[: len(_OWN)], TokenScope._make(row[len(_OWN) :])))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
