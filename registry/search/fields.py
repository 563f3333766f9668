"""TABLE: every field that can be searched, faceted or sorted by, and how it is read from a record.

One row drives the query language, the matcher, the index, facets, sorts, help texts and the documentation.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from registry.formats.markup import readable
from registry.identify.names import ADAPTERS, ARCHITECTURES
from registry.views import SearchRecord

_LAST: Final = 253_402_300_799  # seconds: the last year that has four digits
Read = Callable[[SearchRecord], Iterable[object]]


class Kind(Enum):
    """How the values of a field are compared, and what its reader gives."""

    WORDS = "words"
    """Texts: a value matches if its words stand in one of them."""
    KEY = "value"
    """Texts compared as wholes, folded; `x*` is their beginning."""
    INTEGER = "whole number"
    NUMBER = "number"
    SIZE = "size"
    """Bytes."""
    DATE = "date"
    """Milliseconds since the epoch."""
    RESOLUTION = "resolution"
    """(width, height): numbers compare the longer side, `WxH` both."""
    HASH = "hash"
    """Lower-case hex: a value is the beginning of one, 8 digits or more."""
    FOLDER = "folder"
    """Paths with `/`: a value is one of the folders above or itself."""
    FLAG = "yes or no"


NUMERIC: Final = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.SIZE, Kind.DATE, Kind.RESOLUTION})


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    `help` says what it holds, `example` how it is asked. `noun` names it in a sentence. `names` are the texts
    that people read for its values. `facet` gives the values that are counted, as they are shown.
    `sort` gives the one value that it is sorted by, `None` where there is none. `column` is the column of the
    header that it is, if it is nothing else.
    """

    name: str
    kind: Kind
    help: str
    example: str
    noun: str
    read: Read
    aliases: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    facet: Callable[[SearchRecord], Iterable[str]] | None = None
    sort: Callable[[SearchRecord], str | int | float | None] | None = None
    column: str | None = None


def _column(name: str) -> Read:
    def read(record: SearchRecord) -> Iterable[object]:
        value = record.header.get(name)
        return () if value is None else (value,)

    return read


def _first_number(name: str) -> Callable[[SearchRecord], str | int | float | None]:
    def value(record: SearchRecord) -> str | int | float | None:
        found = record.header.get(name)
        return found if isinstance(found, int | float) else None

    return value


def _shown(name: str) -> Callable[[SearchRecord], Iterable[str]]:
    def values(record: SearchRecord) -> Iterable[str]:
        value = record.header.get(name)
        return () if value in {None, ""} else (str(value),)

    return values


def _names(record: SearchRecord) -> Iterable[str]:
    yield from dict.fromkeys(file.name for file in record.files)
    for name in ("output_name", "title"):
        if isinstance(value := record.header.get(name), str) and value:
            yield value
    yield from dict.fromkeys(
        name for told in record.sidecars for name in (told.user.title, told.name) if name
    )


def _triggers(record: SearchRecord) -> Iterable[str]:
    yield from record.claimed
    yield from record.datasets
    yield from _told_triggers(record)


def _told_triggers(record: SearchRecord) -> Iterable[str]:
    for told in record.sidecars:
        yield from told.trigger_words
        if told.user.activation_text:
            yield told.user.activation_text


def _whole_names(record: SearchRecord) -> Iterable[str]:
    yield from dict.fromkeys(file.name for file in record.files)


def _architecture(record: SearchRecord) -> Iterable[str]:
    yield str(record.header.get("architecture") or "unknown")


def _adapter(record: SearchRecord) -> Iterable[str]:
    yield str(record.header.get("adapter") or "unknown")


def _resolution(width: str, height: str) -> Read:
    def read(record: SearchRecord) -> Iterable[object]:
        w, h = record.header.get(width), record.header.get(height)
        if isinstance(w, int) and isinstance(h, int):
            yield (w, h)

    return read


def _shown_resolution(record: SearchRecord) -> Iterable[str]:
    for found in _resolution("resolution_width", "resolution_height")(record):
        if isinstance(found, tuple):
            yield f"{found[0]}x{found[1]}"


