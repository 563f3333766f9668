"""The text of descriptions, which services send as HTML of strangers and people type as they like.

What comes out is text and nothing else: it has to be escaped wherever it is shown, as any text. So nothing is
parsed into a tree here, and each step looks at each character a bounded number of times.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MARKUP: Final = 50_000
"""Characters that are looked at."""

# Elements that begin a line, cells of a table, and the others, of HTML now and in former times.
_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details",
     "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
     "h3", "h4", "h5", "h6", "head", "header", "hgroup", "hr", "html", "legend", "li", "main", "menu",
     "nav", "ol", "optgroup", "option", "p", "pre", "section", "summary", "table", "tbody", "tfoot",
     "thead", "title", "tr", "ul"}
)  # fmt: skip
_CELLS: Final = frozenset({"td", "th"})
_INLINE: Final = frozenset(
    {"a", "abbr", "acronym", "area", "audio", "b", "base", "bdi", "bdo", "big", "button", "canvas", "cite",
     "code", "col", "colgroup", "data", "datalist", "del", "dfn", "em", "embed", "font", "i", "iframe",
     "img", "input", "ins", "kbd", "label", "link", "map", "mark", "meta", "meter", "noscript", "object",
     "output", "param", "picture", "progress", "q", "rp", "rt", "ruby", "s", "samp", "script", "select",
     "small", "source", "span", "strike", "strong", "style", "sub", "sup", "svg", "template", "textarea",
     "time", "track", "tt", "u", "var", "video", "wbr"}
)  # fmt: skip
_BREAKS: Final = {**dict.fromkeys(_INLINE, ""), **dict.fromkeys(_CELLS, " "), **dict.fromkeys(_BLOCKS, "\n")}
# What is not text up to its end, by what it begins with.
_ENDS: Final = {
    "!--": re.compile("-->"),
    "script": re.compile(r"</script\s*>", re.IGNORECASE),
    "style": re.compile(r"</style\s*>", re.IGNORECASE),
}

# No part of these may pass a "<", so that no character is looked at from many beginnings.
_TAG: Final = re.compile(
    r"<(?:(?P<comment>!--)|!doctype\b[^<>]*>|(?P<close>/?)(?P<name>[a-z][a-z0-9]{0,9})(?:\s[^<>]*|/\s*)?>)",
    re.IGNORECASE,
)
_HTML: Final = re.compile(rf"</(?:{'|'.join(sorted(_BLOCKS))})\s*>|<br(?:\s[^<>]*|/)?>", re.IGNORECASE)
# Those of names only as a whole: "&copy" is part of an address more often than a sign. Python refuses to read
# numbers of thousands of digits.
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BLANKS: Final = re.compile(r"[^\S\n]+")


def readable(text: str) -> str:
    """Return what a person reads of a text that may be HTML, one line for each block or line of it.

    It counts as HTML if it closes a block or breaks a line, as all that Civitai sends does, and what helpers
    copy from there into the notes of users. All else was typed, with `<lora:name:1>` and `a < b` meant so.
    """
    cut = text[:MAX_MARKUP]
    return plain_text(cut) if _HTML.search(cut) else _tidy(cut)


def plain_text(markup: str) -> str:
    """Return what a person reads of HTML, one line for each block of it.

    Only the names of HTML's elements make tags; comments, scripts and styles go with what is in them, if they
    have an end.
    """
    text = "".join(_pieces(markup[:MAX_MARKUP]))
    return _tidy(_ENTITY.sub(lambda found: html.unescape(found.group()), text))


def _pieces(markup: str) -> Iterator[str]:
    at = 0
    endless: set[str] = set()
    while found := _TAG.search(markup, at):
        yield markup[at : found.start()]
        at = found.end()
        name = (found["comment"] or found["name"] or "").lower()
        yield _BREAKS.get(name, found.group() if found["name"] else "")
        if name in _ENDS and not found["close"] and name not in endless:
            # A comment may end with the dashes that it begins with.
            if end := _ENDS[name].search(markup, at - 2 if found["comment"] else at):
                at = end.end()
            else:
                endless.add(name)
    yield markup[at:]


def _tidy(text: str) -> str:
    """Return the lines that are not blank, without blanks around them and with single ones within."""
    lines = (line.strip() for line in _BLANKS.sub(" ", text).split("\n"))
    return "\n".join(line for line in lines if line)
