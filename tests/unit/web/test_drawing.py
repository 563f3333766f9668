"""The form that asks for pictures of a lora: what it asks for, and what is said of that."""

from __future__ import annotations

import pytest

from registry.drawings import FIRST, SEED, Asking
from registry.errors import BadRequest
from registry.web.drawing import Tally, asking, drawing_form, said, typed

BASES = {"sd15": "/models/sd15", "pony": "/models/pony"}
EMPTY = {
    "prompt": "", "house": "", "weights": "", "seeds": "", "size": "", "steps": "", "base": "", "draft": "",
}  # fmt: skip


def test_an_empty_form_asks_for_one_picture_as_it_fits_the_lora() -> None:
    assert asking(EMPTY, 7, BASES) == Asking(loras=(7,), seeds=(SEED,), steps=20, priority=FIRST)
    assert asking({}, 7, ()) == asking(EMPTY, 7, BASES)
    assert asking(drawing_form(BASES).texts, 7, BASES) == asking(EMPTY, 7, BASES)


def test_what_is_typed_is_asked_for() -> None:
    form = {
        "prompt": " a heron,\r\nreeds \n",
        "house": "yes",
        "weights": "0, .5;1\u3001-0.25",
        "seeds": "1\uff0c2 3",
        "size": " 512 × 768",
        "steps": " 30 ",
        "base": "pony",
        "draft": "yes",
    }
    assert asking(form, 7, BASES) == Asking(
        loras=(7,),
        base="pony",
        weights=(0.0, 0.5, 1.0, -0.25),
        seeds=(1, 2, 3),
        prompt="a heron,\nreeds",
        house=True,
        size=(512, 768),
        steps=30,
        draft=True,
        priority=FIRST,
    )


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("weights", "heavy", "weights are numbers with commas between them, not 'heavy'"),
        ("weights", "nan", "not 'nan'"),
        ("weights", "1e400", "not '1e400'"),
        ("weights", "1_0", "not '1_0'"),
        ("weights", "\u0661", "not '\u0661'"),
        ("weights", "1," * 51, "these are 51 weights"),
        ("seeds", "-1", "not '-1'"),
        ("seeds", "1.5", "not '1.5'"),
        ("seeds", "12345678901", "not '12345678901'"),
        ("seeds", "1," * 1001, "these are 1,001 seeds"),
        ("size", "large", "'large' is no size"),
        ("size", "512", "'512' is no size"),
        ("size", "99999x1", "is no size"),
        ("steps", "many", "steps are 1 to 200, not 'many'"),
        ("base", "/etc/passwd", "there is no base model called '/etc/passwd' in the settings"),
        ("prompt", "x" * 10_001, "at most 10,000 characters"),
        ("prompt", "a\x00b", "without control characters"),
    ],
)
def test_what_cannot_be_drawn_is_refused(field: str, text: str, told: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asking({**EMPTY, field: text}, 7, BASES)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_base_model_is_chosen_where_there_are_several() -> None:
    assert drawing_form(("sd15",)).bases == ()
    assert [one.value for one in drawing_form(BASES).bases] == ["", "pony", "sd15"]
    chosen = drawing_form(BASES, {"base": "sd15", "house": "yes", "weights": "heavy"})
    assert [one.value for one in chosen.bases if one.selected] == ["sd15"]
    assert (chosen.house, chosen.draft, chosen.texts["weights"], chosen.opened) == (
        True,
        False,
        "heavy",
        True,
    )
    assert not drawing_form(BASES, {}).opened


def test_only_what_the_form_has_is_shown_again() -> None:
    assert typed({"weights": "x", "revision": "1", "loras": "9"}) == {"weights": "x"}


@pytest.mark.parametrize(
    ("tally", "text"),
    [
        (Tally(1, 0), "1 picture is being drawn."),
        (Tally(3, 0), "3 pictures are being drawn."),
        (Tally(5, 2), "3 pictures are being drawn. 2 more were there already."),
        (Tally(5, 2, done=3), "1 of 3 pictures is drawn. 2 more were there already."),
        (Tally(3, 0, done=2), "2 of 3 pictures are drawn."),
        (Tally(1, 1), "That picture is there already."),
        (Tally(3, 3), "These 3 pictures are there already."),
        (Tally(3, 0, done=3, live=False), "3 pictures were drawn."),
        (Tally(2, 1, done=2, live=False), "1 picture was drawn. 1 more was there already."),
        (
            Tally(3, 0, done=1, failed=2, live=False, error="it is too large; take less"),
            "1 of 3 pictures was drawn. 2 pictures failed. It is too large; take less.",
        ),
        (
            Tally(1, 0, failed=1, live=False, error="no\u202eroom"),
            "No picture was drawn. 1 picture failed. No\\u202eroom.",
        ),
        (Tally(2, 0, live=False), "No picture was drawn."),
        (
            Tally(2, 0, done=2, live=False, odd=1, oddity="its weights change nothing"),
            "2 pictures were drawn. 1 picture is not shown. Its weights change nothing.",
        ),
        (
            Tally(1, 1, done=1, live=False, odd=1),
            "That picture is there already. 1 picture is not shown.",
        ),
    ],
)
def test_what_came_of_a_drawing_is_said_in_words(tally: Tally, text: str) -> None:
    assert said(tally) == text
