"""What a child process says is checked as a stranger's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadPicture
from registry.pictures.answers import (
    DAMAGED,
    DECODED,
    TOO_HUNGRY,
    TOO_MANY_PIXELS,
    Answer,
    packed,
    picture_of,
)
from registry.pictures.picture import Picture
from registry.pictures.sniff import KINDS
from tests.support.pictures import plain

PNG = KINDS["png"]
THUMBNAIL = plain("WEBP")


def test_a_good_answer_is_a_picture() -> None:
    said = packed(Answer(DECODED, 30, 20, THUMBNAIL))
    assert picture_of(PNG, said, 600) == Picture(PNG, 30, 20, THUMBNAIL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(DAMAGED), "the PNG picture is damaged"),
        (Answer(TOO_MANY_PIXELS), "has more than 600 pixels"),
        (Answer(TOO_HUNGRY), "needs more memory than it may take"),
    ],
)
def test_a_refusal_says_why(answer: Answer, words: str) -> None:
    with pytest.raises(BadPicture, match=words):
        picture_of(PNG, packed(answer), 600)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        packed(Answer(DECODED, 30, 20)),
        packed(Answer(DECODED, 30, 20, b"<html>")),
        packed(Answer(DECODED, 30, 20, plain("PNG"))),
        packed(Answer(DECODED, 30, 21, THUMBNAIL)),
        packed(Answer(DECODED, 0, 20, THUMBNAIL)),
        packed(Answer(99, 30, 20, THUMBNAIL)),
    ],
)
def test_what_no_decoder_of_ours_says_is_told_apart(said: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        picture_of(PNG, said, 600)


@given(st.binary(max_size=64))
def test_no_answer_does_anything_else(said: bytes) -> None:
    with pytest.raises((ValueError, BadPicture)):
        picture_of(PNG, said, 600)
