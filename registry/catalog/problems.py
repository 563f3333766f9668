"""Problem rows: written per file and stage, replaced as a whole when that stage looks again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats.packing import clean_text
from registry.views import ProblemView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit
    from registry.views import Note

_TABLES = tables.SQLModel.metadata.tables
PROBLEM, FILE = _TABLES["problem"], _TABLES["file"]


def replace_problems(
    unit: Unit, stage: str, root_id: int, found: Sequence[tuple[int, str, Sequence[Note]]]
) -> None:
    """Make the problems of these files in this stage exactly the given ones: (file id, path, notes)."""
    for part in in_chunks([file_id for file_id, _, _ in found]):
        unit.conn.execute(delete(PROBLEM).where(PROBLEM.c.file_id.in_(part), PROBLEM.c.stage == stage))
    rows = {
        (f"file:{file_id}", note.slug): {
            "scope": f"file:{file_id}",
            "file_id": file_id,
            "root_id": root_id,
            "path": path,
            "slug": note.slug,
            "text": clean_text(note.text)[:2000],
            "stage": stage,
            "at": unit.now,
        }
        for file_id, path, notes in found
        for note in notes
    }
    _forget(unit, list(rows))
    if rows:
        unit.conn.execute(insert(PROBLEM), list(rows.values()))


def replace_root_problems(unit: Unit, stage: str, root_id: int, found: Sequence[tuple[str, Note]]) -> None:
    """Make the problems of a root that belong to no file row exactly the given ones: (path, note)."""
    where = (PROBLEM.c.root_id == root_id) & (PROBLEM.c.stage == stage) & PROBLEM.c.file_id.is_(None)
    unit.conn.execute(delete(PROBLEM).where(where))
    rows = {
        (f"root:{root_id}:{clean_text(path)}", note.slug): {
            "scope": f"root:{root_id}:{clean_text(path)}",
            "root_id": root_id,
            "path": clean_text(path),
            "slug": note.slug,
            "text": clean_text(note.text)[:2000],
            "stage": stage,
            "at": unit.now,
        }
        for path, note in found
    }
    if rows:
        unit.conn.execute(insert(PROBLEM), list(rows.values()))


def _forget(unit: Unit, keys: Sequence[tuple[str, str]]) -> None:
    """Remove rows that a new one would collide with, whichever stage wrote them."""
    slugs_of: dict[str, list[str]] = {}
    for scope, slug in keys:
        slugs_of.setdefault(slug, []).append(scope)
    for slug, scopes in slugs_of.items():
        for part in in_chunks(scopes):
            unit.conn.execute(delete(PROBLEM).where(PROBLEM.c.slug == slug, PROBLEM.c.scope.in_(part)))


def list_problems(
    conn: Connection, *, after: int = 0, limit: int = 100, slug: str | None = None
) -> list[ProblemView]:
    """Return problems in the order in which they were found, after the given id."""
    query = _query().where(PROBLEM.c.id > after).order_by(PROBLEM.c.id).limit(limit)
    if slug is not None:
        query = query.where(PROBLEM.c.slug == slug)
    return [_view(row) for row in conn.execute(query)]


def count_problems(conn: Connection) -> dict[str, int]:
    """Return how many problems there are of each slug."""
    query = select(PROBLEM.c.slug, func.count()).group_by(PROBLEM.c.slug).order_by(PROBLEM.c.slug)
    return dict(conn.execute(query).all())


def _query() -> Select[Any]:
    return select(PROBLEM, FILE.c.lora_id).outerjoin(FILE, FILE.c.id == PROBLEM.c.file_id)


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
