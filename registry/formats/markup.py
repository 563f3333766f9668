"""The text of descriptions, which services send as HTML of strangers."""

from __future__ import annotations

import html
import re
from typing import Final

import nh3

MAX_MARKUP: Final = 50_000
"""Characters that are looked at; what nests without end takes ammonia long."""
_ENDS = re.compile(r"</?(?:p|div|br|li|ul|ol|h[1-6]|tr|table|blockquote|pre|hr)\b", re.IGNORECASE)
_LINES = re.compile(r"[^\S\n]*\n\s*")
_BLANKS = re.compile(r"[^\S\n]+")


def plain_text(markup: str) -> str:
    """Return what a person reads of HTML, or of text that is none, one line for each block of it."""
    cut = markup[:MAX_MARKUP]
    if "<" in cut or "&" in cut:
        lines = _ENDS.sub(lambda found: "\n" + found.group(), cut)
        cut = html.unescape(nh3.clean(lines, tags=set()))
    return _BLANKS.sub(" ", _LINES.sub("\n", cut)).strip()
