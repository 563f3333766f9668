"""The form that asks for pictures of a lora: what stands in it, what it asks for, and what came of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.drawings import FIRST, SEED, Asking
from registry.errors import BadRequest
from registry.web import words
from registry.web.editing import Option
from registry.web.notebook import YES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

STEPS: Final = 20
_EMPTY: Final[Mapping[str, str]] = {
    "prompt": "", "house": "", "weights": "", "seeds": str(SEED), "size": "", "steps": str(STEPS), "base": "",
    "draft": "",
}  # fmt: skip
_MOST_WEIGHTS, _MOST_SEEDS, _MOST_PROMPT = 50, 1000, 10_000
"""As many as `POST /api/v1/renders` takes."""
_SHOWN: Final = 60
_MOST_ERROR: Final = 500
_BETWEEN: Final = re.compile(r"[\s,;\uff0c\u3001]+")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,5}(?:\.[0-9]{0,10})?|\.[0-9]{1,10})")
_WHOLE: Final = re.compile(r"[0-9]{1,10}")
_SIZE: Final = re.compile(r"([0-9]{2,4})\s*[x×*]\s*([0-9]{2,4})", re.IGNORECASE)
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DrawingForm:
    """The `texts` of the fields, what is ticked, and the base models, if there is a choice.

    `opened` says that something was typed that was not drawn.
    """

    texts: Mapping[str, str]
    house: bool
    draft: bool
    bases: tuple[Option, ...]
    opened: bool


class Tally(NamedTuple):
    """The pictures of a drawing: how many it is of, how many of these were there before it, and so on.

    `done` are those that are there now, `failed` those that could not be drawn, for the first by this
    `error`. `odd` ones were drawn and are none of the lora's, the first for what `oddity` says. `live` says
    that it goes on.
    """

    total: int
    there: int
    done: int = 0
    failed: int = 0
    live: bool = True
    error: str = ""
    odd: int = 0
    oddity: str = ""


def drawing_form(bases: Collection[str], typed: Mapping[str, str] | None = None) -> DrawingForm:
    """Return the form; what was `typed` stays in it. `bases` are the names of the settings."""
    given = typed or {}
    texts = {**_EMPTY, **given}
    options = [Option("", "as fits it", not texts["base"])]
    options += [Option(name, words.visible(name), name == texts["base"]) for name in sorted(bases)]
    return DrawingForm(
        texts=texts,
        house=texts["house"] == YES,
        draft=texts["draft"] == YES,
        bases=tuple(options) if len(bases) > 1 else (),
        opened=bool(given),
    )


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed into fields, to be shown again."""
    return {name: text for name, text in form.items() if name in _EMPTY}


def asking(form: Mapping[str, str], lora_id: int, bases: Collection[str]) -> Asking:
    """Return what a form asks for; BadRequest for what is no number, size or base model of the settings."""
    given = {**_EMPTY, **form}
    base = given["base"]
    if base and base not in bases:
        raise BadRequest(
            f"there is no base model called {base[:_SHOWN]!r} in the settings",
            remedy=f"these are {', '.join(sorted(bases)) or '(none)'}",
        )
    return Asking(
        loras=(lora_id,),
        base=base,
        weights=tuple(map(float, _listed(given["weights"], _WEIGHTS))),
        seeds=tuple(map(int, _listed(given["seeds"], _SEEDS))) or (SEED,),
        prompt=_prompt(given["prompt"]),
        house=given["house"] == YES,
        size=_size(given["size"]),
        steps=_steps(given["steps"]),
        draft=given["draft"] == YES,
        priority=FIRST,
    )


def said(tally: Tally) -> str:
    """Return what came of a drawing so far."""
    fresh, drawn = tally.total - tally.there, tally.done - tally.there
    if fresh <= 0:
        these = "That picture is" if tally.total == 1 else f"These {words.count(tally.total)} pictures are"
        told = [f"{these} there already."]
    else:
        told = [_drawn(max(0, drawn), fresh, live=tally.live)]
    if tally.there and fresh > 0:
        told.append(f"{words.count(tally.there)} more {_were(tally.there)} there already.")
    if tally.failed:
        told += [
            f"{words.several(tally.failed, 'picture')} failed.",
            words.sentence(words.cut(tally.error, _MOST_ERROR)),
        ]
    if tally.odd:
        told += [
            f"{words.several(tally.odd, 'picture')} {words.are(tally.odd)} not shown.",
            words.sentence(words.cut(tally.oddity, _MOST_ERROR)),
        ]
    return " ".join(filter(None, told))


def _drawn(drawn: int, fresh: int, *, live: bool) -> str:
    pictures = words.several(fresh, "picture")
    if live:
        return (
            f"{drawn} of {pictures} {words.are(drawn)} drawn."
            if drawn
            else f"{pictures} {words.are(fresh)} being drawn."
        )
    if drawn >= fresh:
        return f"{pictures} {_were(fresh)} drawn."
    return f"{drawn} of {pictures} {_were(drawn)} drawn." if drawn else "No picture was drawn."


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


class _Several(NamedTuple):
    """Numbers with commas between them: what they are of, their form, how many are drawn, and an example."""

    of: str
    are: str
    form: re.Pattern[str]
    most: int
    example: str


_WEIGHTS: Final = _Several("weights", "numbers", _NUMBER, _MOST_WEIGHTS, "0, 0.5, 1")
_SEEDS: Final = _Several("seeds", "whole numbers", _WHOLE, _MOST_SEEDS, "1, 2, 3")


def _listed(text: str, asked: _Several) -> list[str]:
    found = [each for each in _BETWEEN.split(text) if each]
    if len(found) > asked.most:
        raise BadRequest(
            f"these are {words.count(len(found))} {asked.of}", remedy=f"at most {asked.most} are drawn"
        )
    odd = next((each for each in found if not asked.form.fullmatch(each)), None)
    if odd is not None:
        raise BadRequest(
            f"{asked.of} are {asked.are} with commas between them, not {odd[:_SHOWN]!r}",
            remedy=f"for example {asked.example}",
        )
    return found


def _prompt(text: str) -> str | None:
    told = text.replace("\r\n", "\n").strip()
    if len(told) > _MOST_PROMPT:
        raise BadRequest(f"a prompt has at most {words.count(_MOST_PROMPT)} characters")
    if _UNWRITABLE.search(told):
        raise BadRequest("a prompt is text, without control characters")
    return told or None


def _size(text: str) -> tuple[int, int] | None:
    told = text.strip()
    if not told:
        return None
    found = _SIZE.fullmatch(told)
    if found is None:
        raise BadRequest(f"{told[:_SHOWN]!r} is no size", remedy="for example 512x768")
    return int(found[1]), int(found[2])


def _steps(text: str) -> int:
    told = text.strip() or str(STEPS)
    if not _WHOLE.fullmatch(told):
        raise BadRequest(f"steps are 1 to 200, not {told[:_SHOWN]!r}")
    return int(told)
