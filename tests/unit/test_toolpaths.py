"""Tool profiles: what another tool is told of, and where it is there."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from registry.errors import BadRequest, NotFound
from registry.toolpaths import DIALECTS, Profile, check_tool, is_windows, parse_profile, parse_profiles
from tests.support.dialect_entries import entry

ROOTS = {"main": "/srv/loras", "more": "/mnt/more"}


def profile(**keys: Any) -> Profile:
    return parse_profile("webui", {"dialect": "a1111", **keys}, ROOTS)


def test_a_profile_that_says_only_its_dialect_has_all_roots_where_they_are() -> None:
    assert profile() == Profile("webui", "a1111", ("main", "more"), ROOTS, "/")


def test_a_profile_is_read_from_toml() -> None:
    text = r"""
        [tools.webui]
        dialect = "a1111"
        roots = ["more", "main"]
        kinds = ["lora"]
        architectures = ["sd15", "sdxl"]
        nsfw_pictures = "pg-13"
        nsfw_entries = "X"
        [tools.webui.prefix]
        main = 'D:\ai\models\Lora'
        more = 'E:\'

        [tools.comfy-box]
        dialect = "comfyui"
    """
    profiles = parse_profiles(tomllib.loads(text)["tools"], ROOTS)
    assert profiles == {
        "webui": Profile(
            "webui",
            "a1111",
            ("more", "main"),
            {"more": "E:\\", "main": "D:\\ai\\models\\Lora"},
            "\\",
            frozenset({"lora"}),
            frozenset({"sd15", "sdxl"}),
            2,
            8,
        ),
        "comfy-box": Profile("comfy-box", "comfyui", ("main", "more"), ROOTS, "/"),
    }


@pytest.mark.parametrize(
    ("prefix", "separator", "relative", "absolute"),
    [
        ("/srv/loras", None, "a/b.pt", "/srv/loras/a/b.pt"),
        ("/srv/loras/", None, "a/b.pt", "/srv/loras/a/b.pt"),
        ("/", None, "a/b.pt", "/a/b.pt"),
        ("D:\\Lora", None, "a\\b.pt", "D:\\Lora\\a\\b.pt"),
        ("D:/Lora/", None, "a\\b.pt", "D:\\Lora\\a\\b.pt"),
        ("D:\\Lora", "/", "a/b.pt", "D:/Lora/a/b.pt"),
        ("C:", None, "a\\b.pt", "C:\\a\\b.pt"),
        ("C:\\", None, "a\\b.pt", "C:\\a\\b.pt"),
        ("\\\\nas\\loras", None, "a\\b.pt", "\\\\nas\\loras\\a\\b.pt"),
    ],
)
def test_paths_are_those_of_the_tool(
    prefix: str, separator: str | None, relative: str, absolute: str
) -> None:
    keys = {"separator": separator} if separator else {}
    tool = profile(roots=["main"], prefix={"main": prefix}, **keys)
    file = entry("a/b.pt")
    assert (tool.relative(file), tool.absolute(file)) == (relative, absolute)


def test_a_backslash_in_a_name_stays_on_linux() -> None:
    assert profile().absolute(entry("a\\b.pt")) == "/srv/loras/a\\b.pt"


def test_roots_count_in_the_order_of_the_tool() -> None:
    tool = profile(roots=["more", "main"])
    assert tool.absolute(entry("a.pt", root=0)) == "/mnt/more/a.pt"
    assert tool.absolute(entry("a.pt", root=1)) == "/srv/loras/a.pt"


@pytest.mark.parametrize(
    ("keys", "admitted"),
    [
        ({}, True),
        ({"kinds": ["lora", "vae"]}, True),
        ({"kinds": ["vae"]}, False),
        ({"kinds": []}, True),
        ({"architectures": ["sdxl"]}, True),
        ({"architectures": ["flux1"]}, False),
        ({"nsfw_entries": "R"}, True),
        ({"nsfw_entries": "PG-13"}, False),
        ({"nsfw_pictures": "PG"}, True),
        ({"roots": ["main"]}, False),
    ],
)
def test_a_tool_is_told_of_what_its_profile_admits(keys: dict[str, Any], *, admitted: bool) -> None:
    assert profile(**keys).admits(entry(root=1, shown={"nsfw_level": 4})) is admitted


def test_what_has_no_level_passes_every_limit() -> None:
    assert profile(nsfw_entries="PG").admits(entry())


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("a1111", ["a2.pt", "a10.pt", "Z.pt", "x/a.pt", "B.pt"]),
        ("comfyui", ["Z.pt", "a10.pt", "a2.pt", "x/a.pt", "B.pt"]),
        ("swarmui", ["a10.pt", "a2.pt", "x/a.pt", "Z.pt", "B.pt"]),
    ],
)
def test_files_come_root_by_root_in_the_order_of_the_dialect(dialect: str, expected: list[str]) -> None:
    files = [entry("B.pt", root=1), *map(entry, ("x/a.pt", "a10.pt", "Z.pt", "a2.pt")), entry("n.pt", root=2)]
    assert [file.path for file in profile(dialect=dialect).arranged(files)] == expected


def test_every_dialect_sorts() -> None:
    for order in DIALECTS.values():
        assert order("a/b.pt", "/") < order("a/c.pt", "/")


@pytest.mark.parametrize(
    ("path", "windows"),
    [("C:\\x", True), ("c:/x", True), ("C:", True), ("\\\\nas\\x", True), ("/C:/x", False), ("C:x", False),
     ("CC:\\x", False), ("", False)],
)  # fmt: skip
def test_a_path_of_windows_begins_with_a_drive_or_a_share(path: str, *, windows: bool) -> None:
    assert is_windows(path) is windows


@pytest.mark.parametrize(
    ("keys", "told", "remedy"),
    [
        ({"dialect": None}, "tools.webui.dialect: missing.", "a1111, civitai, comfyui"),
        ({"dialect": "forge"}, "tools.webui.dialect: 'forge' is none.", "a1111"),
        ({"dialect": 3}, "tools.webui.dialect: a value of type int is none.", "a1111"),
        ({"root": ["main"]}, "tools.webui.root: no such key.", "roots"),
        ({"roots": "main"}, "tools.webui.roots: not a list.", "main, more"),
        ({"roots": ["mian"]}, "tools.webui.roots: 'mian' is not known.", "main, more"),
        ({"roots": ["main", "main"]}, "tools.webui.roots: names one twice.", "once"),
        ({"roots": []}, "tools.webui.roots: empty.", "all roots"),
        (
            {"roots": ["more"], "prefix": {"main": "/x"}},
            "tools.webui.prefix.main: no root of this tool.",
            "more",
        ),
        ({"prefix": "/x"}, "tools.webui.prefix: not a table.", "LABEL"),
        ({"prefix": {"main": "loras"}}, "tools.webui.prefix.main: 'loras' is not absolute.", "drive"),
        ({"prefix": {"main": ""}}, "tools.webui.prefix.main: not a path.", "text"),
        ({"prefix": {"main": "D:\\x"}}, "tools.webui.prefix: paths of two systems.", "each root"),
        (
            {"separator": "\\"},
            "tools.webui.separator: a backslash, while a root has a path with /.",
            "prefix",
        ),
        ({"separator": ":"}, "tools.webui.separator: ':' is none.", "'/'"),
        ({"kinds": ["loras"]}, "tools.webui.kinds: 'loras' is not known.", "checkpoint"),
        ({"architectures": [1]}, "tools.webui.architectures: a value of type int is not known.", "sdxl"),
        ({"nsfw_entries": 4}, "tools.webui.nsfw_entries: a value of type int is no level.", "pg13"),
        ({"nsfw_pictures": "NC-17"}, "tools.webui.nsfw_pictures: 'NC-17' is no level.", "xxx"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_it_may_be(
    keys: dict[str, Any], told: str, remedy: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        profile(**keys)
    assert str(refused.value) == told
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("name", ["", "Web", "a b", "a/b", "../x", "x" * 41, "-x", "ö"])
def test_a_name_has_to_stand_in_an_address(name: str) -> None:
    with pytest.raises(BadRequest, match="address"):
        parse_profile(name, {"dialect": "a1111"}, ROOTS)


@pytest.mark.parametrize("given", ["pg13", "PG-13", "Pg13", " pg-13 "])
def test_levels_are_spelt_as_everywhere(given: str) -> None:
    assert profile(nsfw_pictures=given).nsfw_pictures == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("comfx", "there is no tool 'comfx'"),
        ("lrt_S3cret", "there is no such tool"),
        ("", "there is no such tool"),
    ],
)
def test_a_tool_that_is_not_there_is_told_with_those_that_are_unless_it_could_be_a_secret(
    name: str, told: str
) -> None:
    check_tool("comfy", {"comfy": {}})
    with pytest.raises(NotFound) as refused:
        check_tool(name, {"comfy": {}, "webui": {}})
    assert (str(refused.value), refused.value.remedy) == (told, "there are comfy, webui")
    with pytest.raises(NotFound) as refused:
        check_tool(name, ())
    assert "[tools.NAME]" in refused.value.remedy


def test_tools_and_each_tool_are_tables() -> None:
    refused: tuple[object, ...] = ([], "x", {"webui": "a1111"})
    for tables in refused:
        with pytest.raises(BadRequest, match="not a table"):
            parse_profiles(tables, ROOTS)
