"""Database URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.catalog.urls import parse_url, redacted
from registry.errors import BadRequest


@pytest.mark.parametrize(
    "url", ["postgres://u:p@h:5/n", "postgresql://u:p@h:5/n", "postgresql+psycopg://u:p@h:5/n"]
)
def test_every_spelling_of_postgresql_means_one_driver(url: str) -> None:
    parsed = parse_url(url)
    assert (parsed.drivername, parsed.host, parsed.port, parsed.database) == (
        "postgresql+psycopg",
        "h",
        5,
        "n",
    )


def test_parts_of_an_url_are_percent_decoded() -> None:
    assert parse_url("postgresql://u:p%40%25%2Fss@h/n").password == "p@%/ss"  # noqa: S105 - made up
    path = "/tmp/a%20b/50%25/c.sqlite3"  # noqa: S108 - never opened
    assert parse_url(f"sqlite:///{path}").database == str(Path("/tmp/a b/50%/c.sqlite3").absolute())  # noqa: S108


def test_a_relative_path_is_taken_from_the_working_folder() -> None:
    assert parse_url("sqlite:///here/c.sqlite3").database == str(Path.cwd() / "here" / "c.sqlite3")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://h/n",
        "postgresql+psycopg2://h/n",
        "postgresql://h:port/n",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///x?mode=ro",
        "sqlite://two/slashes",
    ],
)
def test_what_cannot_hold_a_catalog_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_url(url)
    assert "sqlite:///path" in caught.value.remedy


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cret@h/n",
        "postgresql://h/n?user=u&password=s3cret",
        "postgresql://u:s3cret@h/n?sslpassword=s3cret",
        "postgresql://u:s3cret@h:port/n",
        "s3cret",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    assert "s3cret" not in redacted(url)


def test_what_is_no_secret_is_shown() -> None:
    assert redacted("postgresql://u:p@h:5/n?sslmode=require") == "postgresql://u:***@h:5/n?sslmode=require"
