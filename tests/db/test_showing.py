"""What is shown of loras of which several files, a user's link and sidecars tell."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.catalog.curation import edit
from registry.catalog.exportable import laden_files, placed_files
from registry.catalog.lookups import record_outcomes
from registry.catalog.presence import set_missing
from registry.catalog.remote import Sent, store_versions
from registry.catalog.showing import Known, known_of
from registry.catalog.sidecars import SidecarRead, sidecars_at, write_sidecars
from registry.civitai.matching import SHA256, outcome
from registry.curation import read_changes
from registry.formats.civitai import version_of
from registry.formats.packing import pack_json
from registry.shown import Source
from registry.told import SidecarAnswer, SidecarFacts, UserFacts
from registry.views import CompanionSeen
from registry.wire.exports import plan
from tests.support.civitai_answers import file_answer, version_answer
from tests.support.library import START, Model

if TYPE_CHECKING:
    from tests.support.library import Library

FACTS = SidecarFacts("civitai-helper", model_id=7, version_id=70, name="Ink", user=UserFacts(notes="mine"))


def info(stem: str) -> CompanionSeen:
    name = f"{stem}.civitai.info"
    return CompanionSeen(name.encode(), name, "sidecar", "civitai_helper")


A = Model("a.safetensors", companions=(info("a"),))
COPY = Model("copy.safetensors", companions=(info("copy"),))


def says(library: Library, model: Model, facts: SidecarFacts) -> None:
    with library.catalog.read() as conn:
        (seen,) = sidecars_at(conn, library.root_id, [model.path.encode()])
    images = zlib.compress(pack_json(facts.images)) if facts.images else None
    answer = SidecarAnswer(9, 8, 7, facts.tool, pack_json(replace(facts, images=())), images, None)
    with library.catalog.write() as unit:
        write_sidecars(unit, library.root_id, [SidecarRead(seen, answer)], 1)


def known(library: Library) -> Known:
    lora_id = int(library.row(A.path).lora_id)
    with library.catalog.read() as conn:
        return known_of(conn, [lora_id])[lora_id]


def choose(library: Library, choice: dict[str, Any]) -> None:
    with library.catalog.write() as unit:
        edit(unit, [int(library.row(A.path).lora_id)], read_changes({"civitai": choice}))


def fetched(library: Library, number: int, name: str) -> None:
    answer = {
        **version_answer(number, [file_answer(A.digests["sha256"])], name=name),
        "modelId": number // 10,
    }
    told = version_of(answer)
    assert told is not None
    with library.catalog.write() as unit:
        store_versions(unit, [Sent(pack_json(answer), told)], "civitai")


def test_the_sidecar_of_a_deleted_copy_hides_none_of_a_file_that_is_there(library: Library) -> None:
    library.scan(A, COPY)
    library.hash(A, COPY)
    says(library, A, replace(FACTS, name="old", creator="Konan"))
    says(library, COPY, replace(FACTS, name="new"))
    assert known(library).shown.model_name == "old"
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(A.path).id])
    shown = known(library).shown
    assert (shown.model_name, shown.creator) == ("new", None)
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(COPY.path).id])
    assert known(library).shown.model_name == "old"


def test_a_lora_that_is_no_version_has_nothing_of_one_from_sidecars(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    says(library, A, FACTS)
    assert known(library).shown.version_id == 70
    choose(library, {"unlinked": True})
    shown = known(library).shown
    assert (shown.version_id, shown.model_name, shown.notes) == (None, None, "mine")


def test_a_chosen_version_is_shown_before_it_is_fetched(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    says(library, A, FACTS)
    choose(library, {"version": 80, "model": 8})
    shown = known(library).shown
    assert (shown.version_id, shown.model_id, shown.model_name, shown.notes) == (80, 8, None, "mine")
    assert shown.sources["version_id"] == Source("user", None, START)
    choose(library, {"version": 70})
    assert known(library).shown.model_name == "Ink"


def test_a_sidecar_that_is_there_follows_a_new_link(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    fetched(library, 70, "found")
    fetched(library, 80, "chosen")
    found = outcome(A.digests["sha256"], SHA256, [70])
    assert found is not None
    with library.catalog.write() as unit:
        record_outcomes(unit, [found])
    there = json.dumps({"ModelId": 7, "VersionId": 70, "VersionName": "found", "Mine": 1}).encode()
    assert exported(library, there)["VersionId"] == 70
    choose(library, {"version": 80})
    shown = known(library).shown
    assert (shown.sources["version_id"], shown.sources["model_id"]) == (Source("user", None, START),) * 2
    after = exported(library, there)
    assert [after[key] for key in ("ModelId", "VersionId", "VersionName", "Mine")] == [8, 80, "chosen", 1]


def exported(library: Library, there: bytes) -> dict[str, Any]:
    with library.catalog.read() as conn:
        (laden,) = laden_files(conn, placed_files(conn, [int(library.row(A.path).lora_id)]))
    planned = plan("stability-matrix", there, laden.outgoing("/models/a.safetensors", START))
    assert planned.problem is None
    found: dict[str, Any] = json.loads(planned.data or there)
    return found
