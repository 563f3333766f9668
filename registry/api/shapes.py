"""What our answers hold, as declared in the OpenAPI document."""

# No postponed annotations here: the document is made from them at run time.

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from registry.catalog.changes import Changed
from registry.catalog.copies import Link
from registry.catalog.drawing import DrawnPicture
from registry.catalog.pictures import PictureView
from registry.catalog.saved import SavedSearch
from registry.drawings import Left
from registry.drawings import Plan as DrawPlan
from registry.measured import Measured, Relative, Relatives
from registry.search.query import QueryWarning
from registry.search.writing import format_query
from registry.views import (
    Facet,
    FileView,
    JobLine,
    JobView,
    LoraView,
    PieceView,
    ProblemView,
    RootView,
    Suggestion,
)

if TYPE_CHECKING:
    from registry.catalog.jobs import Standing
    from registry.civitai.planning import Plan
    from registry.search.service import Found


@dataclass(frozen=True, slots=True)
class LoraPage:
    """One page of loras; `next_cursor` continues it, `generation` names the state of the catalog.

    `withheld` of the page are above the level that whoever asks is told of.
    """

    items: list[LoraView]
    next_cursor: str | None
    total: int
    generation: int
    withheld: int


@dataclass(frozen=True, slots=True)
class FileLink:
    """An address that works without a token until a time, in milliseconds since the epoch."""

    url: str
    until: int


@dataclass(frozen=True, slots=True)
class PictureList:
    """The pictures of a lora in their order, and how many are left out for their level."""

    items: list[PictureView]
    hidden: int


@dataclass(frozen=True, slots=True)
class PictureGiven:
    """A picture that the user gave."""

    key: str
    media_type: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class SyncStarted:
    """The job that syncs."""

    job: int


@dataclass(frozen=True, slots=True)
class MeasuringStarted:
    """The job that measures weights."""

    job: int


@dataclass(frozen=True, slots=True)
class FingerprintBody(Measured):
    """What the weights of a lora tell. Norms are Frobenius norms, `health` is `ok` or what is wrong."""

    id: int = 0

    @classmethod
    def of(cls, lora_id: int, found: Measured) -> "FingerprintBody":
        """Return what is told of a lora."""
        known = {field.name: getattr(found, field.name) for field in fields(Measured)}
        return cls(**known, id=lora_id)


@dataclass(frozen=True, slots=True)
class RelativesBody:
    """The loras most like one, the most alike first.

    `parents` are two of which it is a weighted sum, `measured` how many it was compared with, `withheld` how
    many there are besides whose level is not to be told of.
    """

    id: int
    items: tuple[Relative, ...]
    parents: tuple[int, ...]
    measured: int
    withheld: int

    @classmethod
    def of(cls, found: Relatives, withheld: int, told: Collection[int] | None = None) -> "RelativesBody":
        """Return what is told of them; `told` are those that may be named, `None` for all."""
        items = found.items if told is None else tuple(item for item in found.items if item.id in told)
        parents = found.parents if told is None or set(found.parents) <= set(told) else ()
        return cls(found.id, items, parents, found.measured, withheld)


