"""Drawing pictures of the loras of an open registry put together: asking, planning, handing out."""

from __future__ import annotations

import importlib.util
import itertools
import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from registry.api.signing import sign
from registry.catalog.alone import alone
from registry.catalog.drawing import base_files, drawables, drawn, step_seconds
from registry.catalog.jobs import get_job
from registry.catalog.lookup import resolve
from registry.catalog.pieces import NewJob, pieces_of, queue_job
from registry.catalog.secrets import find_link_key, make_link_key
from registry.drawings import Asking, Left, Plan
from registry.errors import BadRequest, CannotDraw, NoBase, NotFound, RegistryError
from registry.ingest.paths import absolute, long_path
from registry.render import plan
from registry.render.batch import BaseAsk
from registry.render.choosing import Bases, subject_of
from registry.render.renderers import Renderer, open_renderer, url_of
from registry.render.stamps import stamp_of
from registry.render.tool import drawing_with
from registry.render.trade import RENDER, Drawing, asked_of, piece_of
from registry.sampling import LOCAL, drawn_with
from registry.work.dispatcher import Dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from registry.app import Registry
    from registry.config import Settings
    from registry.net import Purpose
    from registry.render.plan import Planned, Subject
    from registry.views import Drawable, JobView, PieceView

_MOST_LEFT: Final = 50
_LINK_SECONDS: Final = 6 * 3600
_LIBRARIES: Final = ("torch", "diffusers", "transformers")


class Result(NamedTuple):
    """What came of one picture: how its piece ended, and the key of what was drawn."""

    planned: Planned
    state: str
    picture: str | None
    slug: str | None
    error: str | None


