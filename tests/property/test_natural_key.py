"""Byte order of natural keys against the list form of A1111's `natural_sort_key`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from registry.wire.natural import natural_key, sort_key

PIECES = st.one_of(
    st.text(st.characters(), max_size=4),
    st.sampled_from(
        ["0", "00", "9", "10", "٣", "²", "Ⅳ", "\x00", "\x01", "\ud800", "\udfff", "￿", "𐀀", "İ", "ΑΣ", "/"]
    ),
    st.integers(0, 10**30).map(str),
    st.integers(250, 260).map(lambda length: "7" * length),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
FOLDERS = st.lists(st.lists(PIECES, min_size=1, max_size=3).map("".join), max_size=3).map("/".join)


def list_form(text: str) -> list[int | str]:
    return [int(c) if i % 2 else c.lower() for i, c in enumerate(re.split("([0-9]+)", text))]


def sign(left: object, right: object) -> int:
    return int(left > right) - int(left < right)  # type: ignore[operator]


@given(TEXTS, TEXTS)
def test_byte_order_is_natural_order(left: str, right: str) -> None:
    assert sign(natural_key(left), natural_key(right)) == sign(list_form(left), list_form(right))


@given(TEXTS, st.integers(0, 3), st.sampled_from(["", "0", "a", "A", "1", "\x00", "\x01"]))
def test_byte_order_is_natural_order_for_neighbours(text: str, cut: int, ending: str) -> None:
    other = text[: len(text) - cut] + ending
    assert sign(natural_key(text), natural_key(other)) == sign(list_form(text), list_form(other))


@given(FOLDERS, TEXTS, FOLDERS, TEXTS, st.sampled_from(["/srv/Lora", "/srv/Lora2", "/ΑΣ"]))
def test_places_sort_by_the_full_path_of_the_folder_then_by_name(
    folder: str, name: str, other_folder: str, other_name: str, root: str
) -> None:
    def full(relative: str) -> list[int | str]:
        return list_form(f"{root}/{relative}" if relative else root)

    expected = sign((full(folder), list_form(name)), (full(other_folder), list_form(other_name)))
    if full(folder) == full(other_folder) and folder != other_folder:
        return  # A1111 leaves these to the order of the file system
    assert sign(sort_key(folder, name), sort_key(other_folder, other_name)) == expected
