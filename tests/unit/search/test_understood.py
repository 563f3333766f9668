from __future__ import annotations

import datetime as dt

import pytest

from registry.search.fields import SORTS, TABLE, Field
from registry.search.nodes import And, Or, Query, Sort
from registry.search.query import parse
from registry.search.understood import sentence

NOW = int(dt.datetime(2024, 5, 17, 10, 30, tzinfo=dt.UTC).timestamp() * 1000)
NEWEST = Sort("date", descending=True)


def said(text: str, sort: Sort = NEWEST) -> str:
    query = parse(text, NOW).query
    return sentence(query, query.sort or sort)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "Everything, newest first"),
        ("red", "Loras matching “red”, newest first"),
        ('red dress* "long hair"', "Loras matching “red”, “dress…” and “long hair”, newest first"),
        (
            "kind:lora arch:sdxl rank:8..64 tag:long_hair",
            "Stable Diffusion XL adapters of rank 8 to 64, with the tag “long hair”, newest first",
        ),
        ("arch:sdxl,flux1 adapter:lokr", "Stable Diffusion XL or FLUX.1 LoKr adapters, newest first"),
        ("kind:checkpoint red", "Checkpoints matching “red”, newest first"),
        ("-arch:sdxl", "Loras not of architecture Stable Diffusion XL, newest first"),
        ("arch:unknown", "Loras of architecture unknown, newest first"),
        (
            "-tag:a,b -has:preview -red",
            "Loras without the tag “a” or “b”, without preview, not matching “red”, newest first",
        ),
        (
            "red OR arch:sdxl",
            "Loras either matching “red” or of architecture Stable Diffusion XL, newest first",
        ),
        (
            "x (a OR b c)",
            "Loras matching “x”, either matching “a” or (matching “b” and matching “c”), newest first",
        ),
        ("rank:8,16..", "Loras of rank 8 or 16 or more, newest first"),
        ("rank:none -lr:*", "Loras without any rank, without any learning rate, newest first"),
        ("lr:>1e-4", "Loras with learning rate above 0.0001, newest first"),
        ("size:200mb", "Loras of about 200 MB, newest first"),
        ("size:<1.5gb", "Loras of below 1.5 GB, newest first"),
        ("date:2024", "Loras changed in 2024, newest first"),
        ("date:2024-05-17", "Loras changed on 2024-05-17, newest first"),
        ("date:2023..2024-02", "Loras changed from 2023-01-01 to 2024-02-29, newest first"),
        ("added:-7d", "Loras first seen since 2024-05-10 10:30:00 UTC, newest first"),
        ("missing:no dup:yes", "Loras that are not missing, with duplicates, newest first"),
        ("-missing:no", "Loras that are missing, newest first"),
        ("trainer:kohya*", "Loras made by what begins with “kohya”, newest first"),
        ("folder:/ res:832x1216", "Loras in the folder “/”, trained at 832x1216, newest first"),
        ("saved:mine", "Loras of the saved search “mine”, newest first"),
    ],
)
def test_a_query_is_said_in_english(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort("relevance"), "best matches first"),
        (Sort("date"), "oldest first"),
        (Sort("size", descending=True), "largest first"),
        (Sort("name"), "by name, A to Z"),
        (Sort("rank", descending=True), "by rank, highest first"),
    ],
)
def test_the_order_is_said(sort: Sort, expected: str) -> None:
    assert said("red", sort) == f"Loras matching “red”, {expected}"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_field_can_be_said(row: Field) -> None:
    for name in (row.name, *SORTS):
        assert said(row.example, Sort(name)).isprintable()
    assert "{" not in said(row.example)


def test_values_of_strangers_stay_in_their_place() -> None:
    assert said('tag:"{}"') == "Loras with the tag “{}”, newest first"
    assert said('"red\x1b[31m\u202edress"') == "Loras matching “red [31m dress”, newest first"
    assert len(said("x" * 1000)) < 100


def test_what_saved_searches_leave_is_said() -> None:
    assert sentence(Query(Or(())), NEWEST) == "Loras that cannot be, newest first"
    assert sentence(Query(And(())), NEWEST) == "Everything, newest first"
