"""Drawing as work: pieces of jobs made to batches, and what comes back kept under its key."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from registry.catalog import pieces
from registry.catalog.drawing import NewDrawn, Owned, drawables, drawn, put_drawn, put_step_seconds, tie_drawn
from registry.errors import BadPicture, BadRequest, CannotDraw, PicturesFull, RegistryError
from registry.formats.infotext import Infotext, lora_hashes, lora_tag, write_infotext
from registry.formats.packing import clean_text, pack_json
from registry.render.batch import (
    CANCELLED,
    BaseAsk,
    Batch,
    CellAsk,
    LoraAsk,
    pack_batch,
    unpack_answer,
)
from registry.render.plan import DRAFT, Spec
from registry.work.dispatcher import Outcome, Packed, Received

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.catalog.engine import Catalog
    from registry.catalog.pieces import NewPiece, Place
    from registry.pictures.studio import Studio
    from registry.render.batch import Made
    from registry.render.plan import Planned
    from registry.views import Drawable, PieceView

RENDER: Final = "render"
MISSING: Final = "file-missing"
_SOFTWARE: Final = "lora-registry"
_APART: Final[dict[str, object]] = {
    "prompt": "", "negative": "", "seed": 0, "lora": None, "weight": 0.0, "start": None, "denoise": 1.0,
}  # fmt: skip
"""What pictures that are drawn together may differ in."""


def piece_of(planned: Planned, base: BaseAsk, place: int) -> NewPiece:
    """Return a picture as a piece of a job; `place` is its place among those of its lora."""
    spec = planned.spec
    told, on = spec.told(), asdict(base)
    fits = hashlib.blake2b(pack_json([told | _APART, on, spec.start is not None]), digest_size=16)
    asked = {"spec": told, "base": on, "lora": planned.subject.id, "place": place}
    return pieces.NewPiece(spec.key(), fits.hexdigest(), asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a piece asks for."""

    spec: Spec
    base: BaseAsk
    lora_id: int
    place: int

    @property
    def shows(self) -> bool:
        """Whether it shows a lora at all."""
        return bool(self.spec.lora and self.spec.weight)


def asked_of(piece: PieceView) -> _Asked:
    """Return what a piece of a job asks for."""
    told = cast("dict[str, Any]", piece.spec)
    return _Asked(Spec(**told["spec"]), BaseAsk(**told["base"]), int(told["lora"]), int(told["place"]))


