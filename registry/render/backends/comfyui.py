"""Draws with a ComfyUI that already runs, by a workflow of ours or of the user's.

Sources: `server.py`, `execution.py`, `nodes.py`, `folder_paths.py` of Comfy-Org/ComfyUI. One prompt draws one
picture and one is in its queue at a time, so that what the user asks for meanwhile is next.
"""

from __future__ import annotations

import binascii
import hashlib
import time
import uuid
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from registry.errors import BadRequest, NoBase, OutboundError
from registry.render.batch import CANCELLED, Answer, Made, pack_answer, unpack_batch
from registry.render.called import FLOWS, alike, bases_like, parts_of, sampler_of
from registry.render.pngs import MOST_BYTES, with_text
from registry.render.tool import (
    BadAnswer,
    LoraNotThere,
    Tool,
    ToolRefused,
    answered,
    each_cell,
    refusal,
)
from registry.render.workflow import filled, has_place, input_of, parse_workflow, starting_with, without_lora

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.net import Door
    from registry.render.batch import BaseAsk, Batch, CellAsk, LoraAsk
    from registry.render.workflow import Nodes, Value
    from registry.work.lines import Line

T = TypeVar("T")
_EVERY: Final = 0.5
_MOST_FAILURES: Final = 5
"""Questions in a row that may fail before a picture is given up."""
_MOST_HEADERS: Final = 8
_FOLDER: Final = "lora-registry"
_TYPES: Final = frozenset({"output", "temp", "input"})
_WORKFLOWS: Final = Path(__file__).parent / "workflows"


