"""What we wrote beside files is ours, and no claim of the tools that it was written for."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.archived import store_archived
from registry.catalog.curation import edit
from registry.catalog.detail import lora_detail
from registry.catalog.exportable import laden_files, placed_files
from registry.catalog.forgetting import forget
from registry.catalog.presence import set_missing
from registry.catalog.remote import Sent, store_model, store_versions
from registry.catalog.searching import search_records
from registry.catalog.showing import known_of
from registry.catalog.sidecars import SidecarRead, sidecars_at, write_sidecars
from registry.catalog.written import Wrote, ours_of, put_written, written_paths
from registry.curation import read_changes
from registry.formats import ours
from registry.formats.civitai import model_of, version_of
from registry.formats.packing import pack_json
from registry.told import SidecarAnswer, SidecarFacts, UserFacts
from registry.views import CompanionSeen
from tests.support.exporting import MODEL as CIVITAI_MODEL
from tests.support.exporting import VERSION
from tests.support.library import MACHINE, START, Model

if TYPE_CHECKING:
    from registry.views import SidecarView
    from tests.support.library import Library

NOTES = CompanionSeen(b"a.json", "a.json", "sidecar", "user_json")
MODEL = Model(companions=(NOTES,))
OURS = SidecarFacts("a1111", user=UserFacts(notes="mine", weight=0.5))
THEIRS = SidecarFacts("a1111", user=UserFacts(notes="mine", negative_text="blurry"))
BYTES = b'{"notes": "mine"}'


def wrote(facts: SidecarFacts = OURS, data: bytes = BYTES, name: bytes = b"a.json") -> Wrote:
    return Wrote("a1111", name, hashlib.sha256(data).digest(), ours.added(None, facts), START)


def put(library: Library, row: Wrote | None, path: str = "a.safetensors", family: str = "user_json") -> None:
    with library.catalog.write() as unit:
        put_written(unit, int(library.row(path).id), family, row)


def read(library: Library, facts: SidecarFacts, data: bytes = BYTES, mtime: int = START) -> None:
    """Let the sidecar say something, changed at a time in milliseconds."""
    with library.catalog.read() as conn:
        (seen,) = sidecars_at(conn, library.root_id, [b"a.safetensors"])
    answer = SidecarAnswer(
        9, mtime * 1_000_000, 7, facts.tool, pack_json(facts), sha256=hashlib.sha256(data).digest()
    )
    with library.catalog.write() as unit:
        write_sidecars(unit, library.root_id, [SidecarRead(seen, answer)], 1)


def view(library: Library) -> SidecarView:
    with library.catalog.read() as conn:
        (found,) = lora_detail(conn, int(library.row("a.safetensors").lora_id), MACHINE).sidecars
    return found


def note(library: Library, **changes: Any) -> None:
    with library.catalog.write() as unit:
        edit(unit, [int(library.row("a.safetensors").lora_id)], read_changes(changes))


def test_what_is_written_takes_the_place_of_what_was_and_can_be_put_back(library: Library) -> None:
    library.scan(MODEL)
    file_id = int(library.row("a.safetensors").id)
    with library.catalog.write() as unit:
        assert put_written(unit, file_id, "user_json", wrote()) is None
        assert put_written(unit, file_id, "user_json", wrote(THEIRS)) == wrote()
        assert put_written(unit, file_id, "user_json", None) == wrote(THEIRS)
        assert put_written(unit, file_id, "user_json", None) is None
        assert ours_of(unit.conn, [file_id]) == {}


def test_what_we_wrote_is_neither_shown_nor_searched_as_what_a_tool_says(library: Library) -> None:
    library.scan(MODEL)
    read(library, THEIRS)
    lora_id = int(library.row("a.safetensors").lora_id)
    put(library, wrote())

    with library.catalog.read() as conn:
        shown = known_of(conn, [lora_id])[lora_id].shown
        (record,) = search_records(conn, [lora_id])
    assert (shown.notes, shown.negative_text) == (None, "blurry")
    assert "notes" not in shown.sources
    assert [facts.user for facts in record.sidecars] == [UserFacts(negative_text="blurry")]
    user = (view(library).facts or {})["user"]
    assert isinstance(user, dict)
    assert (user["notes"], user["negative_text"]) == (None, "blurry")


def test_another_family_beside_the_same_file_is_not_ours(library: Library) -> None:
    library.scan(MODEL)
    read(library, THEIRS)
    put(library, wrote(), family="swarmui")

    with library.catalog.read() as conn:
        lora_id = int(library.row("a.safetensors").lora_id)
        assert known_of(conn, [lora_id])[lora_id].shown.notes == "mine"
    assert not view(library).ours


def test_a_copy_takes_what_we_wrote_along(library: Library) -> None:
    copy = Model("b/a.safetensors")
    other = Model("c.safetensors", weights="other")
    library.scan(MODEL, copy, other)
    library.hash(MODEL, copy, other)
    put(library, wrote(), "b/a.safetensors")

    ids = [int(library.row(path).id) for path in ("a.safetensors", "b/a.safetensors", "c.safetensors")]
    with library.catalog.read() as conn:
        found = ours_of(conn, ids)
    assert found.keys() == {(ids[0], "user_json"), (ids[1], "user_json")}
    read(library, THEIRS)
    assert view(library).ours


def test_a_file_that_moved_keeps_what_we_wrote_under_its_old_name(library: Library) -> None:
    library.scan(MODEL)
    put(library, wrote(name=b"old.json"))
    read(library, THEIRS)
    with library.catalog.read() as conn:
        lora_id = int(library.row("a.safetensors").lora_id)
        assert known_of(conn, [lora_id])[lora_id].shown.notes is None


def test_hashes_that_we_wrote_still_tell_which_file_a_sidecar_is_of(library: Library) -> None:
    library.scan(MODEL)
    library.hash(MODEL)
    facts = replace(THEIRS, hashes=({"sha256": "f" * 64},))
    put(library, wrote(facts))
    read(library, facts)
    assert view(library).verdict == "differs"


@pytest.mark.parametrize(("data", "is_ours"), [(BYTES, True), (b"{}", False)])
def test_a_sidecar_is_ours_while_its_bytes_are_those_that_we_wrote(
    library: Library, data: bytes, *, is_ours: bool
) -> None:
    library.scan(MODEL)
    put(library, wrote())
    read(library, OURS, data)
    assert view(library).ours is is_ours


def test_what_a_tool_changed_after_our_edit_is_offered(library: Library) -> None:
    library.scan(MODEL)
    note(library, note="mine", weight=0.5)
    put(library, wrote())
    read(library, OURS, mtime=START + 1000)
    assert view(library).offered == {}

    read(library, replace(OURS, user=UserFacts(notes="theirs", weight=0.5)), b"{}", START + 1000)

    assert view(library).offered == {"note": "theirs"}
    with library.catalog.read() as conn:
        lora_id = int(library.row("a.safetensors").lora_id)
        assert known_of(conn, [lora_id])[lora_id].shown.notes == "mine"
    assert read_changes(view(library).offered)


def test_nothing_is_offered_of_a_sidecar_that_is_of_another_file(library: Library) -> None:
    library.scan(MODEL)
    library.hash(MODEL)
    note(library, note="mine")
    facts = SidecarFacts("a1111", hashes=({"sha256": "f" * 64},), user=UserFacts(notes="theirs"))
    read(library, facts, mtime=START + 1000)
    assert view(library).offered == {}


def test_all_that_was_written_on_this_machine_is_listed(library: Library) -> None:
    library.scan(Model("z/汉 服.safetensors"), MODEL)
    put(library, wrote(name="汉 服.json".encode()), "z/汉 服.safetensors")
    put(library, wrote())
    with library.catalog.read() as conn:
        assert written_paths(conn, MACHINE) == [
            os.path.join("/models", *parts)  # noqa: PTH118 - as the platform spells it
            for parts in (["a.json"], ["z", "汉 服.json"])
        ]
        assert written_paths(conn, "another machine") == []


def test_what_was_written_beside_a_lora_that_is_forgotten_is_still_listed_and_ours(library: Library) -> None:
    library.scan(MODEL)
    put(library, wrote())
    with library.catalog.read() as conn:
        before = written_paths(conn, MACHINE)
    row = library.row("a.safetensors")
    with library.catalog.write() as unit:
        set_missing(unit, [int(row.id)])
        forget(unit, [int(row.lora_id)])
    with library.catalog.read() as conn:
        assert written_paths(conn, MACHINE) == before
    library.scan(MODEL, Model("b/a.safetensors", weights="other", companions=(NOTES,)))
    back, other = (int(library.row(path).id) for path in ("a.safetensors", "b/a.safetensors"))
    with library.catalog.read() as conn:
        assert ours_of(conn, [back, other]).keys() == {(back, "user_json")}


def test_what_was_written_at_a_path_is_ours_beside_every_model_that_has_it(library: Library) -> None:
    twin = Model("a.sft", weights="twin", companions=(NOTES,))
    library.scan(MODEL, twin)
    put(library, wrote())
    put(library, wrote(THEIRS), "a.sft")
    ids = [int(library.row(path).id) for path in ("a.safetensors", "a.sft")]
    with library.catalog.read() as conn:
        first, second = ours_of(conn, ids).values()
    assert first.whole == second.whole
    assert first.facts.keys() == second.facts.keys() == {*wrote().ours, *wrote(THEIRS).ours}
    assert library.count("written") == 2


def test_files_are_told_with_all_that_can_be_written_of_them(library: Library) -> None:
    model = Model(metadata={"ss_sd_model_name": "base"}, companions=(NOTES,))
    library.scan(model, Model("gone.safetensors", weights="gone"))
    library.hash(model)
    with library.catalog.write() as unit:
        set_missing(unit, [int(library.row("gone.safetensors").id)])
    loras = [int(library.row(path).lora_id) for path in ("gone.safetensors", "a.safetensors")]
    with library.catalog.read() as conn:
        placed = placed_files(conn, loras)
        (laden,) = laden_files(conn, placed)
    out = laden.outgoing("/models/a.safetensors", START)
    beside = frozenset({"a.json"})
    assert (out.file_name, out.size, out.beside) == ("a.safetensors", model.stat.size, beside)
    assert out.metadata["ss_sd_model_name"] == "base"
    assert out.hashes["sha256"] == model.digests["sha256"]
    assert (out.version_raw, out.model_raw, out.preview) == (None, None, None)


@pytest.mark.parametrize("archived", [False, True])
def test_answers_of_civitai_go_with_the_files_that_they_are_about(
    library: Library, *, archived: bool
) -> None:
    library.scan(MODEL)
    note(library, civitai={"version": 3, "model": 2})
    version, model = version_of(VERSION), model_of(CIVITAI_MODEL)
    assert version is not None
    assert model is not None
    with library.catalog.write() as unit:
        if archived:
            store_archived(unit, b'{"shape": "of its own"}', version, model, "civarchive")
        else:
            store_versions(unit, [Sent(json.dumps(VERSION).encode(), version)], "civitai")
            store_model(unit, json.dumps(CIVITAI_MODEL).encode(), model, "civitai")

    with library.catalog.read() as conn:
        placed = placed_files(conn, [int(library.row("a.safetensors").lora_id)])
        out = laden_files(conn, placed)[0].outgoing("/models/a.safetensors", START)
    assert (out.shown.version_id, out.shown.model_id) == (3, 2)
    assert (out.version and out.version.name, out.model and out.model.creator) == ("v1", "Konan")
    raw = (None, None) if archived else (VERSION, CIVITAI_MODEL)
    assert (out.version_raw, out.model_raw) == raw
