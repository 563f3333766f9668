"""Which of several voices is heard: for each fact the first that says it, in an order that never changes.

The user; what people typed in other tools; Civitai; what sidecars kept of services; the header; the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from registry.formats import nsfw
from registry.links import CIVITAI, LINKED, UNLINKED
from registry.shown import Shown, Source
from registry.told import Licence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.curation import Curation, Noted
    from registry.formats.nsfw import Words
    from registry.links import Link, LinkedModel, LinkedVersion
    from registry.told import SidecarFacts

T = TypeVar("T")
_MODEL_PAGE: Final = "https://civitai.com/models/{model}?modelVersionId={version}"
# A tag that few captions have says little of the whole.
_COMMON_SHARE: Final = 0.2


class Beside(NamedTuple):
    """What a sidecar says and when it was read, in milliseconds since the epoch."""

    facts: SidecarFacts
    read_at: int | None = None


@dataclass(frozen=True, slots=True)
class Voices:
    """All that is said of one lora.

    `header` has columns of the header by name, `claimed` its trigger words, `tags` its training tags with
    their counts. `noted` tells when the user said what `curation` has. Sidecars that were written for another
    file are none of them.
    """

    file_name: str
    header: Mapping[str, object] = field(default_factory=dict)
    description: str | None = None
    claimed: tuple[str, ...] = ()
    tags: Sequence[tuple[str, int]] = ()
    sidecars: Sequence[Beside] = ()
    link: Link | None = None
    curation: Curation | None = None
    noted: Mapping[str, Noted] = field(default_factory=dict)

    def tagged(self, tags: Sequence[tuple[str, int]]) -> Voices:
        """Return the same with training tags."""
        return replace(self, tags=tags)


class _Said(NamedTuple):
    value: object
    source: Source


def show(voices: Voices, words: Words | None = None) -> Shown:
    """Return what is shown of a lora; without `words` no level is estimated."""
    said = {name: found for name, listen in _FACTS.items() if (found := _first(listen(voices))) is not None}
    level = _level(voices, words)
    if level is not None:
        said["nsfw_level"] = level
    values = {name: one.value for name, one in said.items()}
    shown = Shown(name=str(values.pop("name", voices.file_name)))
    link = voices.link
    return replace(
        shown,
        **values,  # type: ignore[arg-type] # each value is of its own field, as the table has it
        gone_at=None if link is None else _gone_at(link),
        sources={name: one.source for name, one in said.items()},
    )


def level_of(voices: Voices, words: Words | None = None) -> int | None:
    """Return the level alone."""
    said = _level(voices, words)
    return said.value if said is not None and isinstance(said.value, int) else None


def limited(shown: Shown, shows: Callable[[int | None], bool]) -> Shown:
    """Return the same without the pictures, and their prompts, of levels that are not to be sent.

    A picture whose own level nobody said has that of the lora.
    """
    kept = tuple(
        image
        for image in shown.images
        if shows(shown.nsfw_level if image.nsfw_level is None else image.nsfw_level)
    )
    return shown if len(kept) == len(shown.images) else replace(shown, images=kept)


def _first(said: Iterable[_Said | None]) -> _Said | None:
    return next((one for one in said if one is not None and one.value not in _NOTHING), None)


_NOTHING: Final[tuple[object, ...]] = (None, "", (), Licence())


def _user(voices: Voices, name: str) -> _Said | None:
    if voices.curation is None:
        return None
    noted = voices.noted.get(name)
    return _Said(getattr(voices.curation, name), Source("user", None, None if noted is None else noted.at))


def _typed(voices: Voices, name: str) -> Iterable[_Said]:
    for beside in voices.sidecars:
        yield _Said(getattr(beside.facts.user, name), _of_sidecar(beside))


def _kept(voices: Voices, name: str) -> Iterable[_Said]:
    for beside in _agreeing(voices):
        yield _Said(getattr(beside.facts, name), _of_sidecar(beside))


def _agreeing(voices: Voices) -> Iterable[Beside]:
    """Return the sidecars that are not of another version than the user says: none for no version at all."""
    link = voices.link
    if link is None or link.state not in {LINKED, UNLINKED}:
        return voices.sidecars
    if link.state == UNLINKED:
        return ()
    return [beside for beside in voices.sidecars if beside.facts.version_id == link.version_id]


def _chosen(voices: Voices, name: str) -> _Said | None:
    """Return an id of the version that the user chose."""
    link = voices.link
    if link is None or link.state != LINKED:
        return None
    noted = voices.noted.get("civitai")
    return _Said(getattr(link, name), Source("user", None, None if noted is None else noted.at))


def _of_sidecar(beside: Beside) -> Source:
    return Source("sidecar", beside.facts.tool, beside.read_at)


def _version(voices: Voices, name: str) -> _Said | None:
    version = None if voices.link is None else voices.link.version
    return None if version is None else _Said(getattr(version.told, name), _service(version))


def _model(voices: Voices, name: str) -> _Said | None:
    model = None if voices.link is None else voices.link.model
    return None if model is None else _Said(getattr(model.told, name), _service(model))


def _service(one: LinkedVersion | LinkedModel) -> Source:
    """Return who said it; what another service kept of Civitai names that one as the tool."""
    return Source("civitai", None if one.source == CIVITAI else one.source, one.fetched_at)


def _header(voices: Voices, name: str) -> _Said | None:
    value = voices.header.get(name)
    return _Said(value, Source("header")) if isinstance(value, str) else None


def _name(voices: Voices) -> Iterable[_Said | None]:
    yield _user(voices, "display_name")
    yield from _typed(voices, "title")
    yield _model(voices, "name")
    yield _version(voices, "model_name")
    yield from _kept(voices, "name")
    yield _header(voices, "title")
    yield _Said(voices.file_name, Source("file"))


def _description(voices: Voices) -> Iterable[_Said | None]:
    yield from _typed(voices, "description")
    yield _model(voices, "description")
    yield from _kept(voices, "description")
    yield _Said(voices.description, Source("header"))


def _triggers(voices: Voices) -> Iterable[_Said | None]:
    yield _user(voices, "triggers")
    for said in _typed(voices, "activation_text"):
        yield _grouped(said, (said.value,) if isinstance(said.value, str) else ())
    found = _version(voices, "trained_words")
    yield None if found is None else _grouped(found, found.value)
    for said in _kept(voices, "trigger_words"):
        yield _grouped(said, said.value)
    yield _grouped(_Said(None, Source("header")), voices.claimed)


def _grouped(said: _Said, words: object) -> _Said:
    """Let each text that somebody wrote be a group: it may be several words that belong together."""
    some = words if isinstance(words, tuple) else ()
    return _Said(tuple((word,) for word in some), said.source)


def _source_url(voices: Voices) -> Iterable[_Said | None]:
    version = None if voices.link is None else voices.link.version
    if version is not None and version.told.model_id is not None:
        page = _MODEL_PAGE.format(model=version.told.model_id, version=version.told.id)
        yield _Said(page, _service(version))
    yield from _kept(voices, "source_url")


def _either(
    *, user: str | None = None, typed: str | None = None, version: str | None = None,
    model: str | None = None, kept: str | None = None,
) -> Callable[[Voices], Iterable[_Said | None]]:  # fmt: skip
    """Return what listens to these voices, each of which has the fact under a name of its own."""

    def listen(voices: Voices) -> Iterable[_Said | None]:
        if user:
            yield _user(voices, user)
        if typed:
            yield from _typed(voices, typed)
        if model:
            yield _model(voices, model)
        if version:
            yield _version(voices, version)
        if kept:
            yield from _kept(voices, kept)

    return listen


def _id(name: str, *, of_version: str) -> Callable[[Voices], Iterable[_Said | None]]:
    """Return what listens for an id: the one that the user chose goes before those that were found."""
    others = _either(version=of_version, kept=name)
    return lambda voices: chain((_chosen(voices, name),), others(voices))


_FACTS: Final[Mapping[str, Callable[[Voices], Iterable[_Said | None]]]] = {
    "name": _name,
    "model_name": _either(model="name", version="model_name", kept="name"),
    "version_name": _either(version="name", kept="version_name"),
    "model_id": _id("model_id", of_version="model_id"),
    "version_id": _id("version_id", of_version="id"),
    "model_type": _either(model="type", version="model_type", kept="model_type"),
    "base_model": _either(version="base_model", kept="base_model", typed="base_model"),
    "description": _description,
    "version_description": _either(version="description", kept="version_description"),
    "notes": _either(user="note", typed="notes"),
    "triggers": _triggers,
    "negative_text": _either(user="negative", typed="negative_text"),
    "weight": _either(user="weight", typed="weight"),
    "weight_min": _either(user="weight_min", typed="weight_min"),
    "weight_max": _either(user="weight_max", typed="weight_max"),
    "clip_weight": _either(typed="clip_weight"),
    "clip_skip": _either(typed="clip_skip"),
    "tags": _either(model="tags", kept="tags"),
    "user_tags": _either(user="tags"),
    "creator": _either(model="creator", kept="creator"),
    "licence": _either(model="licence", kept="licence"),
    "rating": _either(user="rating"),
    "favorite": _either(user="favorite", typed="favorite"),
    "hidden": _either(user="hidden", typed="hidden"),
    "images": _either(version="images", kept="images"),
    "source_url": _source_url,
}
"""TABLE of the fields of `Shown`: who may say each of them, first to last."""


def _level(voices: Voices, words: Words | None) -> _Said | None:
    """Return the level: the user's, else the highest of its images, else that of the whole, else a guess."""
    own = _user(voices, "nsfw")
    if own is not None and own.value is not None:
        return own
    for name in ("images_level", "nsfw_level"):
        for found in (_version(voices, name), *_kept(voices, name)):
            level = nsfw.highest(found.value) if found is not None and isinstance(found.value, int) else None
            if found is not None and level is not None:
                return _Said(level, found.source)
    guess = None if words is None else nsfw.estimate(_telling(voices), words)
    return None if guess is None else _Said(guess, Source("estimate"))


def _telling(voices: Voices) -> Iterable[str]:
    yield voices.file_name
    for name in ("title", "output_name"):
        if isinstance(value := voices.header.get(name), str):
            yield value
    yield from (beside.facts.name for beside in _agreeing(voices) if beside.facts.name)
    yield from (tag for beside in _agreeing(voices) for tag in beside.facts.tags)
    for found in (_model(voices, "name"), _model(voices, "tags")):
        if found is not None:
            yield from (found.value,) if isinstance(found.value, str) else _texts(found.value)
    most = max((count for _, count in voices.tags), default=0)
    yield from (tag for tag, count in voices.tags if count >= most * _COMMON_SHARE)


def _texts(value: object) -> Iterable[str]:
    return (text for text in value if isinstance(text, str)) if isinstance(value, tuple) else ()


def _gone_at(link: Link) -> int | None:
    version = link.version
    return link.gone_at or (None if version is None else version.gone_at)
