"""What may stand in front of a path, and what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.api.prefixes import Prefixes, split_prefixes, take_prefixes

SECRET = "lrt_s3cret"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    ("path", "rest", "tool", "secret"),
    [
        ("/", "/", None, None),
        ("/api/v1/loras", "/api/v1/loras", None, None),
        ("/t/comfy/models", "/models", "comfy", None),
        ("/k/s/models", "/models", None, "s"),
        ("/t/comfy/k/s/models", "/models", "comfy", "s"),
        ("/k/s/t/comfy/models", "/models", "comfy", "s"),
        ("/t/comfy", "/", "comfy", None),
        ("/t/comfy/", "/", "comfy", None),
        ("/k/s", "/", None, "s"),
        ("/t//models", "/models", "", None),
        ("/k//models", "/models", None, ""),
        ("/k/", "/", None, ""),
        ("/t/../models", "/models", "..", None),
        ("/t/comfy/../../models", "/../../models", "comfy", None),
        ("/t/comfy//k/s//models", "//models", "comfy", "s"),
        ("//t/comfy/models", "/models", "comfy", None),
        ("/k/t/t/k/models", "/models", "k", "t"),
        ("/k/line\nbreak/mo\ndels", "/mo\ndels", None, "line\nbreak"),
        ("/t", "/t", None, None),
        ("/k", "/k", None, None),
        ("/T/comfy/models", "/T/comfy/models", None, None),
        ("/tt/comfy", "/tt/comfy", None, None),
        ("t/comfy", "t/comfy", None, None),
        ("*", "*", None, None),
        ("", "/", None, None),
    ],
)
def test_a_path_is_split(path: str, rest: str, tool: str | None, secret: str | None) -> None:
    assert split_prefixes(path) == Prefixes(rest, tool, secret)


TWICE = [f"/k/a/k/{SECRET}/models", f"/t/a/t/b/k/{SECRET}/models", f"/k/a//k/{SECRET}", "/t/a" * 20_000]


@pytest.mark.parametrize("path", TWICE)
def test_nothing_is_left_of_a_path_that_has_one_twice(path: str) -> None:
    found = split_prefixes(path)
    assert (found.rest, found.twice) == ("/", True)


def test_a_very_long_secret_is_only_a_secret() -> None:
    assert split_prefixes(f"/k/{'x' * 60_000}/models") == Prefixes("/models", None, "x" * 60_000)


def taken(path: str, **more: Any) -> tuple[Prefixes, dict[str, Any]]:
    scope = {"type": "http", "path": path, "raw_path": b"", "root_path": "", **more}
    return take_prefixes(scope), scope


def test_a_path_without_any_is_left_as_it_is() -> None:
    found, scope = taken("/a%b/c", raw_path=b"/a%25b%2Fc")
    assert found == Prefixes("/a%b/c")
    assert scope == {"type": "http", "path": "/a%b/c", "raw_path": b"/a%25b%2Fc", "root_path": ""}


def test_the_tool_stays_in_addresses_that_are_made_and_the_secret_does_not() -> None:
    _, scope = taken(f"/k/{SECRET}/t/comfy/a b/ü%?")
    assert scope["path"] == "/a b/ü%?"
    assert scope["raw_path"] == b"/a%20b/%C3%BC%25%3F"
    assert scope["root_path"] == "/t/comfy"


def test_an_address_that_the_server_stands_behind_stays_in_front() -> None:
    assert taken("/t/comfy/x", root_path="/loras")[1]["root_path"] == "/loras/t/comfy"


@given(st.lists(st.sampled_from(["t", "k", SECRET, "comfy", "", "..", "x", "ü\udc80"]), max_size=9))
def test_a_secret_that_was_read_is_nowhere_in_the_scope(parts: list[str]) -> None:
    path = "".join(f"/{part}" for part in parts)
    found, scope = taken(path)
    assert scope["path"] in {found.rest, ""}
    assert found.rest.startswith("/")
    if found.secret == SECRET and parts.count(SECRET) == 1:
        assert SECRET not in repr(scope)
    if found.tool is None and found.secret is None:
        assert found.rest == (path or "/")
