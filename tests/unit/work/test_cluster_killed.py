"""A process that hands out to a real Dask cluster is killed: the next one loses and doubles nothing."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.catalog.pieces import DONE, RUNNING, WAITING, pieces_of
from registry.work.cluster import Scheduler
from tests.support.work_cluster import cluster
from tests.support.work_doubling import LIMIT, ended, job, queue, running, until
from tests.support.work_handing import GATE, OPEN, dispatcher, handing_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.work_cluster import Processes

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed")
WORKERS = 2
UNDER_WAY = Counter({DONE: 3, RUNNING: 6, WAITING: 1})


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with cluster(tmp_path_factory.mktemp("dask"), WORKERS) as found:
        until(lambda: Scheduler(found.address).count() == WORKERS)
        yield found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    catalog = Catalog(url)
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    yield catalog
    catalog.close()


def counted(file: Path, fits: str) -> Counter[str]:
    """How often each key stands in a file, of those that begin with one of some letters."""
    return Counter(key for key in file.read_text(encoding="ascii").split() if key[0] in fits)


def states(catalog: Catalog, *jobs: int) -> Counter[str]:
    with catalog.read() as conn:
        return Counter(piece.state for each in jobs for piece in pieces_of(conn, each))


def test_one_that_is_killed_in_the_middle_of_batches(
    catalog: Catalog, url: str, dask: Processes, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    jobs = [
        queue(catalog, [1, 2, 3], fits="p"),
        *(queue(catalog, [4, GATE, 5], fits=fits) for fits in ("q", "r")),
        queue(catalog, [6], fits="s"),
    ]
    with handing_out(url, dask.address, kept) as process:
        # What was asked for first is done, and both workers are at what came next.
        until(lambda: all((dask.folder / f"{fits}{GATE}.begun").exists() for fits in ("q", "r")))
        until(lambda: states(catalog, *jobs) == UNDER_WAY)
        process.send_signal(signal.SIGKILL)
        assert process.wait(LIMIT) == -signal.SIGKILL
    assert states(catalog, *jobs) == UNDER_WAY
    with running(dispatcher(catalog, dask.address, kept)):
        # The workers let go of what nobody waits for, before they begin with it again.
        until(lambda: all((dask.folder / f"{fits}{GATE}.left").exists() for fits in ("q", "r")))
        (dask.folder / OPEN).touch()
        until(lambda: ended(catalog, *jobs))
    assert states(catalog, *jobs) == Counter({DONE: 10})
    assert [job(catalog, each).state for each in jobs] == ["done"] * 4
    asked = ["p1", "p2", "p3", "q4", f"q{GATE}", "q5", "r4", f"r{GATE}", "r5", "s6"]
    assert counted(kept, "pqrs") == Counter(asked)
    # Nothing was worked on again but what was under way, up to where it was.
    assert counted(dask.folder / "done", "pqrs") == Counter([*asked, "q4", "r4"])


def test_one_that_is_killed_between_keeping_what_came_and_saying_so(
    catalog: Catalog, url: str, dask: Processes, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    job_id = queue(catalog, [1, 2], fits="d")
    with handing_out(url, dask.address, kept, deadly=True) as process:
        assert process.wait(LIMIT) == -signal.SIGKILL
    assert states(catalog, job_id) == Counter({RUNNING: 2})
    with running(dispatcher(catalog, dask.address, kept)):
        until(lambda: ended(catalog, job_id))
    assert states(catalog, job_id) == Counter({DONE: 2})
    assert counted(kept, "d") == counted(dask.folder / "done", "d") == Counter(["d1", "d2"])
