"""Settings: where they come from, what they may be, and what they never show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.catalog.urls import parse_url
from registry.config import load_settings, parse_hours
from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[None]:
    """An environment of our own, with a configuration file that is not there yet."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith("LORAS_"):
            del os.environ[name]
    os.environ["LORAS_CONFIG"] = str(tmp_path / "config.toml")
    yield
    os.environ.clear()
    os.environ.update(kept)


def test_arguments_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('port = 1\nhost = "file"\nmachine = "file"\n')
    os.environ.update(LORAS_PORT="2", LORAS_HOST="environment", LORAS_TEST_POSTGRES_URL="unknown is ignored")
    settings = load_settings(port=3, host=None)
    assert (settings.port, settings.host, settings.machine) == (3, "environment", "file")


@pytest.mark.parametrize("folder", ["plain", "a b", "50%41", "what?", "no#1", "ü", "a;b&c=d"])
def test_the_catalog_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path, folder: str) -> None:
    settings = load_settings(data_dir=tmp_path / folder)
    assert parse_url(settings.url()).database == str(tmp_path / folder / "catalog.sqlite3")


def test_a_data_folder_is_made_absolute() -> None:
    assert load_settings(data_dir="x").data_dir == Path.cwd() / "x"
    assert load_settings(data_dir="~/x").data_dir == Path.home() / "x"


def test_a_password_is_not_shown_with_the_settings() -> None:
    settings = load_settings(database_url="postgresql://u:s3cret@h/n")
    assert settings.url() == "postgresql://u:s3cret@h/n"
    assert "s3cret" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70000},
        {"port": "s3cret"},
        {"workers": 65},
        {"hash_hours": "always"},
        {"hash_limit_mb": float("nan")},
        {"colour": "red"},
    ],
)
def test_what_a_setting_cannot_be_is_named_without_being_repeated(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        load_settings(**wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(BadRequest, match="cannot be read") as caught:
        load_settings()
    assert "config.toml" in caught.value.remedy


def test_hours_are_two_numbers() -> None:
    assert parse_hours("22-07") == (22, 7)
    for wrong in ("", "22", "22-25", "a-b", "-1-5", "1-2-3", "²-3"):
        with pytest.raises(ValueError, match="hours"):
            parse_hours(wrong)
