"""Units of work: one writer, consistent reads, the change log, and what happens when a database says no."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from registry.catalog.changes import (
    DAY_MS,
    changes_since,
    generation,
    get_setting,
    prune,
    pruned_to,
    set_setting,
)
from registry.catalog.counting import stamp
from registry.catalog.engine import Catalog
from registry.catalog.hashing import want_hashes
from registry.catalog.jobs import beat_job, start_job
from registry.catalog.roots import add_root, change_root, seen_machine
from registry.errors import BadRequest, CatalogBusy, CatalogError, CatalogFull, CatalogRace
from tests.support.library import Model, open_library

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.library import Clock, Library


def test_every_unit_raises_the_generation_once_its_changes_are_visible(library: Library) -> None:
    before = library.generation()
    with library.catalog.write() as unit:
        unit.changed("lora", 1, "changed", lora_id=1)
        unit.changed("lora", 1, "changed", lora_id=1)
        unit.changed("lora", 2, "changed", lora_id=2)
        assert library.generation() == before
    assert library.generation() == before + 2
    assert [(change.entity_id, change.lora_id) for change in library.changes(before)] == [(1, 1), (2, 2)]
    with library.catalog.read() as conn:
        assert stamp(conn) == (before + 2, library.catalog.clock())


def test_a_unit_that_fails_leaves_nothing(library: Library) -> None:
    before, files = library.generation(), library.count("file")
    heard: list[int] = []
    library.catalog.on_commit(lambda: heard.append(1))

    def fail() -> None:
        with library.catalog.write() as unit:
            unit.changed("lora", 1, "changed")
            unit.after_commit(lambda: heard.append(2))
            set_setting(unit, "name", "value")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with library.catalog.read() as conn:
        assert get_setting(conn, "name") is None
    assert (library.generation(), library.count("file"), heard) == (before, files, [])
    with library.catalog.write() as unit:
        set_setting(unit, "name", "value")
        set_setting(unit, "name", "other")
    with library.catalog.read() as conn:
        assert get_setting(conn, "name") == "other"
    assert heard == [1]


def test_progress_of_scans_jobs_and_hashing_never_enters_the_log(library: Library) -> None:
    library.scan(Model())
    before = library.generation()
    with library.catalog.write() as unit:
        job_id = start_job(unit, "scan", "1", "me")
        beat_job(unit, job_id, 5, 10)
        want_hashes(unit, library.lora("a.safetensors").id)
        seen_machine(unit, "m1", "again")
    assert library.generation() == before


def test_who_did_it_is_kept_with_each_change(library: Library) -> None:
    with library.catalog.write(actor="anna") as unit:
        change_root(unit, library.root_id, label="new")
    with library.catalog.read() as conn:
        assert conn.execute(text("SELECT actor FROM change ORDER BY seq DESC LIMIT 1")).scalar() == "anna"


def test_old_changes_are_forgotten_and_whoever_missed_them_reads_all_anew(
    library: Library, clock: Clock
) -> None:
    library.scan(Model())
    old = library.generation()
    clock.tick(31 * DAY_MS)
    library.scan(Model("b.safetensors", weights="b"))
    new = library.generation()
    with library.catalog.write() as unit:
        assert prune(unit, 30) == old
        assert prune(unit, 30) == 0
    with library.catalog.read() as conn:
        assert pruned_to(conn) == old
        assert changes_since(conn, old - 1) is None
        assert changes_since(conn, new + 1) is None
        assert [change.seq for change in changes_since(conn, old) or ()] == [*range(old + 1, new + 1)]
        assert changes_since(conn, old, limit=0) == []
    clock.tick(31 * DAY_MS)
    with library.catalog.write() as unit:
        prune(unit, 30)
    assert library.generation() == new
    with library.catalog.read() as conn:
        assert changes_since(conn, new) == []
        assert stamp(conn) == (new, 0)
    with library.catalog.write() as unit:
        unit.changed("lora", 1, "changed")
    assert library.generation() == new + 1


def test_a_read_unit_sees_one_moment(library: Library) -> None:
    with library.catalog.read() as conn:
        before = generation(conn)
        with library.catalog.write() as unit:
            unit.changed("lora", 1, "changed")
        assert generation(conn) == before
    assert library.generation() > before


def test_reads_cannot_write(library: Library) -> None:
    with pytest.raises(CatalogError), library.catalog.read() as conn:
        conn.execute(text("DELETE FROM change"))


def test_units_do_not_nest(library: Library) -> None:
    with library.catalog.write(), pytest.raises(RuntimeError, match="nest"), library.catalog.write():
        pass  # pragma: no cover


def test_two_processes_that_write_never_show_a_lower_number_later(database_url: str) -> None:
    catalogs = [Catalog(database_url) for _ in range(3)]
    seen: list[int] = []
    stop = threading.Event()

    def write(catalog: Catalog, machine: int) -> None:
        for number in range(12):
            with catalog.write() as unit:
                for entity in range(3):
                    unit.changed("lora", machine * 1000 + number * 10 + entity, "changed")

    def read() -> None:
        known: set[int] = set()
        while not stop.is_set():
            with catalogs[2].read() as conn:
                rows = {change.seq for change in changes_since(conn, 0) or ()}
            late = {seq for seq in rows - known if known and seq < max(known)}
            seen.extend(sorted(late))
            known = rows

    reader = threading.Thread(target=read)
    writers = [
        threading.Thread(target=write, args=(catalog, number)) for number, catalog in enumerate(catalogs[:2])
    ]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    with catalogs[0].read() as conn:
        assert len(changes_since(conn, 0) or ()) == 72
    assert seen == []
    for catalog in catalogs:
        catalog.close()


def test_two_processes_may_add_the_same_files_and_tags(database_url: str) -> None:
    catalogs = [Catalog(database_url) for _ in range(2)]
    libraries = [open_library(catalog, f"/{number}") for number, catalog in enumerate(catalogs)]
    models = [
        Model(
            f"{number}.safetensors",
            weights=str(number),
            metadata={"ss_tag_frequency": f'{{"x": {{"t{number}": 1}}}}'},
        )
        for number in range(5)
    ]
    threads = [threading.Thread(target=library.scan, args=models) for library in libraries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (libraries[0].count("file"), libraries[0].count("tag"), libraries[0].count("header")) == (10, 5, 5)
    for catalog in catalogs:
        catalog.close()


def test_a_lock_held_by_somebody_else_is_named_and_nothing_is_lost(database_url: str) -> None:
    holder, hasty = Catalog(database_url), Catalog(database_url, busy_seconds=0.2)
    with holder.write() as unit:
        set_setting(unit, "held", "yes")
        with pytest.raises(CatalogBusy, match="locked by another program") as caught, hasty.write() as other:
            set_setting(other, "refused", "yes")
        assert caught.value.remedy
        with hasty.read() as conn:
            assert get_setting(conn, "held") is None
    with hasty.write() as unit:
        set_setting(unit, "later", "yes")
    with holder.read() as conn:
        assert [get_setting(conn, name) for name in ("held", "refused", "later")] == ["yes", None, "yes"]
    holder.close()
    hasty.close()


def test_a_thread_that_keeps_the_turn_too_long_is_named(database_url: str) -> None:
    catalog = Catalog(database_url, busy_seconds=0.1)
    caught: list[type[BaseException]] = []

    def write() -> None:
        try:
            with catalog.write():
                pass
        except CatalogBusy as error:
            caught.append(type(error))

    with catalog.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert caught == [CatalogBusy]
    catalog.close()


def test_two_that_write_the_same_row_are_told_to_try_again(library: Library) -> None:
    def twice() -> None:
        with library.catalog.write() as unit:
            for _ in range(2):
                unit.conn.execute(text("INSERT INTO setting (name, value) VALUES ('a', 'b')"))

    with pytest.raises(CatalogRace):
        twice()


def test_ids_are_never_given_twice(library: Library) -> None:
    with library.catalog.write() as unit:
        given = [*unit.allocate("lora", 3), *unit.allocate("lora", 2)]
        assert len(set(given)) == 5
        assert list(unit.allocate("lora", 0)) == []
    library.scan(Model())
    first = library.lora("a.safetensors").id
    with library.catalog.write() as unit:
        unit.conn.execute(text("DELETE FROM file"))
        unit.conn.execute(text("DELETE FROM lora"))
    library.scan(Model())
    assert library.lora("a.safetensors").id > first


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path, migrated_file: Path) -> None:
    path = tmp_path / "full.sqlite3"
    path.write_bytes(migrated_file.read_bytes())
    catalog = Catalog(f"sqlite:///{path.as_posix()}")
    library = open_library(catalog)
    with catalog.bare() as conn:
        pages = conn.execute(text("PRAGMA page_count")).scalar_one()
        conn.execute(text(f"PRAGMA max_page_count = {pages + 5}"))
    models = [Model(f"{number}.safetensors", weights=str(number)) for number in range(200)]
    library.scan(models[0])
    before = library.generation()
    with pytest.raises(CatalogFull, match="full"):
        library.scan(*models[1:])
    assert (library.generation(), library.count("file"), library.count("lora")) == (before, 1, 1)
    with catalog.bare() as conn:
        conn.execute(text("PRAGMA max_page_count = 1000000"))
    assert library.scan(*models[1:]).new == 199
    catalog.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA foreign_key_check").fetchone() is None


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be one" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.sqlite3"
    path.write_bytes(content)
    catalog = Catalog(f"sqlite:///{path.as_posix()}")
    with pytest.raises(CatalogError), catalog.read() as conn:
        generation(conn)
    with pytest.raises(CatalogError), catalog.write() as unit:
        add_root(unit, "m", "/x")
    catalog.close()
    assert path.read_bytes() == content


def test_a_damaged_catalog_is_named(tmp_path: Path, migrated_file: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    content = bytearray(migrated_file.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    path.write_bytes(content)
    catalog = Catalog(f"sqlite:///{path.as_posix()}")
    with pytest.raises(CatalogError, match="damaged"), catalog.read() as conn:
        generation(conn)
    catalog.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'no' / 'catalog.sqlite3').as_posix()}")
    with pytest.raises(CatalogError, match="cannot be opened"), catalog.read():
        pass  # pragma: no cover
    catalog.close()


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    catalog = Catalog("postgresql://anna:s3cret@127.0.0.1:1/loras")
    with pytest.raises(CatalogError, match="cannot be reached") as caught, catalog.read():
        pass  # pragma: no cover
    assert "s3cret" not in f"{caught.value} {caught.value.remedy} {catalog.url}"
    catalog.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/db", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        Catalog(url)
