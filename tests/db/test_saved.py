"""Searches that are saved under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.changes import changes_since, generation, loras_changed_since
from registry.catalog.saved import MOST, SavedSearch, delete_saved, get_saved, list_saved, put_saved
from registry.errors import BadRequest, Conflict, NotFound
from tests.support.library import Model

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from tests.support.library import Clock, Library


def put(catalog: Catalog, name: str, query: str = "q", actor: str | None = None) -> bool:
    with catalog.write(actor=actor) as unit:
        return put_saved(unit, name, query)


def saved(catalog: Catalog, name: str) -> SavedSearch:
    with catalog.read() as conn:
        return get_saved(conn, name)


def changed(catalog: Catalog, since: int) -> list[tuple[str, int, int | None, str]]:
    with catalog.read() as conn:
        return [
            (one.entity, one.entity_id, one.lora_id, one.kind) for one in changes_since(conn, since) or ()
        ]


def test_a_search_is_found_by_its_name_in_any_case_and_width(catalog: Catalog) -> None:
    assert put(catalog, " My Pönies ", "tag:pony (unclosed", "phone")
    now = catalog.clock()
    found = SavedSearch(saved(catalog, "my pönies").id, "My Pönies", "tag:pony (unclosed", now, now, "phone")
    for name in ("My Pönies", "MY PÖNIES", "ｍｙ ｐönies", " my po\u0308nies\n"):
        assert saved(catalog, name) == found


def test_saving_again_replaces_and_keeps_when_it_began(catalog: Catalog, clock: Clock) -> None:
    put(catalog, "mine", "one", "ann")
    first, begun = saved(catalog, "mine"), clock.now
    clock.tick()
    assert not put(catalog, "MINE", "two", "ben")
    assert saved(catalog, "mine") == SavedSearch(first.id, "MINE", "two", begun, clock.now, "ben")
    with catalog.read() as conn:
        assert len(list_saved(conn)) == 1


def test_each_change_is_logged_and_what_changes_nothing_is_not(catalog: Catalog) -> None:
    put(catalog, "mine", "one")
    key = saved(catalog, "mine").id
    assert changed(catalog, 0) == [("saved", key, None, "added")]
    for query, count in (("two", 2), ("two", 2), ("one", 3)):
        put(catalog, "mine", query)
        assert len(changed(catalog, 0)) == count
    with catalog.write() as unit:
        delete_saved(unit, "Mine")
    assert changed(catalog, 1) == [
        ("saved", key, None, "changed"),
        ("saved", key, None, "changed"),
        ("saved", key, None, "removed"),
    ]
    put(catalog, "mine")
    assert saved(catalog, "mine").id > key


def test_lists_of_loras_stay_as_they_are_when_a_search_is_saved(library: Library) -> None:
    catalog = library.catalog
    library.scan(Model())
    with catalog.read() as conn:
        seq = generation(conn)
    put(catalog, "mine")
    with catalog.read() as conn:
        assert loras_changed_since(conn, seq, catalog.clock()) == set()
        assert generation(conn) > seq


def test_searches_are_listed_by_name(catalog: Catalog) -> None:
    for name in ("b", "A", "ä", "C/d", "长发"):
        put(catalog, name)
    with catalog.read() as conn:
        assert [one.name for one in list_saved(conn)] == ["A", "b", "C/d", "ä", "长发"]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00", "a\nb", "\ud800", "a\u200bb", "ﷺ" * 20])
def test_names_are_short_and_printable(catalog: Catalog, name: str) -> None:
    with catalog.write() as unit, pytest.raises(BadRequest, match="printable"):
        put_saved(unit, name, "q")
    with catalog.read() as conn:
        assert list_saved(conn) == []
        with pytest.raises(NotFound):
            get_saved(conn, name)


@pytest.mark.parametrize("query", ["", " ) OR -\n", "\x00\ud800", "x" * 10_000])
def test_any_text_is_a_query(catalog: Catalog, query: str) -> None:
    put(catalog, "x" * 100, query)
    kept = query.replace("\x00", "␀").replace("\ud800", "\ufffd")
    assert saved(catalog, "X" * 100).query == kept
    assert not put(catalog, "x" * 100, query)


def test_a_query_has_an_end(catalog: Catalog) -> None:
    with catalog.write() as unit, pytest.raises(BadRequest, match="10,000"):
        put_saved(unit, "a", "x" * 10_001)


def test_what_is_not_there_cannot_be_shown_or_forgotten(catalog: Catalog) -> None:
    with catalog.read() as conn, pytest.raises(NotFound, match="'nothing'"):
        get_saved(conn, "nothing")
    with catalog.write() as unit, pytest.raises(NotFound):
        delete_saved(unit, "nothing")


def test_a_thousand_are_enough(catalog: Catalog) -> None:
    with catalog.write() as unit:
        for number in range(MOST):
            put_saved(unit, f"n{number}", "q")
        with pytest.raises(Conflict, match="1,000"):
            put_saved(unit, "one more", "q")
        assert not put_saved(unit, "N7", "other")
