"""Which files a service may be asked for, and what asking for each of them came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, select, update

from registry.asked import BEGUN, FAILED, GONE, KNOWN, NOT_FOUND, Asked
from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats.packing import clean_text
from registry.hashing.lookup import NOTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.asked import Outcome
    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
DIGEST, FILE, ROOT, LOOKUP, MATCH, VERSION = (
    _TABLES[name] for name in ("digest", "file", "root", "remote_lookup", "remote_match", "remote_version")
)
_MAX_ERROR = 500
_OTHER = FILE.alias("other")
_PRIVATE = (
    exists()
    .where(_OTHER.c.lora_id == FILE.c.lora_id, _OTHER.c.root_id == ROOT.c.id, ROOT.c.private == 1)
    .correlate(FILE)
)
_KEPT = select(ROOT.c.id).where(ROOT.c.removed_at.is_(None))


def _askable(*columns: ColumnElement[Any]) -> Select[Any]:
    """Return the query for hashes that may leave this machine.

    Those of a lora that has a file in a private root do not, wherever else it lies.
    """
    return (
        select(*columns)
        .select_from(DIGEST.join(FILE, FILE.c.id == DIGEST.c.file_id))
        .where(
            DIGEST.c.kind == "sha256",
            DIGEST.c.value.not_in(sorted(NOTHING)),
            FILE.c.root_id.in_(_KEPT),
            ~_PRIVATE,
        )
    )


def hash_page(conn: Connection, after: str, limit: int) -> list[str]:
    """Return the first SHA-256 above `after` of files that a service may be asked for, in order."""
    query = _askable(DIGEST.c.value).where(DIGEST.c.value > after).distinct()
    return list(conn.execute(query.order_by(DIGEST.c.value).limit(limit)).scalars())


def hashes_of_loras(conn: Connection, lora_ids: Sequence[int]) -> list[str]:
    """Return the SHA-256 of files of these loras that a service may be asked for, in order."""
    found: set[str] = set()
    for part in in_chunks(lora_ids):
        found.update(conn.execute(_askable(DIGEST.c.value).where(FILE.c.lora_id.in_(part))).scalars())
    return sorted(found)


def other_hashes(conn: Connection, sha256s: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the other digests of the files with these SHA-256, by kind."""
    same = DIGEST.alias("same")
    found: dict[str, dict[str, str]] = {}
    for part in in_chunks(sha256s):
        query = (
            select(same.c.value, DIGEST.c.kind, DIGEST.c.value)
            .select_from(same.join(DIGEST, DIGEST.c.file_id == same.c.file_id))
            .where(same.c.value.in_(part), same.c.kind == "sha256")
        )
        for sha256, kind, value in conn.execute(query):
            found.setdefault(sha256, {})[kind] = value
    return found


def asked_of(conn: Connection, sha256s: Sequence[str]) -> dict[str, Asked]:
    """Return what asking for these files came to, of those that were asked for."""
    newest = (
        select(func.max(VERSION.c.published_at))
        .where(MATCH.c.sha256 == LOOKUP.c.sha256, VERSION.c.id == MATCH.c.version_id)
        .correlate(LOOKUP)
        .scalar_subquery()
    )
    columns = (LOOKUP.c.sha256, LOOKUP.c.state, LOOKUP.c.asked_at, LOOKUP.c.tries, LOOKUP.c.by, newest)
    found: dict[str, Asked] = {}
    for part in in_chunks(sha256s):
        for sha256, *rest in conn.execute(select(*columns).where(LOOKUP.c.sha256.in_(part))):
            found[sha256] = Asked(*rest)
    return found


def matches_of(conn: Connection, sha256s: Sequence[str]) -> dict[str, list[int]]:
    """Return the ids of the versions that these files were matched with, in order."""
    found: dict[str, list[int]] = {}
    for part in in_chunks(sha256s):
        query = select(MATCH.c.sha256, MATCH.c.version_id).where(MATCH.c.sha256.in_(part))
        for sha256, version_id in conn.execute(query.order_by(MATCH.c.version_id)):
            found.setdefault(sha256, []).append(version_id)
    return found


