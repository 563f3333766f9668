"""Queries with one value more or less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.search.nodes import And, Match, Node
from registry.search.query import parse
from registry.search.trees import all_of
from registry.web.refining import completed, has, read_typed, value_of, with_value, without_value
from tests.support.queries import TYPED

NOW = 1_700_000_000_000
SHOWN = st.sampled_from(
    [
        ("arch", "sdxl"),
        ("arch", "none"),
        ("rank", "32"),
        ("tag", "long hair"),
        ("tag", ':) "x"'),
        ("folder", "/"),
        ("res", "832x1216"),
        ("dup", "yes"),
        ("root", "盲盒 (1)"),
        ("base", "none"),
        ("trainer", "a,b*"),
    ]
)


def add(text: str, field: str, shown: str) -> str:
    value = value_of(field, shown, NOW)
    assert value is not None
    return with_value(read_typed(text, NOW), field, value)


def remove(text: str, field: str, shown: str) -> str:
    value = value_of(field, shown, NOW)
    assert value is not None
    return without_value(read_typed(text, NOW), field, value)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", "arch:sdxl"),
        ("  red  dress ", "red  dress arch:sdxl"),
        ("size:<200mb added:-7d sort:-size", "size:<200mb added:-7d sort:-size arch:sdxl"),
        ("a OR b", "(a OR b) arch:sdxl"),
        ('"unclosed phrase', '"unclosed phrase" arch:sdxl'),
        ("lora:<x:1> re:zero :)", "lora:<x:1> re:zero :) arch:sdxl"),
        ("arch:sd15", "arch:sd15 arch:sdxl"),
    ],
)
def test_what_was_typed_stays_as_it_was(typed: str, wanted: str) -> None:
    assert add(typed, "arch", "sdxl") == wanted


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("arch:sdxl", ""),
        ("red  arch:SDXL size:<200mb", "red  size:<200mb"),
        ('arch:"Stable Diffusion XL" red', "red"),
        ("architecture:sdxl", ""),
        ("arch:sdxl,sd15 red", "arch:sd15 red"),
        ("-arch:sdxl arch:sdxl", "-arch:sdxl"),
        ("(arch:sdxl red)", "(red)"),
        ("arch:sdxl sort:name", "sort:name"),
    ],
)
def test_a_value_is_taken_out_where_it_is_asked_for(typed: str, wanted: str) -> None:
    assert remove(typed, "arch", "sdxl") == wanted


def test_only_what_must_be_so_is_asked_for() -> None:
    value = value_of("arch", "sdxl", NOW)
    assert value is not None
    for typed in ("arch:sdxl", "x arch:sd15,SDXL", 'arch:"stable diffusion xl"'):
        assert has(read_typed(typed, NOW), "arch", value), typed
    for typed in ("", "-arch:sdxl", "arch:sdxl OR x", "arch:sd*", "base:sdxl", '"arch:sdxl"'):
        assert not has(read_typed(typed, NOW), "arch", value), typed


def terms(node: Node | None) -> tuple[Node, ...]:
    return () if node is None else node.nodes if isinstance(node, And) else (node,)


@given(TYPED, SHOWN)
def test_adding_asks_for_the_value_and_everything_before(text: str, choice: tuple[str, str]) -> None:
    field, shown = choice
    value = value_of(field, shown, NOW)
    assert value is not None
    before = parse(text, NOW).query
    after = parse(add(text, field, shown), NOW).query
    assert after.where == all_of((*terms(before.where), Match(field, (value,))))
    assert after.sort == before.sort
    assert has(read_typed(add(text, field, shown), NOW), field, value)


@given(TYPED, SHOWN)
def test_removing_what_was_added_leaves_what_was_asked(text: str, choice: tuple[str, str]) -> None:
    field, shown = choice
    value = value_of(field, shown, NOW)
    assert value is not None
    before = read_typed(text, NOW)
    left = read_typed(remove(add(text, field, shown), field, shown), NOW)
    assert not has(left, field, value)
    if not has(before, field, value):
        assert left.query == before.query


@pytest.mark.parametrize(
    ("typed", "insert", "wanted"),
    [
        ("lo", 'tag:"long hair"', 'tag:"long hair" '),
        ("red -lo", "tag:long", "red -tag:long "),
        ("red (ar", "arch:", "red (arch:"),
        ('red "lon', "name:longing", "red name:longing "),
        ("arch:sd", "arch:sdxl", "arch:sdxl "),
        ("猫", "tag:cat", "tag:cat "),
        ('solo tag:"long ha', 'tag:"long hair"', 'solo tag:"long hair" '),
        ("solo　猫", "tag:cat", "solo　tag:cat "),
    ],
)
def test_a_suggestion_takes_the_place_of_the_last_word(typed: str, insert: str, wanted: str) -> None:
    assert completed(typed, insert) == wanted
