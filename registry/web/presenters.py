"""A lora as a line of a list, and the pieces that all pages are made of, ready for templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.identify.names import ADAPTERS, ARCHITECTURES
from registry.web import words
from registry.web.refining import asked, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.views import FileView, LoraView

_NAME: Final = 300
_TITLE: Final = 120
KIND_NAMES: Final = {
    "checkpoint": "Checkpoint",
    "embedding": "Embedding",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "other": "Other file",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value, which may lead to all that have it; `code` is text that is compared, not read.

    `away` is an address elsewhere that we made, `by` who says so or what else there is to know.
    """

    name: str
    value: str
    url: str | None = None
    code: bool = False
    away: str | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A trigger word or tag: how often, and the address of all that have it."""

    text: str
    count: str = ""
    url: str | None = None


class Badge(NamedTuple):
    """A word that marks something; `tone` is `good`, `warn`, `bad` or nothing, `hint` says more."""

    text: str
    tone: str = ""
    hint: str = ""


class Link(NamedTuple):
    """A text that leads somewhere."""

    text: str
    url: str


class Place(NamedTuple):
    """Where files lie: the label of their root and the folder in it."""

    root: str
    folder: str


class Marks(NamedTuple):
    """What lists show of a lora beside what it is.

    `name` is what it is called, `own` whether the user said so. `picture` is the key of the picture that
    stands for it, `withheld` says that its level is too high to be sent.
    """

    name: str = ""
    own: bool = False
    picture: str | None = None
    withheld: bool = False
    favorite: bool = False
    rating: int | None = None


UNMARKED: Final = Marks()


@dataclass(frozen=True, slots=True)
class Row:
    """One lora of the list; `picture` is the address of what stands for it."""

    url: str
    name: str
    title: str
    base: str
    variant: str
    adapter: str
    rank: str
    size: str
    date: str
    places: tuple[Place, ...]
    badges: tuple[Badge, ...]
    picture: str | None
    withheld: bool
    favorite: bool
    rating: int | None
    stars: str


def row(lora: LoraView, marks: Marks = UNMARKED) -> Row:
    """Return a lora as a line of the list."""
    places = dict.fromkeys(Place(words.visible(f.root), words.visible(f.folder)) for f in lora.files)
    name, title = names(lora, marks.name, own=marks.own)
    return Row(
        url=words.lora_url(lora.id),
        name=name,
        title=title,
        base=base(lora.architecture),
        variant=words.visible(lora.base_model or ""),
        adapter=adapter(lora.kind, lora.adapter),
        rank="" if lora.rank is None else str(lora.rank),
        size=words.size(lora.size),
        date=words.day(lora.date),
        places=tuple(places),
        badges=tuple(badges(lora)),
        picture=None if marks.picture is None else words.picture_url(marks.picture),
        withheld=marks.withheld,
        favorite=marks.favorite,
        rating=marks.rating,
        stars="" if marks.rating is None else words.stars(marks.rating),
    )


def names(lora: LoraView, called: str, *, own: bool) -> tuple[str, str]:
    """Return what a lora goes by and what else it is called, nothing where that is much the same.

    It goes by the name of its file, unless the user gave it an `own` one.
    """
    file = words.cut(lora.name, _NAME) or f"lora {lora.id}"
    other = called or lora.title or ""
    if own and called:
        return words.cut(called, _NAME), "" if words.alike(lora.name, called) else file
    return file, "" if not other or words.alike(lora.name, other) else words.cut(other, _TITLE)


def base(architecture: str) -> str:
    """Return the name of a family of base models, nothing where there is none."""
    name = ARCHITECTURES.get(architecture, architecture)
    return words.visible("" if architecture in {"none", "unknown"} else name)


def adapter(kind: str, name: str) -> str:
    """Return what weights are: the kind of adapter, or what else."""
    return KIND_NAMES.get(kind) or words.visible(ADAPTERS.get(name, name))


def badges(lora: LoraView) -> Iterable[Badge]:
    """Give what marks a lora: where it is not, how often it is, what is wrong with its file."""
    first = lora.files[0] if lora.files else None
    if lora.state != "present":
        yield state_badge(lora.state, first)
    copies = sum(file.state == "present" for file in lora.files)
    if copies > 1:
        yield Badge(f"{copies} copies", "", "files with these very weights")
    if first is not None and first.cause:
        yield Badge("damaged", "bad", words.visible(first.cause.replace("-", " ")))


def state_badge(state: str, file: FileView | None) -> Badge:
    """Return the badge of a state other than present."""
    since = f" since {words.day(file.state_since)}" if file is not None else ""
    if state == "unreachable":
        return Badge("unreachable", "warn", f"its root cannot be reached{since}")
    return Badge(words.visible(state), "bad", f"its file is not there{since}")


def value_url(field: str, shown: str) -> str | None:
    """Return the address of the search for one value of a field, `None` if it cannot be asked for."""
    value = value_of(field, shown, 0)
    return None if value is None else words.search_url(asked(field, value))
