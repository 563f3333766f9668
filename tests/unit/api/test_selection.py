"""Conditions and ranges of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from registry.api.selection import Validators, precondition, wanted_range

ETAG = '"abc"'
TIME = "Tue, 14 Nov 2023 22:13:20 GMT"
KNOWN = Validators(ETAG, TIME)


def asked(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-9", range(10)),
        ("BYTES=0-9", range(10)),
        (" bytes=5-5 ", range(5, 6)),
        ("bytes=90-", range(90, 100)),
        ("bytes=90-500", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-500", range(100)),
        ("bytes=100-", range(100, 100)),
        ("bytes=500-600", range(500, 100)),
        ("bytes=-0", range(100, 100)),
        ("bytes=9-8", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-1,", None),
        ("bytes=-", None),
        ("bytes= 0-1", None),
        ("bytes=+1-2", None),
        ("bytes=٠-٩", None),
        ("bytes=" + "9" * 101 + "-", None),
        ("items=0-1", None),
        ("", None),
    ],
)
def test_a_range_is_what_the_grammar_says(text: str, expected: range | None) -> None:
    headers = Headers({"range": text} if text.isascii() else raw_utf8(text))
    assert wanted_range(headers, ETAG, 100) == expected


def raw_utf8(text: str) -> dict[str, str]:
    return {"range": text.encode().decode("latin-1")}


def test_no_header_and_two_headers_mean_the_whole_file() -> None:
    assert wanted_range(asked(), ETAG, 100) is None
    assert wanted_range(asked(("range", "bytes=0-1"), ("range", "bytes=0-1")), ETAG, 100) is None


@pytest.mark.parametrize(
    ("condition", "etag", "ranged"),
    [
        (ETAG, ETAG, True),
        ('"abd"', ETAG, False),
        (f"W/{ETAG}", ETAG, False),
        (f"{ETAG}, {ETAG}", ETAG, False),
        ("*", ETAG, False),
        (TIME, ETAG, False),
        (ETAG, None, False),
        ("None", None, False),
        ("", None, False),
    ],
)
def test_if_range_is_believed_with_the_very_etag_only(
    condition: str, etag: str | None, *, ranged: bool
) -> None:
    headers = asked(("range", "bytes=0-1"), ("if-range", condition))
    assert (wanted_range(headers, etag, 100) is not None) == ranged


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ((), None),
        ((("if-match", ETAG),), None),
        ((("if-match", f'"x" , {ETAG}'),), None),
        ((("if-match", '"x"'), ("if-match", ETAG)), None),
        ((("if-match", "*"),), None),
        ((("if-match", '"x"'),), 412),
        ((("if-match", f"W/{ETAG}"),), 412),
        ((("if-match", ""),), 412),
        ((("if-none-match", ETAG),), 304),
        ((("if-none-match", f"W/{ETAG}"),), 304),
        ((("if-none-match", f'"x",{ETAG}'),), 304),
        ((("if-none-match", "*"),), 304),
        ((("if-none-match", '"aW/bc"'),), None),
        ((("if-none-match", '"x"'),), None),
        ((("if-modified-since", TIME),), 304),
        ((("if-modified-since", "Tue, 14 Nov 2023 22:13:21 GMT"),), None),
        ((("if-modified-since", TIME), ("if-none-match", '"x"')), None),
        ((("if-match", '"x"'), ("if-none-match", ETAG)), 412),
    ],
)
def test_conditions_are_judged_in_the_order_of_the_standard(
    pairs: tuple[tuple[str, str], ...], status: int | None
) -> None:
    assert precondition(asked(*pairs), KNOWN) == status


def test_a_file_without_an_etag_is_named_by_nothing_but_the_star() -> None:
    unknown = Validators(None, None)
    assert precondition(asked(("if-match", ETAG)), unknown) == 412
    assert precondition(asked(("if-match", "*")), unknown) is None
    assert precondition(asked(("if-none-match", "None")), unknown) is None
    assert precondition(asked(("if-none-match", "*")), unknown) == 304


@given(st.text(st.characters(max_codepoint=255)), st.integers(min_value=0, max_value=1000))
def test_whatever_is_asked_for_lies_in_the_file(text: str, size: int) -> None:
    found = wanted_range(asked(("range", f"bytes={text}")), ETAG, size)
    assert found is None or not found or (0 <= found.start < found.stop <= size)
