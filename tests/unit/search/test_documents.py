"""Documents are made with all remembered and laid out; here is what they are, the slow and plain way."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.search import fields, text
from registry.search.documents import document, number_of, sort_key, sort_parts, terms, values_of
from registry.search.fields import COLUMNS, NUMERIC, TABLE, TAG_SHARES
from registry.search.schema import KEYS, build, sorts_by_text
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
        "known": [row.name for row in TABLE if read(row, one)],
    }
    for column in COLUMNS:
        texts = list(column.read(one))
        alone = distinct(single for each in texts for run in text.runs(each) for single in run.singles)
        values[f"t_{column.name}"] = [" ".join(tokens) for each in texts if (tokens := text.sequence(each))]
        values[f"j_{column.name}"] = [" ".join(map(str, alone))] if alone else []
    for row in TABLE:
        found = read(row, one)
        if row.kind in KEYS:
            values[f"k_{row.name}"] = distinct(term for value in found for term in terms(row.kind, value))
        if row.kind in NUMERIC:
            numbers: list[object] = [number_of(row.kind, value) for value in found]
            values[f"n_{row.name}"] = [number for number in numbers if number is not None][:1]
        if row.facet is not None:
            values[f"f_{row.name}"] = [value[:200] for value in row.facet(one)]
        if row.sort is not None and sorts_by_text(row) and (value := row.sort(one)) is not None:
            key = sort_key(str(value))
            values[f"s_{row.name}"] = [key]
            values |= {f"s_{row.name}_{part}": [number] for part, number in enumerate(sort_parts(key))}
    return {name: found for name, found in values.items() if found}


def read(row: fields.Field, one: SearchRecord) -> list[object]:
    return [value for value in row.read(one) if value is not None and value != ""]


def distinct(values: Iterable[object]) -> list[object]:
    return list(dict.fromkeys(values))


def with_tags(*tags: tuple[str, int]) -> SearchRecord:
    return replace(RECORDS[0], tags=tags)


def test_documents_are_what_the_table_of_fields_says() -> None:
    assert [values_of(one) for one in RECORDS] == [plainly(one) for one in RECORDS]


def test_a_document_that_is_made_again_is_the_same() -> None:
    assert [values_of(one) for one in RECORDS] == [values_of(one) for one in RECORDS]


def test_a_document_holds_its_values_in_their_fields() -> None:
    schema = build()

    assert all(document(schema, one).to_dict() == values_of(one) for one in RECORDS)


def test_the_words_of_long_texts_are_those_of_short_ones() -> None:
    chance = random.Random(1)
    texts = [LONG, *(" ".join(joined(chance) for _ in range(30)) for _ in range(50))]
    found = [replace(RECORDS[0], description=one) for one in texts]

    assert [values_of(one) for one in found] == [plainly(one) for one in found]


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
def test_tags_stand_in_the_columns_of_their_shares(tags: list[tuple[str, int]]) -> None:
    assert values_of(with_tags(*tags)) == plainly(with_tags(*tags))


def test_tags_in_another_order_stand_in_the_same_columns() -> None:
    chance = random.Random(2)
    tags = [(f"tag {number}", number % 40) for number in range(300)]
    in_order = values_of(with_tags(*sorted(tags, key=lambda tag: -tag[1])))
    chance.shuffle(tags)
    mixed = values_of(with_tags(*tags))

    for name in ("k_tag", *(f"t_{column}" for column in TAG_SHARES)):
        assert set(map(str, mixed[name])) == set(map(str, in_order[name]))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, True, "12", 1.5])
def test_numbers_that_a_field_cannot_hold_are_left_out(number: object) -> None:
    one = replace(RECORDS[0], header={"rank": number, "alpha": number, "steps": 3})

    assert values_of(one) == plainly(one)


def test_more_words_than_are_remembered_are_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.search.documents._REMEMBERED", 3)

    assert [values_of(one) for one in RECORDS] == [plainly(one) for one in RECORDS]
