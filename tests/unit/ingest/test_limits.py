"""The kernel's limits of watched folders."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from registry.ingest.limits import inotify_limits, spare_watch


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_linux_tells_its_limits() -> None:
    found = inotify_limits()
    assert found is not None
    assert min(found) > 0


def test_one_more_folder_may_be_watched_and_nothing_stays_open(tmp_path: Path) -> None:
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir())) if opened.is_dir() else 0
    assert spare_watch(str(tmp_path))
    assert (len(list(opened.iterdir())) if opened.is_dir() else 0) == before


def test_a_folder_that_is_not_there_is_no_sign_of_a_limit(tmp_path: Path) -> None:
    assert spare_watch(str(tmp_path / "missing"))
