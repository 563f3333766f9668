"""The schedule of the sync: off until somebody sets it, and kept from what was asked for in whole."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from registry.app import Registry
from registry.catalog.engine import Catalog
from registry.catalog.jobs import list_jobs
from registry.catalog.migrate import ensure_schema
from registry.civitai.asking import Waiting
from registry.config import load_settings
from registry.errors import Offline, RegistryError
from registry.syncing import Asking, Syncing
from tests.support.civitai import civitai_server
from tests.support.civitai_faults import too_fast
from tests.support.library import Clock, Model, open_library
from tests.support.served import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.civitai import FakeCivitai

HOUR = 3_600_000


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@contextmanager
def syncing_of(place: Path, clock: Clock, **settings: Any) -> Iterator[Syncing]:
    """Open the sync of a catalog with one hashed file; every query finds nothing."""
    catalog = Catalog(f"sqlite:///{(place / 'catalog.sqlite3').as_posix()}", clock=clock)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    library = open_library(catalog)
    library.scan(Model())
    library.hash(Model())
    registry = Registry(load_settings(data_dir=place, workers=0, **settings), catalog, "m1")
    try:
        yield Syncing(registry, lambda _query: [], Waiting(sleep=lambda _seconds: None))
    finally:
        registry.close()


def finish(syncing: Syncing) -> None:
    """Wait until nothing is synced any more."""
    until(lambda: not syncing.registry.jobs.live())


def runs(syncing: Syncing) -> list[str]:
    with syncing.registry.catalog.read() as conn:
        return [job.state for job in list_jobs(conn)]


def test_nobody_is_asked_until_somebody_sets_the_hours(tmp_path: Path, fake: FakeCivitai) -> None:
    with syncing_of(tmp_path, Clock(), civitai_url=fake.url) as syncing:
        assert not syncing.start_if_due()
    assert fake.asked == []


def test_a_sync_of_everything_is_started_every_so_many_hours(tmp_path: Path, fake: FakeCivitai) -> None:
    clock = Clock()
    with syncing_of(tmp_path, clock, civitai_url=fake.url, sync_hours=2) as syncing:
        assert syncing.start_if_due()
        finish(syncing)
        assert len(fake.asked) == 3
        clock.tick(2 * HOUR - 1)
        assert not syncing.start_if_due()
        clock.tick(1)
        assert syncing.start_if_due()
        finish(syncing)
        assert runs(syncing) == ["done", "done"]


def test_a_sync_of_some_files_is_none_of_all(tmp_path: Path, fake: FakeCivitai) -> None:
    with syncing_of(tmp_path, Clock(), civitai_url=fake.url, sync_hours=2) as syncing:
        syncing.run(Asking("name:x"))
        assert fake.asked == []
        assert syncing.start_if_due()
        finish(syncing)
        assert fake.asked


def test_offline_no_schedule_starts_and_who_asks_is_told(tmp_path: Path, fake: FakeCivitai) -> None:
    with syncing_of(tmp_path, Clock(), civitai_url=fake.url, sync_hours=2, offline=True) as syncing:
        assert not syncing.start_if_due()
        with pytest.raises(Offline, match="switched off"):
            syncing.start(Asking())
        assert runs(syncing) == []
    assert fake.asked == []


def test_a_run_that_fails_is_not_begun_again_at_once(tmp_path: Path, fake: FakeCivitai) -> None:
    clock = Clock()

    def broken(_seconds: float) -> None:
        raise RegistryError("the machine goes to sleep")

    fake.fail("*", too_fast(), times=1)
    with syncing_of(tmp_path, clock, civitai_url=fake.url, sync_hours=24) as syncing:
        syncing.waiting = Waiting(sleep=broken)
        assert syncing.start_if_due()
        finish(syncing)
        assert runs(syncing) == ["failed"]
        clock.tick(HOUR // 6 - 1)
        assert not syncing.start_if_due()
        clock.tick(1)
        assert syncing.start_if_due()
        finish(syncing)
