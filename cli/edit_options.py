"""Options that change what is noted of loras: a TABLE of them, and how a command gets them."""

from __future__ import annotations

import inspect
import math
import re
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COMMA: Final = re.compile("[,\uff0c]")


def _as_it_is(value: Any) -> Any:
    return value


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


def _groups(texts: Sequence[str]) -> list[list[str]]:
    return [_COMMA.split(text) for text in texts]


def _version(text: str) -> object:
    if text.strip().lower() == "none":
        return {"unlinked": True}
    number = _number(text)
    return {"version": number} if isinstance(number, int) else text


class Option(NamedTuple):
    """An option, the field that it changes and how, and what it takes.

    `part` is `value` for what the field becomes, `add` or `remove` for items of a list. `read` makes JSON of
    what was typed. `takes` is told where that cannot be used, in place of what the field takes.
    """

    name: str
    field: str
    type: Any
    metavar: str | None
    help: str
    read: Callable[[Any], Any] = _as_it_is
    part: str = "value"
    takes: str = ""

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--{self.name}"


_ONE: Final = str | None
_MANY: Final = list[str] | None
_SWITCH: Final = bool | None
_TAG: Final = "a tag of up to 200 characters"
_WORDS: Final = "words with commas between them"
OPTIONS: Final = (
    Option("note", "note", _ONE, "TEXT", "Your note on it."),
    Option("tag", "tags", _MANY, "TAG", "Your tags, in place of all it has; again for each.", takes=_TAG),
    Option("add-tag", "tags", _MANY, "TAG", "Add a tag; again for each.", part="add", takes=_TAG),
    Option("remove-tag", "tags", _MANY, "TAG", "Take a tag away.", part="remove", takes=_TAG),
    Option("rating", "rating", _ONE, "N", "From 0 to 5.", _number),
    Option("favorite", "favorite", _SWITCH, None, "Whether it is a favourite."),
    Option("hidden", "hidden", _SWITCH, None, "Whether lists leave it out."),
    Option("nsfw", "nsfw", _ONE, "LEVEL", "pg, pg13, r, x, xxx or blocked.", _number),
    Option("name", "display_name", _ONE, "NAME", "The name to show for it."),
    Option(
        "trigger",
        "triggers",
        _MANY,
        "WORDS",
        "Trigger words, commas between them, in place of all it has; again for each group.",
        _groups,
        takes=_WORDS,
    ),
    Option("add-trigger", "triggers", _MANY, "WORDS", "Add a group.", _groups, "add", _WORDS),
    Option("remove-trigger", "triggers", _MANY, "WORDS", "Take a group away.", _groups, "remove", _WORDS),
    Option("weight", "weight", _ONE, "W", "The strength that you prefer.", _number),
    Option("weight-min", "weight_min", _ONE, "W", "The lowest strength of use.", _number),
    Option("weight-max", "weight_max", _ONE, "W", "The highest strength of use.", _number),
    Option("negative", "negative", _ONE, "TEXT", "A negative prompt that goes with it."),
    Option("cover", "cover", _ONE, "KEY", "The key of the picture to show for it."),
    Option("architecture", "architecture", _ONE, "NAME", "Correct the architecture: sd15, sdxl, flux1, ..."),
    Option("base-model", "base_model", _ONE, "NAME", "Correct the base model: Pony, Illustrious, ..."),
    Option("adapter", "adapter", _ONE, "NAME", "Correct the adapter: lora, locon, loha, ..."),
    Option("kind", "kind", _ONE, "NAME", "Correct what it is: lora, checkpoint, embedding, ..."),
    Option(
        "civitai",
        "civitai",
        _ONE,
        "ID",
        "Which version of Civitai it is, or none if it has none.",
        _version,
        takes="the id of a version, or none",
    ),
)
"""TABLE of the options by which fields are changed; each field has one that gives it a value."""


def takes_changes(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the table; `told` gets what they say, by their names."""
    signature = inspect.signature(function, eval_str=True)
    kept = [one for one in signature.parameters.values() if one.name != "told"]
    added = {one.name.replace("-", "_"): one for one in OPTIONS}

    @wraps(function)
    def command(*arguments: Any, **values: Any) -> None:
        told = {one.name: values.pop(name) for name, one in added.items()}
        function(*arguments, told=told, **values)

    parameters = [*kept, *(_parameter(name, one) for name, one in added.items())]
    vars(command)["__signature__"] = signature.replace(parameters=parameters)
    return command


def _parameter(name: str, option: Option) -> inspect.Parameter:
    flag = option.flag if option.type is not _SWITCH else f"{option.flag}/--no-{option.name}"
    typed = typer.Option(flag, metavar=option.metavar, help=option.help, show_default=False)
    annotation: Any = Annotated[option.type, typed]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
