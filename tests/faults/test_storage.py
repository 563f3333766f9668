"""A database that is full or locked in the middle of a scan: a clear error, nothing lost, and it goes on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from registry.app import Registry, this_machine
from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.catalog.roots import seen_machine
from registry.config import load_settings
from registry.errors import CatalogBusy, CatalogFull
from registry.ingest.scanning import scan_root
from tests.support.files import kohya_lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = 600


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose database does not wait long for others, with a root of many files."""
    for number in range(FILES):
        kohya_lora(tmp_path / "loras" / f"{number:03}.safetensors", modules=1, rank=1, tags=8, seed=number)
    data = tmp_path / "data"
    data.mkdir()
    catalog = Catalog(f"sqlite:///{(data / 'catalog.sqlite3').as_posix()}", busy_seconds=0.3)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    settings = load_settings(data_dir=data, workers=0, hash_readers=2)
    machine = this_machine(data)
    with catalog.write() as unit:
        seen_machine(unit, machine, "here")
    registry = Registry(settings, catalog, machine)
    registry.add_root(str(tmp_path / "loras"))
    yield registry
    registry.close()


def listed(registry: Registry) -> int:
    with registry.catalog.read() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM file WHERE state = 'present'").scalar_one())


def limit_pages(registry: Registry, more: int) -> None:
    """Let the database grow by no more than some pages, as a disk does that fills up."""
    with registry.catalog.bare() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + more}")


def test_a_disk_that_fills_up_stops_the_scan_and_loses_nothing(registry: Registry) -> None:
    (root,) = registry.mounted_roots()
    limit_pages(registry, 300)

    with pytest.raises(CatalogFull, match="full"):
        registry.scan(root.id)

    so_far = listed(registry)
    assert 0 < so_far < FILES
    limit_pages(registry, 1_000_000)
    assert registry.scan(root.id).new == FILES - so_far
    assert listed(registry) == FILES


def test_a_disk_that_fills_up_stops_hashing_and_loses_nothing(registry: Registry) -> None:
    (root,) = registry.mounted_roots()
    registry.scan(root.id)
    limit_pages(registry, 20)

    with pytest.raises(CatalogFull):
        registry.hash_all()

    limit_pages(registry, 1_000_000)
    registry.hash_all()
    with registry.catalog.read() as conn:
        states = conn.exec_driver_sql("SELECT hash_state, count(*) FROM file GROUP BY 1").all()
    assert states == [("done", FILES)]


def test_a_database_locked_by_others_stops_the_scan_and_loses_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    (root,) = registry.mounted_roots()
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None)
    engine = registry.engine(lambda: False, lambda counts: lock() if counts.new else None)

    def lock() -> None:
        if not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(CatalogBusy, match="locked"):
        scan_root(engine, root, registry.roots())

    other.rollback()
    other.close()
    so_far = listed(registry)
    assert 0 < so_far < FILES
    assert registry.scan(root.id).new == FILES - so_far
    assert listed(registry) == FILES
