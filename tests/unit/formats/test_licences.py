"""Licences in words that can be searched."""

from __future__ import annotations

import pytest

from registry.formats.licences import WORDS, licence_words
from registry.told import Licence


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        (Licence(), ()),
        (Licence(no_credit=True), ("no-credit",)),
        (Licence(no_credit=False, derivatives=False), ("credit", "no-derivatives")),
        (Licence(derivatives=True, different_licence=False), ("derivatives", "same-license")),
        (Licence(different_licence=True, commercial_use=()), ("relicense", "non-commercial")),
        (Licence(commercial_use=("None",)), ("non-commercial",)),
        (
            Licence(commercial_use=("Image", "RentCivit", "Sell", "Image", "Fly")),
            ("image", "rentcivit", "sell"),
        ),
    ],
)
def test_a_licence_is_told_in_words(licence: Licence, words: tuple[str, ...]) -> None:
    assert licence_words(licence) == words
    assert set(words) <= WORDS.keys()