@dataclass(slots=True)
class Rendering:
    """The drawing of one registry."""

    registry: Registry
    dispatcher: Dispatcher = field(init=False)
    _renderer: Renderer = field(init=False)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        registry, settings = self.registry, self.registry.settings
        self._renderer = open_renderer(settings)
        drawing = Drawing(
            registry.catalog,
            registry.studio,
            registry.machine_id,
            self._path_of,
            renderer=self._renderer.key,
            most=settings.render_most,
            link=self._link,
            draft=self._draft,
        )
        self.dispatcher = Dispatcher(
            registry.catalog,
            drawing,
            self._renderer.workers,
            registry.machine_id,
            lambda: alone(registry.catalog, f"drawing-{registry.machine_id}"),
        )
        registry.catalog.on_commit(self.dispatcher.wake)

    def start_dispatcher(self) -> None:
        """Hand pictures out in the background, whenever no other process does, until `close`."""
        self._thread = threading.Thread(
            target=self.dispatcher.run_when_free, args=(self._stopping.is_set,), name="drawing", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop handing out; what was under way waits for the next one who does."""
        self._stopping.set()
        self.dispatcher.wake()
        if self._thread is not None:
            self._thread.join()
        self._renderer.close()

    def plan(self, asking: Asking) -> Plan:
        """Return what drawing would be, and draw nothing. Raises as `start` does."""
        planned, _, left = self._planned(asking)
        return self._told(planned, left)

    def start(self, asking: Asking, *, actor: str | None = None) -> tuple[int, Plan]:
        """Queue a job that draws, and return its id and what it is.

        Raises CannotDraw where nobody here draws; NoBase, UnsupportedArchitecture and BadRequest where no
        picture can be drawn of any of the loras, for wishes that cannot be, and for webhooks.
        """
        self._require_renderer()
        self._check_webhook(asking.webhook)
        planned, bases, left = self._planned(asking)
        told = self._told(planned, left)
        places: dict[int, itertools.count[int]] = {}
        ordered = [
            each for batch in plan.batches(planned, self.registry.settings.render_most) for each in batch
        ]
        pieces = (
            piece_of(each, bases[each.spec.base], next(places.setdefault(each.subject.id, itertools.count())))
            for each in ordered
        )
        job = NewJob(
            kind=RENDER,
            key=uuid.uuid4().hex,
            machine=self.registry.machine_id,
            pieces=pieces,
            called=_called(planned),
            spec=asdict(asking),
            priority=asking.priority,
            ends_at=asking.ends_at,
            webhook=asking.webhook,
        )
        with self.registry.catalog.write(actor=actor) as unit:
            job_id = queue_job(unit, job)
        self.dispatcher.wake()
        return job_id, told

    def finish(self, job_id: int, report: Callable[[JobView, dict[str, object]], object]) -> JobView:
        """Hand out in this thread, or wait for whoever does, until a job has ended; return it.

        `report` is told how far it is, again and again.
        """
        job = self._job(job_id)

        def ended() -> bool:
            nonlocal job
            job = self._job(job_id)
            report(job, self.dispatcher.told())
            return job.finished_at is not None or self._stopping.is_set()

        self.dispatcher.run_when_free(ended)
        return job

    def results(self, job_id: int) -> list[Result]:
        """Return what a job asked for and what came of each piece, in their order."""
        with self.registry.catalog.read() as conn:
            pieces = _all_pieces(conn, job_id)
            asked = [asked_of(piece) for piece in pieces]
            known = drawables(conn, sorted({each.lora_id for each in asked}), self.registry.machine_id)
            pictures = drawn(conn, [piece.key for piece in pieces])
        subjects = {one.id: subject_of(one) for one in known}
        nobody = plan.Subject(0, "", "", "")
        found = []
        for piece, each in zip(pieces, asked, strict=True):
            picture = pictures.get(piece.key)
            planned = plan.Planned(subjects.get(each.lora_id, nobody), each.spec, each.spec.weight)
            key = None if picture is None else picture.picture
            found.append(Result(planned, piece.state, key, piece.slug, piece.error))
        return found

    def picture(self, key: str) -> bytes | None:
        """Return the bytes of a picture that was drawn, `None` if they are not kept on this machine."""
        original = self.registry.studio.store.original(key)
        return None if original is None else original.path.read_bytes()

    def _job(self, job_id: int) -> JobView:
        with self.registry.catalog.read() as conn:
            return get_job(conn, job_id)

    def _planned(self, asking: Asking) -> tuple[list[Planned], dict[str, BaseAsk], list[Left]]:
        """Return the pictures, the base models by the names in their specs, and what is left out."""
        subjects, bases, left = self._subjects(asking)
        if not any(subjects.values()):
            raise _refusal(left)
        asking = replace(asking, sampler=drawn_with(asking.sampler, self.registry.settings.renderer))
        found: list[Planned] = []
        for base, some in subjects.items():
            mode = self._draft_mode(bases[base].architecture) if asking.draft else plan.FULL
            found += plan.cells(some, asking, plan.Way(base, self._renderer.key, mode))
        if len(found) > plan.MOST_CELLS:
            raise BadRequest(f"these are more than {plan.MOST_CELLS:,} pictures", remedy="ask for fewer")
        return found, bases, left

    def _subjects(self, asking: Asking) -> tuple[dict[str, list[Subject]], dict[str, BaseAsk], list[Left]]:
        registry = self.registry
        if not asking.loras:
            return self._of_base(asking)
        with registry.catalog.read() as conn:
            known = drawables(conn, asking.loras, registry.machine_id)
            hashes = {each for one in known for each in one.base_hashes}
            files = base_files(conn, hashes, registry.machine_id)
        paths = {root.id: root.path for root in registry.mounted_roots() if root.path is not None}
        by_hash = {
            name: BaseAsk(
                "", file.path.rpartition("/")[2], _path(paths[file.root_id], file.path), file.sha256
            )
            for name, file in files.items()
            if file.root_id in paths
        }
        bases = Bases(registry.settings.renderer, registry.settings.bases, by_hash)
        subjects: dict[str, list[Subject]] = {}
        chosen: dict[str, BaseAsk] = {}
        left: list[Left] = []
        # Each is looked at once, however many loras are drawn on it: a folder has many files.
        stamped = cache(_stamped)
        for one, wanted in itertools.product(known, asking.bases or (asking.base,)):
            try:
                base = stamped(bases.choose(one, wanted))
                _require_file(one)
                name = _name_of(base, registry.catalog.clock())
            except RegistryError as error:
                left.append(Left(one.id, one.name, error.slug, _with_remedy(error)))
                continue
            chosen[name] = base
            subject = replace(subject_of(one), architecture=base.architecture)
            subjects.setdefault(name, []).append(subject)
        return subjects, chosen, left

    def _of_base(self, asking: Asking) -> tuple[dict[str, list[Subject]], dict[str, BaseAsk], list[Left]]:
        """Return what pictures of a base model alone are of."""
        settings = self.registry.settings
        if asking.prompt is None:
            raise BadRequest("there are no loras to draw", remedy="name some, or give a prompt")
        family = asking.architecture or next(iter(settings.bases), "")
        found = settings.bases.get(asking.base or family, asking.base)
        if settings.renderer == LOCAL and not found:
            raise NoBase(
                "no base model is known", remedy="name one in the settings, see `bases` in the documentation"
            )
        name = found.replace("\\", "/").rstrip("/").rpartition("/")[2]
        base = BaseAsk(family, name, found) if settings.renderer == LOCAL else BaseAsk(family, found)
        base = _stamped(base)
        known = _name_of(base, self.registry.catalog.clock())
        return {known: [plan.Subject(0, "", "", family)]}, {known: base}, []

    def _path_of(self, drawable: Drawable) -> str | None:
        paths = (root.path for root in self.registry.mounted_roots() if root.id == drawable.root_id)
        root = next(paths, None)
        return None if root is None else _path(root, drawable.path)

    def _link(self, drawable: Drawable) -> str | None:
        """Return an address under which a worker on another machine fetches the file of a lora."""
        settings, catalog = self.registry.settings, self.registry.catalog
        if not settings.dask_address or not settings.public_url or drawable.sha256 is None:
            return None
        with catalog.read() as conn:
            key = find_link_key(conn)
        if key is None:
            with catalog.write() as unit:
                key = make_link_key(unit)
        path = f"/api/v1/loras/hash:{drawable.sha256}/file"
        until = catalog.clock() // 1000 + _LINK_SECONDS
        return f"{settings.public_url.rstrip('/')}{path}?{sign(key, path, until)}"

    def _draft(self, family: str, mode: str) -> Drawable | None:
        """Return what workers on other machines draw drafts with; CannotDraw where another one was asked."""
        if mode != self._draft_mode(family):
            raise CannotDraw("drafts are drawn with another lora now: ask for it again")
        return self._draft_lora(family)

    def _draft_mode(self, family: str) -> str:
        """Return how drafts are drawn, with what tells the lora that makes few steps enough from others."""
        settings = self.registry.settings
        place = settings.draft_loras.get(family)
        if place is None or settings.renderer != LOCAL:
            return plan.DRAFT
        if (lora := self._draft_lora(family)) is not None:
            return f"{plan.DRAFT} {lora.data_sha256}"
        try:
            return f"{plan.DRAFT} {stamp_of(Path(place).expanduser())}"
        except OSError:
            raise BadRequest(
                f"there is no lora at {place}", remedy="correct the setting `draft_loras`"
            ) from None

    def _draft_lora(self, family: str) -> Drawable | None:
        """Return what workers on other machines draw drafts with, if they do; BadRequest if they cannot."""
        settings, machine_id = self.registry.settings, self.registry.machine_id
        place = settings.draft_loras.get(family)
        if place is None or settings.renderer != LOCAL or not settings.dask_address:
            return None
        path = Path(place).expanduser().absolute()
        with self.registry.catalog.read() as conn:
            try:
                (found,) = drawables(conn, [resolve(conn, str(path), machine_id)], machine_id)
            except NotFound:
                raise BadRequest(
                    f"workers of Dask draw drafts with loras of the catalog, and {place} is not in it",
                    remedy="add its folder, or correct the setting `draft_loras`",
                ) from None
        _require_file(found)
        if found.sha256 is None or not settings.public_url:
            raise BadRequest(
                f"workers of Dask cannot fetch {place}, which drafts are drawn with",
                remedy="set public_url (LORAS_PUBLIC_URL), and wait until it is hashed",
            )
        return found

    def _told(self, planned: Sequence[Planned], left: Sequence[Left]) -> Plan:
        keys = [each.spec.key() for each in planned]
        with self.registry.catalog.read() as conn:
            there = drawn(conn, keys)
            speed = step_seconds(conn, self._renderer.key)
        fresh = [each for key, each in zip(keys, planned, strict=True) if key not in there]
        # Where all of it is there, nobody needs to know how fast the renderer is.
        seconds = None if fresh and speed is None else plan.seconds(fresh, speed or 0.0)
        return Plan(len(planned), len(there), seconds, tuple(left[:_MOST_LEFT]), len(left))

    def _require_renderer(self) -> None:
        settings = self.registry.settings
        missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
        if settings.renderer == LOCAL and missing and not settings.dask_address:
            raise CannotDraw(
                f"drawing needs {', '.join(missing)}, which are not installed",
                remedy="pip install 'lora-registry[render]', or let a running A1111 or ComfyUI draw "
                "(the setting `renderer`)",
            )

    def _check_webhook(self, url: str | None) -> None:
        if url is None:
            return
        try:
            parts = urlsplit(url)
            plain = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None
            _ = parts.port
        except ValueError:
            plain = False
        if not plain:
            raise BadRequest("a webhook is a plain web address")
        if self.registry.settings.webhook_secret is None:
            raise BadRequest(
                "messages to webhooks are signed, and there is no key for that",
                remedy="set webhook_secret (LORAS_WEBHOOK_SECRET)",
            )


def _all_pieces(conn: Connection, job_id: int) -> list[PieceView]:
    found: list[PieceView] = []
    while part := pieces_of(conn, job_id, after=found[-1].place if found else -1):
        found += part
    return found


def _stamped(base: BaseAsk) -> BaseAsk:
    """Return a base model with the stamp of what lies at its path; NoBase where there is nothing."""
    if base.path is None:
        return base
    try:
        return replace(base, stamp=stamp_of(Path(base.path).expanduser()))
    except OSError:
        raise NoBase(
            f"there is no base model at {base.path}", remedy="correct the setting `bases` (LORAS_BASES)"
        ) from None


def _name_of(base: BaseAsk, now: int) -> str:
    """Return what tells a base model from all others: its hash, or its name and stamp.

    Of the one that a tool has loaded just now nobody knows which it is: pictures of it are drawn anew.
    """
    if base.sha256 is not None:
        return base.sha256
    return f"{base.name} {base.stamp or ''}".strip() or f"the one for {base.architecture} chosen at {now}"


def _path(root: str, rel: str) -> str:
    return long_path(absolute(root, rel.encode("utf-8", "surrogateescape")))


def _require_file(drawable: Drawable) -> None:
    if drawable.data_sha256 is None:
        raise BadRequest(f"{drawable.name} is not hashed yet", remedy="wait a moment, or run `loras hash`")
    if drawable.root_id is None:
        raise NotFound(f"no file of {drawable.name} can be read by this machine")


def _refusal(left: Sequence[Left]) -> RegistryError:
    """Return why nothing at all can be drawn."""
    if not left:
        return NotFound("there is no such lora")
    first = left[0]
    kinds = {each.slug: each for each in errors_of(CannotDraw)}
    kind = kinds.get(first.slug, BadRequest)
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return kind(first.text + more)


def errors_of(kind: type[RegistryError]) -> Iterable[type[RegistryError]]:
    """Give an error and all that are kinds of it."""
    yield kind
    for each in kind.__subclasses__():
        yield from errors_of(each)


def _with_remedy(error: RegistryError) -> str:
    return f"{error}; {error.remedy}" if error.remedy else str(error)


def _called(planned: Sequence[Planned]) -> str:
    names = list(dict.fromkeys(each.subject.name for each in planned if each.subject.name))
    pictures = f"{len(planned)} picture{'s' if len(planned) != 1 else ''}"
    if not names:
        return pictures
    return f"{pictures} of {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def purposes(settings: Settings) -> list[Purpose]:
    """Return the purpose of talking to the tool that draws, if one does."""
    url = url_of(settings)
    return [drawing_with(url)] if url else []