class ComfyUI:
    """Draws with the program at an address, asked `every` so many seconds how far it is.

    `workflow` is one of the user's own in the API format, `auth` is `user:password` of what stands before
    it. BadRequest for an address or a workflow that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - all of it is how it asks, by name
        self,
        door: Door,
        url: str,
        workflow: str | None = None,
        *,
        auth: str | None = None,
        every: float = _EVERY,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._tool = Tool(door, url, "ComfyUI", auth=auth)
        self._own = None if workflow is None else parse_workflow(workflow)
        self._every, self._sleep = every, sleep
        self._client = uuid.uuid4().hex

    def draw(self, spec: str, line: Line) -> str:
        """Return the packed answer to a packed batch; raises BadRequest for what is none, and Offline."""
        batch = unpack_batch(spec)
        return pack_answer(answered(self._tool, batch, lambda: self._draw(batch, line)))

    def _draw(self, batch: Batch, line: Line) -> Answer:
        running, waiting = self._queue()
        if running or waiting:
            return self._tool.busy()
        nodes = self._own or _workflow(batch.base.architecture)
        values = self._values(batch, nodes)
        class_type, name = input_of(nodes, "lora") or ("LoraLoader", "lora_name")
        loras = self._choices(class_type, name)
        if loras is None:
            loras = self._choices("LoraLoader", "lora_name") or []

        def one(place: int, cell: CellAsk) -> Made:
            prompt = self._prompt(nodes, values, cell, loras)
            return self._one(prompt, batch, line, place, cell)

        return each_cell(batch, line, one)

    def _values(self, batch: Batch, nodes: Nodes) -> dict[str, Value]:
        """Return what all pictures of a batch have in common; raises NoBase, and BadRequest for a sampler."""
        values: dict[str, Value] = {
            "width": batch.width,
            "height": batch.height,
            "steps": batch.steps,
            "cfg": float(batch.cfg),
        }
        if has_place(nodes, "sampler") or has_place(nodes, "scheduler"):
            sampler = sampler_of(batch.sampler, batch.base.architecture)
            values |= {"sampler": sampler.comfyui, "scheduler": sampler.scheduler}
        if has_place(nodes, "checkpoint"):
            class_type, name = input_of(nodes, "checkpoint") or ("CheckpointLoaderSimple", "ckpt_name")
            values["checkpoint"] = _checkpoint(batch.base, self._choices(class_type, name) or [])
        return values

    def _prompt(
        self, nodes: Nodes, values: dict[str, Value], cell: CellAsk, loras: Sequence[str]
    ) -> dict[str, Any]:
        """Return what is put into the queue for a cell."""
        own: dict[str, Value] = {
            "prompt": cell.prompt,
            "negative": cell.negative,
            "seed": cell.seed % (1 << 64),
            "weight": float(cell.weight),
            "denoise": 1.0 if cell.start is None else float(cell.denoise),
        }
        if cell.lora is None or not cell.weight:
            nodes = without_lora(nodes)
        else:
            own["lora"] = self._called(cell.lora, loras)
        if cell.start is not None:
            nodes = starting_with(nodes)
            own["start"] = self._uploaded(cell.start)
        return filled(nodes, values | own)

    def _one(self, prompt: dict[str, Any], batch: Batch, line: Line, place: int, cell: CellAsk) -> Made:
        number = str(uuid.uuid4())
        ended = False
        try:
            # Older versions choose a number of their own, and say which.
            asked = {"prompt": prompt, "client_id": self._client, "prompt_id": number}
            told = self._tool.ask("POST", "/prompt", asked)
            number = _known(told, "prompt_id", str) or number
            found = self._watch(number, batch, line, place)
            ended = True
        finally:
            if not ended:
                with suppress(OutboundError):
                    self._cancel(number)
        if found is None:
            return Made(cell.key, problem=CANCELLED)
        if not found:
            text = "it was taken from the queue of ComfyUI, or ComfyUI was started anew"
            return Made(cell.key, problem=CANCELLED, text=text)
        if _was_stopped(found):
            return Made(cell.key, problem=CANCELLED, text="it was stopped in ComfyUI")
        png = self._tool.picture(self._tool.fetch(_view(found), MOST_BYTES))
        return Made(cell.key, with_text(png, "parameters", cell.infotext) if cell.infotext else png)

    def _watch(self, number: str, batch: Batch, line: Line, place: int) -> dict[str, Any] | None:
        """Wait until a prompt has ended and return what is told of it: nothing if nobody knows it any more.

        `None` if the picture was dropped meanwhile.
        """
        failures, dropped = 0, False
        while True:
            dropped = dropped or place in line.dropped()
            try:
                # In this order: what leaves the queue in between is in the history already.
                here = self._cancel(number) if dropped else self._is_queued(number)
                told = _known(self._tool.ask("GET", f"/history/{quote(number, safe='')}"), number, dict)
            except OutboundError:
                failures += 1
                if failures > _MOST_FAILURES:
                    raise
            else:
                failures = 0
                if told is not None or not here:
                    return None if dropped else told or {}
            line.step(place * batch.steps, len(batch.cells) * batch.steps)
            self._sleep(self._every)

    def _is_queued(self, number: str) -> bool:
        running, waiting = self._queue()
        return number in running or number in waiting

    def _cancel(self, number: str) -> bool:
        """Take a prompt from the queue, or stop it if it is the one that runs; whether it is still there.

        To be asked again while it is: an interruption before the first step is forgotten.
        """
        running, waiting = self._queue()
        if number in waiting:
            self._tool.ask("POST", "/queue", {"delete": [number]})
        elif number in running:
            # Older versions do not read which, and stop the one that runs.
            self._tool.ask("POST", "/interrupt", {"prompt_id": number})
        return number in running or number in waiting

    def _queue(self) -> tuple[list[str], list[str]]:
        found = self._tool.ask("GET", "/queue")
        queues = [_known(found, name, list) for name in ("queue_running", "queue_pending")]
        if queues[0] is None or queues[1] is None:
            raise BadAnswer(f"there is no ComfyUI at {self._tool.url}: it tells no queue")
        return _numbers(queues[0]), _numbers(queues[1])

    def _choices(self, class_type: str, name: str) -> list[str] | None:
        """Return what an input of a node may be, `None` if that is not one of a list."""
        told = self._tool.ask("GET", f"/object_info/{quote(class_type, safe='')}")
        inputs = _known(_known(told, class_type, dict), "input", dict)
        row: object = None
        for kind in ("required", "optional"):
            row = row or _known(_known(inputs, kind, dict), name, list)
        first, more = (*row, None, None)[:2] if isinstance(row, list) else (None, None)
        # Nodes of newer versions are of the kind COMBO and have a list of options.
        found = first if isinstance(first, list) else _known(more, "options", list)
        return None if found is None else [each for each in found if isinstance(each, str)]

    def _called(self, lora: LoraAsk, loras: Sequence[str]) -> str:
        """Return what a lora is called; raises LoraNotThere.

        What shares no more than the name of its file with it is asked for the hash that its header claims.
        """
        near = alike(lora.rel or lora.name, loras)
        likely = [loras[place] for place in near.places]
        if len(likely) == 1:
            sure = near.shared >= 2 or len(parts_of(lora.rel)) == len(parts_of(likely[0])) == 1
            claimed = None if sure else self._claimed(likely[0])
            if claimed in (None, lora.data_sha256):
                return likely[0]
        elif likely:
            same = [each for each in likely[:_MOST_HEADERS] if self._claimed(each) == lora.data_sha256]
            if same:
                return same[0]
        raise LoraNotThere(
            f"ComfyUI has no lora {lora.name!r}" + (", but others of that name" if likely else ""),
            remedy="it has to lie below one of its folders of loras (models/loras, extra_model_paths.yaml)",
        )

    def _claimed(self, name: str) -> str | None:
        try:
            told = self._tool.ask("GET", f"/view_metadata/loras?{urlencode({'filename': name})}")
        except ToolRefused:
            # That is how it says that there is no header.
            return None
        claimed = _known(told, "sshs_model_hash", str)
        return claimed.lower() if claimed else None

    def _uploaded(self, start: str) -> str:
        """Send a picture to begin with and return its name; its folder is emptied when ComfyUI starts."""
        try:
            png = b64decode(start, validate=True)
        except binascii.Error as error:
            raise BadRequest("the picture to begin with is not in base64") from error
        file_name = f"{hashlib.sha256(png).hexdigest()[:32]}.png"
        fields = {"type": "temp", "subfolder": _FOLDER, "overwrite": "true"}
        told = self._tool.upload("/upload/image", fields, file_name, png)
        name, folder = _known(told, "name", str), _known(told, "subfolder", str)
        if not name:
            raise BadAnswer("ComfyUI does not say where it put the picture to begin with")
        return f"{folder}/{name} [temp]" if folder else f"{name} [temp]"


def _workflow(architecture: str) -> Nodes:
    name = "flux" if architecture in FLOWS else "sd"
    return parse_workflow((_WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))


def _checkpoint(base: BaseAsk, names: Sequence[str]) -> str:
    """Return what a base model is called; the only one there is, if none is named; raises NoBase."""
    if not base.name:
        if len(names) == 1:
            return names[0]
        raise NoBase("ComfyUI has no base model of its own choice", remedy="say which one is meant")
    places = bases_like(base, [[name] for name in names])
    if not places:
        raise NoBase(
            f"ComfyUI has no base model {base.name!r}",
            remedy="put it into models/checkpoints; parts in files of their own need a workflow of yours",
        )
    return names[places[0]]


def _was_stopped(found: dict[str, Any]) -> bool:
    """Whether a prompt was stopped; raises ToolRefused for one that failed."""
    status = _known(found, "status", dict) or {}
    events = dict(_events(status))
    if "execution_interrupted" in events:
        return True
    failure = events.get("execution_error")
    if failure is not None or status.get("status_str") == "error":
        # The traceback and what went in are nobody's business here.
        names = ("node_type", "exception_type", "exception_message")
        said = refusal([failure.get(name) for name in names] if isinstance(failure, dict) else None)
        raise ToolRefused(f"ComfyUI: {said or 'it failed and does not say why'}", 200)
    return False


def _events(status: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for each in _known(status, "messages", list) or []:
        if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str):
            yield each[0], each[1]


def _view(found: dict[str, Any]) -> str:
    """Return where the first picture is that was put out; raises BadAnswer without one."""
    for output in (_known(found, "outputs", dict) or {}).values():
        for image in _known(output, "images", list) or []:
            name, folder = _known(image, "filename", str), _known(image, "subfolder", str)
            kind = _known(image, "type", str)
            if name and kind in _TYPES:
                return f"/view?{urlencode({'filename': name, 'subfolder': folder or '', 'type': kind})}"
    raise BadAnswer("ComfyUI put out no picture")


def _numbers(queue: list[object]) -> list[str]:
    """Return the numbers of the prompts of a queue; what is none of them counts all the same."""
    return [
        each[1] if isinstance(each, list) and len(each) > 1 and isinstance(each[1], str) else ""
        for each in queue
    ]


def _known(told: object, name: str, kind: type[T]) -> T | None:
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, kind) else None
