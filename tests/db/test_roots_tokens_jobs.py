"""Roots and mounts, tokens, jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.changes import generation
from registry.catalog.counting import count_files, count_loras
from registry.catalog.hashing import next_to_hash
from registry.catalog.ingesting import Observation
from registry.catalog.jobs import (
    STALE_MS,
    beat_job,
    cancel_job,
    finish_job,
    get_job,
    list_jobs,
    start_job,
)
from registry.catalog.presence import set_missing, still_at
from registry.catalog.problems import list_problems, replace_root_problems
from registry.catalog.roots import (
    add_root,
    added_since,
    change_root,
    count_files_of,
    counted,
    get_root,
    leave_if_removed,
    list_roots,
    mount_root,
    relocate_files,
    remove_root,
    scanned_root,
    seen_machine,
    set_root_state,
)
from registry.catalog.tokens import (
    any_token,
    create_token,
    find_token,
    is_usable,
    list_tokens,
    revoke_token,
    used_token,
)
from registry.errors import BadRequest, Conflict, NotFound
from registry.views import Note
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from registry.views import RootView
    from tests.support.library import Clock, Library


def root_of(library: Library, root_id: int | None = None, machine: str = MACHINE) -> RootView:
    with library.catalog.read() as conn:
        return get_root(conn, root_id or library.root_id, machine)


def test_a_root_added_again_is_the_same_with_new_options(library: Library) -> None:
    with library.catalog.write() as unit:
        assert add_root(unit, MACHINE, "/models", private=True, hash_readers=2) == (library.root_id, False)
        other, new = add_root(unit, MACHINE, "/other/", label="O\x00")
    root = root_of(library)
    assert (root.label, root.private, root.hash_readers, root.writable, root.poll) == (
        "models",
        True,
        2,
        False,
        "auto",
    )
    assert new
    assert root_of(library, other).label == "O␀"
    with library.catalog.read() as conn:
        assert [(one.id, one.path) for one in list_roots(conn, MACHINE)] == [
            (library.root_id, "/models"),
            (other, "/other/"),
        ]


@pytest.mark.parametrize(
    "options",
    [{"colour": 1}, {"poll": "often"}, {"header_readers": 0}, {"hash_readers": 65}, {"header_readers": "x"}],
)
def test_options_that_do_not_exist_are_refused(library: Library, options: dict[str, object]) -> None:
    with library.catalog.write() as unit, pytest.raises(BadRequest):
        change_root(unit, library.root_id, **options)


def test_a_root_that_is_not_there_is_not_found(library: Library) -> None:
    with library.catalog.read() as conn, pytest.raises(NotFound):
        get_root(conn, 99, MACHINE)
    with library.catalog.write() as unit:
        with pytest.raises(NotFound):
            change_root(unit, 99, label="x")
        with pytest.raises(NotFound):
            remove_root(unit, 99)


def test_a_removed_root_keeps_its_loras_and_comes_back_with_its_files_and_their_problems(
    library: Library,
) -> None:
    model = Model(problems=(Note("truncated", "it ends early"),))
    library.scan(model)
    library.hash(model)
    lora = library.lora(model.path)
    with library.catalog.write() as unit:
        replace_root_problems(unit, "scan", library.root_id, [("x", Note("unreadable-folder", "x"))])
    with library.catalog.write() as unit:
        remove_root(unit, library.root_id)
    with library.catalog.read() as conn:
        assert list_roots(conn, MACHINE) == []
        assert list_problems(conn) == []
        assert (count_loras(conn), count_files(conn)) == (0, {})
    assert library.loras(lora.id)[0].state == "missing"
    with library.catalog.write() as unit, pytest.raises(NotFound):
        remove_root(unit, library.root_id)
    with library.catalog.write() as unit:
        assert add_root(unit, MACHINE, "/models") == (library.root_id, True)
    library.record(Observation(model.seen))
    assert library.lora(model.path) == lora
    with library.catalog.read() as conn:
        assert [one.slug for one in list_problems(conn)] == ["truncated"]
        assert (count_loras(conn), count_files(conn)) == (1, {"present": 1})


def test_a_root_that_cannot_be_reached_takes_its_present_files_along(library: Library) -> None:
    models = [Model(f"{name}.safetensors", weights=name) for name in "ab"]
    library.scan(*models)
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(models[1].path).id])
    with library.catalog.write() as unit:
        assert set_root_state(unit, library.root_id, "unreachable")
        assert not set_root_state(unit, library.root_id, "unreachable")
    assert [library.lora(model.path).state for model in models] == ["unreachable", "missing"]
    assert root_of(library).state == "unreachable"
    library.record(Observation(models[0].seen))
    assert library.lora(models[0].path).state == "present"


def test_files_whose_state_changed_meanwhile_are_not_judged(library: Library, clock: Clock) -> None:
    library.scan(Model())
    row = library.row("a.safetensors")
    with library.catalog.write() as unit:
        assert still_at(unit, [(row.id, b"a.safetensors", row.state_since)]) == [row.id]
        assert still_at(unit, [(row.id, b"b.safetensors", row.state_since)]) == []
    clock.tick()
    with library.catalog.write() as unit:
        assert set_missing(unit, [row.id]) == 1
        assert set_missing(unit, [row.id]) == 0
        assert still_at(unit, [(row.id, b"a.safetensors", row.state_since)]) == []


def test_a_relocated_root_keeps_everything_and_is_hashed_again_last(library: Library) -> None:
    models = [Model(f"{name}.safetensors", weights=name) for name in "ab"]
    library.scan(*models)
    library.hash(models[0])
    before = library.lora(models[0].path)
    with library.catalog.write() as unit:
        mount_root(unit, library.root_id, MACHINE, "/new")
        relocate_files(unit, library.root_id)
    after = library.lora(models[0].path)
    assert (after.id, after.verified, after.files[0].hashes) == (before.id, True, before.files[0].hashes)
    assert after.files[0].location == "/new/a.safetensors"
    assert library.row(models[0].path).inode == 0
    with library.catalog.read() as conn:
        tasks = next_to_hash(conn, MACHINE, exclude=(), limit=5)
    assert [task.rel for task in tasks] == [b"b.safetensors", b"a.safetensors"]


def test_one_share_has_a_path_per_machine_and_one_that_scans_it(library: Library) -> None:
    with library.catalog.write() as unit:
        seen_machine(unit, "m2", "over \ud800there")
        mount_root(unit, library.root_id, "m2", "Z:/loras")
        with pytest.raises(Conflict):
            add_root(unit, "m2", "Z:/loras")
        other, _ = add_root(unit, "m2", "/models")
        with pytest.raises(Conflict):
            mount_root(unit, library.root_id, "m2", "/models")
    library.scan(Model())
    assert root_of(library, machine="m2").path == "Z:/loras"
    assert library.lora("a.safetensors").files[0].location == "/models/a.safetensors"
    assert root_of(library, other).path is None
    with library.catalog.read() as conn:
        assert [root.id for root in list_roots(conn, MACHINE, scanned_here=True)] == [library.root_id]
        assert next_to_hash(conn, "m2", exclude=(), limit=1) == []


def test_the_end_of_a_scan_is_noted(library: Library) -> None:
    with library.catalog.write() as unit:
        scanned_root(unit, library.root_id, 1234)
    assert (root_of(library).scanned_at, root_of(library).scan_ms) == (library.catalog.clock(), 1234)


def test_a_token_is_known_by_its_secret_until_it_is_revoked(catalog: Catalog) -> None:
    with catalog.read() as conn:
        assert not any_token(conn)
    with catalog.write() as unit:
        secret = create_token(unit, " phone ", "write")
    with catalog.read() as conn:
        found = find_token(conn, secret)
        assert found is not None
        assert (found.name, found.role, found.used_at) == ("phone", "write", None)
        assert find_token(conn, secret + "x") is None
        assert find_token(conn, "\x00\ud800") is None
        assert any_token(conn)
    with catalog.write() as unit:
        used_token(unit, found.id)
        revoke_token(unit, "phone")
    with catalog.read() as conn:
        assert find_token(conn, secret) is None
        assert not any_token(conn)
        (token,) = list_tokens(conn)
    assert token.used_at == token.revoked_at == catalog.clock()
    assert secret not in repr(token)


@pytest.mark.parametrize(
    ("name", "role"), [("", "read"), ("a\x00", "read"), ("x" * 101, "read"), ("a", "root")]
)
def test_tokens_need_a_name_and_a_role(catalog: Catalog, name: str, role: str) -> None:
    with catalog.write() as unit, pytest.raises(BadRequest):
        create_token(unit, name, role)


def test_token_names_are_taken_once(catalog: Catalog) -> None:
    with catalog.write() as unit:
        create_token(unit, "a", "read")
        with pytest.raises(Conflict):
            create_token(unit, "a", "admin")
        with pytest.raises(NotFound):
            revoke_token(unit, "b\x00")


def test_the_name_of_a_revoked_token_can_be_given_again_and_the_old_one_is_kept(catalog: Catalog) -> None:
    with catalog.write() as unit:
        create_token(unit, "phone (revoked 2)", "read")
        secrets = []
        for _ in range(3):
            secrets.append(create_token(unit, "phone", "write"))
            revoke_token(unit, "phone")
        secrets.append(create_token(unit, "phone", "admin"))
        with pytest.raises(Conflict):
            create_token(unit, "phone", "read")
    with catalog.read() as conn:
        first, *ours = list_tokens(conn)
        assert [find_token(conn, secret) is not None for secret in secrets] == [False, False, False, True]
        assert [is_usable(conn, token.id) for token in ours] == [False, False, False, True]
        assert not is_usable(conn, 99)
    old = [f"phone (revoked {token.id})" for token in ours[:3]]
    assert first.revoked_at is None
    assert old[0] == first.name
    assert [token.name for token in ours] == [f"{old[0]} (revoked {ours[0].id})", *old[1:], "phone"]


def test_jobs_of_a_revoked_token_are_not_those_of_the_next_one_of_its_name(catalog: Catalog) -> None:
    jobs: list[int] = []
    for _ in range(2):
        with catalog.write() as unit:
            create_token(unit, "phone", "write")
        with catalog.write(actor="phone") as unit:
            jobs.append(start_job(unit, "scan", str(len(jobs)), "m:1"))
            revoke_token(unit, "phone")
    with catalog.write(actor="cli") as unit:
        jobs.append(start_job(unit, "scan", "cli", "m:1"))
        create_token(unit, "phone", "read")
    with catalog.read() as conn:
        first, second, _ = list_tokens(conn)
        actors = [get_job(conn, job).actor for job in jobs]
    assert actors == [f"phone (revoked {first.id})", f"phone (revoked {second.id})", "cli"]


def test_one_job_of_a_kind_and_key_runs_at_a_time(catalog: Catalog) -> None:
    with catalog.write() as unit:
        first = start_job(unit, "scan", "1", "m:1", spec={"a": [1, None]})
        assert start_job(unit, "scan", "2", "m:1") != first
        with pytest.raises(Conflict, match="scan 1 is running already, in process 1 on the machine m"):
            start_job(unit, "scan", "1", "m:2")
        finish_job(unit, first, "done", result={"files": 3})
        start_job(unit, "scan", "1", "m:2")
    with catalog.read() as conn:
        done = get_job(conn, first)
        assert (done.state, done.result, done.finished_at) == ("done", {"files": 3}, catalog.clock())
        assert [job.state for job in list_jobs(conn)] == ["running", "running", "done"]
        assert len(list_jobs(conn, live=True)) == 2
        with pytest.raises(NotFound):
            get_job(conn, 99)


def test_who_holds_a_job_is_told_in_words(library: Library) -> None:
    with library.catalog.write() as unit:
        job = start_job(unit, "scan", "1", f"{MACHINE}:77:x")
        said = "^the scan of it is running already, in process 77 on the machine here$"
        with pytest.raises(Conflict, match=said) as refused:
            start_job(unit, "scan", "1", "m:2", called="the scan of it")
    assert f"/api/v1/jobs/{job}/cancel" in refused.value.remedy


def test_files_are_counted_where_somebody_asks(library: Library) -> None:
    library.scan(Model("a"), Model("b"))
    with library.catalog.write() as unit:
        empty, _ = add_root(unit, MACHINE, "/empty")
        set_missing(unit, [int(library.row("b").id)])
    with library.catalog.read() as conn:
        roots = list_roots(conn, MACHINE)
        assert [root.files for root in roots] == [None, None]
        assert {root.id: root.files for root in counted(conn, roots)} == {library.root_id: 1, empty: 0}
        assert count_files_of(conn, library.root_id) == 1


def test_what_was_written_of_a_root_after_it_was_removed_is_undone(library: Library) -> None:
    library.scan(Model())
    with library.catalog.write() as unit:
        assert not leave_if_removed(unit, library.root_id)
        remove_root(unit, library.root_id)
    with library.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE file SET state = 'present'")
        replace_root_problems(unit, "scan", library.root_id, [("x", Note("odd", "odd"))])
        assert leave_if_removed(unit, library.root_id)
        assert list_problems(unit.conn) == []
    assert library.row("a.safetensors").state == "missing"


def test_roots_that_were_added_or_brought_back_are_told_apart_from_others(library: Library) -> None:
    seq = library.generation()
    with library.catalog.write() as unit:
        change_root(unit, library.root_id, label="other")
        new, _ = add_root(unit, MACHINE, "/new")
    with library.catalog.read() as conn:
        assert added_since(conn, seq) == {new}
        seq = generation(conn)
    with library.catalog.write() as unit:
        remove_root(unit, library.root_id)
    with library.catalog.write() as unit:
        add_root(unit, MACHINE, "/models")
    with library.catalog.read() as conn:
        assert added_since(conn, seq) == {library.root_id}


def test_a_job_whose_heart_stopped_or_whose_process_is_gone_is_taken_over(
    catalog: Catalog, clock: Clock
) -> None:
    with catalog.write() as unit:
        stale = start_job(unit, "scan", "1", "m:1")
    clock.tick(STALE_MS)
    with catalog.write() as unit:
        dead = start_job(unit, "scan", "1", "m:2")
        alive = start_job(unit, "scan", "1", "m:3", alive=lambda owner: owner != "m:2")
        assert beat_job(unit, stale, 5, None)
        finish_job(unit, stale, "done")
        assert not beat_job(unit, alive, 5, 9)
    with catalog.read() as conn:
        assert [get_job(conn, job).state for job in (stale, dead, alive)] == [
            "interrupted",
            "interrupted",
            "running",
        ]
        assert (get_job(conn, alive).done, get_job(conn, alive).total) == (5, 9)


def test_a_job_hears_that_it_is_to_stop_at_its_next_beat(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job = start_job(unit, "scan", "1", "m:1")
        cancel_job(unit, job)
        assert beat_job(unit, job, 0, None)
        finish_job(unit, job, "failed", error="odd \x00 \ud800 name" + "x" * 5000)
        with pytest.raises(NotFound):
            cancel_job(unit, job)
    with catalog.read() as conn:
        error = get_job(conn, job).error
    assert error is not None
    assert error.startswith("odd ␀ \ufffd name")
    assert len(error) == 2000
