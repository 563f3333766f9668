"""Any text is a query; queries come back from text and from JSON as they were."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import BadRequest
from registry.search.exchange import from_json, to_json
from registry.search.nodes import Query, Sort
from registry.search.query import MAX_WARNINGS, MAX_WRITTEN, parse, replace_saved, sort_named
from registry.search.understood import sentence
from registry.search.units import DATES
from registry.search.writing import format_query
from tests.support.queries import QUERIES, TYPED

NOW = 1_715_940_000_123
UNTIMED = settings(deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("where", "sort", "and", "or", "not", "text", "phrase", "prefix", "saved", "field", "any", "by"),
        *("is", "begins", "known", "from", "to", "above", "below", "descending"),
    ]
)
NEARLY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["rank", "tag", "x", "date", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def holds_for_any_text(text: str) -> None:
    parsed = parse(text, NOW)
    written = format_query(parsed.query)
    again = parse(written, NOW, longest=MAX_WRITTEN)

    assert again.query == parsed.query
    assert not again.warnings
    assert from_json(to_json(parsed.query)) == parsed.query
    assert len(written) <= MAX_WRITTEN
    assert len(parsed.warnings) <= MAX_WARNINGS
    assert all(warning.text.isprintable() for warning in parsed.warnings)
    assert sentence(parsed.query, parsed.query.sort or Sort("date")).isprintable()
    written.encode()


@settings(deadline=None, max_examples=6_000, suppress_health_check=[HealthCheck.too_slow])
@given(TYPED)
def test_whatever_is_typed_is_a_query_that_can_be_written_and_said(text: str) -> None:
    holds_for_any_text(text)


@settings(deadline=None, max_examples=4_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60))
def test_whatever_text_there_is_is_a_query_that_can_be_written_and_said(text: str) -> None:
    holds_for_any_text(text)


@UNTIMED
@given(st.lists(TYPED, max_size=400).map(" ".join))
def test_long_texts_are_queries(text: str) -> None:
    holds_for_any_text(text)


@UNTIMED
@given(QUERIES)
def test_a_query_comes_back_from_its_text(query: Query) -> None:
    again = parse(format_query(query), NOW, longest=MAX_WRITTEN)

    assert again.query == query
    assert not again.warnings


@UNTIMED
@given(QUERIES)
def test_a_query_comes_back_from_json(query: Query) -> None:
    assert from_json(to_json(query)) == query


@UNTIMED
@given(QUERIES, st.sampled_from(["name", "date", "size", "rank", "relevance"]), st.booleans())
def test_every_query_is_said_in_one_line(query: Query, field: str, descending: bool) -> None:  # noqa: FBT001 - drawn
    assert sentence(query, Sort(field, descending)).isprintable()


@UNTIMED
@given(JSON | NEARLY | st.fixed_dictionaries({"where": NEARLY}))
def test_json_is_a_query_that_can_be_typed_or_is_refused(value: object) -> None:
    with contextlib.suppress(BadRequest):
        query = from_json(value)
        assert parse(format_query(query), NOW, longest=MAX_WRITTEN).query == query


@UNTIMED
@given(QUERIES, QUERIES)
def test_replacing_saved_searches_leaves_none(query: Query, saved: Query) -> None:
    replaced, warnings = replace_saved(query.where, lambda name: saved.where if name == "mine" else None)

    assert "saved:" not in format_query(Query(replaced)).replace('"', "") or "saved" not in str(
        type(replaced)
    )
    assert replace_saved(replaced, lambda _: None) == (replaced, ())
    assert all(warning.at is None for warning in warnings)


@UNTIMED
@given(TYPED, st.integers(DATES[0], DATES[-1]))
def test_the_time_of_asking_makes_nothing_fail(text: str, now: int) -> None:
    parse(f"{text} date:-9999d,-9999w,-9999m,-9999y added:>-1y..<-1d", now)
    sort_named(text)
