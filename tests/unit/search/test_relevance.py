"""The best comes first: whole names, names, trigger words, tags by their share, then everything else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from registry.search.nodes import And, Exact, Match, Or, Sort, Text
from registry.views import SearchFile, SearchRecord
from tests.support.search_index import indexed

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = itertools.count(1)
OTHERS = tuple((f"other {number}", 100 - number) for number in range(60))
WORDY = " ".join(f"word{number}" for number in range(200))


def lora(
    name: str,
    tags: tuple[tuple[str, int], ...] = OTHERS,
    *,
    claimed: tuple[str, ...] = (),
    description: str = WORDY,
    date: int = 0,
) -> SearchRecord:
    file = SearchFile(1, "loras", f"a/{name}.safetensors", "a", name, "present", hashed=False)
    return SearchRecord(
        id=next(NUMBERS), kind="lora", name=name, size=1, date=date, added=0, files=(file,), header={},
        targets=(), claimed=claimed, datasets=(), tags=tags, description=description,
    )  # fmt: skip


def with_tag(tag: str, count: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted([*OTHERS[:-1], (tag, count)], key=lambda pair: -pair[1]))


RANKED = [
    lora("Hair"),
    lora("Long_Hair_v2"),
    lora("one_two_three_four_five_six_seven_eight_nine_ten_hair_eleven_twelve-000012"),
    lora("b1", claimed=("hair",)),
    lora("b2", claimed=("one two three four five six", "hair and more words beside it")),
    lora("c1", with_tag("hair", 100)),
    lora("c2", with_tag("hair", 30)),
    lora("c3", with_tag("hair", 5)),
    lora("d1", description=WORDY + " hair"),
]
# Neither a word said again and again nor one in many tags is worth a name.
SPAM = [
    lora("e1", description="hair " * 100),
    lora("e2", tuple((f"hair {number}", 100) for number in range(60)), description="hair"),
    lora("e3", (("hair", 100),), description="hair"),
]
FILLERS = [lora(f"filler {number}", claimed=(f"filler {number}",)) for number in range(150)]


def test_hits_are_ordered_by_where_the_word_stands(tmp_path: Path) -> None:
    engine = indexed(tmp_path, [*reversed(RANKED), *FILLERS])

    assert engine.search(Text("hair")).ids == [one.id for one in RANKED]


def test_a_word_that_is_said_often_is_worth_no_name(tmp_path: Path) -> None:
    engine = indexed(tmp_path, [*SPAM, *reversed(RANKED), *FILLERS])

    assert engine.search(Text("hair")).ids[:5] == [one.id for one in RANKED[:5]]


def test_a_name_with_both_words_comes_before_one_with_one(tmp_path: Path) -> None:
    both, one, none = (
        lora("my_red_dress"),
        lora("dress", with_tag("red", 100)),
        lora("x", with_tag("red dress", 100)),
    )
    engine = indexed(tmp_path, [none, one, both, *FILLERS])

    assert engine.search(And((Text("red"), Text("dress")))).ids == [both.id, one.id, none.id]


@pytest.mark.parametrize("typed", ["detail tweaker", "Detail_Tweaker", "DETAIL"])
def test_what_was_typed_in_full_comes_before_longer_names(tmp_path: Path, typed: str) -> None:
    whole = lora(typed)
    longer = [lora(f"{typed} {typed} {number}", date=5) for number in range(5)]
    engine = indexed(tmp_path, [*longer, whole, *FILLERS])
    words = [Text(word) for word in typed.replace("_", " ").split()]

    assert engine.search(And(tuple(words))).ids[0] == whole.id


def test_of_equal_hits_the_newest_comes_first(tmp_path: Path) -> None:
    same = [lora(f"style_v{number}", date=number * 7 % 10) for number in range(10)]
    engine = indexed(tmp_path, [*same, *FILLERS])
    hits = engine.search(Text("style"))

    assert hits.sort == Sort("relevance")
    assert hits.ids == [one.id for one in sorted(same, key=lambda one: -one.date)]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_names_come_before_trigger_words_however_common_the_word_is(tmp_path: Path, share: float) -> None:
    named = [
        lora(f"style_number_{number}_with_a_long_name", claimed=(f"x{number}",))
        for number in range(round(200 * share))
    ]
    others = [lora(f"other {number}", claimed=(f"y{number}",)) for number in range(200 - len(named))]
    claimed = lora("c1", claimed=("style",))
    tagged = lora("c2", with_tag("style", 100))
    engine = indexed(tmp_path, [tagged, claimed, *named, *others])

    found = engine.search(Text("style"), limit=500).ids

    assert set(found[: len(named)]) == {one.id for one in named}
    assert found[len(named) :] == [claimed.id, tagged.id]


def test_both_words_in_a_name_beat_one_there_and_one_in_tags(tmp_path: Path) -> None:
    both = lora("my_red_anime_lora_with_a_long_name")
    one = lora("red_x", with_tag("anime", 100))
    others = [lora(f"anime {number}") for number in range(100)]
    engine = indexed(tmp_path, [one, both, *others, *FILLERS])

    assert engine.search(And((Text("red"), Text("anime")))).ids == [both.id, one.id]


def test_what_is_no_word_does_not_move_hits(tmp_path: Path) -> None:
    first = lora("c1", (("hair", 100), ("1girl", 1), *OTHERS[:40]))
    second = lora("c2", (("1girl", 100),), description="hair")
    engine = indexed(tmp_path, [second, first, *FILLERS])
    tagged = Match("tag", (Exact("1girl"),))

    assert engine.search(Text("hair")).ids == [first.id, second.id]
    assert engine.search(And((Text("hair"), tagged))).ids == [first.id, second.id]


def test_only_words_that_are_all_of_the_query_are_a_whole_name(tmp_path: Path) -> None:
    short, both = lora("red", description="blue"), lora("red_blue")
    engine = indexed(tmp_path, [short, both, *FILLERS])

    assert engine.search(And((Text("red"), Text("blu", prefix=True)))).ids == [both.id, short.id]
    assert engine.search(And((Text("red"), Or((Text("blue"), Text("green")))))).ids == [both.id, short.id]
