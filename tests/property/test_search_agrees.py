"""The index and the matcher, which share nothing but the folding of texts, find the same in any catalog."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from registry.search.documents import sort_key
from registry.search.fields import FACETS, FIELDS, SORTS
from registry.search.matcher import matches
from registry.search.nodes import Sort
from tests.support.search_index import indexed
from tests.support.search_records import node, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.search.engine import Engine

SEEDS = range(6)
QUERIES = 150


def walk(engine: Engine, where: object, sort: Sort, limit: int) -> Iterator[int]:
    """Yield the ids of all pages."""
    cursor = None
    while True:
        hits = engine.search(where, sort=sort, limit=limit, cursor=cursor)  # type: ignore[arg-type]
        assert len(hits.ids) <= limit
        yield from hits.ids
        cursor = hits.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize("seed", SEEDS)
def test_the_index_finds_what_the_matcher_finds(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    records = [record(chance, number) for number in range(1, 61)]
    engine = indexed(tmp_path, records)
    found_any = 0
    for _ in range(QUERIES):
        where = node(chance, records)
        expected = {one.id for one in records if matches(where, one)}
        hits = engine.search(where, limit=1000)
        assert set(hits.ids) == expected, where
        assert hits.total == len(expected) == len(hits.ids)
        found_any += 0 < len(expected) < len(records)
    assert found_any > QUERIES / 5


@pytest.mark.parametrize("seed", SEEDS)
def test_facets_are_what_counting_by_hand_gives(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    records = [record(chance, number) for number in range(1, 61)]
    engine = indexed(tmp_path, records)
    for _ in range(10):
        where = node(chance, records)
        shown = engine.search(where, limit=1, facets=("all",)).facets
        for name in FACETS:
            facet = FIELDS[name].facet
            assert facet is not None
            counts: dict[str, int] = {}
            for one in records:
                if matches(where, one):
                    for value in dict.fromkeys(facet(one)):
                        counts[value] = counts.get(value, 0) + 1
            assert {value.value: value.count for value in shown[name].values} == counts, name


@pytest.mark.parametrize("name", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_any_order_are_what_sorting_by_hand_gives(
    tmp_path: Path,
    name: str,
    descending: bool,  # noqa: FBT001 - a case
) -> None:
    chance = random.Random(name)
    records = [record(chance, number) for number in range(1, 120)]
    chance.shuffle(records)
    engine = indexed(tmp_path, records)
    key = FIELDS[name].sort
    assert key is not None
    with_value = [one for one in records if key(one) is not None]
    without = [one for one in records if key(one) is None]
    with_value.sort(key=lambda one: (_sorted_by(key(one)), one.id), reverse=descending)
    without.sort(key=lambda one: one.id, reverse=descending)
    expected = [one.id for one in (*with_value, *without)]
    for limit in (3, 50, 1000):
        assert list(walk(engine, None, Sort(name, descending), limit)) == expected


def _sorted_by(value: Any) -> Any:
    return sort_key(value) if isinstance(value, str) else value