def _longer_side(record: SearchRecord) -> int | None:
    sides = [record.header.get(name) for name in ("resolution_width", "resolution_height")]
    return max((side for side in sides if isinstance(side, int)), default=None)


def _missing(record: SearchRecord) -> bool:
    return not any(file.state == "present" for file in record.files)


def _duplicate(record: SearchRecord) -> bool:
    return sum(file.state == "present" for file in record.files) > 1


def _yes_no(value: Callable[[SearchRecord], bool]) -> Callable[[SearchRecord], Iterable[str]]:
    return lambda record: ("yes" if value(record) else "no",)


def _year(record: SearchRecord) -> Iterable[object]:
    yield dt.datetime.fromtimestamp(min(max(record.date / 1000, 0), _LAST), dt.UTC).year


def _trained(record: SearchRecord) -> Iterable[object]:
    for name in ("finished_at", "started_at"):
        if isinstance(moment := record.header.get(name), int):
            yield moment
            return


def _things(record: SearchRecord) -> Iterable[str]:
    """Give what a lora has, by the names that `has:` knows."""
    companions = {kind for file in record.files for kind in file.companions}
    having = {
        "preview": "preview" in companions,
        "sidecar": "sidecar" in companions,
        "triggers": bool(record.claimed or any(_told_triggers(record))),
        "tags": bool(record.tags),
        "datasets": bool(record.datasets),
        "title": bool(record.header.get("title")),
        "description": bool(record.description),
        "comment": bool(record.header.get("comment")),
        "training": bool(record.header.get("trainer") or record.header.get("steps")),
        "hash": any(file.hashed for file in record.files),
        "claims": any(file.verdicts for file in record.files),
        "civitai": any(told.model_id is not None for told in record.sidecars),
        "notes": any(told.user.notes for told in record.sidecars),
    }
    return tuple(name for name, there in having.items() if there)


def _of_files(attribute: str) -> Read:
    def read(record: SearchRecord) -> Iterable[object]:
        found: dict[object, None] = {}
        for file in record.files:
            value = getattr(file, attribute)
            found.update(dict.fromkeys(value) if isinstance(value, tuple) else {value: None})
        return tuple(found)

    return read


def _comments(record: SearchRecord) -> Iterable[str]:
    found = (record.header.get("comment"), record.description)
    yield from (text for text in found if isinstance(text, str) and text)
    for told in record.sidecars:
        texts = (told.user.notes, told.user.description, told.description, told.version_description)
        yield from dict.fromkeys(plain for text in texts if text and (plain := readable(text)))


def _of_sidecars(*names: str) -> Read:
    def read(record: SearchRecord) -> Iterable[object]:
        found: dict[object, None] = {}
        for told in record.sidecars:
            for name in names:
                value = getattr(told, name)
                found.update(dict.fromkeys(value if isinstance(value, tuple) else (value,)))
        return tuple(str(value) for value in found if value is not None)

    return read


def _folders(record: SearchRecord) -> Iterable[str]:
    return dict.fromkeys(file.folder or "/" for file in record.files)


def _texts(values: Read) -> Callable[[SearchRecord], Iterable[str]]:
    return lambda record: [str(value) for value in values(record)]


def _row(  # noqa: PLR0913, PLR0917 - all of them named
    name: str,
    column: str,
    kind: Kind,
    help: str,  # noqa: A002 - what it is
    example: str,
    noun: str,
    *,
    aliases: tuple[str, ...] = (),
    facet: bool = False,
    sort: bool = False,
) -> Field:
    """Return the row of a field that is one column of the header."""
    return Field(
        name,
        kind,
        help,
        example,
        noun,
        _column(column),
        aliases,
        facet=_shown(column) if facet else None,
        sort=_first_number(column) if sort else None,
        column=column,
    )


KINDS: Final = {
    "lora": "adapters",
    "checkpoint": "checkpoints",
    "embedding": "embeddings",
    "vae": "VAEs",
    "controlnet": "ControlNets",
    "other": "other files",
}
THINGS: Final = (
    "preview", "sidecar", "triggers", "tags", "datasets", "title", "description", "comment", "training",
    "hash", "claims", "civitai", "notes",
)  # fmt: skip

