"""The same suite on SQLite, on PostgreSQL, and on PostgreSQL with another collation."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from tests.support.databases import NoPostgres, Postgres, postgres_server
from tests.support.library import Clock, Library, open_library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASES = (
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("postgres-collated", marks=pytest.mark.postgres),
)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server; without one its tests skip, or fail where LORAS_TEST_REQUIRE_POSTGRES is 1."""
    try:
        with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
            yield server
    except NoPostgres as missing:
        if os.environ.get("LORAS_TEST_REQUIRE_POSTGRES") == "1":
            pytest.fail(f"PostgreSQL is required here: {missing}")
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and nothing in it."""
    path = tmp_path_factory.mktemp("sqlite") / "catalog.sqlite3"
    catalog = Catalog(f"sqlite:///{path.as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    catalog.close()
    return path


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'empty.sqlite3').as_posix()}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty(collated=request.param != "postgres")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the schema and nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "catalog.sqlite3"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        return f"sqlite:///{path.as_posix()}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.migrated(collated=request.param != "postgres")


@pytest.fixture
def clock() -> Clock:
    """A clock that only goes when it is told to."""
    return Clock()


@pytest.fixture
def catalog(database_url: str, clock: Clock) -> Iterator[Catalog]:
    """An open, empty catalog."""
    opened = Catalog(database_url, clock=clock, busy_seconds=5)
    yield opened
    opened.close()


@pytest.fixture
def library(catalog: Catalog) -> Library:
    """A catalog with one machine and one root."""
    return open_library(catalog)
