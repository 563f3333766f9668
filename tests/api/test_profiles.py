"""Which tool profile is chosen, what it has of the roots, and up to which levels things are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations

from registry.api.profiles import Limits, limits_of, mark_of, placed_roots, profile_of
from registry.catalog.roots import mount_root
from registry.config import NSFW_LIMITS
from registry.errors import BadRequest
from registry.toolpaths import NSFW_LEVELS, Profile
from tests.support.catalogs import MACHINE
from tests.support.serving import REMOTE
from tests.support.telling import COMFY, WEBUI, ask, bearer, opener, status, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

STATUS = "/api/v1/status"
SCAN = "/api/v1/scan"
PG, PG13, R, X, XXX, BLOCKED = 1, 2, 4, 8, 16, 32


@pytest.fixture
def opened(builder: Builder, start: Start) -> Start:
    return opener(builder, start)


def test_without_a_profile_all_roots_are_where_they_are_here(opened: Start) -> None:
    answer = ask(opened(), "/told")
    assert (answer["tool"], answer["separator"]) == ("", "/")
    assert list(answer["prefix"].items()) == [("main", "/srv/loras"), ("more", "/mnt/more")]


def test_a_tool_is_chosen_by_the_address_and_addresses_that_are_made_keep_it(opened: Start) -> None:
    answer = ask(opened(), "/t/webui/told?x=1")
    assert (answer["tool"], answer["separator"], answer["prefix"]) == ("webui", "\\", {"more": "D:\\Lora"})
    assert answer["url"] == "http://127.0.0.1:8567/told?x=1"
    assert answer["next"] == "http://127.0.0.1:8567/t/webui/told"
    assert ask(opened(), urlsplit(answer["next"]).path)["tool"] == "webui"


def test_every_route_may_have_a_tool_in_front(opened: Start, builder: Builder) -> None:
    service = opened()
    builder.file(1, "one.safetensors")
    builder.write()
    service.catch_up()
    assert ask(service, "/t/comfy/sdapi/v1/loras") == ask(service, "/sdapi/v1/loras")
    assert ask(service, "/t/comfy/api/v1/loras/one")["lora"]["name"] == "one"
    assert status(service, f"/t/comfy{SCAN}", "POST") == 202
    assert "LoRA registry" in service.ask("GET", "/t/comfy").text
    assert ask(service, "/t/comfy/healthz") == {"status": "ok"}


def test_a_tool_that_is_not_there_is_told_with_those_that_are(opened: Start) -> None:
    service = opened()
    answer = service.ask("GET", "/t/comfx/told")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "there is no tool 'comfx'"
    assert answer.json()["remedy"] == "there are webui, comfy"
    assert service.ask("GET", "/t/comfx/sdapi/v1/loras").json()["error"] == "NotFound"
    assert "[tools.NAME]" in opened(tools={}).ask("GET", "/t/comfy/told").json()["remedy"]


def test_strangers_learn_nothing_of_the_tools(opened: Start) -> None:
    service = opened()
    for path in ("/t/comfx/told", "/t/comfy/told", "/t/comfx/healthz", "/t/comfx/told?signature=0&until=1"):
        assert "webui" not in service.ask("GET", path, peer=REMOTE).text
    assert status(service, "/t/comfy/told", peer=REMOTE) == 401


def test_a_token_chooses_a_tool_and_the_address_another(opened: Start) -> None:
    service = opened()
    headers = bearer(token(service, tool="webui"))
    assert ask(service, "/told", peer=REMOTE, headers=headers)["tool"] == "webui"
    assert ask(service, "/t/comfy/told", peer=REMOTE, headers=headers)["tool"] == "comfy"


def test_a_tool_that_is_gone_from_the_settings_is_not_replaced_by_everything(opened: Start) -> None:
    service = opened(tools={"comfy": COMFY})
    headers = bearer(token(service, tool="webui"))
    answer = service.ask("GET", "/told", headers=headers)
    assert (answer.status_code, answer.json()["remedy"]) == (404, "there are comfy")
    assert status(service, STATUS, headers=headers) == 200


def test_tools_that_cannot_be_used_are_told_at_the_start(opened: Start) -> None:
    with pytest.raises(BadRequest, match=r"tools\.webui\.roots: 'mian' is not known") as refused:
        opened(tools={"webui": {**WEBUI, "roots": ["mian"]}})
    assert "main, more" in refused.value.remedy
    with pytest.raises(BadRequest, match=r"tools\.webui: not a table"):
        opened(tools={"webui": "a1111"})


def test_a_root_that_went_away_is_told_to_the_tools_that_name_it_alone(opened: Start) -> None:
    service = opened()
    assert status(service, "/api/v1/roots/2", "DELETE") in {200, 204}
    answer = service.ask("GET", "/t/webui/told")
    assert (answer.status_code, "tools.webui.roots" in answer.json()["detail"]) == (400, True)
    assert list(ask(service, "/t/comfy/told")["prefix"]) == ["main"]


def test_roots_of_one_label_are_told_apart_by_their_ids(builder: Builder) -> None:
    for number, label in enumerate(("a", "a", "b", "a", "a#2")):
        builder.root(f"/{number}", label=label)
    with builder.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE root SET position = 0 WHERE id = 4")
        mount_root(unit, 3, MACHINE, "D:\\b")
    with builder.catalog.read() as conn:
        found = placed_roots(conn, MACHINE)
    assert list(found) == ["a#4", "a", "a#2", "b", "a#2#5"]
    assert [(root.id, root.path) for root in found.values()] == [
        (4, "/3"), (1, "/0"), (2, "/1"), (3, "D:\\b"), (5, "/4"),
    ]  # fmt: skip


def test_where_all_roots_are_those_of_windows_so_is_the_separator(builder: Builder, opened: Start) -> None:
    service = opened(tools={})
    with builder.catalog.write() as unit:
        mount_root(unit, 1, MACHINE, "D:\\b")
    assert ask(service, "/told")["separator"] == "/"
    with builder.catalog.write() as unit:
        mount_root(unit, 2, MACHINE, "E:\\")
    assert ask(service, "/told")["separator"] == "\\"


@pytest.mark.parametrize(
    ("settings", "path", "scope", "expected"),
    [
        ({}, "/told", {}, (PG13, None)),
        ({}, "/told?nsfw=r", {}, (R, None)),
        ({}, "/told?nsfw=XXX", {}, (XXX, None)),
        ({}, "/told?nsfw=PG-13", {}, (PG13, None)),
        ({}, "/told?nsfw=pg", {}, (PG, None)),
        ({}, "/told?nsfw=blocked", {}, (PG13, None)),
        ({}, "/told?nsfw=none", {}, (PG13, None)),
        ({}, "/told?nsfw=true", {}, (PG13, None)),
        ({}, "/told?nsfw=", {}, (PG13, None)),
        ({"nsfw_pictures": "none"}, "/told", {}, (BLOCKED, None)),
        ({"nsfw_pictures": "PG"}, "/told", {}, (PG, None)),
        ({"nsfw_entries": "r"}, "/told?nsfw=xxx", {}, (XXX, R)),
        ({}, "/told", {"nsfw_pictures": PG}, (PG, None)),
        ({}, "/told?nsfw=xxx", {"nsfw_pictures": R}, (R, None)),
        ({}, "/told", {"nsfw_pictures": X}, (PG13, None)),
        ({"nsfw_pictures": "none"}, "/told", {"nsfw_pictures": X}, (X, None)),
        ({}, "/t/webui/told?nsfw=xxx", {}, (R, None)),
        ({}, "/t/webui/told?nsfw=xxx", {"nsfw_pictures": PG}, (PG, None)),
        ({}, "/told?nsfw=xxx", {"tool": "webui"}, (R, None)),
        ({}, "/t/comfy/told", {"tool": "webui"}, (PG13, X)),
        ({"nsfw_entries": "xxx"}, "/t/comfy/told", {"nsfw_entries": R}, (PG13, R)),
        ({"nsfw_entries": "pg"}, "/t/comfy/told", {"nsfw_entries": R}, (PG13, PG)),
    ],
)
def test_the_lowest_limit_counts_and_viewers_raise_that_of_pictures(
    opened: Start,
    settings: dict[str, Any],
    path: str,
    scope: dict[str, Any],
    expected: tuple[int, int | None],
) -> None:
    service = opened(**settings)
    headers = bearer(token(service, **scope))
    answer = ask(service, path, headers=headers)
    assert (answer["pictures"], answer["entries"]) == expected
    prefixed = ask(service, f"/k/{token(service, 'same', **scope)}{path}")
    assert (prefixed["pictures"], prefixed["entries"]) == expected


def test_a_viewer_may_raise_the_limit_with_a_cookie_and_the_address_goes_before_it(opened: Start) -> None:
    service = opened()
    for path, cookie, expected in [
        ("/told", "nsfw=x", X),
        ("/told", "a=b; nsfw=R; c=d", R),
        ("/told", "nsfw=everything", PG13),
        ("/told?nsfw=r", "nsfw=x", R),
        ("/told?nsfw=what", "nsfw=x", X),
        ("/t/webui/told", "nsfw=xxx", R),
    ]:
        assert ask(service, path, headers={"Cookie": cookie})["pictures"] == expected


def test_answers_that_are_told_apart_have_other_marks(opened: Start) -> None:
    service = opened()
    marks = []

    def mark(request: Request) -> str:
        return mark_of(profile_of(request), limits_of(request))

    service.app.add_api_route("/mark", mark)
    for path in ("/mark", "/t/webui/mark", "/t/comfy/mark", "/mark?nsfw=r", "/t/webui/mark?nsfw=pg"):
        assert ask(service, path) == ask(service, path)
        marks.append(ask(service, path))
    assert len(set(marks)) == len(marks)


def test_a_mark_is_of_what_a_profile_says_in_whatever_order_it_is_kept() -> None:
    one = Profile("a", "a1111", ("x", "y"), {"x": "/x\udc80", "y": "/y"}, kinds=frozenset({"lora", "vae"}))
    other = Profile("a", "a1111", ("x", "y"), {"y": "/y", "x": "/x\udc80"}, kinds=frozenset({"vae", "lora"}))
    assert mark_of(one, Limits(PG, None)) == mark_of(other, Limits(PG, None))
    assert mark_of(one, Limits(PG, None)) != mark_of(one, Limits(PG, PG))


def test_limits_that_can_be_set_are_levels_or_none() -> None:
    assert (*NSFW_LEVELS, "none") == NSFW_LIMITS


def test_what_has_no_level_is_within_every_limit_and_of_several_the_highest_counts() -> None:
    assert [Limits(R, None).shows(mask) for mask in (None, 0, PG, R, PG | PG13 | R, X, BLOCKED)] == [
        True, True, True, True, True, False, False,
    ]  # fmt: skip
    assert [Limits(PG, PG13).lists(mask) for mask in (None, 0, PG, PG | PG13, R)] == [True] * 4 + [False]
    assert Limits(PG, None).lists(BLOCKED)
