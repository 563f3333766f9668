"""Batches on a real Dask cluster that is reached with certificates, and who is not let in."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from registry.catalog.alone import alone
from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.errors import OutboundError
from registry.work.cluster import Scheduler, seats
from registry.work.dispatcher import Dispatcher
from tests.support.work_cluster import FUNCTION
from tests.support.work_doubling import Doubling, ended, job, queue, running, until
from tests.support.work_tls import authority, certificates, guarded_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.work.cluster import Cluster
    from tests.support.work_tls import Guarded

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are ended by signals")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the authority of the cluster signed."""
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What another authority signed."""
    return authority(tmp_path_factory.mktemp("tls") / "theirs")


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory, ours: Path) -> Iterator[Guarded]:
    with guarded_cluster(tmp_path_factory.mktemp("dask"), ours) as found:
        until(lambda: Scheduler(found.address, certificates(ours)).count() == 1)
        yield found


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


def dispatcher(catalog: Catalog, trade: Doubling, workers: list[Cluster]) -> Dispatcher:
    return Dispatcher(catalog, trade, workers, "m", partial(alone, catalog, "double"), back_off=(0.0,))


def test_batches_are_carried_out_over_tls(catalog: Catalog, dask: Guarded, ours: Path) -> None:
    assert dask.address.startswith("tls://")
    workers = seats(dask.address, certificates(ours), FUNCTION)
    job_id, trade = queue(catalog, [1, 2, 3]), Doubling()
    with running(dispatcher(catalog, trade, workers)):
        until(lambda: ended(catalog, job_id))
    assert job(catalog, job_id).state == "done"
    assert trade.found == {"a1": 2, "a2": 4, "a3": 6}


@pytest.mark.parametrize("trusted", ["ours", "theirs"])
def test_who_shows_what_another_authority_signed_is_refused(
    dask: Guarded, ours: Path, theirs: Path, trusted: str
) -> None:
    shown = certificates(theirs, {"ours": ours, "theirs": theirs}[trusted])
    refused(dask.address, shown)
    assert Scheduler(dask.address, certificates(ours)).count() == 1


def test_who_shows_nothing_is_refused(dask: Guarded, ours: Path) -> None:
    refused(dask.address.replace("tls:", "tcp:"), "")
    assert Scheduler(dask.address, certificates(ours)).count() == 1


def refused(address: str, shown: str) -> None:
    (worker,) = seats(address, shown, FUNCTION, seconds=1.0)
    with pytest.raises(OutboundError, match="does not answer"):
        worker.begin('[["refused", 1]]')
    worker.close()


def test_a_job_waits_while_its_batch_is_refused(
    catalog: Catalog, dask: Guarded, ours: Path, theirs: Path
) -> None:
    job_id, trade = queue(catalog, [4]), Doubling()
    handing = dispatcher(catalog, trade, seats(dask.address, certificates(theirs), FUNCTION, seconds=1.0))
    with running(handing):
        until(lambda: handing.told()["state"] == "waiting")
        assert "certificate" in str(handing.told()["waits_for"])
    assert job(catalog, job_id).finished_at is None
    with running(dispatcher(catalog, trade, seats(dask.address, certificates(ours), FUNCTION))):
        until(lambda: ended(catalog, job_id))
    assert trade.received == ["a4"]
