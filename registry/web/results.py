"""What was found, what narrows it down and what completes a word, ready for templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.search.fields import FIELDS, RELEVANCE, TAG
from registry.web import words
from registry.web.presenters import UNMARKED, Link, Row, row
from registry.web.refining import completed, has, value_of, with_value, without_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.search.service import Found
    from registry.views import Facet, FacetValue, LoraView, Suggestion
    from registry.web.presenters import Marks
    from registry.web.refining import Typed

FACETS: Final = (
    "arch", "base", "adapter", "rank", TAG, "usertag", "fav", "rating", "creator", "ctype", "nsfw", "license",
    "update", "sync", "root", "folder", "trainer", "prec", "res", "year", "kind", "verdict", "dup", "missing",
)  # fmt: skip
"""The facets of the page, in its order."""
OPENED: Final = 5
"""How many of them show their values at once."""
_VALUES: Final = 8
_MORE_VALUES: Final = 40
GRID: Final = "grid"
"""The view that shows pictures; the other one is a list."""
VIEWS: Final = (("", "List"), (GRID, "Grid"))
SORTS: Final = (
    ("", "best match, else newest"),
    ("-added", "newest here"),
    ("added", "oldest here"),
    ("-date", "changed last"),
    ("-trained", "trained last"),
    ("name", "name, A to Z"),
    ("-name", "name, Z to A"),
    ("-size", "largest"),
    ("size", "smallest"),
    ("-rank", "highest rank"),
    ("rank", "lowest rank"),
    ("-images", "most images"),
    ("-rating", "best rated"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a facet; its address asks for it, or where it is asked for already, does so no more.

    `note` is what a tag is called elsewhere.
    """

    label: str
    note: str
    count: str
    url: str | None
    active: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """One facet: what is seen at once, what is seen on request, and how much is not listed at all."""

    heading: str
    shown: tuple[Choice, ...]
    more: tuple[Choice, ...]
    unlisted: str
    note: str
    opened: bool

    @property
    def active(self) -> int:
        """How many of its values are asked for."""
        return sum(choice.active for choice in (*self.shown, *self.more))


class SortChoice(NamedTuple):
    """One entry of the list of sorts."""

    value: str
    label: str
    selected: bool


class ViewChoice(NamedTuple):
    """One way to look at what was found."""

    label: str
    url: str
    active: bool


@dataclass(frozen=True, slots=True)
class Results:
    """One page of what was found, with everything told beside it."""

    query: str
    understood: str
    warnings: tuple[str, ...]
    meant: Link | None
    total: str
    took: str
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    sorts: tuple[SortChoice, ...]
    first_url: str | None
    next_url: str | None
    end_note: str
    empty_catalog: bool
    view: str
    views: tuple[ViewChoice, ...]
    withheld: tuple[str, ...]

    @property
    def active(self) -> int:
        """How many values of facets are asked for."""
        return sum(group.active for group in self.groups)


@dataclass(frozen=True, slots=True)
class Completion:
    """A suggestion; `query` is the whole text with it."""

    text: str
    kind: str
    note: str
    count: str
    query: str


def results(  # noqa: PLR0913 - what a page shows
    typed: Typed,
    found: Found,
    loras: Sequence[LoraView],
    *,
    sort: str,
    cursor: str,
    most: int,
    view: str = "",
    marks: Mapping[int, Marks] | None = None,
    hidden: int = 0,
) -> Results:
    """Return the page of a search; `most` hits by relevance can be paged through.

    `hidden` is how many more loras were found that are not listed for their level.
    """
    hits = found.hits
    cut_off = hits.sort.field == RELEVANCE and hits.next_cursor is None and hits.total > most
    marked = marks or {}
    rows = tuple(row(lora, marked.get(lora.id, UNMARKED)) for lora in loras)
    return Results(
        query=typed.text,
        understood=words.visible(found.understood),
        warnings=tuple(words.sentence(warning.text) for warning in found.warnings),
        meant=_meant(found.did_you_mean, sort, view),
        total=words.several(hits.total, "lora"),
        took=words.took(found.took_ms),
        rows=rows,
        groups=tuple(groups(typed, sort, hits.facets, hits.total, view)),
        sorts=sorts(sort),
        first_url=words.search_url(typed.text, sort, view=view) if cursor else None,
        next_url=words.search_url(typed.text, sort, hits.next_cursor, view) if hits.next_cursor else None,
        end_note=f"Only the best {words.count(most)} are listed. Ask for less." if cut_off else "",
        empty_catalog=not hits.total and not hidden and typed.query.where is None,
        view=view,
        views=tuple(
            ViewChoice(label, words.search_url(typed.text, sort, view=name), name == view)
            for name, label in VIEWS
        ),
        withheld=tuple(_withheld(hidden, sum(one.withheld for one in rows))),
    )


