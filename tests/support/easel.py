"""A renderer for tests of the API: jobs are real rows, pictures of one colour are drawn when asked."""

from __future__ import annotations

import io
import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from registry.catalog.drawing import NewDrawn, drawables, put_drawn
from registry.catalog.pieces import (
    DONE,
    FAILED,
    NewJob,
    Share,
    drop_pieces,
    end_piece,
    queue_job,
    settle,
    take,
)
from registry.drawings import Plan
from registry.render import plan
from registry.render.batch import BaseAsk
from registry.render.choosing import subject_of
from registry.render.trade import RENDER, asked_of, infotext, piece_of
from tests.support.catalogs import MACHINE

if TYPE_CHECKING:
    from registry.drawings import Asking
    from registry.views import PieceView
    from tests.support.serving import Service

BASE = BaseAsk("sd15", "base.safetensors", "/models/base.safetensors", "ab" * 32)
SHARE, BATCH = Share(RENDER, MACHINE), "batch"
NOBODY = plan.Subject(0, "", "", "sd15")


@dataclass
class Easel:
    """Takes the place of the renderer of a service.

    `draws` says whether a job is done as soon as it is asked for, `error` why all of its pictures fail, or
    with a `slug` what is odd about them.
    """

    service: Service
    draws: bool = True
    error: str | None = None
    slug: str | None = None
    refusal: Exception | None = None
    asked: list[Asking] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)
    queued: threading.Event = field(default_factory=threading.Event)
    told: dict[str, Any] = field(default_factory=lambda: {"state": "idle", "batches": [], "waits_for": None})

    def __post_init__(self) -> None:
        state = self.service.app.state
        state.context = replace(state.context, render=self.render, progress=lambda: {"drawing": self.told})

    def render(self, asking: Asking, actor: str | None) -> tuple[int, Plan]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asking)
        catalog = self.service.builder.catalog
        with catalog.read() as conn:
            subjects = [subject_of(one) for one in drawables(conn, asking.loras, MACHINE)]
        # Batches do not keep the order of the seeds.
        planned = plan.cells(subjects or [NOBODY], asking, plan.Way("base"))[::-1]
        job = NewJob(
            kind=RENDER,
            key=uuid.uuid4().hex,
            machine=MACHINE,
            pieces=[piece_of(each, BASE, place) for place, each in enumerate(planned)],
            called="pictures",
            spec=asdict(asking),
            priority=asking.priority,
        )
        with catalog.write(actor=actor) as unit:
            job_id = queue_job(unit, job)
        self.jobs.append(job_id)
        if self.draws:
            self.draw()
        self.queued.set()
        return job_id, Plan(len(planned), 0, None, (), 0)

    def begin(self, most: int = 100) -> list[PieceView]:
        """Take what waits, as a dispatcher does."""
        with self.service.builder.catalog.write() as unit:
            return take(unit, SHARE, most, "easel", BATCH)

    def draw(self, most: int = 100) -> None:
        """Draw what waits."""
        taken = self.begin(most)
        fails = self.error is not None and self.slug is None
        made = [] if fails else [self._made(piece) for piece in taken]
        with self.service.builder.catalog.write() as unit:
            put_drawn(unit, made)
            for piece in taken:
                place, state = (piece.job_id, piece.place), FAILED if fails else DONE
                end_piece(unit, place, BATCH, state, slug=self.slug, error=self.error)
            settle(unit, SHARE)

    def give_up(self) -> None:
        """End what is to be stopped, as a dispatcher does."""
        with self.service.builder.catalog.write() as unit:
            drop_pieces(unit, SHARE)
            settle(unit, SHARE)

    def _made(self, piece: PieceView) -> NewDrawn:
        asked = asked_of(piece)
        spec = asked.spec
        told = PngImagePlugin.PngInfo()
        told.add_itxt("parameters", infotext(spec, BASE, "ink"))
        buffer = io.BytesIO()
        colour = (spec.seed % 256, spec.steps, len(spec.prompt) % 256)
        Image.new("RGB", (spec.width, spec.height), colour).save(buffer, "PNG", pnginfo=told)
        kept = self.service.studio.keep(buffer.getvalue(), original=True)
        return NewDrawn(piece.key, asked.lora_id, asdict(spec), kept)
