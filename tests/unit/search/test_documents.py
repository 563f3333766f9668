"""Documents are made with all remembered and laid out; here is what they are, the slow and plain way."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.search import documents, fields, text
from registry.search.documents import document, number_of, sort_key, sort_parts, terms, values_of
from registry.search.fields import COLUMNS, NUMERIC, TABLE, TAG, TAG_TIMES, TAGS, Kind
from registry.search.schema import BAG, KEYS, sorts_by_text
from tests.support.search_records import WORDS, joined, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.views import SearchRecord

MADE = [record(random.Random(number), number) for number in range(1, 200)]
# With the commonest tags first, as a catalog gives them.
RECORDS = [replace(one, tags=tuple(sorted(one.tags, key=lambda tag: -tag[1]))) for one in MADE]
LONG = " ".join(
    [*WORDS, "plain words", "Some  more,\n(of) them", "x" * 150, "Y" * 150, "\u3000wide\xa0blanks"]
)


def plainly(one: SearchRecord) -> dict[str, list[object]]:
    """Return what the document of a record holds, each field by itself and nothing remembered."""
    values: dict[str, list[object]] = {
        "key": [f"L{one.id}"],
        "whole": distinct(map(text.key, fields.WHOLE_NAMES(one))),
        "known": [" ".join(row.name for row in TABLE if read(row, one))],
    }
    for column in COLUMNS:
        texts = list(column.read(one))
        least = 1 if column.name == TAGS else 0
        sequences = [tokens for each in texts if len(tokens := text.sequence(each)) > least]
        values[f"t_{column.name}"] = [" ".join(tokens) for tokens in sequences]
        if column.field:
            values[f"b_{column.name}"] = [words for each in texts if (words := held(each))]
    for row in TABLE:
        found = read(row, one)
        if row.kind in KEYS:
            values[f"k_{row.name}"] = distinct(term for value in found for term in terms(row.kind, value))
        if row.name == TAG and found:
            values["k_tag"] = [" ".join(text.tag_term(str(term)) for term in values["k_tag"])]
        if row.kind is Kind.HASH and found:
            values[f"k_{row.name}"] = [" ".join(map(str, values[f"k_{row.name}"]))]
        if row.kind in NUMERIC:
            numbers: list[object] = [number_of(row.kind, value) for value in found]
            values[f"n_{row.name}"] = [number for number in numbers if number is not None][:1]
        if row.facet is not None:
            values[f"f_{row.name}"] = [value[:200] for value in row.facet(one)]
        if row.sort is not None and sorts_by_text(row) and (value := row.sort(one)) is not None:
            key = sort_key(str(value))
            values[f"s_{row.name}"] = [key]
            values |= {f"s_{row.name}_{part}": [number] for part, number in enumerate(sort_parts(key))}
    values[BAG] = bag(one)
    return {name: found for name, found in values.items() if found}


def bag(one: SearchRecord) -> list[object]:
    """Return the texts of the bag: each as often as its column counts, tags by their share of the highest."""
    found: list[object] = []
    for column in COLUMNS:
        if column.name != TAGS:
            found += [words for each in column.read(one) if (words := held(each))] * column.times
    above = float("inf")
    top = max([count for _, count in one.tags], default=0) or 1
    for share, times in TAG_TIMES:
        tags = [held(tag.replace("_", " ")) for tag, count in one.tags if share * top <= count < above]
        found += [" ".join(filter(None, tags))] * times if any(tags) else []
        above = share * top
    return found


def held(each: str) -> str:
    return " ".join(map(str, distinct(token for run in text.runs(each) for token in run.bag)))


def read(row: fields.Field, one: SearchRecord) -> list[object]:
    return [value for value in row.read(one) if value is not None and value != ""]


def distinct(values: Iterable[object]) -> list[object]:
    return list(dict.fromkeys(values))


def with_tags(*tags: tuple[str, int]) -> SearchRecord:
    return replace(RECORDS[0], tags=tags)


def test_documents_are_what_the_table_of_fields_says() -> None:
    assert [unordered(values_of(one)) for one in RECORDS] == [unordered(plainly(one)) for one in RECORDS]


def test_a_document_that_is_made_again_is_the_same() -> None:
    assert [values_of(one) for one in RECORDS] == [values_of(one) for one in RECORDS]


def test_a_document_is_its_values_as_json() -> None:
    assert [json.loads(document(one)) for one in RECORDS] == [values_of(one) for one in RECORDS]


def test_the_words_of_long_texts_are_those_of_short_ones() -> None:
    chance = random.Random(1)
    texts = [LONG, *(" ".join(joined(chance) for _ in range(30)) for _ in range(50))]
    found = [replace(RECORDS[0], description=one) for one in texts]

    assert [unordered(values_of(one)) for one in found] == [unordered(plainly(one)) for one in found]


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [("alone", 0)],
        [("red", 10), ("often", 5), ("some", 4), ("still", 1), ("rare", 0)],
        [("equal", 3), ("all", 3), ("of_them", 3)],
        [("_", 2), (":)", 2), ("", 1), ("long_hair", 1), ("long hair", 1), ("Long_Hair", 1)],
        [("x" * 500, 9), ("盲盒" * 30, 8), ("漢服", 1)],
    ],
)
def test_tags_count_by_their_shares(tags: list[tuple[str, int]]) -> None:
    assert unordered(values_of(with_tags(*tags))) == unordered(plainly(with_tags(*tags)))


def test_tags_in_another_order_count_as_often() -> None:
    chance = random.Random(2)
    tags = [(f"tag {number}", number % 40) for number in range(300)]
    in_order = values_of(with_tags(*sorted(tags, key=lambda tag: -tag[1])))
    chance.shuffle(tags)
    mixed = values_of(with_tags(*tags))

    for name in ("k_tag", "t_tags", BAG):
        assert tokens(mixed[name]) == tokens(in_order[name])


def unordered(values: dict[str, list[object]]) -> dict[str, list[object]]:
    """Return the values of a document with bags and what is known as they count: in no order."""
    bags: dict[str, list[object]] = {
        name: list(tokens(found)) for name, found in values.items() if name == BAG or name.startswith("b_")
    }
    return {**values, **bags, "known": list(tokens(values["known"]))}


def tokens(values: list[object]) -> list[str]:
    return sorted(token for value in values for token in str(value).split())


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, True, "12", 1.5])
def test_numbers_that_a_field_cannot_hold_are_left_out(number: object) -> None:
    one = replace(RECORDS[0], header={"rank": number, "alpha": number, "steps": 3})

    assert unordered(values_of(one)) == unordered(plainly(one))


def test_more_words_than_are_remembered_are_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.search.documents._REMEMBERED", 3)
    for remembered in (documents._words, documents._tags, documents._keys):
        remembered.clear()

    assert [unordered(values_of(one)) for one in RECORDS] == [unordered(plainly(one)) for one in RECORDS]
