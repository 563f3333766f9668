"""What asking for both, either and not means, on random records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.search.matcher import matches
from registry.search.nodes import And, Known, Match, Node, Not, Or, Query, Text
from registry.search.query import MAX_WRITTEN, parse
from registry.search.trees import all_of, any_of, negated
from registry.search.writing import format_query
from tests.support.queries import LEAVES, RECORDS, trees

if TYPE_CHECKING:
    from registry.views import SearchRecord

UNTIMED = settings(deadline=None)
NODES = trees(LEAVES)


@UNTIMED
@given(NODES, RECORDS)
def test_not_is_the_contrary(node: Node, record: SearchRecord) -> None:
    assert matches(Not(node), record) is not matches(node, record)
    assert matches(negated(negated(node)), record) is matches(node, record)


@UNTIMED
@given(NODES, NODES, RECORDS)
def test_not_both_is_either_not(left: Node, right: Node, record: SearchRecord) -> None:
    assert matches(Not(And((left, right))), record) is matches(Or((Not(left), Not(right))), record)
    assert matches(Not(Or((left, right))), record) is matches(And((Not(left), Not(right))), record)


@UNTIMED
@given(st.lists(NODES, max_size=3), RECORDS)
def test_trees_mean_the_same_however_they_are_put_together(nodes: list[Node], record: SearchRecord) -> None:
    assert matches(all_of(nodes), record) is all(matches(node, record) for node in nodes)
    assert matches(any_of(nodes), record) is any(matches(node, record) for node in nodes)


@UNTIMED
@given(NODES, RECORDS)
def test_a_query_that_was_written_and_read_finds_the_same(node: Node, record: SearchRecord) -> None:
    again = parse(format_query(Query(node)), 0, longest=MAX_WRITTEN).query

    assert matches(again.where, record) is matches(node, record)


@UNTIMED
@given(LEAVES, RECORDS)
def test_the_values_of_a_field_are_alternatives(node: Node, record: SearchRecord) -> None:
    if isinstance(node, Match):
        alone = [Match(node.field, (value,)) for value in node.values]
        assert matches(node, record) is any(matches(one, record) for one in alone)


@UNTIMED
@given(LEAVES, RECORDS)
def test_what_is_found_by_a_word_is_found_by_its_beginning(node: Node, record: SearchRecord) -> None:
    if isinstance(node, Text) and node.phrase:
        # Phrases that are only begun are not looked for in tags and comments.
        header = {name: value for name, value in record.header.items() if name != "comment"}
        record = replace(record, tags=(), description=None, header=header)
    if isinstance(node, Text) and matches(Text(node.text, phrase=node.phrase), record):
        assert matches(Text(node.text, prefix=True, phrase=node.phrase), record)


@UNTIMED
@given(LEAVES, RECORDS)
def test_what_has_a_value_has_a_known_value(node: Node, record: SearchRecord) -> None:
    if isinstance(node, Match) and node.field != "folder" and Known(known=False) not in node.values:
        known = Match(node.field, (Known(known=True),))
        assert matches(known, record) or not matches(node, record)
    assert matches(None, record)
