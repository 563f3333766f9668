"""Schema revisions: what they make, when they run, and what is kept before they do."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from alembic import command
from registry.catalog.changes import generation
from registry.catalog.engine import Catalog
from registry.catalog.health import database_health
from registry.catalog.migrate import back_up, current_revision, ensure_schema
from registry.catalog.saved import put_saved
from registry.catalog.searching import search_records
from registry.catalog.tables import METADATA
from registry.catalog.upgrading import head_revision, revisions_folder
from registry.errors import CatalogError, SchemaMismatch
from tests.support.library import Model, open_library

if TYPE_CHECKING:
    from pathlib import Path

HEAD = str(head_revision())
LATER = f"{int(HEAD) + 1:04d}"
NEXT = f'''
"""A later schema."""

import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{HEAD}"


def upgrade():
    with op.batch_alter_table("lora", recreate="auto") as batch:
        batch.add_column(sa.Column("rating", sa.Integer(), nullable=True))
        batch.alter_column("kind", existing_type=sa.Text(), nullable=True)
'''
BROKEN = NEXT.replace(
    "def upgrade():", 'def upgrade():\n    op.execute("DELETE FROM change")\n    op.execute("nonsense")\n'
)


def later(folder: Path, body: str = NEXT) -> Path:
    copy = folder / "later"
    shutil.copytree(revisions_folder(), copy)
    (copy / "versions" / f"{LATER}_next.py").write_text(body)
    return copy


def opened(url: str) -> Catalog:
    catalog = Catalog(url)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    return catalog


def test_the_revisions_make_exactly_the_tables(empty_url: str) -> None:
    catalog = Catalog(empty_url)
    assert ensure_schema(catalog, backups=None, allow_upgrade=False) is None
    with catalog.bare() as conn, conn.begin():
        context = MigrationContext.configure(conn, opts={"compare_type": True, "target_metadata": METADATA})
        assert compare_metadata(context, METADATA) == []
        assert current_revision(conn) == head_revision()
    assert ensure_schema(catalog, backups=None, allow_upgrade=False) is None
    health = database_health(catalog)
    assert health.revision == health.newest_revision
    assert health.integrity in {"ok", "unchecked"}
    catalog.close()


def test_sorted_texts_compare_code_points_whatever_the_database_does(empty_url: str) -> None:
    catalog = Catalog(empty_url)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    if catalog.sqlite:
        query = "SELECT sql FROM sqlite_master WHERE sql LIKE '%COLLATE%'"
        wrong: set[tuple[str, str]] | list[object] = []
    else:
        query = (
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_collation l ON l.oid = a.attcollation WHERE l.collname = 'C' AND c.relkind = 'r' "
            "AND c.relnamespace = 'public'::regnamespace"
        )
        wrong = {
            ("lora", "name_key"),
            ("lora", "identity"),
            ("file", "name_key"),
            ("digest", "value"),
            ("companion", "name"),
            ("sidecar", "name"),
        }
    with catalog.read() as conn:
        found = {tuple(row) for row in conn.execute(text(query))}
    assert set(wrong) <= found if wrong else not found
    catalog.close()


def test_programs_that_start_together_set_up_one_catalog(empty_url: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        catalog = Catalog(empty_url)
        try:
            ensure_schema(catalog, backups=None, allow_upgrade=False)
            with catalog.read() as conn:
                generation(conn)
        except CatalogError as error:
            errors.append(error)
        finally:
            catalog.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_older_catalog_is_upgraded_with_all_its_rows_after_a_backup(
    empty_url: str, tmp_path: Path
) -> None:
    catalog = opened(empty_url)
    library = open_library(catalog)
    model = Model(weights="w")
    library.scan(model, Model("b.safetensors", weights="b"))
    library.hash(model)
    before = library.lora(model.path)
    revisions = later(tmp_path)
    backup = ensure_schema(catalog, backups=tmp_path / "backups", allow_upgrade=True, revisions=revisions)
    with catalog.bare() as conn, conn.begin():
        assert current_revision(conn) == LATER
        assert conn.execute(text("SELECT count(*) FROM lora WHERE rating IS NULL")).scalar() == 2
    assert library.lora(model.path) == before
    if catalog.sqlite:
        assert backup is not None
        with closing(sqlite3.connect(backup)) as copy:
            assert copy.execute("SELECT count(*) FROM lora").fetchone() == (2,)
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        with catalog.bare() as conn:
            assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    else:
        assert backup is None
    catalog.close()


def test_a_catalog_of_the_first_revision_keeps_all_its_rows_and_is_searched_by_more(
    empty_url: str, tmp_path: Path
) -> None:
    catalog = opened(empty_url)
    library = open_library(catalog)
    model = Model(metadata={"modelspec.description": "soft light", "ss_output_name": "a"})
    library.scan(model, Model("b.safetensors", weights="b"), version=1)
    library.hash(model)
    before, changes = library.lora(model.path), library.changes()
    go_back_to(catalog, "0001")
    backup = ensure_schema(catalog, backups=tmp_path / "backups", allow_upgrade=True)
    assert (backup is not None) == catalog.sqlite
    if backup is not None:
        with closing(sqlite3.connect(backup)) as copy:
            assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
            assert copy.execute("SELECT count(*) FROM file").fetchone() == (2,)
    with catalog.bare() as conn, conn.begin():
        assert current_revision(conn) == HEAD
        context = MigrationContext.configure(conn, opts={"compare_type": True, "target_metadata": METADATA})
        assert compare_metadata(context, METADATA) == []
        assert conn.execute(text("SELECT description FROM header")).scalars().all() == [None, None]
    assert (library.lora(model.path), library.changes()) == (before, changes)
    library.scan(model, version=2)
    with catalog.write() as unit:
        assert put_saved(unit, "mine", "soft")
        assert [one.description for one in search_records(unit.conn, [before.id])] == ["soft light"]
    catalog.close()


def go_back_to(catalog: Catalog, revision: str) -> None:
    """Make a catalog what it was at an older revision; only tests do that."""
    config = Config()
    config.set_main_option("script_location", str(revisions_folder()))
    with catalog.bare() as conn, conn.begin():
        config.attributes["connection"] = conn
        command.downgrade(config, revision)


def test_an_older_catalog_is_left_alone_unless_upgrading_is_allowed(empty_url: str, tmp_path: Path) -> None:
    catalog = opened(empty_url)
    with pytest.raises(SchemaMismatch, match="older") as caught:
        ensure_schema(catalog, backups=tmp_path, allow_upgrade=False, revisions=later(tmp_path))
    assert "loras db upgrade" in caught.value.remedy
    assert ensure_schema(catalog, backups=None, allow_upgrade=False) is None
    catalog.close()


def test_an_upgrade_that_fails_changes_nothing(empty_url: str, tmp_path: Path) -> None:
    catalog = opened(empty_url)
    library = open_library(catalog)
    library.scan(Model())
    before = library.lora("a.safetensors")
    with pytest.raises(Exception, match="nonsense"):
        ensure_schema(catalog, backups=None, allow_upgrade=True, revisions=later(tmp_path, BROKEN))
    assert library.lora("a.safetensors") == before
    assert ensure_schema(catalog, backups=None, allow_upgrade=False) is None
    catalog.close()


def test_a_newer_catalog_is_refused(empty_url: str, tmp_path: Path) -> None:
    catalog = opened(empty_url)
    ensure_schema(catalog, backups=None, allow_upgrade=True, revisions=later(tmp_path))
    for allowed in (False, True):
        with pytest.raises(SchemaMismatch, match="newer"):
            ensure_schema(catalog, backups=None, allow_upgrade=allowed)
    catalog.close()


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE file (id INTEGER)", "CREATE TABLE alembic_version (version_num VARCHAR(32))"]
)
def test_a_database_of_another_program_is_refused(empty_url: str, statement: str) -> None:
    catalog = Catalog(empty_url)
    with catalog.bare() as conn, conn.begin():
        conn.execute(text(statement))
        if "alembic" in statement:
            conn.execute(text("INSERT INTO alembic_version VALUES ('abcdef')"))
    with pytest.raises(SchemaMismatch, match="another program"):
        ensure_schema(catalog, backups=None, allow_upgrade=True)
    catalog.close()


def test_a_file_with_any_other_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE recipes (id INTEGER)")
    catalog = Catalog(f"sqlite:///{path.as_posix()}")
    with pytest.raises(SchemaMismatch, match="another program"):
        ensure_schema(catalog, backups=None, allow_upgrade=True)
    catalog.close()


def test_the_last_three_backups_are_kept_in_order(tmp_path: Path, migrated_file: Path) -> None:
    folder = tmp_path / "backups"
    made = [back_up(migrated_file, folder, label="0001").name for _ in range(5)]
    (folder / "catalog-mine.sqlite3").write_bytes(b"somebody's own")
    made.append(back_up(migrated_file, folder, label="manual").name)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*made[-3:], "catalog-mine.sqlite3"])
    with closing(sqlite3.connect(folder / made[-1])) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_damaged_catalog_gets_no_backup_and_no_upgrade(tmp_path: Path, migrated_file: Path) -> None:
    path = tmp_path / "damaged.sqlite3"
    content = bytearray(migrated_file.read_bytes())
    content[20 * 4096 : 24 * 4096] = b"\xaa" * 4 * 4096
    path.write_bytes(content)
    with pytest.raises(CatalogError):
        back_up(path, tmp_path / "backups", label="0001")
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_folder_that_cannot_be_made_is_named(tmp_path: Path, migrated_file: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatalogError, match="backed up"):
        back_up(migrated_file, tmp_path / "file" / "backups", label="0001")


def test_a_percent_sign_in_a_folder_is_only_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100%41 ?#ü"
    shutil.copytree(revisions_folder(), folder / "revisions")
    catalog = Catalog(f"sqlite:///{(tmp_path / '100%2541 %3F#ü' / 'c.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False, revisions=folder / "revisions")
    assert (folder / "c.sqlite3").is_file()
    catalog.close()
