"""Pages as elements, held to what all pages must be: nothing in them runs, or leads where it should not."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
VOID = {"meta", "link", "input", "img", "br"}
WEB = ("https://", "http://")


class Document(HTMLParser):
    """A page as elements; everything that could run or load anything is noted.

    `forms` are the forms by their address: what each would send as it stands, the last field of each name.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._area: str | None = None
        self._select: str | None = None
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append((given.get("action") or "", {}))
        elif "form" in self.open:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str | None]) -> None:
        fields = self.forms[-1][1]
        name = given.get("name") or ""
        if tag == "textarea":
            self._area = name
            fields[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in fields):
            fields[self._select] = given.get("value") or ""
        elif tag == "input" and name:
            chosen = given.get("type") not in {"radio", "checkbox"} or "checked" in given
            if chosen:
                fields[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag
        if tag == "textarea" and self._area is not None:
            # The first line break of a text area is no part of it.
            fields = self.forms[-1][1]
            fields[self._area] = fields[self._area].removeprefix("\n")
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.forms[-1][1][self._area] += data
        self.words.append(data)
        if "script" in self.open or "style" in self.open:
            assert not data.strip()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def links(self) -> list[str]:
        return [str(one["href"]) for one in self.all("a")]

    def form(self, action: str, field: str = "") -> dict[str, str]:
        """Return what the form with an address would send as it stands; `field` is one that it must have."""
        return next(fields for url, fields in self.forms if url == action and (not field or field in fields))


def document(answer: httpx.Response, status: int = 200) -> Document:
    """Return a page, which must be as strict as all are."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    page = Document(answer.text)
    for tag, attributes in page.elements:
        assert tag not in {"style", "iframe", "object", "embed", "base"}
        assert tag != "script" or "/static/" in (attributes.get("src") or "")
        for name, value in attributes.items():
            assert not name.startswith(("on", "style", "hx-on")), (tag, name)
            if name in {"href", "src", "action", "hx-get", "hx-post"}:
                assert value is not None
                if tag == "a" and value.startswith(WEB):
                    assert "noreferrer" in (attributes.get("rel") or ""), value
                    continue
                assert value.startswith(("/", "#")), (tag, name, value)
                assert not value.startswith("//")
    return page
