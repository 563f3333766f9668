"""An application over a catalog of a few loras."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.catalogs import open_builder
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def start(builder: Builder, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start an application with settings; it is asked in this process and ends with the test."""
    with ExitStack() as stack:

        def start(*, clock: Callable[[], float] = lambda: 0.0, **settings: object) -> Service:
            return stack.enter_context(Service(builder, tmp_path, clock, **settings).open())

        yield start


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    return start()
