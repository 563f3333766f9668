"""Fixtures of the tests of scanning and hashing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shelf import Shelf, open_shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An open registry with one empty root."""
    with open_shelf(tmp_path) as opened:
        yield opened
