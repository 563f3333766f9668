"""What the user noted outlives hashing, merging, overwriting, deleting, and can be brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, update

from registry.catalog import tables
from registry.catalog.curation import carry_offer, copy_from, curation_of, edit, values_with_provenance
from registry.catalog.curation_history import HistoryEntry, history_of, revision, undo
from registry.catalog.curation_merging import unite
from registry.catalog.detail import lora_detail
from registry.catalog.loras import attach, current_id, refresh_loras
from registry.catalog.presence import set_missing
from registry.catalog.reading import list_loras
from registry.curation import Curation, Noted, read_changes
from registry.errors import BadRequest, Conflict, NotFound
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.catalog.curation_rows import Edited
    from tests.support.library import Clock, Library

A = Model("a.safetensors", weights="one")
B = Model("deep/b.safetensors", weights="one", metadata={"ss_output_name": "b"})
C = Model("c.safetensors", weights="two")
FILE, LORA = tables.TABLES["file"], tables.TABLES["lora"]


def note(library: Library, *lora_ids: int, actor: str | None = None, **told: object) -> Edited:
    with library.catalog.write(actor=actor) as unit:
        return edit(unit, lora_ids, read_changes(told))


def take_back(library: Library, **which: object) -> Edited:
    with library.catalog.write(actor="undoer") as unit:
        return undo(unit, **which)  # type: ignore[arg-type] # the arguments are the test's own


def noted(library: Library, lora_id: int) -> Curation:
    with library.catalog.read() as conn:
        return curation_of(conn, [lora_id]).get(lora_id, Curation())


def history(library: Library, lora_id: int) -> list[HistoryEntry]:
    with library.catalog.read() as conn:
        return history_of(conn, lora_id)


def told(library: Library, lora_id: int) -> list[tuple[str, str, object, object]]:
    return [(one.kind, one.field, one.old, one.new) for one in reversed(history(library, lora_id))]


def revised(library: Library, lora_id: int) -> int:
    with library.catalog.read() as conn:
        return revision(conn, lora_id)


def offered(library: Library, lora_id: int) -> int | None:
    with library.catalog.read() as conn:
        return carry_offer(conn, lora_id)


def listed(library: Library, **filters: str) -> list[str]:
    with library.catalog.read() as conn:
        page = list_loras(conn, machine_id=MACHINE, filters=filters)
    assert page.total == len(page.items)
    return [lora.name for lora in page.items]


def lora_of(library: Library, model: Model) -> int:
    return library.lora(model.path).id


def file_of(library: Library, model: Model) -> int:
    return int(library.row(model.path).id)


def one_lora(library: Library) -> int:
    library.scan(A)
    return lora_of(library, A)


def united(library: Library, notes: Mapping[int, Mapping[str, Noted]]) -> Edited:
    with library.catalog.write() as unit:
        return unite(unit, notes)


# Editing


def test_an_edit_is_noted_with_who_made_it_and_when(library: Library, clock: Clock) -> None:
    lora_id = one_lora(library)
    first = clock.now
    note(library, lora_id, actor="ann", tags=["x"], rating=4)
    clock.tick()
    note(library, lora_id, actor="ben", rating=5, note="fine")
    with library.catalog.read() as conn:
        assert values_with_provenance(conn, lora_id) == {
            "note": Noted("fine", clock.now, "ben"),
            "tags": Noted(("x",), first, "ann"),
            "rating": Noted(5, clock.now, "ben"),
        }
    assert noted(library, lora_id) == Curation(note="fine", tags=("x",), rating=5)


def test_an_edit_that_changes_nothing_writes_nothing(library: Library) -> None:
    lora_id = one_lora(library)
    done = note(library, lora_id, tags=["x"], rating=4)
    since, before = library.generation(), revised(library, lora_id)
    assert done.changed == [lora_id]
    assert note(library, lora_id, tags={"add": ["X"]}, rating=4, note=None) == (None, [])
    assert (library.generation(), revised(library, lora_id)) == (since, before)


def test_a_revision_is_nought_at_first_and_grows_with_every_change(library: Library) -> None:
    lora_id = one_lora(library)
    seen = [revised(library, lora_id)]
    for told_so in ({"rating": 1}, {"rating": None}, {"note": "x", "rating": 2}):
        note(library, lora_id, **told_so)
        seen.append(revised(library, lora_id))
    assert seen[0] == 0
    assert sorted(set(seen)) == seen


def test_an_edit_is_logged_as_a_change_of_its_lora(library: Library) -> None:
    lora_id = one_lora(library)
    since = library.generation()
    note(library, lora_id, rating=1, note="x")
    assert [(one.entity, one.entity_id, one.lora_id, one.kind) for one in library.changes(since)] == [
        ("lora", lora_id, lora_id, "changed")
    ]


def test_what_does_not_fit_writes_nothing_anywhere(library: Library) -> None:
    library.scan(A, C)
    ids = [lora_of(library, model) for model in (A, C)]
    note(library, ids[1], weight_max=0.5)
    with pytest.raises(BadRequest):
        note(library, *ids, weight_min=0.7)
    with pytest.raises(NotFound):
        note(library, *ids, 999, rating=1)
    assert noted(library, ids[0]) == Curation()


def test_the_history_tells_the_latest_first_and_goes_on_from_a_place(library: Library) -> None:
    lora_id = one_lora(library)
    for rating in range(5):
        note(library, lora_id, rating=rating)
    note(library, lora_id, triggers=[["a", "b"]], civitai={"unlinked": True})
    whole = history(library, lora_id)
    assert [(one.field, one.old, one.new) for one in whole[:3]] == [
        ("civitai", None, {"unlinked": True}),
        ("triggers", None, [["a", "b"]]),
        ("rating", 3, 4),
    ]
    assert whole[0].batch == whole[1].batch == whole[1].id
    with library.catalog.read() as conn:
        pages = history_of(conn, lora_id, limit=4) + history_of(conn, lora_id, before=whole[3].id)
    assert pages == whole


# Undoing


def test_undoing_brings_back_what_was_there_and_can_be_undone(library: Library) -> None:
    lora_id = one_lora(library)
    note(library, lora_id, tags=["a"], rating=1)
    done = note(library, lora_id, tags={"add": ["b"]}, rating=None, note="x")
    undone = take_back(library, batch=done.batch)
    assert undone.changed == [lora_id]
    assert noted(library, lora_id) == Curation(tags=("a",), rating=1)
    take_back(library, batch=undone.batch)
    assert noted(library, lora_id) == Curation(tags=("a", "b"), note="x")
    assert {(one.kind, one.actor) for one in history(library, lora_id)} == {
        ("edit", None),
        ("undo", "undoer"),
    }


def test_the_last_thing_of_a_lora_is_undone_there_only(library: Library) -> None:
    library.scan(A, C)
    ids = [lora_of(library, model) for model in (A, C)]
    note(library, ids[0], note="x")
    note(library, *ids, rating=3)
    assert take_back(library, lora_id=ids[0]).changed == [ids[0]]
    assert [noted(library, one).rating for one in ids] == [None, 3]
    take_back(library, lora_id=ids[0])
    assert [noted(library, one).rating for one in ids] == [3, 3]


def test_undoing_what_was_changed_since_is_refused_by_name_and_then_writes_nothing(library: Library) -> None:
    library.scan(A, C)
    ids = [lora_of(library, model) for model in (A, C)]
    done = note(library, *ids, rating=3, tags=["x"])
    note(library, ids[1], rating=4)
    since = library.generation()
    with pytest.raises(Conflict, match=f"changed again since: rating of lora {ids[1]}"):
        take_back(library, batch=done.batch)
    assert library.generation() == since
    assert take_back(library, batch=done.batch, fields=["tags"]).changed == ids
    take_back(library, batch=done.batch, force=True)
    assert [noted(library, one) for one in ids] == [Curation(), Curation()]


def test_undoing_what_was_undone_by_hand_changes_nothing(library: Library) -> None:
    lora_id = one_lora(library)
    done = note(library, lora_id, rating=3)
    note(library, lora_id, rating=None)
    assert take_back(library, batch=done.batch) == (None, [])


@pytest.mark.parametrize("which", [{}, {"batch": 99}, {"lora_id": 1}, {"lora_id": 99}])
def test_what_never_was_cannot_be_undone(library: Library, which: dict[str, int]) -> None:
    one_lora(library)
    with pytest.raises(NotFound):
        take_back(library, **which)


# Hashing and merging


def test_what_was_noted_before_hashing_is_there_after_it(library: Library) -> None:
    lora_id = one_lora(library)
    note(library, lora_id, note="mine", architecture="flux1")
    library.hash(A)
    assert lora_of(library, A) == lora_id
    assert noted(library, lora_id) == Curation(note="mine", architecture="flux1")


def test_notes_of_two_files_of_one_lora_come_together_when_the_second_is_hashed(
    library: Library, clock: Clock
) -> None:
    library.scan(A, B)
    kept, gone = lora_of(library, A), lora_of(library, B)
    library.hash(A)
    note(library, gone, tags=["B", "c"], rating=2, note="of b", weight=0.5)
    clock.tick()
    note(library, kept, tags=["a", "b"], rating=4, favorite=True)
    before = revised(library, kept)
    library.hash(B)
    assert lora_of(library, B) == kept
    assert noted(library, kept) == Curation(
        note="of b", tags=("a", "b", "c"), rating=4, favorite=True, weight=0.5
    )
    assert told(library, kept)[-4:] == [
        ("merge", "tags", ["a", "b"], ["a", "b", "c"]),
        ("merge", "note", None, "of b"),
        ("merge", "weight", None, 0.5),
        ("conflict", "rating", 2, 4),
    ]
    assert revised(library, kept) > before
    assert history(library, gone) == []


def test_the_newer_scalar_stays_also_when_it_is_that_of_the_lora_that_goes(
    library: Library, clock: Clock
) -> None:
    library.scan(A, B)
    kept, gone = lora_of(library, A), lora_of(library, B)
    library.hash(A)
    note(library, kept, actor="ann", rating=4, architecture="sd15")
    clock.tick()
    note(library, gone, actor="ben", rating=2, architecture="flux1")
    at = clock.now
    clock.tick()
    library.hash(B)
    with library.catalog.read() as conn:
        assert values_with_provenance(conn, kept)["rating"] == Noted(2, at, "ben")
    assert library.lora(A.path).architecture == "flux1"
    assert sorted(told(library, kept)[-2:]) == [
        ("conflict", "architecture", "sd15", "flux1"),
        ("conflict", "rating", 4, 2),
    ]


def test_undoing_a_conflict_brings_back_what_lost_and_nothing_else(library: Library, clock: Clock) -> None:
    library.scan(A, B)
    kept, gone = lora_of(library, A), lora_of(library, B)
    library.hash(A)
    note(library, gone, tags=["b"], note="older")
    clock.tick()
    note(library, kept, tags=["a"], note="newer")
    library.hash(B)
    take_back(library, lora_id=kept)
    assert noted(library, kept) == Curation(note="older", tags=("a", "b"))
    take_back(library, lora_id=kept)
    assert noted(library, kept) == Curation(note="newer", tags=("a", "b"))


def test_a_merge_of_which_no_value_lost_is_not_what_undoing_means(library: Library) -> None:
    library.scan(A, B)
    kept, gone = lora_of(library, A), lora_of(library, B)
    library.hash(A)
    note(library, kept, rating=3)
    note(library, gone, note="x")
    library.hash(B)
    take_back(library, lora_id=kept)
    assert noted(library, kept) == Curation(rating=3)


def test_a_bulk_edit_of_loras_that_are_one_by_now_can_be_undone(library: Library) -> None:
    library.scan(A, B, C)
    ids = [lora_of(library, model) for model in (A, B, C)]
    note(library, ids[1], tags=["b"])
    note(library, ids[0], tags=["a"])
    library.hash(A)
    done = note(library, *ids, tags={"add": ["x"]}, rating=5)
    library.hash(B)
    assert noted(library, ids[0]) == Curation(tags=("a", "x", "b"), rating=5)
    assert take_back(library, batch=done.batch).changed == [ids[0], ids[2]]
    assert noted(library, ids[0]) == Curation(tags=("a", "b"))
    assert noted(library, ids[2]) == Curation()


def test_edits_of_a_lora_that_was_merged_go_where_it_went(library: Library) -> None:
    library.scan(A, B)
    kept, gone = lora_of(library, A), lora_of(library, B)
    library.hash(A, B)
    assert note(library, gone, kept, rating=3).changed == [kept]
    assert take_back(library, lora_id=gone).changed == [kept]


def test_history_follows_through_several_merges(library: Library) -> None:
    library.scan(A, B, C)
    ids = [lora_of(library, model) for model in (A, B, C)]
    for number, lora_id in enumerate(ids):
        note(library, lora_id, tags=[str(number)])
    with library.catalog.write() as unit:
        for model in (A, B, C):
            attach(unit, file_of(library, model), "data:" + "ab" * 32)
    with library.catalog.read() as conn:
        assert {current_id(conn, lora_id) for lora_id in ids} == {ids[0]}
    assert noted(library, ids[0]).tags == ("0", "1", "2")
    assert len([one for one in history(library, ids[0]) if one.kind == "edit"]) == 3


def test_a_lora_of_which_something_is_noted_stays_when_its_file_goes(library: Library) -> None:
    library.scan(A, B, C)
    a, b, c = (lora_of(library, model) for model in (A, B, C))
    note(library, a, note="kept")
    note(library, b, note="cleared")
    note(library, b, note=None)
    with library.catalog.write() as unit:
        unit.conn.execute(update(FILE).values(lora_id=c))
        refresh_loras(unit, [a, b, c])
    assert [lora.id for lora in library.loras(a, b, c)] == [a, b, c]
    assert noted(library, a) == Curation(note="kept")
    with library.catalog.write() as unit:
        unit.conn.execute(update(FILE).values(lora_id=a))
        refresh_loras(unit, [a, c])
    assert [lora.id for lora in library.loras(a, b, c)] == [a, b]


# Overwriting, deleting, coming back


def test_overwriting_a_file_with_other_weights_leaves_the_notes_and_offers_them(library: Library) -> None:
    old = one_lora(library)
    library.hash(A)
    note(library, old, note="mine", rating=5, civitai={"version": 7}, architecture="sd15")
    other = A.but(weights="other", mtime_ns=1)
    library.scan(other)
    new = lora_of(library, other)
    assert new != old
    assert (noted(library, new), library.loras(new)[0].corrected) == (Curation(), [])
    assert offered(library, new) == old
    library.hash(other)
    assert offered(library, new) == old
    note(library, new, rating=1, tags=["new"])
    with library.catalog.write() as unit:
        assert copy_from(unit, new, old).changed == [new]
    assert noted(library, new) == Curation(note="mine", rating=1, tags=("new",), architecture="sd15")
    assert noted(library, old).rating == 5
    assert offered(library, new) is None
    assert library.loras(new)[0].architecture == "sd15"
    take_back(library, lora_id=new)
    assert noted(library, new) == Curation(rating=1, tags=("new",))


def test_notes_are_offered_from_further_back_when_a_file_was_overwritten_again(library: Library) -> None:
    first = one_lora(library)
    library.hash(A)
    note(library, first, note="mine")
    for number in range(3):
        again = A.but(weights=f"again {number}", mtime_ns=number)
        library.scan(again)
        library.hash(again)
    assert offered(library, lora_of(library, A)) == first
    assert offered(library, first) is None
    with library.catalog.write() as unit:
        unit.conn.execute(update(LORA).where(LORA.c.id == first).values(replaces_id=lora_of(library, A)))
    note(library, first, note=None)
    assert offered(library, lora_of(library, A)) is None


def test_a_split_lora_has_neither_notes_nor_corrections_of_what_it_was_thought_to_be(
    library: Library,
) -> None:
    old = one_lora(library)
    library.hash(A)
    note(library, old, kind="embedding", note="mine")
    with library.catalog.write() as unit:
        new = attach(unit, file_of(library, A), "data:" + "cd" * 32)
    assert (noted(library, new), library.loras(new)[0].kind) == (Curation(), "lora")
    assert offered(library, new) == old


def test_weights_that_were_deleted_and_come_back_elsewhere_have_their_notes(library: Library) -> None:
    lora_id = one_lora(library)
    library.hash(A)
    note(library, lora_id, note="mine", rating=5)
    with library.catalog.write() as unit:
        set_missing(unit, [file_of(library, A)])
    assert noted(library, lora_id).note == "mine"
    library.scan(B)
    early = lora_of(library, B)
    note(library, early, tags=["new"])
    library.hash(B)
    assert lora_of(library, B) == lora_id
    assert noted(library, lora_id) == Curation(note="mine", rating=5, tags=("new",))


def test_a_file_that_is_moved_or_whose_header_is_rewritten_keeps_its_notes(library: Library) -> None:
    lora_id = one_lora(library)
    library.hash(A)
    note(library, lora_id, note="mine")
    rewritten = A.but(metadata={"ss_output_name": "new name"}, mtime_ns=5)
    library.scan(rewritten)
    library.hash(rewritten)
    assert lora_of(library, A) == lora_id
    assert noted(library, lora_id).note == "mine"


def test_notes_are_not_copied_from_a_lora_to_itself_or_from_nothing(library: Library) -> None:
    library.scan(A, B, C)
    library.hash(A, B)
    with library.catalog.write() as unit:
        with pytest.raises(BadRequest):
            copy_from(unit, lora_of(library, A), lora_of(library, B))
        with pytest.raises(NotFound):
            copy_from(unit, lora_of(library, A), 99)
        assert copy_from(unit, lora_of(library, A), lora_of(library, C)) == (None, [])


# Corrections


def test_lists_show_and_filter_by_what_was_corrected_and_details_keep_what_was_identified(
    library: Library,
) -> None:
    library.scan(A, C)
    lora_id = lora_of(library, A)
    assert (listed(library, architecture="flux1"), listed(library, architecture="sd15")) == ([], ["a", "c"])
    note(library, lora_id, architecture="flux1", adapter="locon", kind="checkpoint", base_model="My mix")
    shown = library.lora(A.path)
    assert (shown.architecture, shown.adapter, shown.kind, shown.base_model) == (
        "flux1",
        "locon",
        "checkpoint",
        "My mix",
    )
    assert sorted(shown.corrected) == ["adapter", "architecture", "base_model", "kind"]
    for filters in (
        {"architecture": "flux1"},
        {"adapter": "locon"},
        {"kind": "checkpoint"},
        {"base_model": "My mix"},
        {"kind": "checkpoint", "architecture": "flux1"},
    ):
        assert listed(library, **filters) == ["a"], filters
    assert (listed(library, architecture="sd15"), listed(library, kind="lora")) == (["c"], ["c"])
    with library.catalog.read() as conn:
        identified = lora_detail(conn, lora_id, MACHINE).identification
    assert (identified["architecture"], identified["kind"]) == ("sd15", "lora")
    note(library, lora_id, **dict.fromkeys(("architecture", "adapter", "kind", "base_model")))
    assert library.lora(A.path).corrected == []
    assert (listed(library, architecture="sd15"), listed(library, kind="lora")) == (["a", "c"], ["a", "c"])


def test_a_variant_of_one_architecture_is_none_of_another(library: Library) -> None:
    model = A.but(metadata={"ss_base_model_version": "sd_1.5", "ss_sd_model_name": "v1-5-pruned.safetensors"})
    library.scan(model)
    base_model = library.lora(A.path).base_model
    assert base_model is not None
    assert listed(library, base_model=base_model) == ["a"]
    note(library, lora_of(library, A), architecture="flux1")
    assert library.lora(A.path).base_model is None
    assert listed(library, base_model=base_model) == []
    note(library, lora_of(library, A), architecture="sd15")
    assert library.lora(A.path).base_model == base_model
    assert listed(library, base_model=base_model) == ["a"]


def test_what_has_no_header_can_be_corrected(library: Library) -> None:
    library.scan(A.but(readable=False))
    note(library, lora_of(library, A), architecture="sdxl", kind="lora")
    assert listed(library, architecture="sdxl", kind="lora") == ["a"]
    assert library.lora(A.path).adapter == "none"
    take_back(library, lora_id=lora_of(library, A))
    assert (library.lora(A.path).architecture, library.lora(A.path).corrected) == ("none", [])


# Another catalog


def test_notes_of_another_catalog_are_united_with_these_and_told_once(library: Library, clock: Clock) -> None:
    library.scan(A, C)
    a, c = (lora_of(library, model) for model in (A, C))
    note(library, a, tags=["here"], rating=3, note="newer")
    notes = {
        a: {
            "tags": Noted(("there",), 5, "them"),
            "note": Noted("older", 5, "them"),
            "rating": Noted(1, clock.now + 9, "them"),
        },
        c: {"note": Noted("of c", 7)},
    }
    assert united(library, notes).changed == [a, c]
    assert noted(library, a) == Curation(note="newer", tags=("here", "there"), rating=1)
    assert noted(library, c) == Curation(note="of c")
    seen = told(library, a)
    assert sorted(seen[-3:]) == [
        ("conflict", "note", "older", "newer"),
        ("conflict", "rating", 3, 1),
        ("import", "tags", ["here"], ["here", "there"]),
    ]
    since = library.generation()
    assert united(library, notes) == (None, [])
    assert (library.generation(), told(library, a)) == (since, seen)
    take_back(library, lora_id=a, fields=["note"])
    assert noted(library, a).note == "older"


def test_a_value_that_lost_before_is_told_again_when_it_was_put_back_and_loses_again(
    library: Library, clock: Clock
) -> None:
    lora_id = one_lora(library)
    note(library, lora_id, rating=3)
    clock.tick()
    united(library, {lora_id: {"rating": Noted(1, clock.now)}})
    clock.tick()
    note(library, lora_id, rating=3)
    before = revised(library, lora_id)
    clock.tick()
    united(library, {lora_id: {"rating": Noted(1, clock.now)}})
    assert noted(library, lora_id).rating == 1
    assert revised(library, lora_id) > before


def test_notes_of_what_is_not_here_are_refused(library: Library) -> None:
    with pytest.raises(NotFound):
        united(library, {5: {"rating": Noted(1, 1)}})


# Many at once


def test_thousands_of_loras_are_edited_and_undone_with_few_statements(library: Library) -> None:
    models = [Model(f"{number}.safetensors", weights=str(number)) for number in range(3000)]
    library.scan(*models)
    with library.catalog.read() as conn:
        ids = list(conn.execute(LORA.select().with_only_columns(LORA.c.id)).scalars())
    statements: list[str] = []

    def count(*seen: object) -> None:
        statements.append(str(seen[2]))

    event.listen(library.catalog._writer, "before_cursor_execute", count)
    done = note(library, *ids, tags={"add": ["bulk"]}, rating=3, kind="checkpoint")
    assert (len(done.changed), len(statements) < 100) == (3000, True)
    statements.clear()
    assert len(take_back(library, batch=done.batch).changed) == 3000
    assert len(statements) < 200
    assert noted(library, ids[-1]) == Curation()
    assert library.count("curation_history") == 18_000
