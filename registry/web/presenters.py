"""What was found, what narrows it down, what completes a word and what is going on, ready for templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.identify.names import ADAPTERS, ARCHITECTURES
from registry.search.fields import FIELDS, RELEVANCE, TAG
from registry.web import words
from registry.web.refining import asked, completed, has, value_of, with_value, without_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.search.service import Found
    from registry.views import Facet, FacetValue, FileView, LoraView, Suggestion
    from registry.web.refining import Typed

FACETS: Final = (
    "arch", "base", "adapter", "rank", TAG, "root", "folder", "trainer", "prec", "res", "year", "kind",
    "verdict", "dup", "missing",
)  # fmt: skip
"""The facets of the page, in its order."""
OPENED: Final = 5
"""How many of them show their values at once."""
_VALUES: Final = 8
_MORE_VALUES: Final = 40
KIND_NAMES: Final = {
    "checkpoint": "Checkpoint",
    "embedding": "Embedding",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "other": "Other file",
}
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
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value, which may lead to all that have it; `code` is text that is compared, not read."""

    name: str
    value: str
    url: str | None = None
    code: bool = False


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


@dataclass(frozen=True, slots=True)
class Row:
    """One lora of the list."""

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


@dataclass(frozen=True, slots=True)
class Step:
    """Work under way; without a `total` nobody knows how much there is."""

    label: str
    text: str
    done: int = 0
    total: int | None = None


def results(  # noqa: PLR0913 - what a page shows
    typed: Typed, found: Found, loras: Sequence[LoraView], *, sort: str, cursor: str, most: int
) -> Results:
    """Return the page of a search; `most` hits by relevance can be paged through."""
    hits = found.hits
    cut_off = hits.sort.field == RELEVANCE and hits.next_cursor is None and hits.total > most
    return Results(
        query=typed.text,
        understood=words.visible(found.understood),
        warnings=tuple(words.sentence(warning.text) for warning in found.warnings),
        meant=_meant(found.did_you_mean, sort),
        total=words.several(hits.total, "lora"),
        took=words.took(found.took_ms),
        rows=tuple(map(row, loras)),
        groups=tuple(groups(typed, sort, hits.facets, hits.total)),
        sorts=sorts(sort),
        first_url=words.search_url(typed.text, sort) if cursor else None,
        next_url=words.search_url(typed.text, sort, hits.next_cursor) if hits.next_cursor else None,
        end_note=f"Only the best {words.count(most)} are listed. Ask for less." if cut_off else "",
        empty_catalog=not hits.total and typed.query.where is None,
    )


def _meant(query: str | None, sort: str) -> Link | None:
    return None if query is None else Link(words.visible(query), words.search_url(query, sort))


def row(lora: LoraView) -> Row:
    """Return a lora as a line of the list."""
    places = dict.fromkeys(Place(words.visible(f.root), words.visible(f.folder)) for f in lora.files)
    return Row(
        url=words.lora_url(lora.id),
        name=words.visible(lora.name) or f"lora {lora.id}",
        title=words.cut(lora.title, 120) if lora.title and not words.alike(lora.name, lora.title) else "",
        base=base(lora.architecture),
        variant=words.visible(lora.base_model or ""),
        adapter=adapter(lora.kind, lora.adapter),
        rank="" if lora.rank is None else str(lora.rank),
        size=words.size(lora.size),
        date=words.day(lora.date),
        places=tuple(places),
        badges=tuple(badges(lora)),
    )


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


def groups(typed: Typed, sort: str, facets: Mapping[str, Facet], total: int) -> Iterable[Group]:
    """Give the facets that can narrow down what was found, or that narrow it down already."""
    for place, name in enumerate(FACETS):
        facet = facets.get(name)
        if facet is None:
            continue
        listed = [_choice(typed, sort, name, value) for value in facet.values[:_MORE_VALUES]]
        active = any(choice.active for choice in listed)
        if not active and all(value.count == total for value in facet.values):
            continue
        unlisted = facet.distinct - len(listed)
        sampled = facet.sample is not None and facet.sample < total
        # One more line takes no more room than saying that there is one more.
        split = _VALUES if len(listed) > _VALUES + 1 else len(listed)
        yield Group(
            heading=FIELDS[name].noun.capitalize(),
            shown=tuple(listed[:split]),
            more=tuple(listed[split:]),
            unlisted=f"and {words.count(unlisted)} rarer ones" if unlisted > 0 else "",
            note=f"counted in {words.count(facet.sample or 0)} of them" if sampled else "",
            opened=active or place < OPENED,
        )


def _choice(typed: Typed, sort: str, field: str, shown: FacetValue) -> Choice:
    # Tags are what they are in captions; their other names are no better for everybody.
    label, note = (shown.value, shown.label) if field == TAG else (shown.label, "")
    seen = (words.visible(label), words.visible(note) if note != label else "", words.count(shown.count))
    value = value_of(field, shown.value, typed.now)
    if value is None:
        return Choice(*seen, None)
    active = has(typed, field, value)
    query = without_value(typed, field, value) if active else with_value(typed, field, value)
    return Choice(*seen, words.search_url(query, sort), active)


def sorts(chosen: str) -> tuple[SortChoice, ...]:
    """Return the list of sorts with the one that was chosen."""
    offered = list(SORTS)
    if chosen not in dict(SORTS):
        row = FIELDS.get(chosen.lstrip("-"))
        noun = chosen if row is None else row.noun
        offered.append((chosen, f"{noun}, descending" if chosen.startswith("-") else noun))
    return tuple(SortChoice(value, label, value == chosen) for value, label in offered)


def value_url(field: str, shown: str) -> str | None:
    """Return the address of the search for one value of a field, `None` if it cannot be asked for."""
    value = value_of(field, shown, 0)
    return None if value is None else words.search_url(asked(field, value))


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


def steps(progress: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return what is going on: scans, hashing, making the search index."""
    return (*map(_scan, progress.get("scans", ())), *_hashing(progress), *_indexing(progress))


def _scan(scan: Mapping[str, Any]) -> Step:
    done, expected = int(scan["files"]), scan["expected"]
    total = int(expected) if expected and expected >= done else None
    of = "" if total is None else f" of {words.count(total)}"
    return Step(
        f"Scanning {words.visible(str(scan['label']))}",
        f"{words.count(done)}{of} files, {words.count(int(scan['new']))} new",
        done,
        total,
    )


def _hashing(progress: Mapping[str, Any]) -> Iterable[Step]:
    hashing = progress.get("hashing") or {}
    left, done = int(hashing.get("files") or 0), int(hashing.get("done") or 0)
    state = hashing.get("state")
    if not left or state not in {"hashing", "paused"}:
        return
    text = f"{words.several(left, 'file')} left, {words.size(int(hashing.get('bytes') or 0))}"
    eta = hashing.get("eta_seconds")
    if state == "paused":
        yield Step("Hashing is paused", text, done, done + left)
        return
    if eta is not None:
        text += f", about {words.duration(eta)}"
    yield Step("Hashing", text, done, done + left)


def _indexing(progress: Mapping[str, Any]) -> Iterable[Step]:
    search = progress.get("search") or {}
    if search.get("state") == "failing":
        yield Step("The search index falls behind", "the log says what is wrong", 0, None)
    if search.get("state") != "rebuilding":
        return
    done, total = int(search.get("done") or 0), int(search.get("total") or 0)
    of = f" of {words.count(total)}" if total else ""
    yield Step("Making the search index", f"{words.count(done)}{of} loras", done, total or None)
