"""Two characters of a script without blanks find all that hold them side by side, and nothing else."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from registry.search.fields import FREE
from registry.search.nodes import Text
from registry.search.text import fold
from registry.views import SearchFile, SearchRecord
from tests.support.search_index import indexed

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = "盲盒汉漢服猫貓長长髮发女孩ツインテール風风水墨画"
LATIN = ("Baby Roy", "v2", "_style-", "，", " ", "XL")


def written(chance: random.Random) -> str:
    """Return a text in which both kinds of script touch."""
    parts = [
        "".join(chance.choices(CHARACTERS, k=chance.randint(1, 4)))
        if chance.random() < 0.6
        else chance.choice(LATIN)
        for _ in range(chance.randint(1, 5))
    ]
    return "".join(parts)


def record(chance: random.Random, number: int) -> SearchRecord:
    name = written(chance)
    file = SearchFile(1, "root", f"a/{name}.safetensors", "a", name, "present", hashed=False)
    tags = tuple({written(chance): 1 for _ in range(chance.randint(0, 4))}.items())
    header = {"comment": written(chance)} if chance.random() < 0.5 else {}
    return SearchRecord(
        number, "lora", name, 1, number, number, (file,), header, claimed=(written(chance),), tags=tags
    )


def test_any_two_characters_find_what_a_look_at_every_text_finds(tmp_path: Path) -> None:
    chance = random.Random(11)
    records = [record(chance, number) for number in range(1, 301)]
    engine = indexed(tmp_path, records)
    texts = {one.id: [fold(text) for column in FREE for text in column.read(one)] for one in records}
    found_any = 0
    for first, second in itertools.product(CHARACTERS, repeat=2):
        wanted = fold(first + second)
        expected = {number for number, some in texts.items() if any(wanted in text for text in some)}
        assert set(engine.search(Text(first + second), limit=1000).ids) == expected, first + second
        found_any += bool(expected)
    assert found_any > 100


def test_one_character_finds_what_holds_it_anywhere(tmp_path: Path) -> None:
    chance = random.Random(12)
    records = [record(chance, number) for number in range(1, 201)]
    engine = indexed(tmp_path, records)
    for character in CHARACTERS:
        expected = {
            one.id
            for one in records
            if any(fold(character) in fold(text) for column in FREE for text in column.read(one))
        }
        assert set(engine.search(Text(character), limit=1000).ids) == expected, character
