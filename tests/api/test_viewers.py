"""Who looks at a page: what it may do, and up to which level it may ask for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotations

from registry.api.viewers import viewer_of
from registry.formats.nsfw import PG, PG13, XXX, R
from tests.support.serving import REMOTE
from tests.support.telling import ask, bearer, opener, token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]


def looked(request: Request) -> dict[str, Any]:
    """Answer with who looks."""
    viewer = viewer_of(request)
    return {
        "name": viewer.name,
        "writes": viewer.may_write,
        "pictures": viewer.limits.pictures,
        "most": viewer.most,
        "by_address": viewer.by_address,
    }


@pytest.fixture
def service(builder: Builder, start: Start) -> Service:
    opened = opener(builder, start)()
    opened.app.add_api_route("/looked", looked)
    return opened


def test_who_sits_at_this_machine_may_write_and_see_all_levels(service: Service) -> None:
    assert ask(service, "/looked") == {
        "name": None, "writes": True, "pictures": PG13, "most": XXX, "by_address": False,
    }  # fmt: skip
    assert ask(service, "/looked", headers={"cookie": "nsfw=xxx"})["pictures"] == XXX


@pytest.mark.parametrize(("role", "writes"), [("read", False), ("write", True), ("admin", True)])
def test_a_token_writes_as_its_role_says(service: Service, role: str, *, writes: bool) -> None:
    secret = token(service, "anna", role)
    seen = ask(service, "/looked", peer=REMOTE, headers=bearer(secret))
    assert (seen["name"], seen["writes"], seen["by_address"]) == ("anna", writes, False)


def test_tokens_and_tools_say_how_far_a_choice_may_go(service: Service) -> None:
    assert ask(service, "/t/webui/looked")["most"] == R
    low = token(service, "child", nsfw_pictures=PG)
    seen = ask(service, "/t/webui/looked", peer=REMOTE, headers={**bearer(low), "cookie": "nsfw=xxx"})
    assert (seen["most"], seen["pictures"]) == (PG, PG)


def test_a_token_in_the_address_is_told_from_one_in_a_header(service: Service) -> None:
    secret = token(service, "friend", "write")
    seen = ask(service, f"/k/{secret}/looked", peer=REMOTE)
    assert (seen["by_address"], seen["writes"]) == (True, False)
    assert ask(service, "/looked", peer=REMOTE, auth=("x", secret))["by_address"] is False
