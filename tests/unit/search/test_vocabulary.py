"""What was meant where a word finds nothing: the nearest word there is, and of several the commonest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.search.vocabulary import nearest
from registry.views import SearchFile, SearchRecord
from tests.support.search_index import indexed

if TYPE_CHECKING:
    from pathlib import Path

    from registry.search.engine import Engine

NAMES = ("tweaker", "tweaked", "tweaked", "détail", "sword", "盲盒少女", "shore", "shire", "shire", "ab")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    def lora(number: int, name: str) -> SearchRecord:
        file = SearchFile(
            1, "x", f"{name}{number}.safetensors", "", f"{name} {number}", "present", hashed=False
        )
        return SearchRecord(id=number, kind="lora", name=name, size=1, date=1, added=1, files=(file,))

    return indexed(tmp_path, [lora(number, name) for number, name in enumerate(NAMES, 1)])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tweeker", "tweaker"),
        ("tweake", "tweaked"),  # as near as tweaker, and more common
        ("xtweaker", "tweaker"),
        ("weaker", None),  # words begin with one of the first two letters
        ("wteaker", "tweaker"),
        ("Tweakerss", "tweaker"),
        ("detial", "detail"),
        ("shxre", "shire"),
        ("swrod", "sword"),
        ("tweakerxyz", None),
        ("abx", None),  # too short to have few neighbours
        ("盲盒少年", None),
        ("", None),
    ],
)
def test_the_nearest_word_is_meant(engine: Engine, typed: str, meant: str | None) -> None:
    assert nearest(engine.snapshot().searcher, typed) == meant