def _meant(query: str | None, sort: str, view: str) -> Link | None:
    return None if query is None else Link(words.visible(query), words.search_url(query, sort, view=view))


def _withheld(entries: int, pictures: int) -> Iterable[str]:
    if entries:
        yield f"{words.several(entries, 'lora')} hidden by level"
    if pictures:
        yield f"{words.several(pictures, 'picture')} hidden by level"


def groups(
    typed: Typed, sort: str, facets: Mapping[str, Facet], total: int, view: str = ""
) -> Iterable[Group]:
    """Give the facets that can narrow down what was found, or that narrow it down already."""
    for place, name in enumerate(FACETS):
        facet = facets.get(name)
        if facet is None:
            continue
        listed = [_choice(typed, (sort, view), name, value) for value in facet.values[:_MORE_VALUES]]
        active = any(choice.active for choice in listed)
        if not active and all(value.count == total for value in facet.values):
            continue
        unlisted = facet.distinct - len(listed)
        sampled = facet.sample is not None and facet.sample < total
        # One more line takes no more room than saying that there is one more.
        split = _VALUES if len(listed) > _VALUES + 1 else len(listed)
        yield Group(
            heading=_heading(FIELDS[name].noun),
            shown=tuple(listed[:split]),
            more=tuple(listed[split:]),
            unlisted=f"and {words.count(unlisted)} rarer ones" if unlisted > 0 else "",
            note=f"counted in {words.count(facet.sample or 0)} of them" if sampled else "",
            opened=active or place < OPENED,
        )


def _heading(noun: str) -> str:
    return f"{noun[:1].upper()}{noun[1:]}"


def _choice(typed: Typed, manner: tuple[str, str], field: str, shown: FacetValue) -> Choice:
    # Tags are what they are in captions; their other names are no better for everybody.
    label, note = (shown.value, shown.label) if field == TAG else (shown.label, "")
    seen = (words.visible(label), words.visible(note) if note != label else "", words.count(shown.count))
    value = value_of(field, shown.value, typed.now)
    if value is None:
        return Choice(*seen, None)
    active = has(typed, field, value)
    query = without_value(typed, field, value) if active else with_value(typed, field, value)
    sort, view = manner
    return Choice(*seen, words.search_url(query, sort, view=view), active)


def sorts(chosen: str) -> tuple[SortChoice, ...]:
    """Return the list of sorts with the one that was chosen."""
    offered = list(SORTS)
    if chosen not in dict(SORTS):
        row = FIELDS.get(chosen.lstrip("-"))
        noun = chosen if row is None else row.noun
        offered.append((chosen, f"{noun}, descending" if chosen.startswith("-") else noun))
    return tuple(SortChoice(value, label, value == chosen) for value, label in offered)


def completions(typed: str, suggestions: Iterable[Suggestion]) -> tuple[Completion, ...]:
    """Return what may complete the last word of a text."""
    return tuple(
        Completion(
            text=words.cut(one.text, 120),
            kind=one.kind,
            note=words.cut(one.note or "", 120),
            count="" if one.count is None else words.count(one.count),
            query=completed(typed, one.insert),
        )
        for one in suggestions
    )
