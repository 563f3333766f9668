"""The form that asks for pictures of all that a query finds: what it asks for, and what that would be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.drawings import NEXT, Asking, next_time
from registry.errors import BadRequest
from registry.search.nodes import Exact, Match, Not
from registry.search.query import parse
from registry.web import words
from registry.web.notebook import YES
from registry.web.refining import narrowed, read_typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.drawings import Left, Plan

LONGEST: Final = 4000
"""Characters of a query."""
_LEFT: Final = 10
_TEXT: Final = 500
_SHOWN: Final = 60
_WITHOUT: Final = Not(Match("has", (Exact("preview"),)))


@dataclass(frozen=True, slots=True)
class FoundForm:
    """The query, whether only what has no picture is drawn, whether as drafts, and until when."""

    query: str
    missing: bool = True
    draft: bool = False
    until: str = ""


class LeftOut(NamedTuple):
    """A lora of which no picture would be drawn: its name and address, and why."""

    name: str
    url: str
    why: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What drawing would be in sentences, and what is left out; `beyond` says how much more of that.

    `anything` says that there is something to draw.
    """

    anything: bool
    sentences: tuple[str, ...]
    heading: str
    left: tuple[LeftOut, ...]
    beyond: str


def found_form(form: Mapping[str, str]) -> FoundForm:
    """Return the form with what was sent."""
    given = form.get
    return FoundForm(
        query=given("q", "")[:LONGEST],
        missing=given("missing") == YES,
        draft=given("draft") == YES,
        until=given("until", "")[:_SHOWN],
    )


def asking_found(form: Mapping[str, str], find: Callable[[str], Sequence[int]], now: int) -> Asking:
    """Return what a form asks for; `find` gives the loras of a query, `now` is in milliseconds.

    Raises BadRequest for a query that is not clear, asks for nothing or finds nothing, for what is no time of
    day, and as `find` does.
    """
    wish = found_form(form)
    if len(form.get("q", "")) > LONGEST:
        raise BadRequest(f"a query has at most {words.count(LONGEST)} characters")
    until = form.get("until", "").strip()
    ends_at = next_time(until, now) if until else None
    # Written anew for what has no picture, it would not show any more that something was ignored.
    if ignored := "; ".join(warning.text for warning in parse(wish.query, now).warnings):
        raise BadRequest(f"the query is not clear: {ignored}", remedy="correct it, or leave that out")
    query = narrowed(read_typed(wish.query, now), _WITHOUT) if wish.missing else wish.query
    if not query.strip():
        raise BadRequest("the query asks for nothing", remedy="`name:*` finds everything")
    loras = tuple(find(query))
    if not loras:
        raise BadRequest("it finds no lora without a picture" if wish.missing else "no lora was found")
    return Asking(loras=loras, draft=wish.draft, priority=NEXT, ends_at=ends_at)


def planned(plan: Plan, ends_at: int | None, now: int) -> Planned:
    """Return what drawing would be, as it is told before it is begun."""
    left = tuple(map(_left, plan.left[:_LEFT]))
    beyond = plan.left_out - len(left)
    return Planned(
        anything=plan.pictures > plan.there,
        sentences=tuple(_sentences(plan, ends_at, now)),
        heading=f"{words.several(plan.left_out, 'lora')} left out" if plan.left_out else "",
        left=left,
        beyond=f"and {words.count(beyond)} more" if left and beyond > 0 else "",
    )


def _sentences(plan: Plan, ends_at: int | None, now: int) -> Iterable[str]:
    fresh = plan.pictures - plan.there
    if fresh <= 0:
        these = words.several(plan.there, "picture")
        yield f"Nothing would be drawn: {these} {words.are(plan.there)} there already."
        return
    yield f"{words.several(fresh, 'picture')} would be drawn."
    if plan.there:
        yield f"{words.count(plan.there)} more {words.are(plan.there)} there already."
    if plan.seconds is None:
        yield "How long that takes is known after a few batches."
    else:
        yield f"That takes about {words.duration(plan.seconds)}."
    if ends_at is not None:
        within = words.duration((ends_at - now) / 1000)
        yield f"What is not drawn by {_here(ends_at)}, in {within}, is left."


def _left(one: Left) -> LeftOut:
    return LeftOut(words.cut(one.name, _TEXT), words.lora_url(one.lora_id), words.cut(one.text, _TEXT))


def _here(at: int) -> str:
    """Return a moment as clocks show it where the registry runs."""
    local = dt.datetime.fromtimestamp(at / 1000, dt.UTC).astimezone()
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} UTC{offset[:3]}:{offset[3:5]}"
