"""Edits of thousands of loras: one batch, in units between which others write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog import tables
from registry.catalog.curation import curation_of, edit, plan_copy, plan_edit
from registry.catalog.curation_bulk import UNIT, edit_many
from registry.catalog.curation_history import plan_undo, undo
from registry.curation import Curation, read_changes
from registry.errors import BadRequest, Conflict, NotFound
from tests.support.library import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.catalog.curation_bulk import Bulk
    from tests.support.library import Library

LORA, HISTORY = tables.TABLES["lora"], tables.TABLES["curation_history"]
MANY = UNIT + 500


def ids_of(library: Library, models: int = MANY) -> list[int]:
    """Make so many loras and return their ids in ascending order."""
    library.scan(*(Model(f"{number}.safetensors", weights=str(number)) for number in range(models)))
    with library.catalog.read() as conn:
        return list(conn.execute(LORA.select().with_only_columns(LORA.c.id).order_by(LORA.c.id)).scalars())


def edit_all(library: Library, ids: list[int], *, dry_run: bool = False, **told: object) -> Bulk:
    return edit_many(library.catalog, ids, read_changes(told), actor="ann", dry_run=dry_run)


def note(library: Library, lora_id: int, **told: object) -> int | None:
    with library.catalog.write(actor="ben") as unit:
        return edit(unit, [lora_id], read_changes(told)).batch


def noted(library: Library, lora_id: int) -> Curation:
    with library.catalog.read() as conn:
        return curation_of(conn, [lora_id]).get(lora_id, Curation())


def once(action: Callable[[], object]) -> Callable[[], None]:
    """Return a listener that does something the first time, which may commit again."""
    waiting = [action]

    def listener() -> None:
        if waiting:
            waiting.pop()()

    return listener


def test_many_loras_are_one_batch_that_is_undone_at_once(library: Library) -> None:
    ids = ids_of(library)
    note(library, ids[0], rating=4)
    done = edit_all(library, ids, rating=4, tags={"add": ["x"]})
    assert (done.matched, done.changed) == (ids, ids)
    with library.catalog.read() as conn:
        rows = conn.execute(HISTORY.select().where(HISTORY.c.batch == done.batch)).all()
    assert {(row.kind, row.actor) for row in rows} == {("edit", "ann")}
    assert len(rows) == 2 * MANY - 1
    with library.catalog.write() as unit:
        assert undo(unit, batch=done.batch).changed == ids
    assert [noted(library, one) for one in (ids[0], ids[-1])] == [Curation(rating=4), Curation()]


def test_others_write_between_the_units(library: Library) -> None:
    ids = ids_of(library)
    library.catalog.on_commit(once(lambda: note(library, ids[-1], tags=["theirs"])))
    done = edit_all(library, ids, tags={"add": ["x"]})
    assert done.changed == ids
    assert noted(library, ids[-1]) == Curation(tags=("theirs", "x"))


def test_a_dry_run_tells_what_would_change_and_writes_nothing(library: Library) -> None:
    ids = ids_of(library, 3)
    note(library, ids[1], rating=4)
    since = library.generation()
    assert edit_all(library, ids, dry_run=True, rating=4) == (ids, [ids[0], ids[2]], None)
    assert library.generation() == since


def test_what_does_not_fit_the_last_of_many_changes_none(library: Library) -> None:
    ids = ids_of(library)
    note(library, ids[-1], weight_max=0.5)
    since = library.generation()
    with pytest.raises(BadRequest, match="weight_min is 1"):
        edit_all(library, ids, weight_min=1)
    assert library.generation() == since


def test_what_stops_fitting_meanwhile_names_the_batch_that_stays(library: Library) -> None:
    ids = ids_of(library)
    library.catalog.on_commit(once(lambda: note(library, ids[-1], weight_max=0.5)))
    with pytest.raises(BadRequest) as stopped:
        edit_all(library, ids, weight_min=1)
    assert noted(library, ids[0]) == Curation(weight_min=1)
    assert noted(library, ids[UNIT]) == Curation()
    with library.catalog.read() as conn:
        batch = conn.execute(HISTORY.select().where(HISTORY.c.lora_id == ids[0])).one().batch
    assert f"2,000 loras were changed before, in batch {batch}. give both" in stopped.value.remedy


def test_loras_that_are_gone_are_left_out(library: Library) -> None:
    ids = ids_of(library, 3)
    assert edit_all(library, [99, *ids], rating=1).matched == ids
    assert edit_all(library, [99], rating=1) == ([], [], None)


def test_plans_say_what_would_be_replaced_and_raise_what_doing_it_would(library: Library) -> None:
    one, two, three = ids_of(library, 3)
    batch = note(library, one, rating=1, tags=["a"])
    note(library, two, rating=2)
    since = library.generation()
    with library.catalog.read() as conn:
        planned = plan_edit(conn, [one, two], read_changes({"rating": 2, "tags": {"add": ["A", "b"]}}))
        assert planned == [
            (one, "tags", ("a",), ("a", "b")),
            (one, "rating", 1, 2),
            (two, "tags", None, ("A", "b")),
        ]
        assert plan_copy(conn, two, one) == [(two, "tags", None, ("a",))]
        assert plan_undo(conn, batch=batch, fields=["rating"]) == [(one, "rating", 1, None)]
        with pytest.raises(NotFound):
            plan_edit(conn, [99], {})
        with pytest.raises(BadRequest):
            plan_copy(conn, one, one)
        with pytest.raises(NotFound):
            plan_undo(conn, lora_id=three)
    note(library, one, rating=5)
    with library.catalog.read() as conn, pytest.raises(Conflict):
        plan_undo(conn, batch=batch)
    assert library.generation() > since