@dataclass(frozen=True, slots=True)
class ExportStarted:
    """The job that writes sidecars."""

    job: int


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync would ask for: files by the reason that they are due, models, and requests at most.

    `pictures` and `picture_bytes` are estimates.
    """

    files: int
    reasons: dict[str, int]
    models: int
    requests: int
    pictures: int
    picture_bytes: int

    @classmethod
    def of(cls, plan: "Plan") -> "SyncPlan":
        """Return the plan as it is answered."""
        return cls(plan.files, plan.reasons, plan.models, plan.requests, plan.pictures, plan.picture_bytes)


@dataclass(frozen=True, slots=True)
class SyncState:
    """How many files are in each state on Civitai, and the last runs."""

    states: dict[str, int]
    runs: list[JobView]


@dataclass(frozen=True, slots=True)
class HashMatch:
    """What one of the asked hashes belongs to."""

    hash: str
    loras: list[LoraView]


@dataclass(frozen=True, slots=True)
class HashAnswer:
    """The hashes that were found, those of them that several loras have, and those that nothing has.

    Hashes stand as they were asked, each once. What is no hash at all counts as missing.
    """

    items: list[HashMatch]
    ambiguous: list[str]
    missing: list[str]


@dataclass(frozen=True, slots=True)
class SameFiles:
    """Files that share a hash, of two copies or more; the first is one to keep.

    Files named by `links` are no copies: they lead to another file of the group, or as symlinks elsewhere.
    `reclaimable` bytes would be free if all copies but one went.
    """

    kind: str
    value: str
    files: list[FileView]
    links: list[Link]
    reclaimable: int


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """Groups of files that share a hash."""

    items: list[SameFiles]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """Things that are wrong, in the order in which they were found."""

    items: list[ProblemView]
    next_cursor: str | None
    total: int


@dataclass(frozen=True, slots=True)
class RootList:
    """All roots in listing order."""

    items: list[RootView]


@dataclass(frozen=True, slots=True)
class JobList:
    """Jobs, the newest first."""

    items: list[JobView]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """How far a job is; `total` is `None` until known."""

    id: int
    kind: str
    state: str
    done: int
    total: int | None

    @classmethod
    def of(cls, job: "Standing") -> "JobEvent":
        """Return what a stream tells of a job: nothing that names a lora."""
        return cls(job.id, job.kind, job.state, job.done, job.total)


@dataclass(frozen=True, slots=True)
class JobBody:
    """One job: how many of its pieces are in which state, and what happened during it."""

    job: JobView
    pieces: dict[str, int]
    lines: list[JobLine]


@dataclass(frozen=True, slots=True)
class PieceBody:
    """One piece of a job; `picture` is the key of what was drawn, `lora` what it is of, 0 for none."""

    place: int
    state: str
    attempts: int
    lora: int
    spec: dict[str, object]
    picture: str | None
    slug: str | None
    error: str | None

    @classmethod
    def of(cls, piece: PieceView, picture: DrawnPicture | None) -> "PieceBody":
        """Return a piece as it is told; `spec` is what a picture depends on."""
        told = piece.spec if isinstance(piece.spec, dict) else {}
        spec, lora = told.get("spec"), told.get("lora")
        return cls(
            piece.place,
            piece.state,
            piece.attempts,
            lora if isinstance(lora, int) else 0,
            spec if isinstance(spec, dict) else {},
            None if picture is None else picture.picture,
            piece.slug,
            piece.error,
        )


@dataclass(frozen=True, slots=True)
class PieceList:
    """Pieces of a job in their order; `after` continues the list, `None` at its end."""

    items: list[PieceBody]
    after: int | None


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """What drawing is: how many pictures, how many of them are there already, and about how many seconds.

    `left` are the first of the `left_out` loras of which nothing is drawn.
    """

    pictures: int
    there: int
    seconds: float | None
    left: list[Left]
    left_out: int

    @classmethod
    def of(cls, plan: DrawPlan) -> "RenderPlan":
        """Return a plan as it is told."""
        return cls(plan.pictures, plan.there, plan.seconds, list(plan.left), plan.left_out)


@dataclass(frozen=True, slots=True)
class RenderStarted:
    """The job that draws."""

    job: int
    plan: RenderPlan


@dataclass(frozen=True, slots=True)
class ScanStarted:
    """The jobs that scan now, one for each root."""

    jobs: list[int]


@dataclass(frozen=True, slots=True)
class Status:
    """How much there is and what is going on; `database` is `sqlite` or `postgresql`."""

    version: str
    generation: int
    database: str
    loras: int
    files: dict[str, int]
    problems: dict[str, int]
    progress: dict[str, object]


@dataclass(frozen=True, slots=True)
class Health:
    """That the server answers and its catalog can be read."""

    status: str


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One change of the feed: what happened to which thing, and to which lora that belongs."""

    seq: int
    at: int
    entity: str
    entity_id: int
    lora_id: int | None
    kind: str

    @classmethod
    def of(cls, changed: Changed) -> "ChangeEvent":
        """Return the event of a row of the log."""
        return cls(*changed)


@dataclass(frozen=True, slots=True)
class ProblemBody:
    """Problem details (RFC 9457): what to do about it, and what an ambiguous reference may mean."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str = ""
    candidates: list[dict[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class A1111Entry:
    """One entry of A1111's list."""

    name: str
    alias: str
    path: str
    metadata: dict[str, object]


@dataclass(frozen=True, slots=True)
class A1111Error:
    """A1111's error body."""

    error: str
    detail: str
    body: str
    errors: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of what was found, and what was made of the question.

    `understood` says in a sentence what was asked, `query` the same as it would be typed. `did_you_mean` is a
    query that finds something where this one finds nothing. `generation` is the state of the catalog that the
    answer is of, `took_ms` the time that the search took in milliseconds. `withheld` are above the level that
    whoever asks is told of.
    """

    items: list[LoraView]
    total: int
    facets: list[Facet]
    warnings: list[QueryWarning]
    did_you_mean: str | None
    understood: str
    query: str
    next_cursor: str | None
    generation: int
    took_ms: float
    withheld: int

    @classmethod
    def of(cls, found: "Found", items: list[LoraView]) -> "SearchPage":
        """Return the page of what was found, whose loras are read already."""
        return cls(
            items=items,
            total=found.hits.total,
            facets=list(found.hits.facets.values()),
            warnings=found.warnings,
            did_you_mean=found.did_you_mean,
            understood=found.understood,
            query=format_query(found.query),
            next_cursor=found.hits.next_cursor,
            generation=found.hits.generation,
            took_ms=found.took_ms,
            withheld=found.withheld,
        )


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What may complete the word being typed, the likeliest first."""

    items: list[Suggestion]


@dataclass(frozen=True, slots=True)
class SavedList:
    """All saved searches by name."""

    items: list[SavedSearch]
