"""Problem rows: written per file and stage, replaced as a whole when that stage looks again.

A problem that is found again keeps its row, so that it says since when it is known.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, or_, select, update

from registry.catalog import tables
from registry.catalog.changes import PROBLEMS
from registry.catalog.keys import in_chunks
from registry.formats.packing import clean_text
from registry.views import ProblemView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.catalog.engine import Unit
    from registry.views import Note

_TABLES = tables.TABLES
PROBLEM, FILE = _TABLES["problem"], _TABLES["file"]
_MAX_TEXT = 2000
# PostgreSQL indexes no more than 2,704 bytes of a row.
_MAX_SCOPE = 500
_SAID = ("path", "root_id", "text", "stage")


def replace_problems(
    unit: Unit,
    stage: str,
    root_id: int,
    found: Sequence[tuple[int, str, Sequence[Note]]],
    *,
    slug: str | None = None,
) -> None:
    """Make the problems of these files in this stage exactly the given ones: (file id, path, notes).

    With `slug`, only those of that kind.
    """
    known = _known(unit, PROBLEM.c.file_id, [file_id for file_id, _, _ in found])
    wanted = [
        _problem(unit, stage, note, {"scope": f"file:{file_id}", "path": path, "file_id": file_id}, root_id)
        for file_id, path, notes in found
        for note in notes
    ]
    gone = [row.id for row in known if row.stage == stage and slug in {None, row.slug}]
    _settle(unit, known, wanted, gone)


def replace_root_problems(  # noqa: PLR0913 - two of them narrow what is replaced, by name
    unit: Unit,
    stage: str,
    root_id: int,
    found: Sequence[tuple[str, Note]],
    *,
    under: str = "",
    paths: Sequence[str] | None = None,
) -> None:
    """Make the problems of a root that belong to no file row exactly the given ones: (path, note).

    Only those of the folder `under` and what lies below it, or only those of `paths`, are replaced. If that
    is news, the change log says so of the root.
    """
    wanted = [
        _problem(unit, stage, note, {"scope": _scope(root_id, path), "path": path, "file_id": None}, root_id)
        for path, note in found
    ]
    where = (PROBLEM.c.root_id == root_id) & (PROBLEM.c.stage == stage) & PROBLEM.c.file_id.is_(None)
    if under:
        scope = _scope(root_id, under)
        below = (PROBLEM.c.scope > scope + "/") & (PROBLEM.c.scope < scope + "0")
        where &= (PROBLEM.c.scope == scope) | below
    if paths is None:
        gone = unit.conn.execute(select(PROBLEM).where(where)).all()
    else:
        gone = _known(unit, PROBLEM.c.scope, [_scope(root_id, path) for path in paths], where)
    known = _known(unit, PROBLEM.c.scope, [str(row["scope"]) for row in wanted])
    if _settle(unit, [*known, *gone], wanted, [row.id for row in gone]):
        unit.changed("root", root_id, PROBLEMS)


def move_problems(unit: Unit, root_id: int, renamed: Sequence[tuple[int, str]]) -> None:
    """Let the problems of moved files name their new paths: (file id, path)."""
    if renamed:
        statement = (
            update(PROBLEM)
            .where(PROBLEM.c.file_id == bindparam("moved"))
            .values(path=bindparam("new_path"), root_id=root_id)
        )
        unit.conn.execute(statement, [{"moved": file_id, "new_path": path} for file_id, path in renamed])


def copy_problems(unit: Unit, root_id: int, twins: Mapping[int, tuple[int, str]]) -> None:
    """Give hard links the problems of the content they share: file id -> (file id of the twin, own path)."""
    rows_of: dict[int, list[Row[Any]]] = {}
    known = _known(unit, PROBLEM.c.file_id, [twin for twin, _ in twins.values()])
    for row in known:
        rows_of.setdefault(row.file_id, []).append(row)
    rows = [
        {
            "scope": f"file:{file_id}",
            "file_id": file_id,
            "root_id": root_id,
            "path": path,
            "slug": row.slug,
            "text": row.text,
            "stage": row.stage,
            "at": unit.now,
        }
        for file_id, (twin, path) in twins.items()
        for row in rows_of.get(twin, ())
        if row.stage in {"header", "hash"}
    ]
    unit.insert(PROBLEM, rows)


def _problem(unit: Unit, stage: str, note: Note, place: Mapping[str, Any], root_id: int) -> dict[str, Any]:
    return {
        "scope": place["scope"],
        "file_id": place["file_id"],
        "root_id": root_id,
        "path": clean_text(place["path"]),
        "slug": note.slug,
        "text": clean_text(note.text)[:_MAX_TEXT],
        "stage": stage,
        "at": unit.now,
    }


def _scope(root_id: int, path: str) -> str:
    """Return what tells problems of a root apart, bounded."""
    scope = f"root:{root_id}:{clean_text(path)}"
    if len(scope) <= _MAX_SCOPE:
        return scope
    return scope[:_MAX_SCOPE] + hashlib.blake2b(scope.encode(), digest_size=16).hexdigest()


def _known(
    unit: Unit, column: ColumnElement[Any], values: Iterable[Any], *where: ColumnElement[bool]
) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for part in in_chunks(list(dict.fromkeys(values))):
        found += unit.conn.execute(select(PROBLEM).where(column.in_(part), *where)).all()
    return found


def _settle(
    unit: Unit, known: Iterable[Row[Any]], wanted: Iterable[dict[str, Any]], gone: Iterable[int]
) -> bool:
    """Write what differs between the rows there are and those wanted; return whether anything did.

    Of several of one kind in one place the last is written.
    """
    rows = {(row.scope, row.slug): row for row in known}
    kept: set[int] = set()
    new: dict[tuple[str, str], dict[str, Any]] = {}
    changed = False
    for problem in {(one["scope"], one["slug"]): one for one in wanted}.values():
        row = rows.get((problem["scope"], problem["slug"]))
        if row is None:
            new[problem["scope"], problem["slug"]] = problem
            continue
        kept.add(row.id)
        said = {name: problem[name] for name in _SAID}
        if any(getattr(row, name) != value for name, value in said.items()):
            unit.conn.execute(update(PROBLEM).where(PROBLEM.c.id == row.id).values(said))
            changed = True
    unwanted = [row_id for row_id in gone if row_id not in kept]
    for part in in_chunks(unwanted):
        unit.conn.execute(delete(PROBLEM).where(PROBLEM.c.id.in_(part)))
    unit.insert(PROBLEM, list(new.values()))
    return changed or bool(unwanted or new)


def list_problems(
    conn: Connection, *, after: int = 0, limit: int = 100, slug: str | None = None
) -> list[ProblemView]:
    """Return problems in the order in which they were found, after the given id."""
    query = _query().where(PROBLEM.c.id > after).order_by(PROBLEM.c.id).limit(limit)
    if slug is not None:
        query = query.where(PROBLEM.c.slug == clean_text(slug))
    return [_view(row) for row in conn.execute(query)]


def count_problems(conn: Connection) -> dict[str, int]:
    """Return how many problems there are of each slug."""
    query = (
        select(PROBLEM.c.slug, func.count())
        .outerjoin(FILE, FILE.c.id == PROBLEM.c.file_id)
        .where(_CURRENT)
        .group_by(PROBLEM.c.slug)
        .order_by(PROBLEM.c.slug)
    )
    return dict(conn.execute(query).all())


# What was wrong with a file that is gone waits for the file to come back.
_CURRENT = or_(PROBLEM.c.file_id.is_(None), FILE.c.state != "missing")


def _query() -> Select[Any]:
    return select(PROBLEM, FILE.c.lora_id).outerjoin(FILE, FILE.c.id == PROBLEM.c.file_id).where(_CURRENT)


def _view(row: Row[Any]) -> ProblemView:
    return ProblemView(
        id=row.id,
        slug=row.slug,
        text=row.text,
        stage=row.stage,
        path=row.path,
        file_id=row.file_id,
        lora_id=row.lora_id,
        root_id=row.root_id,
        at=row.at,
    )


def list_problems_of(conn: Connection, file_ids: Sequence[int]) -> list[ProblemView]:
    """Return the problems of some files."""
    found: list[ProblemView] = []
    for part in in_chunks(file_ids):
        rows = conn.execute(_query().where(PROBLEM.c.file_id.in_(part)).order_by(PROBLEM.c.id))
        found += [_view(row) for row in rows]
    return found
