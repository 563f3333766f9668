"""Traditional Chinese characters as simplified ones, by the tables of OpenCC."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain

import opencc

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def simplified(text: str) -> str:
    """Return text with each traditional character as the simplified one; other text as it is.

    Character by character, so that a character of a query always becomes what it became in the index.
    """
    return text.translate(_table()) if _HAN.search(text) else text


@cache
def _table() -> dict[int, int]:
    characters = [chr(code) for code in chain(range(0x3400, 0x4DC0), range(0x4E00, 0xA000))]
    # One a line, so that no two are taken for a word.
    converted = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {
        ord(old): ord(new)
        for old, new in zip(characters, converted, strict=True)
        if new != old and len(new) == 1
    }
