"""What is limited stays so while the search index is behind the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.presence import set_missing
from registry.catalog.roots import change_root
from registry.catalog.tokens import TokenScope, create_token
from registry.curation import read_changes
from registry.formats.nsfw import X
from tests.support.catalogs import MACHINE
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from typing import Any

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

LIST = "/sdapi/v1/loras"
NAMES = "/models/loras"


@pytest.fixture
def library(service: Service, builder: Builder) -> Service:
    """Three loras of which none has a level yet."""
    root = builder.root("/models")
    for name in ("first", "second", "third"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    service.catch_up()
    return service


@pytest.fixture
def capped(builder: Builder) -> dict[str, str]:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "picker", "read", scope=TokenScope(nsfw_entries=X))
    return {"authorization": f"Bearer {secret}"}


def level(builder: Builder, name: str, said: str) -> None:
    with builder.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, name, MACHINE)], read_changes({"nsfw": said}))


def ask(service: Service, path: str, headers: dict[str, str]) -> Any:
    answer = service.ask("GET", path, peer=REMOTE, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(service: Service, headers: dict[str, str]) -> list[str]:
    names = [one["name"] for one in ask(service, LIST, headers)]
    assert [f"{name}.safetensors" for name in names] == ask(service, NAMES, headers)
    assert [one["name"] for one in ask(service, f"{LIST}?limit=9", headers)] == names
    return names


def test_what_was_just_marked_is_in_no_list_any_more(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    assert listed(library, capped) == ["first", "second", "third"]
    level(builder, "second", "xxx")
    assert listed(library, capped) == ["first", "third"]
    library.catch_up()
    assert listed(library, capped) == ["first", "third"]


def test_what_is_marked_as_harmless_is_listed_again_at_once(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    level(builder, "second", "xxx")
    library.catch_up()
    level(builder, "second", "pg")
    assert listed(library, capped) == ["first", "second", "third"]


def test_where_nobody_can_tell_what_changed_the_levels_of_all_are_read(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    level(builder, "first", "xxx")
    with builder.catalog.write() as unit:
        change_root(unit, 1, label="other")
    level(builder, "third", "xxx")
    assert listed(library, capped) == ["second"]


def test_a_search_tells_of_nothing_that_was_just_marked(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    level(builder, "second", "xxx")
    found = ask(library, "/api/v1/search?q=&sort=name", capped)
    assert [one["name"] for one in found["items"]] == ["first", "third"]
    assert (found["total"], found["withheld"]) == (2, 1)
    assert ask(library, "/api/v1/search?q=second", capped)["items"] == []


def test_the_page_shows_nothing_that_was_just_marked(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    level(builder, "second", "xxx")
    page = library.ask("GET", "/", peer=REMOTE, headers=capped)
    assert page.status_code == 200, page.text
    assert "first" in page.text
    assert "second" not in page.text


def test_lists_made_for_an_older_index_make_room_for_newer_ones(
    library: Service, builder: Builder, capped: dict[str, str]
) -> None:
    with builder.catalog.read() as conn:
        third = resolve(conn, "third", MACHINE)
    for _ in range(3):
        with builder.catalog.write() as unit:
            query = f"SELECT id FROM file WHERE lora_id = {third}"
            set_missing(unit, unit.conn.exec_driver_sql(query).scalars().all(), state="missing")
        assert listed(library, capped) == ["first", "second"]
        library.catch_up()
        assert listed(library, capped) == ["first", "second"]
