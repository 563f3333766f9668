"""Draws with AUTOMATIC1111/stable-diffusion-webui or a fork of it that already runs: Forge, SD.Next.

Sources: `modules/api/api.py`, `modules/progress.py`, `modules/extra_networks.py` of that repository and of
its forks. One request draws one picture: a cell that goes wrong or is dropped takes no other with it.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.errors import NoBase, OutboundError
from registry.render.batch import CANCELLED, Answer, Made, pack_answer, unpack_batch
from registry.render.called import (
    FLOWS,
    ListedBase,
    ListedLora,
    base_among,
    lora_among,
    plain_title,
    schedule_of,
)
from registry.render.pngs import MOST_BYTES
from registry.render.tool import BadAnswer, LoraNotThere, Tool, ToolRefused, answered, each_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from registry.net import Door
    from registry.render.batch import BaseAsk, Batch, CellAsk, LoraAsk
    from registry.work.lines import Line

_API: Final = "/sdapi/v1"
# Since 1.9 the headers that are listed hold cover images, of megabytes each.
_LORAS_MOST: Final = 512 << 20
_ANSWER_MOST: Final = 2 * MOST_BYTES
_EVERY: Final = 0.5
_CHECKPOINT: Final = "sd_model_checkpoint"
# What a name in a prompt cannot hold: `<lora:NAME:WEIGHT>` ends at `>`, is split at `:`, and what has a `=`
# is taken for an argument with a name.
_NO_NAME: Final = re.compile(r"[:<>=\x00-\x1f]")
_NETWORK: Final = re.compile(r"<(?=\w+:)")


class _State(NamedTuple):
    busy: bool
    stopped: bool
    done: float


class _Desk(NamedTuple):
    """What the pictures of a batch need: the base model's title, loras by their weights, and the fork."""

    title: str | None
    loras: Mapping[str, str | LoraNotThere]
    forge: bool


