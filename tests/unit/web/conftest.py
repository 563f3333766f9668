"""The pages over a catalog of a few loras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.catalogs import open_builder
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Iterator[Service]:
    """The application over the catalog as the test fills it; no index is made before `catch_up`."""
    with Service(builder, tmp_path, lambda: 0.0).open() as opened:
        yield opened
