"""Merges and redirects, the hashing queue, and finding loras by reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.hashing import (
    backlog,
    next_to_hash,
    record_hash_failure,
    record_hashes,
    retry_failed,
    want_hashes,
)
from registry.catalog.lookup import by_hash, candidates, loras_of, resolve
from registry.catalog.loras import attach, current_id
from registry.catalog.presence import set_missing
from registry.errors import Ambiguous, BadRequest, NotFound
from registry.hashing.lookup import NOTHING
from registry.views import FileStat, Note
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from tests.support.library import Clock, Library

A = Model("a.safetensors", weights="one")
B = Model("deep/b.safetensors", weights="one", metadata={"ss_output_name": "b"})
C = Model("c.safetensors", weights="two")


def find(library: Library, reference: str) -> int:
    with library.catalog.read() as conn:
        return resolve(conn, reference, MACHINE)


def hits(library: Library, text: str) -> list[int]:
    with library.catalog.read() as conn:
        return loras_of(by_hash(conn, text))


def test_files_with_the_same_weights_become_one_lora_and_the_old_id_leads_there(library: Library) -> None:
    library.scan(A, B)
    first, second = library.lora(A.path).id, library.lora(B.path).id
    library.hash(A)
    since = library.generation()
    library.hash(B)
    assert library.lora(B.path).id == first
    assert find(library, str(second)) == first
    assert find(library, f"ID:{second}") == first
    assert (("lora", second, first, "merged")) in [
        (change.entity, change.entity_id, change.lora_id, change.kind) for change in library.changes(since)
    ]


def test_the_oldest_first_seen_survives_a_merge(library: Library, clock: Clock) -> None:
    library.scan(A)
    old = library.lora(A.path).first_seen
    clock.tick()
    library.scan(B)
    library.hash(B)
    library.hash(A)
    assert library.lora(A.path).first_seen == old


def test_redirects_stay_one_step_long_and_references_to_a_merged_lora_follow(library: Library) -> None:
    library.scan(A, B, C)
    library.hash(C)
    ids = [library.lora(model.path).id for model in (A, B, C)]
    library.scan(C.but(weights="three", mtime_ns=1))
    replacing = library.lora(C.path).id
    with library.catalog.write() as unit:
        attach(unit, library.row(A.path).id, "data:" + "ab" * 32)
    library.hash(A, B)
    with library.catalog.read() as conn:
        assert current_id(conn, ids[1]) == library.lora(B.path).id
        assert current_id(conn, replacing) == replacing
    library.hash(C.but(weights="one", mtime_ns=1, metadata={}).but(path=C.path))
    with library.catalog.read() as conn:
        assert current_id(conn, replacing) == library.lora(B.path).id
    assert library.lora(C.path).replaces == ids[2]


def test_a_known_lora_that_turns_out_to_be_another_is_split_and_says_what_it_replaces(
    library: Library,
) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path).id
    other = A.but(weights="other")
    with library.catalog.write() as unit:
        file_id = library.row(A.path).id
        assert record_hashes(unit, file_id, A.stat, other.identity, other.digests, [], [])
    assert library.lora(A.path).identity == other.identity
    assert library.lora(A.path).replaces == old


def test_hashes_of_a_file_that_changed_meanwhile_are_not_stored(library: Library) -> None:
    library.scan(A)
    with library.catalog.write() as unit:
        stale = FileStat(A.stat.size, A.stat.mtime_ns + 1, 0, 0, 1)
        assert not record_hashes(unit, library.row(A.path).id, stale, A.identity, A.digests, [], [])
        assert not record_hashes(unit, 99, stale, A.identity, A.digests, [], [])
    assert library.row(A.path).hash_state == "pending"


def test_the_primary_file_is_present_then_oldest_then_first_by_path(library: Library, clock: Clock) -> None:
    same = [A.but(path=f"{name}.safetensors", mtime_ns=number) for number, name in enumerate("zyx")]
    library.scan(same[0])
    library.hash(same[0])
    clock.tick()
    library.scan(*same[1:])
    library.hash(*same[1:])
    assert library.lora(same[0].path).name == "z"
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(same[0].path).id])
    lora = library.lora(same[0].path)
    assert (lora.name, lora.state, [file.name for file in lora.files]) == ("x", "present", ["x", "y", "z"])


def queue(library: Library, **options: object) -> list[str]:
    given = {"exclude": (), "limit": 10, **options}
    with library.catalog.read() as conn:
        tasks = next_to_hash(conn, MACHINE, **given)  # type: ignore[arg-type] # the options are the test's own
    return [task.rel.decode() for task in tasks]


def test_hashing_takes_wanted_files_first_then_small_ones_then_those_to_be_checked_again(
    library: Library,
) -> None:
    sizes = {"big": 9000, "small": 1000, "middle": 5000, "known": 10}
    models = {name: Model(name, weights=name, data_size=size) for name, size in sizes.items()}
    library.scan(*models.values())
    library.hash(models["known"])
    assert queue(library) == ["small", "middle", "big"]
    with library.catalog.write() as unit:
        want_hashes(unit, library.lora("big").id)
        retried = library.row("known").id
        unit.conn.exec_driver_sql(
            f"UPDATE file SET hash_state = 'pending', hash_priority = -1 WHERE id = {retried}"
        )
    assert queue(library) == ["big", "small", "middle", "known"]
    assert queue(library, limit=2) == ["big", "small"]
    assert queue(library, wanted=True) == ["big"]
    assert queue(library, exclude={library.row("small").id}, limit=2) == ["big", "middle"]
    assert queue(library, root_id=library.root_id, limit=1) == ["big"]
    assert queue(library, root_id=77) == []


def test_only_present_files_of_this_machine_are_hashed(library: Library) -> None:
    library.scan(A, C)
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(A.path).id])
    assert queue(library) == [C.path]
    with library.catalog.read() as conn:
        assert next_to_hash(conn, "another", exclude=(), limit=5) == []
        assert backlog(conn) == backlog(conn, MACHINE) == (1, C.stat.size, 0)
        assert backlog(conn, "another") == (0, 0, 0)
    library.hash(C)
    with library.catalog.read() as conn:
        assert backlog(conn, MACHINE) == (0, 0, 1)


def test_a_failure_is_a_problem_until_hashing_succeeds(library: Library) -> None:
    library.scan(A)
    with library.catalog.write() as unit:
        record_hash_failure(unit, library.row(A.path).id, Note("unreadable-file", "it cannot be read"))
    assert queue(library) == []
    assert library.lora(A.path).files[0].hash_state == "failed"
    assert library.count("problem") == 1
    with library.catalog.write() as unit:
        assert retry_failed(unit, library.root_id) == 1
    library.hash(A)
    assert library.count("problem") == 0


def test_every_stored_hash_is_found_by_its_beginning_in_any_spelling(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    lora_id = library.lora(A.path).id
    for value in A.digests.values():
        for text in (value, value[:8], value.upper(), f"0x{value}", f"0X{value[:8]}", f"  {value} "):
            assert hits(library, text) == [lora_id], text
    assert hits(library, f"blake3:{A.digests['blake3']}") == [lora_id]
    assert hits(library, f"blake3:{A.digests['blake3'].upper()[:12]}") == [lora_id]
    assert find(library, f"hash:{A.digests['sha256'][:10]}") == lora_id
    assert (
        hits(library, A.digests["sha256"][:-1] + "g"[:0] + ("0" if A.digests["sha256"][-1] != "0" else "1"))
        == []
    )


@pytest.mark.parametrize(
    "text", ["", "abc", "abcdefg", "not a hash", "0x123", "g" * 64, "a" * 65, "ab\x00cdefabcd"]
)
def test_what_cannot_be_a_hash_is_refused(library: Library, text: str) -> None:
    with library.catalog.read() as conn, pytest.raises(BadRequest):
        by_hash(conn, text)


def test_hashes_of_nothing_find_nothing(library: Library) -> None:
    library.scan(A)
    digests = {"sha256": NOTHING[0], "blake3": NOTHING[1], "autov1": "e3b0c442", "crc32": "12345678"}
    with library.catalog.write() as unit:
        assert record_hashes(unit, library.row(A.path).id, A.stat, A.identity, digests, [], [])
    for text in ("e3b0c442", "E3B0C44298", f"0x{NOTHING[0]}", NOTHING[1], NOTHING[1][:12]):
        assert hits(library, text) == []
    assert hits(library, "12345678") == [library.lora(A.path).id]


def test_weights_that_were_replaced_are_still_found_by_the_hash_that_names_them(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path).id
    library.scan(A.but(weights="new", mtime_ns=1))
    assert hits(library, A.digests["data_sha256"]) == [old]
    assert hits(library, A.digests["data_sha256"][:9].upper()) == [old]
    assert hits(library, A.digests["sha256"]) == []


def test_an_ambiguous_reference_names_all_candidates(library: Library) -> None:
    library.scan(A.but(path="x/same.safetensors"), C.but(path="y/same.safetensors"))
    with pytest.raises(Ambiguous) as caught:
        find(library, "same")
    assert [one["path"] for one in caught.value.candidates] == ["x/same.safetensors", "y/same.safetensors"]
    prefix = "abcdef12"
    for model in (A.but(path="x/same.safetensors"), C.but(path="y/same.safetensors")):
        digests = {**model.digests, "crc32": prefix}
        with library.catalog.write() as unit:
            file_id = library.row(model.path).id
            assert record_hashes(unit, file_id, model.stat, model.identity, digests, [], [])
    assert len(hits(library, prefix)) == 2
    with pytest.raises(Ambiguous):
        find(library, prefix)


@pytest.mark.parametrize(
    "reference",
    [
        "b",
        "B",
        "b.safetensors",
        "deep/b.safetensors",
        "deep\\b.safetensors",
        "/models/deep/b.safetensors",
        "id:{id}",
    ],
)
def test_a_file_is_found_by_name_and_path(library: Library, reference: str) -> None:
    library.scan(A, B)
    lora_id = library.lora(B.path).id
    assert find(library, reference.format(id=lora_id)) == lora_id


def test_the_exact_spelling_goes_before_the_folded_one(library: Library) -> None:
    library.scan(A.but(path="x/Straße.safetensors"), C.but(path="y/STRASSE.safetensors"))
    assert find(library, "STRASSE") == library.lora("y/STRASSE.safetensors").id
    assert find(library, "Straße.safetensors") == library.lora("x/Straße.safetensors").id
    with pytest.raises(Ambiguous):
        find(library, "strasse")


def test_a_name_of_hex_digits_is_found_when_no_hash_begins_so(library: Library) -> None:
    library.scan(A.but(path="deadbeef.safetensors"))
    assert find(library, "deadbeef") == library.lora("deadbeef.safetensors").id
    with pytest.raises(NotFound):
        find(library, "hash:deadbeef")


@pytest.mark.parametrize(
    "reference",
    ["", "nothing", "a\x00b", "\ud800", "id:7", "7", "999999999999999999", "../a", "hash:deadbeef", "%"],
)
def test_what_is_not_there_is_not_found(library: Library, reference: str) -> None:
    with pytest.raises(NotFound):
        find(library, reference)


def test_a_file_whose_name_is_no_text_is_found_by_its_path(library: Library) -> None:
    odd = A.but(path=b"caf\xe9.safetensors".decode("utf-8", "surrogateescape"))
    library.scan(odd)
    assert find(library, odd.path) == library.lora(odd.path).id


@pytest.mark.parametrize("name", [" a", "a ", "\na", "a\n", "\u2028a"])
def test_a_name_with_blanks_around_it_is_found_and_blanks_around_a_name_do_not_matter(
    library: Library, name: str
) -> None:
    library.scan(A.but(path=f"{name}.safetensors"), C.but(path="b.safetensors"))
    assert find(library, name) == find(library, f"{name}.safetensors")
    assert find(library, f"/models/{name}.safetensors") == find(library, name)
    assert find(library, " b\n") == find(library, " b.safetensors ") == library.lora("b.safetensors").id


def test_candidates_are_few_and_small(library: Library) -> None:
    library.scan(A)
    with library.catalog.read() as conn:
        (one,) = candidates(conn, [library.lora(A.path).id] * 100)
    assert one.keys() == {"id", "name", "identity", "root", "path"}
