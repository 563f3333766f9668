"""Frozen values that cross rooms; no behaviour beyond what their fields imply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from registry.links import Link  # noqa: TC001 - the document of the API is made from it
from registry.measured import Measured  # noqa: TC001 - the document of the API is made from it
from registry.shown import Shown  # noqa: TC001 - the document of the API is made from it

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.curation import Curation
    from registry.told import SidecarFacts


class TensorInfo(NamedTuple):
    """What a header says of one tensor; either part may be unknown.

    `dtype` is the safetensors name (`F16`, `BF16`, ...), `shape` the dimensions in elements.
    """

    dtype: str | None
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Identification:
    """What a file is, judged by tensor names and shapes, with the evidence a person can check.

    `kind` is one of `lora`, `checkpoint`, `embedding`, `vae`, `controlnet`, `other`. `architecture` and
    `adapter` are names of the tables in `registry.identify.names`, or `none`, `unknown`, `ambiguous`.
    `ranks` lists the distinct ranks in ascending order and `rank` the most frequent one. `alpha` is known
    only when metadata tell it (a header holds no tensor values).
    """

    kind: str
    architecture: str
    base_model: str | None
    adapter: str
    rank: int | None = None
    ranks: tuple[int, ...] = ()
    alpha: float | None = None
    precision: str | None = None
    targets: tuple[str, ...] = ()
    key_layout: str | None = None
    evidence: tuple[str, ...] = ()
    ambiguous_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hashes:
    """Everything computed from the bytes of one file; lower-case hex, `None` where there is no such thing.

    The spans are those of `registry.hashing.digests`. `data_sha256`, `autov3`, `tensor_hash` and
    `sshs_legacy_hash` need a readable safetensors header. `sshs_legacy_hash` is `None` when it cannot be
    reproduced from the file; `sshs_legacy_other` is what it is with the less likely padding, often the same.
    """

    size: int
    sha256: str
    autov1: str
    autov2: str
    blake3: str
    crc32: str
    data_sha256: str | None = None
    autov3: str | None = None
    sshs_legacy_hash: str | None = None
    sshs_legacy_other: str | None = None
    tensor_hash: str | None = None
    name_order_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says a hash is, beside what was computed.

    `verdict` is one of `match`, `differs`, `hash_of_nothing`, `malformed`, `unverifiable`, `unchecked`.
    """

    name: str
    claimed: str
    computed: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class HeaderClaim:
    """A hash that a header claims, before it is held against what was computed.

    `digits` is lower-case hex, `None` where the claim cannot be a hash. A claim that is not `comparable` may
    be over bytes in an order that the file does not keep.
    """

    name: str
    claimed: str
    digits: str | None
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd about a file that a person may want to know: a stable `slug` and a sentence."""

    slug: str
    text: str


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag as written, how often it occurs, and the share of captions that hold it (0..1, or unknown)."""

    tag: str
    count: int
    share: float | None = None


@dataclass(frozen=True, slots=True)
class TriggerWord:
    """A word that may trigger the adapter; `source` is the metadata key that says so."""

    word: str
    source: str


