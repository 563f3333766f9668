"""Pictures that were sent to begin drawings with, and jobs by their keys, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.aliases import files_called
from registry.catalog.jobs import find_job_by_key, finish_job
from registry.catalog.picture_rows import USER, Looked, Tie, write_looked
from registry.catalog.pieces import NewJob, NewPiece, queue_job
from registry.catalog.roots import seen_machine
from registry.catalog.uploads import Size, forget_uploads, put_upload, size_of
from registry.views import PictureKept
from tests.support.catalogs import MACHINE, Builder
from tests.support.files import kohya_metadata

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog

LISTED = (".safetensors", ".pt")


def kept(digit: str) -> PictureKept:
    return PictureKept(digit * 64, "image/png", 60, 40, 100, 20, original=True)


def test_uploads_are_forgotten_when_they_are_old_and_nobody_waits_for_them(catalog: Catalog) -> None:
    with catalog.write() as unit:
        for digit in "abcd":
            put_upload(unit, kept(digit))
        # Given to a lora too.
        write_looked(unit, [Looked(Tie(USER, 1, b"x"), kept("b"))])
        job = NewJob(
            kind="render",
            key="1" * 32,
            pieces=[NewPiece("k", "f", {})],
            called="a job",
            spec={"start": "c" * 64},
        )
        job_id = queue_job(unit, job)
        at = unit.now
        assert forget_uploads(unit, at) == []
        put_upload(unit, kept("d"))
        unit.conn.exec_driver_sql(f"UPDATE picture_of SET at = {at + 5000} WHERE key = '{'d' * 64}'")
        assert forget_uploads(unit, at + 1) == ["a" * 64]
        assert (size_of(unit.conn, "a" * 64), size_of(unit.conn, "c" * 64)) == (None, Size(60, 40))
        finish_job(unit, job_id, "done")
        assert forget_uploads(unit, at + 1) == ["c" * 64]
        assert size_of(unit.conn, "b" * 64) == Size(60, 40)


def test_a_job_is_found_by_its_key(catalog: Catalog) -> None:
    with catalog.write() as unit:
        job_id = queue_job(
            unit, NewJob(kind="render", key="1" * 32, pieces=[NewPiece("k", "f", {})], called="a job")
        )
        for state in ("queued", "cancelled"):
            found = find_job_by_key(unit.conn, "render", "1" * 32)
            assert found is not None
            assert (found.id, found.state) == (job_id, state)
            finish_job(unit, job_id, "cancelled")
        assert find_job_by_key(unit.conn, "scan", "1" * 32) is None
        assert find_job_by_key(unit.conn, "render", "2" * 32) is None
    if catalog.sqlite:
        with catalog.read() as conn:
            query = "SELECT * FROM job WHERE state IN ('done', 'failed') AND kind = 'render' AND key = '1'"
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
        assert "ix_job_state_kind_key" in str(plan)


def test_files_are_called_by_their_names_and_else_by_their_aliases(catalog: Catalog) -> None:
    with catalog.write() as unit:
        seen_machine(unit, MACHINE, "here")
    builder = Builder(catalog)
    root = builder.root("/models/lora")
    for path, alias in (("ink.safetensors", "hat"), ("hat.safetensors", "x"), ("own.safetensors", "x")):
        builder.file(root, path, kohya_metadata(seed=len(path), tags=1, name=alias))
    builder.write()
    with catalog.read() as conn:
        names: dict[int, str] = dict(conn.exec_driver_sql("SELECT id, name FROM file").all())
        called = [[names[key] for key in files_called(conn, LISTED, name)] for name in ("hat", "x", "y", "")]
        assert files_called(conn, (".pt",), "hat") == []
    assert [sorted(some) for some in called] == [["hat"], ["hat", "own"], [], []]