TABLE: Final[tuple[Field, ...]] = (
    Field(
        "name", Kind.WORDS,
        "names of its files, the name it was saved under, its title, its name in sidecars",
        'name:"detail tweaker"', "name", _names, aliases=("title", "file"),
        sort=lambda record: record.name,
    ),
    Field(
        "trigger", Kind.WORDS,
        "trigger words that its author or a sidecar claims, and names of dataset folders",
        "trigger:sks", "trigger word", _triggers,
        aliases=("triggers", "trigger_word"),
    ),
    Field(
        "tag", Kind.KEY, "tags of its training captions", "tag:long_hair", "tag",
        lambda record: (tag for tag, _ in record.tags), aliases=("tags",),
    ),
    Field(
        "dataset", Kind.KEY, "names of the folders it was trained on, without their repeats", "dataset:sks*",
        "dataset folder", lambda record: record.datasets, aliases=("datasets", "dir"),
    ),
    Field(
        "comment", Kind.WORDS, "the training comment, descriptions in header and sidecars, notes in sidecars",
        "comment:hands", "comment", _comments,
        aliases=("description", "note"),
    ),
    Field(
        "arch", Kind.KEY, "family of the base model, told by the tensors", "arch:sdxl", "architecture",
        _architecture, aliases=("architecture", "family"), names=ARCHITECTURES, facet=_architecture,
        sort=lambda record: next(iter(_architecture(record))),
    ),
    _row("base", "base_model", Kind.KEY, "variant of the base model, such as pony or illustrious",
         "base:pony", "base model", aliases=("base_model",), facet=True),
    Field(
        "model", Kind.WORDS, "the model it was trained on, as the trainer wrote its name", "model:animagine",
        "trained on", lambda record: [
            text for name in ("sd_model_name", "base_model_version")
            if isinstance(text := record.header.get(name), str) and text
        ],
    ),
    Field(
        "adapter", Kind.KEY, "kind of adapter, told by the tensors", "adapter:lokr", "adapter", _adapter,
        names=ADAPTERS, facet=_adapter,
    ),
    Field(
        "kind", Kind.KEY, "what the weights are: " + ", ".join(KINDS), "kind:lora", "kind",
        lambda record: (record.kind,), names=KINDS, facet=lambda record: (record.kind,),
    ),
    _row("rank", "rank", Kind.INTEGER, "rank (dim), the most frequent one", "rank:32..", "rank",
         aliases=("dim",), facet=True, sort=True),
    _row("alpha", "alpha", Kind.NUMBER, "alpha", "alpha:16", "alpha", sort=True),
    _row("prec", "precision", Kind.KEY, "precision of the tensors", "prec:bf16", "precision",
         aliases=("precision", "dtype"), facet=True),
    Field(
        "target", Kind.KEY, "what it changes: unet, transformer, te1, te2 ...", "target:te1", "target",
        lambda record: record.targets, aliases=("targets",), facet=lambda record: record.targets,
    ),
    _row("layout", "key_layout", Kind.KEY, "how its tensors are named", "layout:kohya", "key layout",
         aliases=("key_layout",), facet=True),
    _row("trainer", "trainer", Kind.KEY, "the program that trained it", "trainer:kohya*", "trainer",
         facet=True),
    Field(
        "res", Kind.RESOLUTION, "training resolution: the longer side, or WxH", "res:1024", "resolution",
        _resolution("resolution_width", "resolution_height"), aliases=("resolution",),
        facet=_shown_resolution, sort=_longer_side,
    ),
    Field(
        "bucket", Kind.RESOLUTION, "the commonest bucket: the longer side, or WxH", "bucket:832x1216",
        "bucket", _resolution("bucket_width", "bucket_height"),
    ),
    _row("images", "num_train_images", Kind.INTEGER, "training images, repeats counted", "images:>=1000",
         "images", sort=True),
    _row("repeats", "repeats", Kind.INTEGER, "repeats of the images", "repeats:10", "repeats"),
    _row("batch", "batch_size", Kind.INTEGER, "batch size", "batch:4", "batch size", aliases=("batch_size",)),
    _row("epoch", "epoch", Kind.INTEGER, "the epoch it was saved after", "epoch:10", "epoch", sort=True),
    _row("epochs", "num_epochs", Kind.INTEGER, "epochs of the whole run", "epochs:..20", "epochs", sort=True),
    _row("steps", "steps", Kind.INTEGER, "steps it was trained for", "steps:1000..3000", "steps", sort=True),
    _row("lr", "learning_rate", Kind.NUMBER, "learning rate", "lr:<=1e-4", "learning rate",
         aliases=("learning_rate",), sort=True),
    _row("unet_lr", "unet_lr", Kind.NUMBER, "learning rate of the U-Net or transformer", "unet_lr:1e-4",
         "U-Net learning rate"),
    _row("te_lr", "text_encoder_lr", Kind.NUMBER, "learning rate of the text encoder", "te_lr:5e-5",
         "text encoder learning rate", aliases=("text_encoder_lr",)),
    _row("optimizer", "optimizer", Kind.KEY, "optimizer", "optimizer:prodigy", "optimizer",
         aliases=("optimiser",), facet=True),
    _row("scheduler", "lr_scheduler", Kind.KEY, "schedule of the learning rate", "scheduler:cosine*",
         "scheduler", aliases=("lr_scheduler",)),
    _row("noise", "noise_offset", Kind.NUMBER, "noise offset", "noise:>0", "noise offset",
         aliases=("noise_offset",)),
    _row("snr", "min_snr_gamma", Kind.NUMBER, "min-SNR gamma", "snr:5", "min-SNR gamma",
         aliases=("min_snr", "min_snr_gamma")),
    _row("clip_skip", "clip_skip", Kind.INTEGER, "clip skip", "clip_skip:2", "clip skip", aliases=("clip",)),
    _row("seed", "seed", Kind.INTEGER, "training seed", "seed:42", "seed"),
    _row("session", "session_id", Kind.INTEGER, "session of the training run: its epochs share it",
         "session:1234567890", "training session", aliases=("session_id",)),
    Field(
        "trained", Kind.DATE, "when its training ended (or began)", "trained:2024", "training date", _trained,
        sort=lambda record: next((m for m in _trained(record) if isinstance(m, int)), None),
    ),
    Field(
        "size", Kind.SIZE, "size of the file", "size:<200mb", "size", lambda record: (record.size,),
        sort=lambda record: record.size,
    ),
    Field(
        "date", Kind.DATE, "when the file was changed last", "date:2024-05..", "date",
        lambda record: (record.date,), aliases=("modified", "mtime"), sort=lambda record: record.date,
    ),
    Field(
        "added", Kind.DATE, "when it was first seen here", "added:-7d", "first seen",
        lambda record: (record.added,), aliases=("seen", "first_seen"), sort=lambda record: record.added,
    ),
    Field(
        "year", Kind.INTEGER, "the year in which the file was changed last", "year:2023..", "year", _year,
        facet=_texts(_year),
    ),
    Field(
        "root", Kind.KEY, "label of a root it lies in", "root:loras", "root", _of_files("root"),
        facet=_texts(_of_files("root")),
    ),
    Field(
        "folder", Kind.FOLDER, "a folder it lies in, at any depth; `/` is a root itself",
        "folder:style/anime", "folder", _folders, aliases=("in",),
        facet=lambda record: dict.fromkeys(file.folder.partition("/")[0] or "/" for file in record.files),
    ),
    Field(
        "path", Kind.WORDS, "words of its path below the root", "path:backup", "path", _of_files("path"),
    ),
    Field(
        "hash", Kind.HASH, "any hash of any of its files, by its first digits", "hash:e0c4a2f7", "hash",
        _of_files("hashes"), aliases=("sha256", "autov2", "autov3", "blake3"),
    ),
    Field(
        "verdict", Kind.KEY, "how the hashes that its header claims compare with the computed ones",
        "verdict:differs", "claimed hashes", _of_files("verdicts"), aliases=("claim", "claims"),
        facet=_texts(_of_files("verdicts")),
    ),
    Field(
        "creator", Kind.KEY, "who made it, as a sidecar says", "creator:konan", "creator",
        _of_sidecars("creator"), aliases=("author",), facet=_texts(_of_sidecars("creator")),
    ),
    Field(
        "ctag", Kind.KEY, "tags of the model on Civitai, as a sidecar says", "ctag:style", "Civitai tag",
        _of_sidecars("tags"), aliases=("ctags", "civitai_tag"),
    ),
    Field(
        "civitai", Kind.KEY, "number of the model or version on Civitai, as a sidecar says",
        "civitai:215485", "Civitai number", _of_sidecars("model_id", "version_id"),
    ),
    Field(
        "has", Kind.KEY, "what it has: " + ", ".join(THINGS), "-has:preview", "with", _things,
    ),
    Field(
        "dup", Kind.FLAG, "whether several present files hold these weights", "dup:yes", "duplicates",
        lambda record: (_duplicate(record),), aliases=("duplicate", "duplicates"), facet=_yes_no(_duplicate),
    ),
    Field(
        "missing", Kind.FLAG, "whether none of its files is there now", "missing:no", "missing",
        lambda record: (_missing(record),), facet=_yes_no(_missing),
    ),
    Field(
        "id", Kind.INTEGER, "the number of the lora in this catalog", "id:12", "id",
        lambda record: (record.id,), sort=lambda record: record.id,
    ),
)  # fmt: skip

