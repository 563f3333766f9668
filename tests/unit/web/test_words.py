"""How numbers, sizes, dates and the text of strangers are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.web import words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 盲盒, é, 👩‍🦰", "plain text, 盲盒, é, 👩‍🦰"),
        ("two\nlines\tof\r\ntext", "two\nlines\tof\ntext"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\x00\x1b[31m\x7f\x85", "\\x00\\x1b[31m\\x7f\\x85"),
        ("\ufeff\u200b\u2066", "\\ufeff\\u200b\\u2066"),
        ("\U000e0041", "\\U000e0041"),
        ("bad \udcff byte, half \ud83d", "bad \\xff byte, half \\ud83d"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert words.visible(text) == shown


@given(st.text())
def test_what_is_shown_can_be_sent(text: str) -> None:
    shown = words.cut(text, 20)
    assert shown.encode().decode() == shown


def test_a_long_text_says_how_long_it_is() -> None:
    assert words.cut("a" * 5000, 3) == "aaa… (5,000 characters)"
    assert words.cut("aaa", 3) == "aaa"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (10 * 1024, "10 kB"),
        (228 << 20, "228 MB"),
        (1000 << 20, "1.0 GB"),
        (6_938_078_334, "6.5 GB"),
        (1 << 62, "4096 PB"),
    ],
)
def test_sizes_count_in_1024s(number: int, shown: str) -> None:
    assert words.size(number) == shown


def test_moments_are_utc_and_impossible_ones_are_nothing() -> None:
    assert words.moment(1_700_000_000_000) == "2023-11-14 22:13 UTC"
    assert words.moment(1_700_000_000_000, seconds=True) == "2023-11-14 22:13:20 UTC"
    assert words.day(1_700_000_000_000) == "2023-11-14"
    assert words.day(-86_400_000) == "1969-12-31"
    assert words.moment(2**63) == words.day(-(2**63)) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "1 s"), (89, "89 s"), (150, "2 min"), (3600, "60 min"), (7300, "2 h")]
)
def test_durations_are_rough(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_numbers_of_metadata_are_short() -> None:
    assert [words.number(value) for value in (1e-4, 5e-05, 16.0, 32, "AdamW8bit")] == [
        "0.0001",
        "5e-05",
        "16",
        "32",
        "AdamW8bit",
    ]


def test_addresses_hold_only_what_says_something() -> None:
    assert words.search_url("") == "/"
    assert (
        words.search_url('猫 tag:"a b"&x=1#', "-size")
        == "/?q=%E7%8C%AB%20tag%3A%22a%20b%22%26x%3D1%23&sort=-size"
    )
    assert words.search_url("half \ud83d") == "/?q=half%20%3F"


def test_errors_become_sentences() -> None:
    assert words.sentence("there is no lora 7") == "There is no lora 7."
    assert words.sentence("“rank:x” was ignored") == "“rank:x” was ignored."
    assert words.sentence("") == ""


@pytest.mark.parametrize(
    ("name", "title", "alike"),
    [("FilmGrain_v2", "Film grain", True), ("film", "Film grain", False), ("盲盒_v1", "盲盒", True)],
)
def test_titles_that_say_nothing_new_are_known(name: str, title: str, alike: bool) -> None:  # noqa: FBT001
    assert words.alike(name, title) is alike
