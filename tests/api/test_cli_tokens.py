"""`loras token create` with a tool and levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "d"


def configured(data: Path, text: str) -> dict[str, str]:
    """Return the environment in which the configuration is that text."""
    place = data.parent / "config.toml"
    place.write_text(text, encoding="utf-8")
    return {"LORAS_CONFIG": str(place)}


def test_a_token_is_made_for_a_tool_with_levels_and_the_list_shows_them(data: Path) -> None:
    env = configured(data, '[tools.comfy]\ndialect = "comfyui"\n')
    options = ["--tool", "comfy", "--nsfw", "PG-13", "--nsfw-entries", "r"]
    made = run(data, ["token", "create", "painter", *options, "--json"], env).json()
    expected = {"tool": "comfy", "nsfw_pictures": "pg13", "nsfw_entries": "r"}
    assert made == {"name": "painter", "role": "read", **expected, "token": made["token"]}
    assert run(data, ["token", "create", "plain"], env).code == 0
    listed = run(data, ["token", "list", "--json"], env).json()["items"]
    assert [{name: each[name] for name in expected} for each in listed] == [expected, dict.fromkeys(expected)]
    assert "scope" not in listed[0]
    rows = run(data, ["token", "list"], env).out.splitlines()
    assert rows[0].split()[:5] == ["NAME", "ROLE", "TOOL", "PICTURES", "ENTRIES"]
    assert rows[1].split()[:5] == ["painter", "read", "comfy", "pg13", "r"]


def test_a_tool_that_is_not_configured_is_told_with_those_that_are(data: Path) -> None:
    env = configured(data, '[tools.comfy]\ndialect = "comfyui"\n[tools.webui]\ndialect = "a1111"\n')
    done = run(data, ["token", "create", "painter", "--tool", "comfx"], env)
    assert (done.code, "comfx" in done.err, "comfy, webui" in done.err) == (3, True, True)
    assert run(data, ["token", "list", "--json"], env).json() == {"items": []}


@pytest.mark.parametrize("option", ["--nsfw", "--nsfw-entries"])
@pytest.mark.parametrize("level", ["blocked", "none", "4", ""])
def test_a_level_that_is_none_is_told_with_those_that_are(data: Path, option: str, level: str) -> None:
    done = run(data, ["token", "create", "painter", option, level])
    assert (done.code, "pg, pg13, r, x, xxx" in done.err) == (2, True)
