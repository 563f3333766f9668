from __future__ import annotations

from registry.search.nodes import And, Node, Not, Or, Saved, Text
from registry.search.query import MAX_REPLACED, replace_saved
from registry.search.trees import EVERYTHING

RED, BLUE = Text("red"), Text("blue")


def test_a_saved_search_is_replaced_by_what_it_asks() -> None:
    known: dict[str, Node] = {"a": And((RED, Saved("b"))), "b": BLUE}

    assert replace_saved(Saved("a"), known.get) == (And((RED, BLUE)), ())
    assert replace_saved(Not(Saved("b")), known.get) == (Not(BLUE), ())
    assert replace_saved(And((Text("x"), Saved("a"))), known.get) == (And((Text("x"), RED, BLUE)), ())


def test_a_search_for_everything_restricts_nothing() -> None:
    assert replace_saved(And((RED, Saved("all"))), {"all": EVERYTHING}.get) == (RED, ())
    assert replace_saved(None, lambda _: None) == (None, ())


def test_an_unknown_search_finds_nothing_and_is_named() -> None:
    node, warnings = replace_saved(And((RED, Saved("gone"), Saved("gone"))), lambda _: None)

    assert node == And((RED, Or(())))
    assert [warning.slug for warning in warnings] == ["unknown-saved-search"]
    assert "gone" in warnings[0].text
    assert replace_saved(Or((RED, Saved("gone"))), lambda _: None)[0] == RED


def test_a_search_that_contains_itself_finds_nothing() -> None:
    known: dict[str, Node] = {"a": Or((RED, Saved("b"))), "b": Saved("a")}
    node, warnings = replace_saved(Saved("a"), known.get)

    assert node == RED
    assert [warning.slug for warning in warnings] == ["circular-saved-search"]


def test_searches_that_grow_beyond_measure_find_nothing() -> None:
    growing: dict[str, Node] = {str(n): And((Saved(str(n + 1)),) * 10) for n in range(MAX_REPLACED)}
    node, warnings = replace_saved(Not(Saved("0")), growing.get)

    assert node == Or(())
    assert [warning.slug for warning in warnings] == ["too-large"]