def record_outcomes(unit: Unit, outcomes: Sequence[Outcome]) -> None:
    """Store what asking came to; loras whose files it is news of are marked as changed.

    What failed, or was only begun, takes nothing away that an earlier run found out; what is gone keeps the
    versions that it was found as.
    """
    outcomes = list({outcome.sha256: outcome for outcome in outcomes}.values())
    sha256s = [outcome.sha256 for outcome in outcomes]
    before = {row.sha256: row for row in _rows(unit.conn, sha256s)}
    matched = matches_of(unit.conn, sha256s)
    kept = [one for one in outcomes if _keeps(before.get(one.sha256), one.state)]
    new = [one for one in outcomes if not _keeps(before.get(one.sha256), one.state)]
    _note_errors(unit, kept)
    if new:
        unit.conn.execute(delete(LOOKUP).where(LOOKUP.c.sha256 == bindparam("key")), _keys(new))
        unit.insert(LOOKUP, [_row(unit, one, before.get(one.sha256)) for one in new])
        _match(unit, [one for one in new if one.state != GONE])
    news = [one.sha256 for one in new if _is_news(one, before.get(one.sha256), matched.get(one.sha256, ()))]
    mark_changed(unit, news)


def match_also(unit: Unit, sha256: str, version_id: int) -> None:
    """Store that a version has a file, beside those that it was matched with; its state stays."""
    if version_id not in matches_of(unit.conn, [sha256]).get(sha256, ()):
        unit.insert(MATCH, [{"sha256": sha256, "version_id": version_id, "believed": 1}])


def mark_changed(unit: Unit, sha256s: Iterable[str]) -> None:
    """Log that the loras of files with these SHA-256 changed."""
    for part in in_chunks(list(sha256s)):
        query = (
            select(FILE.c.lora_id)
            .join(DIGEST, DIGEST.c.file_id == FILE.c.id)
            .where(DIGEST.c.value.in_(part), DIGEST.c.kind == "sha256")
            .distinct()
        )
        for lora_id in unit.conn.execute(query).scalars():
            unit.changed("lora", lora_id, "changed", lora_id=lora_id)


def counts_by_state(conn: Connection) -> dict[str, int]:
    """Return how many files are in each state."""
    query = select(LOOKUP.c.state, func.count().label("files")).group_by(LOOKUP.c.state)
    return {row.state: row.files for row in conn.execute(query)}


def _rows(conn: Connection, sha256s: Sequence[str]) -> list[Row[Any]]:
    return [
        row
        for part in in_chunks(sha256s)
        for row in conn.execute(select(LOOKUP).where(LOOKUP.c.sha256.in_(part)))
    ]


def _keeps(before: Row[Any] | None, state: str) -> bool:
    """Whether an outcome leaves the earlier one as it is."""
    if before is None:
        return False
    if state == FAILED:
        return bool(before.state != FAILED)
    return state in BEGUN and before.state in {*KNOWN, NOT_FOUND}


def _note_errors(unit: Unit, kept: Sequence[Outcome]) -> None:
    failed = [{"key": one.sha256, "said": _said(one.error)} for one in kept if one.state == FAILED]
    if failed:
        statement = update(LOOKUP).where(LOOKUP.c.sha256 == bindparam("key"))
        unit.conn.execute(statement.values(error=bindparam("said")), failed)


def _said(error: str | None) -> str | None:
    return None if error is None else clean_text(error[:_MAX_ERROR])


def _keys(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    return [{"key": one.sha256} for one in outcomes]


def _row(unit: Unit, one: Outcome, before: Row[Any] | None) -> dict[str, object]:
    same = before is not None and before.state == one.state
    known = None if before is None else before.gone_at
    return {
        "sha256": one.sha256,
        "state": one.state,
        "by": one.by if one.by or before is None or one.state not in KNOWN else before.by,
        "asked_at": unit.now,
        "tries": (before.tries if same and before is not None else 0) + 1,
        "gone_at": (known or unit.now) if one.state == GONE else None,
        "error": _said(one.error),
    }


def _match(unit: Unit, outcomes: Sequence[Outcome]) -> None:
    if outcomes:
        unit.conn.execute(delete(MATCH).where(MATCH.c.sha256 == bindparam("key")), _keys(outcomes))
    rows = [
        {"sha256": one.sha256, "version_id": version_id, "believed": int(one.state in KNOWN)}
        for one in outcomes
        for version_id in dict.fromkeys(one.versions)
    ]
    unit.insert(MATCH, rows)


def _is_news(one: Outcome, before: Row[Any] | None, matched: Collection[int]) -> bool:
    if one.state in BEGUN:
        return False
    if before is None or before.state != one.state:
        return True
    return one.state != GONE and set(matched) != set(one.versions)


def versions_matched(conn: Connection, version_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the SHA-256 of the files that were matched with these versions."""
    found: dict[int, list[str]] = {}
    for part in in_chunks(version_ids):
        query = select(MATCH.c.version_id, MATCH.c.sha256).where(MATCH.c.version_id.in_(part))
        for version_id, sha256 in conn.execute(query):
            found.setdefault(version_id, []).append(sha256)
    return found