@dataclass(frozen=True, slots=True)
class TriggerWords:
    """Three kinds of evidence that are never mixed.

    `claimed` by the author or trainer, `folders` the dataset folder names without their repeat prefix,
    `tags` the training tags by descending frequency share.
    """

    claimed: tuple[TriggerWord, ...] = ()
    folders: tuple[TriggerWord, ...] = ()
    tags: tuple[TagCount, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What follows from the bytes of one header, ready to be stored.

    `columns` holds values for the columns of the `header` table by name; `tags` are (tag, count) pairs over
    all dataset folders, each tag once and as `formats.packing.stored_tag` gives it. `claims` are the hashes
    it claims.
    """

    digest: bytes
    columns: dict[str, object]
    tags: tuple[tuple[str, int], ...] = ()
    claims: tuple[HeaderClaim, ...] = ()


class FileStat(NamedTuple):
    """What `stat` says of a model file."""

    size: int
    mtime_ns: int
    device: int
    inode: int
    nlink: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the header phase found out about one file.

    `quick_key` tells files apart before they are hashed; `tail` is a digest of the end of the data section
    and `data_size` its length, `None` without a readable header. `cause` names why a file is not a
    safetensors file one can load.
    """

    stat: FileStat
    header: HeaderFacts | None = None
    quick_key: bytes | None = None
    tail: bytes | None = None
    data_size: int | None = None
    cause: str | None = None
    problems: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class CompanionSeen:
    """A sidecar or preview beside a model file, by name only."""

    name_raw: bytes
    name: str
    kind: str
    family: str


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A model file met on disk: its relative path, stat and companions."""

    rel: bytes
    stat: FileStat
    companions: tuple[CompanionSeen, ...] | None = None
    placeholder: bool = False


@dataclass(frozen=True, slots=True)
class RootView:
    """A root as this machine sees it; `path` is `None` where this machine has no mount of it.

    `files` is the number of its present files, `None` where they were not counted.
    """

    id: int
    label: str
    kind: str
    path: str | None
    machine: str
    state: str
    state_since: int
    writable: bool
    private: bool
    poll: str
    follow_out: bool
    pickles: bool
    ignore_inode: bool
    header_readers: int
    hash_readers: int | None
    position: int
    added_at: int
    scanned_at: int | None
    scan_ms: int | None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class FileView:
    """One file of a lora; times in milliseconds since the epoch, `mtime_ns` in nanoseconds."""

    id: int
    root_id: int
    root: str
    path: str
    folder: str
    name: str
    location: str | None
    size: int
    mtime_ns: int
    state: str
    state_since: int
    first_seen: int
    verified: bool
    hash_state: str
    cause: str | None
    hashes: dict[str, str]
    claims: list[dict[str, object]]
    companions: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ProblemView:
    """Something wrong, where, since when and what to do about it."""

    id: int
    slug: str
    text: str
    stage: str
    path: str | None
    file_id: int | None
    lora_id: int | None
    root_id: int | None
    at: int


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its progress; `total` is `None` until known."""

    id: int
    kind: str
    key: str
    state: str
    done: int
    total: int | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    owner: str | None
    error: str | None
    result: object
    slug: str | None = None
    called: str | None = None
    priority: int = 0
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class JobLine:
    """Something that happened during a job, at a time in milliseconds."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class PieceView:
    """One piece of a job: the same `key` is the same work, the same `fits` can be done together.

    `state` is `waiting`, `running`, `done`, `failed`, `cancelled` or `left`: there was no time for it.
    """

    job_id: int
    place: int
    key: str
    fits: str
    state: str
    spec: object
    attempts: int
    slug: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Drawable:
    """What is known of a lora that a picture of it depends on; `path` is relative to its root, with `/`.

    The file is a present one of this machine, `None` of `root_id` where there is none; `name` its stem.
    `sha256` is of the whole file. `triggers` are activation texts, `examples` the first prompts of example
    pictures, `tags` the commonest of captions with their share of the images. `bucket` and `resolution` are
    (width, height) in pixels. `base_hashes` are of the base model that it was trained on: SHA-256, or the old
    one of 8 digits.
    """

    id: int
    name: str
    kind: str
    architecture: str
    base_model: str | None
    data_sha256: str | None
    root_id: int | None
    path: str
    size: int
    sha256: str | None
    rank: int = 0
    triggers: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    tags: tuple[tuple[str, float], ...] = ()
    bucket: tuple[int, int] | None = None
    resolution: tuple[int, int] | None = None
    weight: float | None = None
    epoch: int | None = None
    base_hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoraView:
    """One set of weights as lists show it; name, size and date are those of its primary file.

    `date` is the modification time in milliseconds; `training` the typed training columns that are known;
    `state` is `present` if any file is, else that of the primary file (`missing`, `unreachable`, `gone`).
    `corrected` names those of `kind`, `architecture`, `base_model` and `adapter` that the user set.
    """

    id: int
    identity: str
    kind: str
    name: str
    size: int
    date: int
    first_seen: int
    state: str
    verified: bool
    architecture: str
    base_model: str | None
    adapter: str
    rank: int | None
    alpha: float | None
    precision: str | None
    key_layout: str | None
    trainer: str | None
    title: str | None
    output_name: str | None
    data_sha256: str | None
    replaces: int | None
    roots: list[str]
    folders: list[str]
    training: dict[str, object]
    files: list[FileView]
    corrected: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SidecarView:
    """What a sidecar beside a file says; `tool` is `None` where it says nothing, `problem` what is wrong.

    `verdict` is `match`, `differs`, `unchecked` or `unsaid`: whether the hashes that it names are those of
    the file. `facts` are those of `registry.told.SidecarFacts`, as they were written, without what we wrote.
    `ours` says that the file is as we wrote it. `offered` has what its tool says since the user noted
    something else, as an edit of the notes that would take it over.
    """

    file_id: int
    name: str
    family: str
    tool: str | None
    verdict: str
    read_at: int
    problem: str | None
    facts: dict[str, object] | None
    ours: bool = False
    offered: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoraDetail:
    """Everything known about one lora; `shown` is what of it wins, `link` what Civitai knows of it.

    `curation` is what the user noted, by the fields of `registry.curation`, as plain values. `weights` is
    what they tell, `None` until they are measured.
    """

    lora: LoraView
    identification: dict[str, object]
    trigger_words: dict[str, object]
    tags: list[dict[str, object]]
    metadata: dict[str, str]
    notes: list[dict[str, str]]
    problems: list[ProblemView]
    sidecars: list[SidecarView]
    shown: Shown | None = None
    link: Link | None = None
    curation: dict[str, object] = field(default_factory=dict)
    weights: Measured | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a keyset listing; `next` continues it, `None` at the end."""

    items: list[LoraView]
    next: tuple[object, int] | None
    total: int


@dataclass(frozen=True, slots=True)
class SearchFile:
    """What can be searched of one file of a lora; `hashes` are whole, in lower-case hex."""

    root_id: int
    root: str
    path: str
    folder: str
    name: str
    state: str
    hashed: bool
    hashes: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """Everything that can be searched of one lora, with its primary file first.

    `size` in bytes, `date` and `added` in milliseconds since the epoch. `header` holds columns of the header
    by name, `claimed` and `datasets` the trigger words that are claimed and the names of dataset folders,
    `tags` each tag with its count, `description` what the header says of the model. `sidecars` are those that
    name no other file than the one beside them, `curation` what the user noted, `link` what Civitai said.
    `nsfw` is the level, which nobody may have said: one of Civitai's bits. `health` is what its weights tell,
    nothing where they were not measured, `rendered` whether pictures of it were drawn here.
    """

    id: int
    kind: str
    name: str
    size: int
    date: int
    added: int
    files: tuple[SearchFile, ...]
    header: Mapping[str, object] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    tags: tuple[tuple[str, int], ...] = ()
    description: str | None = None
    sidecars: tuple[SidecarFacts, ...] = ()
    curation: Curation | None = None
    link: Link | None = None
    nsfw: int | None = None
    health: tuple[str, ...] = ()
    rendered: bool = False


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, the text that people read for it, and how many matches have it."""

    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one field among all matches, the commonest first.

    `distinct` tells how many values there are. With `sample` the counts are of that many matches only.
    """

    field: str
    values: list[FacetValue]
    distinct: int
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What may complete the word being typed: `insert` takes its place, `kind` says what it is.

    `kind` is `name`, `tag`, `field`, `value` or `saved`; `count` how many loras have it; `note` what else to
    show, such as the translation of a tag.
    """

    text: str
    insert: str
    kind: str
    count: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PictureKept:
    """A picture that is kept under the SHA-256 of its bytes; `width` and `height` in pixels.

    `size` is of those bytes, `thumbnail` of what is shown, `None` of a video that nobody could look into.
    `original` says that those bytes are kept too.
    """

    key: str
    media_type: str
    width: int | None
    height: int | None
    size: int
    thumbnail: int | None
    original: bool
