"""TABLE: every field that can be searched, faceted or sorted by, and how it is read from a record.

One row drives the query language, the matcher, the index, facets, sorts, help texts and the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from registry.formats import nsfw
from registry.formats.licences import WORDS as LICENCE_WORDS
from registry.identify.names import ADAPTERS, ARCHITECTURES
from registry.measured import EXPLODING, HEALTH, INCOMPLETE, INFINITE, NAN, OK, UNSUPPORTED, UNTRAINED
from registry.search import readers as of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry.search.readers import Read
    from registry.views import SearchRecord


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
        of.column(column),
        aliases,
        facet=of.shown(column) if facet else None,
        sort=of.first_number(column) if sort else None,
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

SYNC_STATES: Final = {
    "found": "found",
    "ambiguous": "found in several versions",
    "not_found": "not found",
    "gone": "no longer there",
    "failed": "failed",
    "matched": "not finished",
    "unmatched": "not finished",
    "linked": "linked by you",
    "unlinked": "unlinked by you",
    "never": "never asked",
}
_HEALTH_NAMES: Final = {
    OK: "sound",
    NAN: "not numbers",
    INFINITE: "infinite",
    UNTRAINED: "untrained",
    EXPLODING: "exploding",
    UNSUPPORTED: "cannot be measured",
    INCOMPLETE: "incomplete",
}
_LEVELS: Final = {nsfw.NAMES[level]: name for level, name in nsfw.SHOWN_AS.items()} | {of.UNKNOWN: "unknown"}
_CREATOR: Final = of.from_civitai("creator", model="creator")
_CIVITAI_TYPE: Final = of.from_civitai("model_type", version="model_type")

TABLE: Final[tuple[Field, ...]] = (
    Field(
        "name", Kind.WORDS,
        "names of its files, the name it was saved under, its title, its name in sidecars",
        'name:"detail tweaker"', "name", of.names, aliases=("title", "file"),
        sort=lambda record: record.name,
    ),
    Field(
        "trigger", Kind.WORDS,
        "trigger words that its author or a sidecar claims, and names of dataset folders",
        "trigger:sks", "trigger word", of.triggers,
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
        "comment", Kind.WORDS, "the training comment, descriptions of header, sidecars and Civitai, notes",
        "comment:hands", "comment", of.comments,
        aliases=("description",),
    ),
    Field(
        "note", Kind.WORDS, "notes: your own, and those in sidecars", "note:hands", "note", of.notes,
        aliases=("notes",),
    ),
    Field(
        "usertag", Kind.KEY, "tags that you gave it", "usertag:keep", "own tag", of.user_tags,
        aliases=("utag", "mytag"), facet=of.texts_of(of.user_tags),
    ),
    Field(
        "arch", Kind.KEY, "family of the base model, told by the tensors", "arch:sdxl", "architecture",
        of.architecture, aliases=("architecture", "family"), names=ARCHITECTURES, facet=of.architecture,
        sort=lambda record: next(iter(of.architecture(record))),
    ),
    _row("base", "base_model", Kind.KEY, "variant of the base model, such as pony or illustrious",
         "base:pony", "base model", aliases=("base_model",), facet=True),
    Field(
        "checkpoint", Kind.WORDS, "the model it was trained on, as the trainer wrote its name",
        "checkpoint:animagine", "trained on", lambda record: [
            text for name in ("sd_model_name", "base_model_version")
            if isinstance(text := record.header.get(name), str) and text
        ],
        aliases=("trained_on", "sd_model"),
    ),
    Field(
        "adapter", Kind.KEY, "kind of adapter, told by the tensors", "adapter:lokr", "adapter", of.adapter,
        names=ADAPTERS, facet=of.adapter,
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
        of.resolution("resolution_width", "resolution_height"), aliases=("resolution",),
        facet=of.shown_resolution, sort=of.longer_side,
    ),
    Field(
        "bucket", Kind.RESOLUTION, "the commonest bucket: the longer side, or WxH", "bucket:832x1216",
        "bucket", of.resolution("bucket_width", "bucket_height"),
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
        "trained", Kind.DATE, "when its training ended (or began)", "trained:2024", "training date",
        of.trained,
        sort=lambda record: next((m for m in of.trained(record) if isinstance(m, int)), None),
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
        "year", Kind.INTEGER, "the year in which the file was changed last", "year:2023..", "year",
        of.year_of,
        facet=of.texts_of(of.year_of),
    ),
    Field(
        "root", Kind.KEY, "label of a root it lies in", "root:loras", "root", of.from_files("root"),
        facet=of.texts_of(of.from_files("root")),
    ),
    Field(
        "folder", Kind.FOLDER, "a folder it lies in, at any depth; `/` is a root itself",
        "folder:style/anime", "folder", of.folders, aliases=("in",),
        facet=lambda record: dict.fromkeys(file.folder.partition("/")[0] or "/" for file in record.files),
    ),
    Field(
        "path", Kind.WORDS, "words of its path below the root", "path:backup", "path", of.from_files("path"),
    ),
    Field(
        "hash", Kind.HASH, "any hash of any of its files, by its first digits", "hash:e0c4a2f7", "hash",
        of.from_files("hashes"), aliases=("sha256", "autov2", "autov3", "blake3"),
    ),
    Field(
        "verdict", Kind.KEY, "how the hashes that its header claims compare with the computed ones",
        "verdict:differs", "claimed hashes", of.from_files("verdicts"), aliases=("claim", "claims"),
        facet=of.texts_of(of.from_files("verdicts")),
    ),
    Field(
        "creator", Kind.KEY, "who made it, as Civitai or a sidecar says", "creator:konan", "creator",
        _CREATOR, aliases=("author",), facet=of.texts_of(_CREATOR),
    ),
    Field(
        "model", Kind.KEY, "name or number of its model on Civitai", 'model:"detail tweaker*"', "model",
        of.both(
            of.from_civitai("name", version="model_name", model="name"),
            of.from_civitai("model_id", version="model_id"),
        ),
    ),
    Field(
        "version", Kind.KEY, "name or number of its version on Civitai", "version:v2*", "version",
        of.both(
            of.from_civitai("version_name", version="name"), of.from_civitai("version_id", version="id")
        ),
    ),
    Field(
        "ctag", Kind.KEY, "tags of the model on Civitai", "ctag:style", "Civitai tag",
        of.from_civitai("tags", model="tags"), aliases=("ctags", "civitai_tag"),
    ),
    Field(
        "ctype", Kind.KEY, "what Civitai calls it: LORA, LoCon, DoRA ...", "ctype:locon", "Civitai type",
        _CIVITAI_TYPE, facet=of.texts_of(_CIVITAI_TYPE),
    ),
    Field(
        "civitai", Kind.KEY, "number of the model or version on Civitai",
        "civitai:215485", "Civitai number",
        of.both(
            of.from_civitai("model_id", version="model_id"), of.from_civitai("version_id", version="id")
        ),
    ),
    Field(
        "sync", Kind.KEY, "what asking Civitai came to: " + ", ".join(SYNC_STATES), "sync:gone",
        "state on Civitai", of.sync, names=SYNC_STATES, facet=of.sync,
    ),
    Field(
        "update", Kind.FLAG, "whether Civitai has a newer version for the same base that is not here",
        "update:yes", "update", lambda record: (of.has_update(record),), aliases=("updates",),
        facet=of.yes_no(of.has_update),
    ),
    Field(
        "license", Kind.KEY, "what its licence allows: " + ", ".join(LICENCE_WORDS), "license:sell",
        "licence", of.licence, aliases=("licence",), names=LICENCE_WORDS, facet=of.licence,
    ),
    Field(
        "nsfw", Kind.KEY, "its level: pg, pg13, r, x, xxx, blocked or unknown", "nsfw:pg,pg13", "level",
        of.level, aliases=("level",), names=_LEVELS,
        facet=of.level,
    ),
    Field(
        "rating", Kind.INTEGER, "your rating, 0 to 5", "rating:4..", "rating",
        lambda record: (of.rating(record),), aliases=("stars",), sort=of.rating,
        facet=lambda record: () if (stars := of.rating(record)) is None else (str(stars),),
    ),
    Field(
        "fav", Kind.FLAG, "whether it is one of your favourites", "fav:yes", "favourite",
        lambda record: (of.is_favorite(record),), aliases=("favorite", "favourite"),
        facet=of.yes_no(of.is_favorite),
    ),
    Field(
        "hidden", Kind.FLAG, "whether you hid it", "hidden:yes", "hidden",
        lambda record: (of.is_hidden(record),), facet=of.yes_no(of.is_hidden),
    ),
    Field(
        "has", Kind.KEY, "what it has: " + ", ".join(THINGS), "-has:preview", "with", of.things,
    ),
    Field(
        "dup", Kind.FLAG, "whether several present files hold these weights", "dup:yes", "duplicates",
        lambda record: (of.is_duplicate(record),), aliases=("duplicate", "duplicates"),
        facet=of.yes_no(of.is_duplicate),
    ),
    Field(
        "health", Kind.KEY, "what its weights tell: " + ", ".join(HEALTH), "health:untrained,nan", "health",
        lambda record: record.health, names=_HEALTH_NAMES, facet=lambda record: record.health,
    ),
    Field(
        "similar", Kind.KEY, "loras whose weights are like those of one, itself among them",
        "similar:12", "like", lambda _record: (), aliases=("like", "alike"),
    ),
    Field(
        "missing", Kind.FLAG, "whether none of its files is there now", "missing:no", "missing",
        lambda record: (of.is_missing(record),), facet=of.yes_no(of.is_missing),
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
HIDDEN: Final = "hidden"
LEVEL: Final = "nsfw"
SIMILAR: Final = "similar"
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

    @property
    def counts_apart(self) -> bool:
        """Whether hits in this column alone are asked for."""
        return self.field is not None or bool(self.boost)


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
    TextColumn("usertag", _words_of("usertag"), boost=100.0),
    TextColumn("comment", _words_of("comment"), "comment", open_ended=False),
    TextColumn("note", _words_of("note"), "note", times=0, open_ended=False),
    TextColumn("checkpoint", _words_of("checkpoint"), "checkpoint"),
    TextColumn("path", _words_of("path"), "path", times=0),
)
"""All texts whose words are searched."""
FREE: Final = tuple(column for column in COLUMNS if column.times)
"""Those in which free words are looked for."""
OPEN_ENDED: Final = tuple(column for column in FREE if column.open_ended)
WHOLE_NAMES: Final = of.whole_names
