"""What `record_files` makes of files that are new, changed, moved, linked, restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from registry.catalog.hashing import record_hashes
from registry.catalog.ingesting import Observation
from registry.catalog.known import known_files, known_paths, same_inode, same_quick_key
from registry.catalog.presence import set_missing
from registry.catalog.problems import list_problems
from registry.catalog.roots import add_root
from registry.catalog.tables import TABLES
from registry.views import CompanionSeen, Note
from tests.support.library import Model

if TYPE_CHECKING:
    from tests.support.library import Library

A = Model("sub/a.safetensors", weights="one", metadata={"ss_output_name": "a"})


def lose(library: Library, *paths: str) -> None:
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(path).id for path in paths])


def test_a_new_file_is_listed_at_once_with_a_provisional_lora(library: Library) -> None:
    counts = library.scan(A)
    lora = library.lora(A.path)
    assert (counts.new, counts.changed, counts.moved, counts.restored) == (1, 0, 0, 0)
    assert lora.identity == f"new:{library.row(A.path).id}"
    assert (lora.name, lora.size, lora.kind, lora.state, lora.verified) == (
        "a",
        A.stat.size,
        "lora",
        "present",
        False,
    )
    assert lora.folders == ["sub"]
    assert lora.output_name == "a"
    assert lora.files[0].location is not None
    assert lora.files[0].location.endswith("a.safetensors")
    assert [(change.entity, change.kind) for change in library.changes(library.generation() - 1)] == [
        ("lora", "added")
    ]


def test_a_file_met_again_unchanged_changes_nothing_that_anybody_sees(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    before, generation = library.lora(A.path), library.generation()
    counts = library.record(Observation(A.but(inode=77, device=5, nlink=2).seen))
    assert counts.changed == counts.new == 0
    assert library.lora(A.path) == before
    assert library.generation() == generation
    assert library.row(A.path).inode == 77


def test_other_weights_at_a_path_leave_the_old_lora_and_name_it_as_replaced(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path)
    changed = A.but(weights="two", mtime_ns=A.mtime_ns + 1)
    assert library.scan(changed).changed == 1
    new = library.lora(A.path)
    assert new.id != old.id
    assert new.replaces == old.id
    assert new.identity.startswith("new:")
    assert (new.verified, new.files[0].hashes, new.files[0].claims) == (False, {}, [])
    assert library.loras(old.id)[0].state == "gone"
    library.hash(changed)
    assert library.lora(A.path).identity == changed.identity
    assert library.lora(A.path).replaces == old.id


def test_weights_that_are_changed_and_changed_back_are_the_old_lora_again(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path)
    for model in (A.but(weights="two", mtime_ns=A.mtime_ns + 1), A.but(mtime_ns=A.mtime_ns + 2)):
        library.scan(model)
        library.hash(model)
    again = library.lora(A.path)
    assert again.id == old.id
    assert again.replaces != again.id


def test_weights_changed_twice_before_hashing_make_one_provisional_lora(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path)
    for number in (1, 2, 3):
        library.scan(A.but(weights=f"w{number}", mtime_ns=A.mtime_ns + number))
    assert library.count("lora") == 2
    assert library.lora(A.path).replaces == old.id


def test_a_rewritten_header_keeps_the_lora_and_asks_for_hashing(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path)
    changed = A.but(metadata={"ss_output_name": "b"}, mtime_ns=A.mtime_ns + 1)
    assert library.scan(changed).changed == 1
    new = library.lora(A.path)
    assert (new.id, new.replaces, new.output_name, new.verified) == (old.id, None, "b", False)
    assert new.files[0].hash_state == "pending"
    assert new.files[0].hashes == {}
    assert library.count("header") == 1
    library.hash(changed)
    assert library.lora(A.path).id == old.id


def test_a_touched_file_keeps_its_hashes_until_they_are_checked(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    library.scan(A.but(mtime_ns=A.mtime_ns - 5))
    file = library.lora(A.path).files[0]
    assert (file.hash_state, file.verified) == ("pending", False)
    assert file.hashes["sha256"] == A.digests["sha256"]


def verdicts(library: Library, path: str) -> list[object]:
    (file,) = (one for one in library.lora(path).files if one.path == path)
    return [claim["verdict"] for claim in file.claims]


def problems(library: Library) -> list[tuple[str | None, str]]:
    with library.catalog.read() as conn:
        return [(one.path, one.slug) for one in list_problems(conn)]


def test_what_a_header_claims_is_unchecked_until_the_file_is_hashed(library: Library) -> None:
    metadata = {"sshs_model_hash": "0badf00d", "sshs_legacy_hash": "e3b0c442", "modelspec.hash_sha256": "?"}
    model = A.but(metadata=metadata)
    library.scan(model)
    assert library.lora(A.path).files[0].claims[0] == {
        "name": "sshs_model_hash",
        "claimed": "0badf00d",
        "computed": None,
        "verdict": "unchecked",
    }
    assert verdicts(library, A.path) == ["unchecked", "hash_of_nothing", "malformed"]
    assert problems(library) == []
    library.hash(model)
    assert verdicts(library, A.path) == ["differs", "hash_of_nothing", "malformed"]
    assert problems(library) == [(A.path, "claimed-hash-differs")]


def test_claims_of_a_rewritten_header_are_unchecked_again(library: Library) -> None:
    first = A.but(metadata={"sshs_model_hash": "0badf00d"})
    library.scan(first)
    library.hash(first)
    library.scan(first.but(metadata={"sshs_model_hash": "deadbeef"}, mtime_ns=A.mtime_ns + 1))
    (claim,) = library.lora(A.path).files[0].claims
    assert (claim["claimed"], claim["computed"], claim["verdict"]) == ("deadbeef", None, "unchecked")
    assert problems(library) == []


def test_a_touched_or_renamed_file_keeps_its_verdicts_beside_its_hashes(library: Library) -> None:
    model = A.but(metadata={"sshs_model_hash": "0badf00d"})
    library.scan(model)
    library.hash(model)
    touched = model.but(mtime_ns=A.mtime_ns + 1)
    library.scan(touched)
    assert verdicts(library, A.path) == ["differs"]
    moved = touched.but(path="b.safetensors")
    library.record(Observation(moved.seen, moved.facts, moved_from=library.row(A.path).id))
    assert verdicts(library, moved.path) == ["differs"]
    assert problems(library) == [(moved.path, "claimed-hash-differs")]


@pytest.mark.parametrize("hashed", [False, True])
def test_another_name_of_an_inode_and_a_copy_show_what_the_header_claims(
    library: Library, *, hashed: bool
) -> None:
    model = A.but(metadata={"sshs_model_hash": "0badf00d"})
    library.scan(model)
    if hashed:
        library.hash(model)
    link = model.but(path="link.safetensors", inode=model.stat.inode, nlink=2)
    library.record(Observation(link.seen, link.facts, twin=library.row(A.path).id))
    library.scan(model.but(path="copy.safetensors"))
    assert verdicts(library, link.path) == ["differs" if hashed else "unchecked"]
    assert verdicts(library, "copy.safetensors") == ["unchecked"]


def test_a_renamed_file_keeps_everything(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old, row = library.lora(A.path), library.row(A.path)
    lose(library, A.path)
    moved = A.but(path="other/b.safetensors", inode=A.stat.inode)
    counts = library.record(Observation(moved.seen, moved.facts, moved_from=row.id))
    assert counts.moved == 1
    new = library.lora(moved.path)
    assert (new.id, new.name, new.verified, new.state) == (old.id, "b", True, "present")
    assert new.files[0].id == row.id
    assert new.files[0].hash_state == "done"
    assert new.files[0].folder == "other"
    assert library.count("file") == 1


def test_a_file_that_only_looks_like_one_that_is_gone_is_hashed_again(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    row = library.row(A.path)
    lose(library, A.path)
    copy = A.but(path="b.safetensors", inode=4711)
    library.record(Observation(copy.seen, copy.facts, moved_from=row.id))
    file = library.lora(copy.path).files[0]
    assert (file.hash_state, file.verified) == ("pending", False)
    assert library.lora(copy.path).identity == A.identity


def test_a_move_to_another_root_takes_its_problems_along(library: Library) -> None:
    broken = A.but(problems=(Note("truncated", "it ends early"),))
    library.scan(broken)
    with library.catalog.write() as unit:
        other, _ = add_root(unit, "m1", "/elsewhere")
    row = library.row(A.path)
    moved = A.but(path="b.safetensors", inode=A.stat.inode)
    library.record(Observation(moved.seen, moved_from=row.id), root_id=other)
    assert library.lora("b.safetensors").roots == ["elsewhere"]
    with library.catalog.read() as conn:
        assert [(one.path, one.root_id, one.slug) for one in list_problems(conn)] == [
            ("b.safetensors", other, "truncated")
        ]


def test_another_name_of_an_inode_shares_hashes_and_problems_without_being_read(library: Library) -> None:
    broken = A.but(problems=(Note("truncated", "it ends early"),))
    library.scan(broken)
    library.hash(broken, problems=[Note("claimed-hash-differs", "it says otherwise")])
    link = A.but(path="link.safetensors", inode=A.stat.inode, nlink=2)
    library.record(Observation(link.seen, twin=library.row(A.path).id))
    lora = library.lora(link.path)
    assert lora.id == library.lora(A.path).id
    by_path = {file.path: file for file in lora.files}
    assert by_path[link.path].hashes == by_path[A.path].hashes
    assert by_path[link.path].verified
    with library.catalog.read() as conn:
        found = {(one.path, one.slug) for one in list_problems(conn)}
    assert found == {
        (path, slug) for path in (A.path, link.path) for slug in ("truncated", "claimed-hash-differs")
    }


def test_hard_links_hashed_in_any_order_end_in_one_lora_that_replaces_nothing(library: Library) -> None:
    library.scan(A)
    link = A.but(path="link.safetensors", inode=A.stat.inode)
    library.record(Observation(link.seen, twin=library.row(A.path).id))
    library.hash(link)
    library.hash(A)
    lora = library.lora(A.path)
    assert (lora.identity, lora.replaces, len(lora.files)) == (A.identity, None, 2)
    assert library.count("lora") == 1


def test_a_link_to_the_former_content_of_a_changed_path_keeps_its_hashes(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    old = library.lora(A.path)
    rewritten = A.but(weights="two", mtime_ns=A.mtime_ns + 9, inode=999)
    link = A.but(path="z.safetensors", inode=A.stat.inode)
    library.record(
        Observation(rewritten.seen, rewritten.facts), Observation(link.seen, twin=library.row(A.path).id)
    )
    assert library.lora(link.path).id == old.id
    assert library.lora(link.path).files[0].hashes["sha256"] == A.digests["sha256"]
    assert library.lora(A.path).replaces == old.id


def test_a_copy_shows_the_known_lora_at_once_and_not_yet_verified(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    copy = A.but(path="copy.safetensors")
    library.scan(copy)
    lora = library.lora(copy.path)
    assert lora.id == library.lora(A.path).id
    assert {file.path: file.verified for file in lora.files} == {A.path: True, copy.path: False}


def test_a_wrong_guess_by_quick_key_replaces_nothing(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    copy = A.but(path="copy.safetensors")
    library.scan(copy)
    other = copy.but(weights="three")
    with library.catalog.write() as unit:
        assert record_hashes(
            unit, library.row(copy.path).id, copy.stat, other.identity, other.digests, [], []
        )
    assert library.lora(copy.path).identity == other.identity
    assert library.lora(copy.path).replaces is None
    assert len(library.lora(A.path).files) == 1


def test_a_copy_of_a_file_that_is_not_hashed_stays_apart_until_it_is(library: Library) -> None:
    library.scan(A)
    library.scan(A.but(path="copy.safetensors"))
    assert library.lora(A.path).id != library.lora("copy.safetensors").id


def test_empty_files_are_never_taken_for_each_other(library: Library) -> None:
    first, second = (
        Model(name, readable=False, data_size=-len(b"<html>")) for name in ("1.safetensors", "2.safetensors")
    )
    library.scan(first)
    row = library.row(first.path)
    with library.catalog.write() as unit:
        assert record_hashes(unit, row.id, first.stat, f"new:{row.id}", {"crc32": "00000000"}, [], [])
    library.scan(second)
    assert library.lora(first.path).id != library.lora(second.path).id
    with library.catalog.read() as conn:
        assert same_quick_key(conn, [first.facts.quick_key or b""]) == {}


def test_a_file_that_comes_back_is_what_it_was(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    before = library.lora(A.path)
    lose(library, A.path)
    gone = library.lora(A.path)
    assert (gone.state, gone.files[0].state) == ("missing", "missing")
    assert library.record(Observation(A.seen)).restored == 1
    assert library.lora(A.path) == before


def test_problems_of_a_missing_file_wait_until_it_is_back(library: Library) -> None:
    broken = A.but(problems=(Note("truncated", "it ends early"),))
    library.scan(broken)
    lose(library, A.path)
    with library.catalog.read() as conn:
        assert list_problems(conn) == []
    library.record(Observation(A.seen))
    with library.catalog.read() as conn:
        assert [one.slug for one in list_problems(conn)] == ["truncated"]


def test_a_placeholder_of_a_cloud_is_listed_and_not_queued(library: Library) -> None:
    away = A.but(placeholder=True)
    library.record(Observation(away.seen))
    lora = library.lora(A.path)
    assert (lora.kind, lora.architecture, lora.files[0].hash_state) == ("other", "none", "skipped")
    library.scan(A)
    assert library.lora(A.path).id == lora.id
    assert library.lora(A.path).files[0].hash_state == "pending"


def test_a_pending_file_that_becomes_a_placeholder_leaves_the_queue(library: Library) -> None:
    library.scan(A)
    library.record(Observation(A.but(placeholder=True).seen))
    assert library.row(A.path).hash_state == "skipped"


def test_companions_are_replaced_when_they_differ_and_then_the_lora_changed(library: Library) -> None:
    preview = CompanionSeen(b"a.png", "a.png", "preview", "png")
    two_alike = tuple(
        CompanionSeen(raw, "a\ufffd.png", "preview", "png") for raw in (b"a\xff.png", b"a\xfe.png")
    )
    library.scan(A.but(companions=(preview,)))
    assert library.lora(A.path).files[0].companions == [{"name": "a.png", "kind": "preview", "family": "png"}]
    generation = library.generation()
    library.record(Observation(A.but(companions=(preview,)).seen))
    assert library.generation() == generation
    library.record(Observation(A.but(companions=two_alike).seen))
    assert len(library.lora(A.path).files[0].companions) == 2
    assert library.generation() > generation
    library.record(Observation(A.but(companions=()).seen))
    assert library.lora(A.path).files[0].companions == []


def test_files_with_equal_headers_share_a_row_that_goes_with_the_last_of_them(library: Library) -> None:
    twin = A.but(path="b.safetensors", weights="two")
    library.scan(A, twin)
    assert library.count("header") == 1
    new = {"ss_output_name": "new"}
    library.scan(A.but(metadata=new, mtime_ns=1))
    assert library.count("header") == 2
    library.scan(twin.but(metadata=new, mtime_ns=1))
    assert library.count("header") == 1


def test_newer_rules_rewrite_headers_in_place_and_nothing_else(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    before, row = library.lora(A.path), library.row(A.path)
    generation = library.generation()
    library.scan(A, version=2)
    after = library.row(A.path)
    assert library.lora(A.path) == before
    assert (after.header_id, after.derived_version, after.hash_state) == (row.header_id, 2, "done")
    assert library.count("header") == 1
    assert library.generation() > generation


def test_a_header_of_newer_rules_is_not_overwritten_by_older_ones(library: Library) -> None:

    library.scan(A, version=3)
    library.scan(A.but(path="b.safetensors"), version=2)
    with library.catalog.read() as conn:
        assert conn.execute(select(TABLES["header"].c.derived_version)).scalars().all() == [3]


def test_a_file_with_a_new_inode_and_old_rules_is_not_taken_as_read_by_new_rules(library: Library) -> None:
    library.scan(A)
    library.record(Observation(A.but(inode=5).seen), version=2)
    assert library.row(A.path).derived_version == 1


def test_names_that_are_no_text_are_kept_byte_for_byte(library: Library) -> None:
    odd = A.but(path=b"caf\xe9/\xff\x01.safetensors".decode("utf-8", "surrogateescape"))
    library.scan(odd)
    with library.catalog.read() as conn:
        known = known_paths(conn, library.root_id, [odd.seen.rel])
    assert known[odd.seen.rel].rel == b"caf\xe9/\xff\x01.safetensors"
    assert library.lora(odd.path).name == "\ufffd\x01"


def test_known_files_come_in_byte_order_page_by_page(library: Library) -> None:
    names = ["a/b", "a-b", "a.b", "A", "é", "z", "a/B"]
    library.scan(*(Model(f"{name}.safetensors", weights=name) for name in names))
    first, found = b"", []
    while True:
        with library.catalog.read() as conn:
            page = known_files(conn, library.root_id, first, 2)
        if not page:
            break
        found += [row[0] for row in page]
        first = page[-1][0] + b"\0"
    assert found == sorted(f"{name}.safetensors".encode() for name in names)


def test_rows_are_found_by_inode_only_with_equal_size_and_time(library: Library) -> None:
    library.scan(A)
    with library.catalog.read() as conn:
        stat = A.stat
        found = same_inode(conn, [stat, stat._replace(mtime_ns=1), stat._replace(size=1)])
    assert list(found) == [(stat.device, stat.inode, stat.size, stat.mtime_ns)]