class Drawing:
    """The trade of drawing: what the dispatcher asks of this kind of job.

    `path_of` gives where the file of a lora is on this machine, if it is, `link` an address under which a
    worker on another machine fetches it, if there are such workers, and `draft` the lora that they draw
    drafts of an architecture with in a mode, if they are to use one.
    """

    kind = RENDER

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        catalog: Catalog,
        studio: Studio,
        machine_id: str,
        path_of: Callable[[Drawable], str | None],
        *,
        renderer: str,
        most: int,
        link: Callable[[Drawable], str | None] = lambda _lora: None,
        draft: Callable[[str, str], Drawable | None] = lambda _architecture, _mode: None,
    ) -> None:
        self._catalog = catalog
        self._studio = studio
        self._machine_id = machine_id
        self._path_of = path_of
        self._renderer = renderer
        self._most = most
        self._link = link
        self._draft = draft

    def most(self) -> int:
        """Return how many pictures are drawn at once."""
        return self._most

    def pack(self, batch_id: str, taken: Sequence[PieceView], soon: Sequence[PieceView]) -> Packed:
        """Make a batch of pictures; those that are there already end with it, and those without a file."""
        asked = {_place(piece): asked_of(piece) for piece in taken}
        ahead = [asked_of(piece) for piece in soon]
        ids = {each.lora_id for each in (*asked.values(), *ahead) if each.spec.lora}
        with self._catalog.read() as conn:
            there = drawn(conn, [piece.key for piece in taken])
            known = {each.id: each for each in drawables(conn, sorted(ids), self._machine_id)}
        ended: dict[Place, Outcome] = {}
        cells: list[CellAsk] = []
        left: list[PieceView] = []
        owned: list[Owned] = []
        draft_lora: LoraAsk | None = None
        for piece in taken:
            place = _place(piece)
            found = there.get(piece.key)
            if found is not None and self._studio.store.has(found.picture):
                ended[place] = Outcome(pieces.DONE, found.slug)
                if asked[place].shows and found.slug is None:
                    each = asked[place]
                    owned.append(Owned(piece.key, found.picture, each.lora_id, each.place))
                continue
            try:
                # One for all: what is drawn in different modes is never together.
                draft_lora = draft_lora or self._draft_lora(asked[place])
                cells.append(self._cell(piece.key, asked[place], known))
                left.append(piece)
            except RegistryError as error:
                ended[place] = Outcome(pieces.FAILED, _slug(error), str(error))
        if owned:
            with self._catalog.write() as unit:
                tie_drawn(unit, owned)
        if not left:
            return Packed(None, (), ended)
        first = asked[_place(left[0])]
        batch = Batch(
            id=batch_id,
            base=first.base,
            cells=tuple(cells),
            width=first.spec.width,
            height=first.spec.height,
            steps=first.spec.steps,
            sampler=first.spec.sampler,
            cfg=first.spec.cfg,
            dtype=first.spec.dtype,
            draft=first.spec.mode.startswith(DRAFT),
            soon=self._soon(ahead, known),
            draft_lora=draft_lora,
        )
        return Packed(pack_batch(batch), left, ended)

    def receive(self, answer: str, taken: Sequence[PieceView], seconds: float | None) -> Received:
        """Keep the pictures of a batch, each under the key of its spec."""
        told = unpack_answer(answer, [piece.key for piece in taken])
        if told.busy is not None:
            return Received({}, told.busy, max(1.0, told.seconds))
        made = {each.key: each for each in told.made}
        ended: dict[Place, Outcome] = {}
        kept: list[NewDrawn] = []
        for piece in taken:
            each = made.get(piece.key)
            if each is not None:
                outcome, new = self._keep(piece, each)
                ended[_place(piece)] = outcome
                kept += [] if new is None else [new]
        with self._catalog.write() as unit:
            self._studio.store.remove(put_drawn(unit, kept))
            if kept and seconds is not None:
                speed = seconds / sum(_work(asked_of(piece).spec) for piece in taken)
                put_step_seconds(unit, self._renderer, speed)
        return Received(ended)

    def _keep(self, piece: PieceView, made: Made) -> tuple[Outcome, NewDrawn | None]:
        if made.png is None:
            state = pieces.CANCELLED if made.problem == CANCELLED else pieces.FAILED
            return Outcome(state, made.problem, made.text or None), None
        asked = asked_of(piece)
        try:
            kept = self._studio.keep(made.png, original=True)
        except (BadPicture, PicturesFull) as error:
            return Outcome(
                pieces.FAILED, error.slug, f"{error} ({error.remedy})" if error.remedy else str(error)
            ), None
        # What shows nothing of a lora is none of its pictures.
        lora_id = asked.lora_id if asked.shows and made.problem is None else 0
        new = NewDrawn(piece.key, lora_id, asdict(asked.spec), kept, made.problem, asked.place)
        return Outcome(pieces.DONE, made.problem, made.text or None), new

    def _cell(self, key: str, asked: _Asked, known: Mapping[int, Drawable]) -> CellAsk:
        spec = asked.spec
        if spec.by != self._renderer:
            raise CannotDraw(
                f"it was asked of {spec.by}, and {self._renderer} draws now: ask for it again",
            )
        lora = None
        name = ""
        if spec.lora:
            drawable = known.get(asked.lora_id)
            if drawable is None or drawable.data_sha256 != spec.lora or drawable.root_id is None:
                raise BadRequest("its file is not at hand on this machine any more")
            lora, name = self._lora(drawable), drawable.name
        start = None
        if spec.start is not None:
            original = self._studio.store.original(spec.start)
            if original is None:
                raise BadRequest("the picture that it was to begin with is not kept any more")
            start = base64.b64encode(original.path.read_bytes()).decode()
        return CellAsk(
            key=key,
            prompt=clean_text(spec.prompt),
            negative=clean_text(spec.negative),
            seed=spec.seed,
            weight=spec.weight,
            lora=lora,
            infotext=clean_text(infotext(spec, asked.base, name)),
            start=start,
            denoise=spec.denoise,
        )

    def _lora(self, drawable: Drawable) -> LoraAsk:
        path = self._path_of(drawable)
        if path is None:
            raise BadRequest("its folder is not at hand on this machine just now")
        return LoraAsk(
            data_sha256=drawable.data_sha256 or "",
            name=drawable.name,
            rel=drawable.path,
            path=path,
            url=self._link(drawable),
            sha256=drawable.sha256,
            size=drawable.size,
        )

    def _draft_lora(self, asked: _Asked) -> LoraAsk | None:
        if not asked.spec.mode.startswith(DRAFT):
            return None
        drawable = self._draft(asked.base.architecture, asked.spec.mode)
        return None if drawable is None else self._lora(drawable)

    def _soon(self, ahead: Sequence[_Asked], known: Mapping[int, Drawable]) -> tuple[LoraAsk, ...]:
        found: dict[int, LoraAsk] = {}
        for each in ahead:
            drawable = known.get(each.lora_id)
            if each.spec.lora and drawable is not None and drawable.root_id is not None:
                try:
                    found[each.lora_id] = self._lora(drawable)
                except BadRequest:
                    continue
        return tuple(found.values())


def infotext(spec: Spec, base: BaseAsk, name: str) -> str:
    """Return what a picture says of how it was made, as A1111 writes and reads it."""
    parameters = {
        "Steps": str(spec.steps),
        "Sampler": spec.sampler,
        "CFG scale": f"{spec.cfg:g}",
        "Seed": str(spec.seed),
        "Size": f"{spec.width}x{spec.height}",
        **({"Model hash": base.sha256[:10]} if base.sha256 else {}),
        **({"Model": base.name.rpartition(".")[0] or base.name} if base.name else {}),
        **({"Denoising strength": f"{spec.denoise:g}"} if spec.start else {}),
    }
    prompt = spec.prompt
    if spec.lora and spec.weight:
        prompt = f"{prompt} {lora_tag(name, spec.weight)}"
        parameters["Lora hashes"] = lora_hashes([(name, spec.lora)])
    parameters["Version"] = _SOFTWARE
    return write_infotext(Infotext(prompt, spec.negative, parameters))


def _work(spec: Spec) -> float:
    return spec.steps * spec.width * spec.height / 512**2


def _place(piece: PieceView) -> Place:
    return piece.job_id, piece.place


def _slug(error: RegistryError) -> str:
    return MISSING if isinstance(error, BadRequest) else error.slug
