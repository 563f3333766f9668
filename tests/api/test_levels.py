"""What our own lists, searches and details tell by the limits of levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.tokens import TokenScope, create_token
from registry.curation import read_changes
from tests.support.catalogs import MACHINE
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.civitai_known import learn
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service


@pytest.fixture
def library(service: Service, builder: Builder) -> Service:
    """Two loras: one of level XXX by the user, one with pictures of PG and X on Civitai."""
    root = builder.root("/models")
    builder.file(root, "plain.safetensors")
    builder.file(root, "other.safetensors")
    builder.write()
    builder.hash("plain", "1" * 64, "2" * 64)
    images = [
        image_answer(
            f"https://image.civitai.com/{level}.jpeg", nsfwLevel=level, meta={"prompt": f"prompt {level}"}
        )
        for level in (1, 8)
    ]
    learn(builder.catalog, model_answer(7, [version_answer(70, [file_answer("1" * 64)], images=images)]))
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "other", MACHINE)], read_changes({"nsfw": "xxx"}))
    service.catch_up()
    return service


def bearer(builder: Builder, *, nsfw_entries: int) -> dict[str, str]:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "picker", "read", scope=TokenScope(nsfw_entries=nsfw_entries))
    return {"authorization": f"Bearer {secret}"}


def test_pictures_and_prompts_above_the_limit_are_in_no_answer(library: Service) -> None:
    text = library.ask("GET", "/api/v1/loras/plain").text
    assert "prompt 1" in text
    assert "prompt 8" not in text
    assert "8.jpeg" not in text
    assert "prompt 8" in library.ask("GET", "/api/v1/loras/plain?nsfw=x").text


def test_answers_for_other_limits_are_not_taken_for_the_same(library: Service) -> None:
    first = library.ask("GET", "/api/v1/loras/plain")
    raised = library.ask(
        "GET", "/api/v1/loras/plain", headers={"if-none-match": first.headers["etag"], "cookie": "nsfw=x"}
    )
    assert raised.status_code == 200
    assert "prompt 8" in raised.text


def test_a_token_with_a_cap_is_told_only_how_many_are_hidden(library: Service, builder: Builder) -> None:
    capped = bearer(builder, nsfw_entries=8)
    listed = library.ask("GET", "/api/v1/loras", peer=REMOTE, headers=capped).json()
    assert [one["name"] for one in listed["items"]] == ["plain"]
    assert listed["withheld"] == 1
    found = library.ask("GET", "/api/v1/search?q=&facets=nsfw", peer=REMOTE, headers=capped).json()
    assert ([one["name"] for one in found["items"]], found["total"], found["withheld"]) == (["plain"], 1, 1)
    assert "xxx" not in str(found["facets"])
    hidden = library.ask("GET", "/api/v1/loras/other", peer=REMOTE, headers=capped)
    assert hidden.status_code == 403
    names = library.ask("GET", "/api/v1/suggest?q=oth", peer=REMOTE, headers=capped).json()
    assert "other" not in str(names)


def test_everything_is_listed_unless_somebody_limits_it(library: Service) -> None:
    assert len(library.get("/api/v1/loras")["items"]) == 2
    assert library.get("/api/v1/search?q=")["withheld"] == 0