class A1111:
    """Draws with the program at an address; `patient` is a door that waits as long as a picture takes.

    `auth` is `user:password`; how far it is, is asked `every` so many seconds. BadRequest for an address that
    cannot be used.
    """

    def __init__(
        self,
        door: Door,
        url: str,
        *,
        auth: str | None = None,
        patient: Door | None = None,
        every: float = _EVERY,
    ) -> None:
        self._tool = Tool(door, url, "the web UI", auth=auth, patient=patient)
        self._every = every

    def draw(self, spec: str, line: Line) -> str:
        """Return the packed answer to a packed batch; raises BadRequest for what is none, and Offline."""
        batch = unpack_batch(spec)
        return pack_answer(answered(self._tool, batch, lambda: self._draw(batch, line)))

    def _draw(self, batch: Batch, line: Line) -> Answer:
        if self._state().busy:
            return self._tool.busy()
        options = self._options()
        told = options.get(_CHECKPOINT)
        before = told if isinstance(told, str) and told else None
        # Named in any case: a request that names none makes Forge choose none.
        title = self._title(batch.base) or before
        desk = _Desk(title, self._loras(batch.cells), any(name.startswith("forge_") for name in options))
        try:
            return each_cell(batch, line, lambda place, cell: self._one(batch, desk, line, place, cell))
        finally:
            self._put_back(before, title)

    def _one(self, batch: Batch, desk: _Desk, line: Line, place: int, cell: CellAsk) -> Made:
        task = f"task(lora-registry-{uuid.uuid4().hex})"
        body = _request(batch, desk, cell) | {"force_task_id": task}
        path = f"{_API}/{'txt2img' if cell.start is None else 'img2img'}"
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._tool.ask, "POST", path, body, most=_ANSWER_MOST, patient=True)
            try:
                dropped = self._watch(asked, task, batch, line, place)
            finally:
                if not asked.done():
                    self._stop(task)
        if dropped:
            return Made(cell.key, problem=CANCELLED)
        found = asked.result()
        if self._was_stopped():
            return Made(cell.key, problem=CANCELLED, text="it was stopped in the web UI")
        return Made(cell.key, self._tool.picture(_picture(found)))

    def _watch(self, asked: Future[object], task: str, batch: Batch, line: Line, place: int) -> bool:
        """Wait for the answer and tell how far it is; whether the picture was dropped meanwhile."""
        dropped, done = False, place * batch.steps
        while not wait((asked,), self._every).done:
            dropped = dropped or place in line.dropped()
            # A question that fails changes nothing: the picture comes, or its own request fails.
            with suppress(OutboundError):
                if dropped:
                    self._stop(task)
                elif self._is_ours(task) is not False:
                    # It may have ended since: then nothing is done any more.
                    done = max(done, round((place + self._state().done) * batch.steps))
                    line.step(done, len(batch.cells) * batch.steps)
        return dropped

    def _stop(self, task: str) -> None:
        """Stop a picture that is being drawn, if it is certain that it is this one and not the user's.

        Asked again until it ends, since an interruption before the first step is forgotten.
        """
        with suppress(OutboundError):
            if self._is_ours(task):
                self._tool.ask("POST", f"{_API}/interrupt")

    def _is_ours(self, task: str) -> bool | None:
        """Whether a task is what is being drawn; `None` where tasks have no names of others' choice."""
        asked = {"id_task": task, "id_live_preview": -1, "live_preview": False}
        try:
            found = self._tool.ask("POST", "/internal/progress", asked)
        except ToolRefused:
            return None
        if not isinstance(found, dict):
            return None
        if found.get("active") is True:
            return True
        return False if found.get("queued") is True else None

    def _state(self) -> _State:
        found = self._tool.ask("GET", f"{_API}/progress?skip_current_image=true")
        state = found.get("state") if isinstance(found, dict) else None
        if not isinstance(state, dict):
            raise BadAnswer(f"there is no web UI at {self._tool.url}: it tells no progress")
        step, steps = _number(state.get("sampling_step")), _number(state.get("sampling_steps"))
        return _State(
            # It is -1 while nobody knows yet how many there will be.
            busy=_number(state.get("job_count")) != 0 or bool(state.get("job")),
            stopped=state.get("interrupted") is True or state.get("skipped") is True,
            done=min(1.0, max(0.0, step / steps)) if steps > 0 else 0.0,
        )

    def _was_stopped(self) -> bool:
        """Whether the picture that came last is only half of one; it is sent all the same."""
        try:
            return self._state().stopped
        except OutboundError:
            return False

    def _options(self) -> dict[str, Any]:
        found = self._tool.ask("GET", f"{_API}/options")
        if not isinstance(found, dict):
            raise BadAnswer("the web UI tells no options")
        return found

    def _put_back(self, before: str | None, title: str | None) -> None:
        """Choose the user's base model again where ours stayed (Forge); what they chose since is theirs."""
        if before is None or title is None or plain_title(before) == plain_title(title):
            return
        # Whoever is not there any more begins with what is in its settings.
        with suppress(OutboundError):
            now = self._options().get(_CHECKPOINT)
            if isinstance(now, str) and plain_title(now) == plain_title(title):
                self._tool.ask("POST", f"{_API}/options", {_CHECKPOINT: before}, patient=True)

    def _title(self, base: BaseAsk) -> str | None:
        """Return the title of a base model, `None` where the one that is chosen is meant; raises NoBase."""
        if not base.name:
            return None
        for again in (False, True):
            if again:
                self._tool.ask("POST", f"{_API}/refresh-checkpoints", patient=True)
            listed = _dicts(self._tool.ask("GET", f"{_API}/sd-models"))
            found = base_among(base, [each for one in listed if (each := _listed_base(one))])
            if found is not None:
                return found.title
        raise NoBase(
            f"the web UI has no base model {base.name!r}",
            remedy="put it into its folder of models, or name one that it lists",
        )

    def _loras(self, cells: Sequence[CellAsk]) -> dict[str, str | LoraNotThere]:
        """Return what the loras of a batch are called, or why they cannot be called."""
        wanted = {cell.lora.data_sha256: cell.lora for cell in cells if cell.lora is not None and cell.weight}
        found: dict[str, str | LoraNotThere] = {}
        for again in (False, True):
            missing = {key: lora for key, lora in wanted.items() if not isinstance(found.get(key), str)}
            if not missing:
                break
            if again:
                self._tool.ask("POST", f"{_API}/refresh-loras", patient=True)
            told = self._tool.ask("GET", f"{_API}/loras", most=_LORAS_MOST, patient=True)
            listed = [each for one in _dicts(told) if (each := _listed(one))]
            found |= {key: _called(lora, listed) for key, lora in missing.items()}
        return found


