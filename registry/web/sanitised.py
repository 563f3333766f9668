"""Descriptions of strangers, who send HTML, as the little of it that is safe to show."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import nh3

from registry.formats.markup import readable
from registry.web import words

LONGEST: Final = 30_000
"""Characters of a description that are looked at; the API has all of it."""
_TAGS: Final = {
    "a", "b", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p",
    "pre", "strong", "ul",
}  # fmt: skip
# What is dropped with all that is in it.
_DROPPED: Final = {"iframe", "math", "noscript", "object", "script", "style", "svg", "template", "textarea"}
# What HTML has and nobody types: `<lora:name:1>` and `a < b` are meant as they are.
_HTML: Final = re.compile(
    rf"</?(?:{'|'.join(sorted((_TAGS - {'b', 'i'}) | {'div', 'hr', 'img', 'span', 'u'}))})(?:\s[^<>]*|/)?>"
    r"|</[bi]>",
    re.IGNORECASE,
)
_WEB: Final = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
# Headings of a description stand below those of the page.
_HEADING: Final = re.compile(r"<(/?)h([1-4])>")
_LOWEST: Final = 6
_DEEPER: Final = 3
# An open formatting element is made again in each block that begins: of equal ones three at most, but others
# differ by any attribute. Of `a` one is open at most.
_FORMATTING: Final = r"<(b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/])"
_ATTRIBUTES: Final = re.compile(rf"{_FORMATTING}[^<>]*>", re.IGNORECASE)
_ATTRIBUTED: Final = re.compile(_FORMATTING, re.IGNORECASE)
_START: Final = re.compile(r"<[a-z]", re.IGNORECASE)
MOST_ELEMENTS: Final = 3000
"""Tags that begin an element in a description that is shown as HTML."""
# Formatting that is never closed comes out once in each block: more than that much is not worth sending.
_GROWTH: Final = 4


class Prose(NamedTuple):
    """A long text: safe `html`, or where there is none of it plain `text`, to be escaped as any other."""

    html: str
    text: str


def prose(text: str) -> Prose:
    """Return a description as it may be shown.

    Of HTML paragraphs, lists, headings, emphasis, code and links to web pages stay; attributes, pictures and
    styles go, scripts with what is in them. What is no HTML is text as it was typed.
    """
    given = words.visible(text[:LONGEST])
    if _HTML.search(given) is None:
        return Prose("", words.cut(text, LONGEST))
    plain = plainly_formatted(given)
    if plain is None:
        return Prose("", words.visible(readable(given)))
    cleaned = nh3.clean(
        plain,
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes={"a": {"href"}},
        attribute_filter=_web_only,
        url_schemes={"http", "https"},
        link_rel="nofollow noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    if len(cleaned) > LONGEST * _GROWTH:
        return Prose("", words.visible(readable(given)))
    # What entities stood for is only there by now.
    return Prose(words.visible(_HEADING.sub(_deeper, cleaned)).strip(), "")


def plainly_formatted(markup: str) -> str | None:
    """Return HTML whose formatting elements have no attributes, so that a tree of it is not much larger.

    `None` where it has more than `MOST_ELEMENTS`, or attributes that cannot be made out.
    """
    if sum(1 for _ in _START.finditer(markup)) > MOST_ELEMENTS:
        return None
    plain = _ATTRIBUTES.sub(r"<\1>", markup)
    return None if _ATTRIBUTED.search(plain) else plain


def _web_only(_element: str, attribute: str, value: str) -> str | None:
    """Keep addresses of web pages; a relative one would lead into our own pages."""
    return value if attribute != "href" or _WEB.match(value) else None


def _deeper(heading: re.Match[str]) -> str:
    return f"<{heading[1]}h{min(_LOWEST, int(heading[2]) + _DEEPER)}>"
