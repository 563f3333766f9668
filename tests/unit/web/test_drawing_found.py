"""The form that asks for pictures of all that a query finds: what it asks for, and how its plan is told."""

from __future__ import annotations

import datetime as dt

import pytest

from registry.drawings import NEXT, Asking, Left, Plan
from registry.errors import BadRequest
from registry.web.drawing_found import FoundForm, LeftOut, asking_found, found_form, planned

NOW = 1_700_000_000_000
DAY = 86_400_000


class Finding:
    """Finds some loras, and keeps what it was asked for."""

    def __init__(self, *found: int) -> None:
        self.found = found
        self.asked: list[str] = []

    def __call__(self, query: str) -> tuple[int, ...]:
        self.asked.append(query)
        return self.found


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "-has:preview"),
        ("ink", "ink -has:preview"),
        ("ink OR sumi", "(ink OR sumi) -has:preview"),
        ("arch:sdxl -tag:x ", "arch:sdxl -tag:x -has:preview"),
        ("has:preview", "has:preview -has:preview"),
        ('"ink', '"ink" -has:preview'),
    ],
)
def test_only_what_has_no_picture_is_asked_for(query: str, asked: str) -> None:
    find = Finding(3, 1)
    assert asking_found({"q": query, "missing": "yes"}, find, NOW) == Asking(loras=(3, 1), priority=NEXT)
    assert find.asked == [asked]


def test_all_is_asked_for_as_it_was_typed() -> None:
    find = Finding(3)
    form = {"q": 'name:"a b"  rank:8', "missing": "", "draft": "yes", "until": ""}
    assert asking_found(form, find, NOW) == Asking(loras=(3,), draft=True, priority=NEXT)
    assert find.asked == ['name:"a b"  rank:8']


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"q": " "}, "the query asks for nothing"),
        ({}, "the query asks for nothing"),
        ({"q": "one rank:blue", "missing": "yes"}, "the query is not clear: “rank:blue” was ignored"),
        # Nothing can be appended to these: they are written anew.
        ({"q": 'rank:"blue', "missing": "yes"}, "the query is not clear: “rank:blue” was ignored"),
        ({"q": 'ink rank:"blue', "missing": "yes"}, "the query is not clear"),
        ({"q": "x" * 4001}, "at most 4,000 characters"),
        ({"q": "ink", "until": "25:00"}, "'25:00' is no time of day"),
        ({"q": "ink", "until": "7"}, "is no time of day"),
        ({"q": "ink", "until": "\u0661\u0661:00"}, "is no time of day"),
        ({"q": "ink", "until": "x" * 5000}, "is no time of day"),
    ],
)
def test_what_is_wrong_finds_nothing(form: dict[str, str], told: str) -> None:
    find = Finding(3)
    with pytest.raises(BadRequest) as caught:
        asking_found(form, find, NOW)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 200
    assert find.asked == []


def test_where_nothing_is_found_nothing_is_asked_for() -> None:
    with pytest.raises(BadRequest, match="no lora was found"):
        asking_found({"q": "ink"}, Finding(), NOW)
    with pytest.raises(BadRequest, match="no lora without a picture"):
        asking_found({"q": "ink", "missing": "yes"}, Finding(), NOW)


@pytest.mark.parametrize("text", ["07:00", "7:05", "23:59", "00:00", " 22:13 "])
def test_a_time_of_day_is_the_next_one_by_the_clock_here(text: str) -> None:
    ends_at = asking_found({"q": "ink", "until": text}, Finding(3), NOW).ends_at
    assert ends_at is not None
    assert NOW < ends_at <= NOW + DAY
    local = dt.datetime.fromtimestamp(ends_at / 1000, dt.UTC).astimezone()
    assert f"{local:%H:%M:%S}" == f"{text.strip():0>5}:00"


def test_what_was_sent_is_shown_again() -> None:
    form = {"q": "ink\u202e", "missing": "", "draft": "yes", "until": "x" * 100, "confirmed": "yes"}
    assert found_form(form) == FoundForm("ink\u202e", missing=False, draft=True, until="x" * 60)
    assert found_form({"missing": "yes"}) == FoundForm("")


def test_a_plan_is_told_in_sentences() -> None:
    told = planned(Plan(1234, 56, 7200.0, (), 0), None, NOW)
    assert " ".join(told.sentences) == (
        "1,178 pictures would be drawn. 56 more are there already. That takes about 2 h."
    )
    assert (told.heading, told.left, told.beyond) == ("", (), "")
    told = planned(Plan(1, 0, None, (), 0), None, NOW)
    assert " ".join(told.sentences) == (
        "1 picture would be drawn. How long that takes is known after a few batches."
    )
    told = planned(Plan(2, 1, 3.0, (), 0), None, NOW)
    assert told.sentences[:2] == ("1 picture would be drawn.", "1 more is there already.")
    assert told.anything
    told = planned(Plan(2, 2, 0.0, (), 0), NOW + DAY, NOW)
    assert told.sentences == ("Nothing would be drawn: 2 pictures are there already.",)
    assert not told.anything


def test_a_plan_says_until_when_and_in_how_long_that_is() -> None:
    told = planned(Plan(1, 0, 3.0, (), 0), NOW + 9 * 3_600_000, NOW).sentences[-1]
    local = dt.datetime.fromtimestamp(NOW / 1000 + 9 * 3600, dt.UTC).astimezone()
    assert told.startswith(f"What is not drawn by {local:%Y-%m-%d %H:%M} UTC")
    assert told.endswith(", in 9 h, is left.")


def test_what_is_left_out_is_told_with_why_up_to_some() -> None:
    left = tuple(
        Left(number, f"n{number}\u202e", "no-base", f"no base for n{number}\u202e") for number in range(1, 41)
    )
    told = planned(Plan(5, 0, 1.0, left, 60), None, NOW)
    assert told.heading == "60 loras left out"
    assert told.left[0] == LeftOut("n1\\u202e", "/loras/1", "no base for n1\\u202e")
    assert (len(told.left), told.beyond) == (10, "and 50 more")
    told = planned(Plan(5, 0, 1.0, left[:1], 1), None, NOW)
    assert (told.heading, told.beyond) == ("1 lora left out", "")
