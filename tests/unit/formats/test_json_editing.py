"""JSON texts in which only what differs is written anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.formats.json_editing import Style, edited, same, written

STYLE = Style(2, ascii=False)


def change(text: str, style: Style = STYLE, **members: Any) -> str:
    old = json.loads(text)
    return edited(text, old, {**old, **members}, style)


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(None, ascii=True), '{"a":[1,"\\u00e9"],"b":{}}'),
        (Style(1, ascii=False), '{\n "a": [\n  1,\n  "é"\n ],\n "b": {}\n}'),
    ],
)
def test_a_new_text_is_in_the_style_of_its_tool(style: Style, text: str) -> None:
    assert written({"a": [1, "é"], "b": {}}, style) == text


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('{"a":1}', '{"a":2}'),
        ('{ "a" : 1 }', '{ "a" : 2 }'),
        ('\n{"a": 1, "b": 1.50, "c": 1e5}\n\n', '\n{"a": 2, "b": 1.50, "c": 1e5}\n\n'),
        ('{"a": 1, "b": 1, "a": 3}', '{"a": 1, "b": 1, "a": 2}'),
        ('{"b": "\\/\\u0041", "a": {"x": 1}}', '{"b": "\\/\\u0041", "a": 2}'),
        ('{"b": 123456789012345678901234567890, "a": null}', '{"b": 123456789012345678901234567890, "a": 2}'),
    ],
)
def test_only_the_value_changes(text: str, changed: str) -> None:
    assert change(text, a=2) == changed


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("{}", '{\n  "n": [\n    1\n  ]\n}'),
        (" {\n} ", ' {\n  "n": [\n    1\n  ]\n} '),
        ('{"a":1}', '{"a":1,"n":[1]}'),
        ('{"a": 1}', '{"a": 1, "n": [1]}'),
        ('{"a":1, "b":2 }', '{"a":1, "b":2, "n":[1] }'),
        ('{\n\t"a": 1\n}\n', '{\n\t"a": 1,\n\t"n": [\n\t\t1\n\t]\n}\n'),
        ('{\r\n "a":1\r\n}', '{\r\n "a":1,\r\n "n":[\r\n  1\r\n ]\r\n}'),
        ('{\n"a": 1\n}', '{\n"a": 1,\n"n": [\n1\n]\n}'),
    ],
)
def test_what_is_added_comes_last_in_the_manner_of_the_rest(text: str, added: str) -> None:
    assert change(text, n=[1]) == added


def test_changes_within_reach_no_further_than_they_must() -> None:
    text = '{\n  "a": {\n    "x": [1.0,  2],\n    "y": 1\n  },\n  "b": 1.0\n}'
    old = json.loads(text)
    grown = edited(text, old, {**old, "a": {"x": [1.0, 2, {"k": 3}], "y": 5}}, STYLE)
    assert grown == (
        '{\n  "a": {\n    "x": [1.0,  2,\n      {\n        "k": 3\n      }],\n    "y": 5\n  },\n  "b": 1.0\n}'
    )


def test_a_list_that_became_shorter_is_written_anew() -> None:
    assert change('{"a": [1.0, 2,  3]}', a=[1.0]) == '{"a": [1.0]}'


def test_members_within_may_go() -> None:
    assert change('{"a": {"x": 1, "y": 2}}', a={"y": 2}) == '{"a": {"y": 2}}'


@pytest.mark.parametrize(
    ("text", "style", "value"),
    [
        ('{"a": "é", "b": "\\u00e9"}', Style(2, ascii=True), '"ü"'),
        ('{"b": "\\u00e9"}', Style(2, ascii=False), '"\\u00fc"'),
        ('{"b": "\\u0007"}', Style(2, ascii=False), '"ü"'),
        ('{"b": 1}', Style(2, ascii=True), '"\\u00fc"'),
    ],
)
def test_escapes_are_those_of_the_text_else_of_the_tool(text: str, style: Style, value: str) -> None:
    assert change(text, style, n="ü").endswith(f'"n": {value}}}')


def test_half_pairs_are_escaped_always() -> None:
    text = change('{"a": "é"}', a="é\ud83d")
    assert text == '{"a": "é\\ud83d"}'
    assert json.loads(text) == {"a": "é\ud83d"}


def test_numbers_that_json_has_not_stay_but_are_not_written() -> None:
    old = {"a": float("nan"), "b": 1}
    assert edited('{"a": NaN, "b": 1}', old, {**old, "b": 2}, STYLE) == '{"a": NaN, "b": 2}'
    with pytest.raises(ValueError, match="JSON"):
        edited('{"a": NaN, "b": 1}', old, {**old, "b": float("inf")}, STYLE)
    with pytest.raises(ValueError, match="JSON"):
        written({"a": float("nan")}, STYLE)


def test_a_truth_is_no_number() -> None:
    assert not same(before=1, after=1.0)
    assert not same(before=1, after=True)
    assert same([1], [1])
    assert change('{"a": 1}', a=True) == '{"a": true}'