def _request(batch: Batch, desk: _Desk, cell: CellAsk) -> dict[str, object]:
    """Return what is asked for a cell; raises LoraNotThere."""
    prompt = _plain(cell.prompt)
    if cell.lora is not None and cell.weight:
        name = desk.loras[cell.lora.data_sha256]
        if isinstance(name, LoraNotThere):
            raise name
        prompt = f"{prompt} <lora:{name}:{cell.weight:g}>"
    schedule = schedule_of(batch.sampler, batch.base.architecture)
    guided = desk.forge and batch.base.architecture in FLOWS
    return {
        "prompt": prompt,
        "negative_prompt": _plain(cell.negative),
        # Negative ones are drawn by chance there.
        "seed": cell.seed if cell.seed >= 0 else cell.seed % (1 << 32),
        "sampler_name": batch.sampler,
        **({} if schedule is None else {"scheduler": schedule}),
        "steps": batch.steps,
        "width": batch.width,
        "height": batch.height,
        **({"cfg_scale": 1.0, "distilled_cfg_scale": batch.cfg} if guided else {"cfg_scale": batch.cfg}),
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
        "override_settings": {} if desk.title is None else {_CHECKPOINT: desk.title},
        "override_settings_restore_afterwards": True,
        **({} if cell.start is None else {"init_images": [cell.start], "denoising_strength": cell.denoise}),
    }


def _plain(prompt: str) -> str:
    """Return a prompt that puts on nothing by itself: a picture is of the one lora that it is told of."""
    return _NETWORK.sub("< ", prompt)


def _called(lora: LoraAsk, listed: Sequence[ListedLora]) -> str | LoraNotThere:
    found = lora_among(lora, listed)
    if found is None:
        return LoraNotThere(
            f"the web UI has no lora {lora.name!r}",
            remedy="it has to lie below one of its folders of loras (--lora-dir)",
        )
    if _NO_NAME.search(found.name):
        return LoraNotThere(
            f"no prompt can name the lora {found.name!r}",
            remedy="rename its file: a colon, an equals sign and angle brackets mean something else there",
        )
    return found.name


def _listed(told: Mapping[str, Any]) -> ListedLora | None:
    name, metadata = _text(told, "name"), told.get("metadata")
    if name is None:
        return None
    claimed = _text(metadata, "sshs_model_hash") if isinstance(metadata, dict) else None
    return ListedLora(name, _text(told, "path") or f"{name}.safetensors", claimed and claimed.lower())


def _listed_base(told: Mapping[str, Any]) -> ListedBase | None:
    title = _text(told, "title")
    if title is None:
        return None
    called = [_text(told, name) for name in ("filename", "model_name")]
    hashes = ((_text(told, name) or "").lower() for name in ("sha256", "hash"))
    return ListedBase(title, (plain_title(title), *filter(None, called)), *hashes)


def _picture(found: object) -> bytes:
    images = found.get("images") if isinstance(found, dict) else None
    first = images[0] if isinstance(images, list) and images else None
    if not isinstance(first, str):
        raise BadAnswer("the web UI sent no picture")
    try:
        return base64.b64decode(first.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise BadAnswer("the web UI sent something that is no picture") from error


def _dicts(told: object) -> list[dict[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < 1 << 31 else 0.0
