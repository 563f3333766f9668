"""Descriptions in plain text."""

from __future__ import annotations

import pytest

from registry.told import SidecarFacts, UserFacts
from registry.wire.description_text import read


def test_a_text_is_a_description_as_it_was_written() -> None:
    text = " red hat,\r\n1girl\n"
    assert read(text) == SidecarFacts("text", user=UserFacts(description=text))


def test_a_text_is_cut_and_holds_no_odd_characters() -> None:
    facts = read("\x00\ud800" + "x" * 300_000)
    assert facts is not None
    assert facts.user.description == "␀\ufffd" + "x" * 199_998


@pytest.mark.parametrize("value", ["", " \r\n\t", None, [], {}, 3])
def test_a_blank_says_nothing(value: object) -> None:
    assert read(value) is None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<!--\nA hat.\n-->", "A hat."),
        (" <!-- A hat. -->\n", " A hat. "),
        ("<!-- a --> hat <!-- b -->", "<!-- a --> hat <!-- b -->"),
        ("<!-- A hat.", "<!-- A hat."),
        ("<!-->", "<!-->"),
    ],
)
def test_a_comment_that_is_the_whole_text_is_opened(written: str, text: str) -> None:
    facts = read(written)
    assert facts is not None
    assert facts.user.description == text
