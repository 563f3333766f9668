"""The notes as texts of a form, and what a form asks for that comes back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from registry.curation import FIELDS, read_changes
from registry.errors import BadRequest
from registry.told import SidecarFacts, UserFacts
from registry.views import SidecarView
from registry.web.notebook import (
    BOXES,
    OTHER_VERSION,
    changes,
    differing,
    given_texts,
    offers,
    past,
    said_elsewhere,
    texts_of,
    told,
)
from tests.unit.web.samples import NOW

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYTHING: dict[str, object] = {
    "note": "one\n\n two ",
    "tags": ["水墨", "a, b"],
    "rating": 0,
    "favorite": False,
    "hidden": True,
    "nsfw": 4,
    "display_name": "Ink",
    "triggers": [["ink wash", "sumi-e"], ["one, with a comma"]],
    "weight": 0.1,
    "weight_min": -1.0,
    "weight_max": 1.25,
    "negative": "photo",
    "cover": "a" * 64,
    "architecture": "sdxl",
    "base_model": "pony",
    "adapter": "lokr",
    "kind": "lora",
    "civitai": {"version": 123, "model": 45},
}
NOTHING = texts_of({})


def sent(form: Mapping[str, str], noted: Mapping[str, object], **elsewhere: bool) -> dict[str, object]:
    now = texts_of(noted)
    return changes(given_texts(form, now, elsewhere), now)


def test_every_field_stands_in_the_form() -> None:
    assert BOXES.keys() == FIELDS.keys() == EVERYTHING.keys()


def test_a_form_that_nobody_touched_changes_nothing() -> None:
    assert sent(texts_of(EVERYTHING), EVERYTHING) == {}
    assert sent(NOTHING, {}) == {}
    # Browsers send text areas with the line breaks of the net.
    assert sent({"note": "one\r\n\r\n two "}, EVERYTHING) == {}
    assert sent({}, EVERYTHING) == {}


def test_all_that_is_typed_is_what_the_notes_take() -> None:
    texts = texts_of(EVERYTHING)
    wanted = {name: box.read(texts[name]) for name, box in BOXES.items()}
    assert read_changes(wanted).keys() == FIELDS.keys()
    alike = {name: value for name, value in wanted.items() if name not in {"triggers", "tags", "nsfw"}}
    assert alike == {name: value for name, value in EVERYTHING.items() if name in alike}


def test_lines_are_tags_and_groups_and_commas_part_words() -> None:
    asked = sent({"tags": "a\n\n b \n", "triggers": "ink wash, sumi-e\r\n一，二\r\n \r\n"}, {})
    assert asked == {"tags": ["a", " b "], "triggers": [["ink wash", " sumi-e"], ["一", "二"]]}
    assert read_changes(asked)["triggers"].value == (("ink wash", "sumi-e"), ("一", "二"))


def test_what_is_emptied_is_cleared() -> None:
    assert sent(NOTHING, EVERYTHING | {"favorite": True}) == dict.fromkeys(EVERYTHING)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("weight", " 0,8 ", 0.8),
        ("weight", "-1", -1.0),
        ("weight", "strong", "strong"),
        ("rating", "5", 5),
        ("rating", "five", "five"),
        ("nsfw", "x", "x"),
        ("civitai", "none", {"unlinked": True}),
        ("civitai", "123", {"version": 123}),
        ("civitai", "123,45", {"version": 123, "model": 45}),
        ("civitai", "all of them", "all of them"),
        (OTHER_VERSION, " 124 ", {"version": 124}),
        (OTHER_VERSION, "https://civitai.com/models/45?modelVersionId=123", {"version": 123, "model": 45}),
        (OTHER_VERSION, "https://civitai.com/models/4/ink-wash?modelVersionId=5", {"version": 5, "model": 4}),
        (OTHER_VERSION, "https://civitai.com/models/45", "https://civitai.com/models/45"),
        (OTHER_VERSION, "javascript:?modelVersionId=1", "javascript:?modelVersionId=1"),
        (OTHER_VERSION, "http://[", "http://["),
    ],
)  # fmt: skip
def test_texts_become_the_json_of_their_field(field: str, text: str, value: object) -> None:
    assert sent({field: text}, {}) == {"civitai" if field == OTHER_VERSION else field: value}


@pytest.mark.parametrize("text", ["1" * 40, "nan", "1e999", "٣", "\x00", "\ud800", "<b>", "0x10", "--1"])
def test_nothing_that_is_typed_gets_past_the_check_of_its_field(text: str) -> None:
    for field in ("weight", "rating", "nsfw", "architecture", "adapter", "kind", "civitai", "favorite"):
        now = texts_of({})
        asked = {field: BOXES[field].read(text)}
        try:
            value = read_changes(asked)[field].value
        except BadRequest:
            continue
        assert value is None or isinstance(value, float | int), (field, value, now)


@pytest.mark.parametrize(
    ("own", "others", "checked", "becomes"),
    [
        (None, False, False, "same"),
        (None, False, True, True),
        (None, True, True, "same"),
        (None, True, False, False),
        (True, False, True, "same"),
        (True, False, False, None),
        (True, True, False, False),
        (False, True, True, None),
        (False, True, False, "same"),
        (False, False, True, True),
        (False, False, False, "same"),
    ],
)
def test_a_checkbox_notes_only_what_nobody_else_says(
    own: bool | None,  # noqa: FBT001 - as the table has it
    others: bool,  # noqa: FBT001
    checked: bool,  # noqa: FBT001
    becomes: object,
) -> None:
    form = {"favorite": "yes" if checked else ""}
    asked = sent(form, {} if own is None else {"favorite": own}, favorite=others)
    assert asked == ({} if becomes == "same" else {"favorite": becomes})


def test_fields_that_are_none_are_left_out() -> None:
    assert sent({"revision": "3", "owner": "me", "__proto__": "x"}, {}) == {}


def test_both_versions_of_what_differs_are_told() -> None:
    now = texts_of({"note": "there", "rating": 3})
    found = differing({"note": "typed\u202e", "rating": "3", "tags": "a\nb"}, now)
    assert [tuple(one) for one in found] == [("Note", "there", "typed\\u202e"), ("Tags", "", "a\nb")]
    assert differing({"note": "x" * 5000}, now)[0].typed.endswith("(5,000 characters)")


def view(facts: SidecarFacts | None, verdict: str = "unsaid", **offered: Any) -> SidecarView:
    shown: dict[str, object] | None = None if facts is None else asdict(facts)
    return SidecarView(1, "x\u202e.json", "x", "x", verdict, NOW, None, shown, offered=offered)


def test_the_first_sidecar_that_says_so_counts_if_it_is_of_this_file() -> None:
    favorite, plain = SidecarFacts("x", user=UserFacts(favorite=True)), SidecarFacts("x")
    denied = SidecarFacts("x", user=UserFacts(favorite=False, hidden=True))
    assert said_elsewhere([view(plain), view(favorite), view(denied)]) == {"favorite": True, "hidden": True}
    assert said_elsewhere([view(favorite, "differs"), view(None)]) == {}


def test_what_a_sidecar_says_later_is_offered_as_a_form() -> None:
    (offer,) = offers([view(None), view(SidecarFacts("x"), note="theirs", favorite=True, triggers=[["a"]])])
    assert offer.name == "x\\u202e.json"
    assert offer.lines == ("Note: theirs", "Favourite: yes", "Trigger words: a")
    noted = {"note": "mine", "favorite": False, "triggers": [["b"]]}
    assert sent(offer.texts, noted) == {"note": "theirs", "favorite": True, "triggers": [["a"]]}


@pytest.mark.parametrize(
    ("kind", "actor", "who", "what"),
    [
        ("edit", None, "you", "Rating: nothing → 4"),
        ("undo", "anna", "anna, undone", "Rating: nothing → 4"),
        ("carry", "a\u202e", "a\\u202e, carried over", "Rating: nothing → 4"),
        ("conflict", None, "you", "Rating: 4 stayed, nothing went, as two loras became one"),
    ],
)
def test_what_happened_is_told_in_words(kind: str, actor: str | None, who: str, what: str) -> None:
    found = past(field="rating", old=None, new=4, at=NOW, actor=actor, kind=kind, batch=1)
    assert (found.at, found.who, found.what) == ("2023-11-14 22:13 UTC", who, what)


def test_fields_that_nobody_knows_any_more_are_told_as_they_are() -> None:
    assert past(field="mood", old=[1], new=None, at=NOW, actor=None, kind="edit", batch=1).what == (
        "mood: [1] → nothing"
    )
    assert told("nsfw", 16) == "XXX"
    assert told("tags", ["a", "b"]) == "a · b"