FIELDS: Final[Mapping[str, Field]] = {row.name: row for row in TABLE}
BY_NAME: Final[Mapping[str, Field]] = {name: row for row in TABLE for name in (row.name, *row.aliases)}
FACETS: Final = tuple(row.name for row in TABLE if row.facet is not None)
SORTS: Final = tuple(row.name for row in TABLE if row.sort is not None)
RELEVANCE: Final = "relevance"
TAG: Final = "tag"
"""As a facet counted over a sample of the matches only."""


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A group of texts whose words are searched.

    Free words are looked for in all texts at once, where a word of this column counts as often as `times`
    says, 0 for not at all. `boost` is how much a hit in this column counts beside. Phrases whose last word is
    only begun are not looked for in columns that are not `open_ended`, of which there is too much text.
    """

    name: str
    read: Callable[[SearchRecord], Iterable[str]]
    field: str | None = None
    """The field of kind WORDS that is this column alone."""
    times: int = 1
    boost: float = 0.0
    open_ended: bool = True


TAGS: Final = "tags"
TAG_TIMES: Final[tuple[tuple[float, int], ...]] = ((0.5, 5), (0.1, 3), (0.0, 2))
"""From which share of the highest count on a tag counts how often."""


def _tag_words(record: SearchRecord) -> Iterable[str]:
    return [tag.replace("_", " ") for tag, _ in record.tags]


def _words_of(name: str) -> Callable[[SearchRecord], Iterable[str]]:
    row = FIELDS[name]
    return lambda record: [str(text) for text in row.read(record)]


def _folder_words(record: SearchRecord) -> Iterable[str]:
    return dict.fromkeys(file.folder for file in record.files if file.folder)


COLUMNS: Final[tuple[TextColumn, ...]] = (
    # A boost outweighs all that the lesser columns give: a word counts up to some 30 by its rarity.
    TextColumn("name", _words_of("name"), "name", boost=1000.0),
    TextColumn("trigger", _words_of("trigger"), "trigger", boost=100.0),
    TextColumn(TAGS, _tag_words, open_ended=False),
    TextColumn("folder", _folder_words),
    TextColumn("comment", _words_of("comment"), "comment", open_ended=False),
    TextColumn("model", _words_of("model"), "model"),
    TextColumn("path", _words_of("path"), "path", times=0),
)
"""All texts whose words are searched."""
FREE: Final = tuple(column for column in COLUMNS if column.times)
"""Those in which free words are looked for."""
OPEN_ENDED: Final = tuple(column for column in FREE if column.open_ended)
WHOLE_NAMES: Final = _whole_names
