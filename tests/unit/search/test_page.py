"""The page about the query language says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from registry.search.exchange import from_json, to_json
from registry.search.fields import TABLE, Field
from registry.search.query import MAX_BEGINNINGS, MAX_DEPTH, MAX_PARTS, MAX_TYPED, parse
from registry.search.text import MAX_BEGINNING

PAGE = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")


def line(row: Field) -> str:
    also = ", ".join(f"`{name}`" for name in row.aliases)
    used = ", ".join(word for word, there in (("counted", row.facet), ("sorts", row.sort)) if there)
    return f"| `{row.name}` | {also} | {row.kind.value} | {row.help} | `{row.example}` | {used} |"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_field_stands_in_the_page(row: Field) -> None:
    assert line(row) in PAGE


def test_the_page_knows_no_field_that_is_not_there() -> None:
    table = PAGE.partition("| field | also |")[2].partition("\n\n")[0]
    named = [found.split("`")[1] for found in table.splitlines() if found.startswith("| `")]

    assert named == [row.name for row in TABLE]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_example_of_a_field_is_understood(row: Field) -> None:
    assert not parse(row.example, 0).warnings
    assert parse(row.example, 0).query.where is not None


def test_examples_of_the_page_are_understood() -> None:
    table = PAGE.partition("| typed | finds |")[2].partition("\n\n")[0]
    typed = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)

    assert len(typed) > 10
    assert [parse(text, 0).warnings for text in typed] == [()] * len(typed)


def test_the_json_of_the_page_is_a_query() -> None:
    example = json.loads(PAGE.partition("```json")[2].partition("```")[0])

    assert from_json(to_json(from_json(example))) == from_json(example)


def test_the_limits_of_the_page_are_those_of_the_program() -> None:
    assert f"{MAX_TYPED:,} characters, {MAX_PARTS} words and values, {MAX_BEGINNINGS} of them" in PAGE
    assert f"{MAX_DEPTH} parentheses within one another, {MAX_BEGINNING} characters" in PAGE
