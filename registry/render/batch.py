"""What is handed to whoever draws, and what comes back: one batch as JSON. Pure.

JSON and not objects, since whoever draws may be another process or another machine.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from registry.errors import BadRequest
from registry.formats.packing import pack_json, unpack_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAN: Final = "nan"
FLAT: Final = "flat"
NO_EFFECT: Final = "no-effect"
MEMORY: Final = "out-of-memory"
BASE: Final = "no-base"
CANCELLED: Final = "cancelled"
"""Why there is no picture, or what is wrong with it; slugs of errors are others."""
_MOST_CELLS: Final = 512


@dataclass(frozen=True, slots=True)
class LoraAsk:
    """A lora by its weights, and where its file is: at `path` on this machine or to be fetched from `url`.

    `name` is the stem of its file, `rel` its path below its root with `/`, `size` in bytes and `sha256` of
    the whole file.
    """

    data_sha256: str
    name: str
    rel: str
    path: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class BaseAsk:
    """A base model: its architecture, its name for people, its file or folder, and its SHA-256.

    Each tool knows base models by names of its own; `path` is of this machine, `None` on any other, and
    `stamp` that of `registry.render.stamps`, of what lay there when it was asked for. `prediction` is
    `epsilon` or `v_prediction`, `None` where nobody says.
    """

    architecture: str
    name: str
    path: str | None = None
    sha256: str | None = None
    prediction: str | None = None
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class CellAsk:
    """One picture: its key, and what of it differs within a batch.

    `infotext` is what its file says of how it was made, `start` a picture to begin with (PNG, in base64), of
    which `denoise` (0 to 1) is drawn anew.
    """

    key: str
    prompt: str
    negative: str
    seed: int
    weight: float = 1.0
    lora: LoraAsk | None = None
    infotext: str = ""
    start: str | None = None
    denoise: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of one base model, size and way of drawing; `soon` are loras that the next batch needs.

    `draft_lora` is what workers on other machines draw drafts with; those of this one know it by themselves.
    """

    id: str
    base: BaseAsk
    cells: tuple[CellAsk, ...]
    width: int
    height: int
    steps: int
    sampler: str
    cfg: float
    dtype: str = "float16"
    draft: bool = False
    soon: tuple[LoraAsk, ...] = ()
    draft_lora: LoraAsk | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a cell: a PNG, `None` if there is none, and what is wrong with it in a slug and words."""

    key: str
    png: bytes | None = None
    problem: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a batch, or why it was not begun: `busy` says who is, to be asked again in `seconds`."""

    made: tuple[Made, ...] = field(default=())
    busy: str | None = None
    seconds: float = 0.0


def pack_batch(batch: Batch) -> str:
    """Return a batch as JSON."""
    return pack_json(asdict(batch)).decode()


def unpack_batch(text: str) -> Batch:
    """Return the batch that `pack_batch` packed; BadRequest for anything else."""
    try:
        told: Any = unpack_json(text.encode("utf-8", "surrogatepass"))
        told["cells"] = tuple(_cell(each) for each in told["cells"])
        told["soon"] = tuple(LoraAsk(**each) for each in told["soon"])
        told["draft_lora"] = _lora(told.get("draft_lora"))
        batch = Batch(**told | {"base": BaseAsk(**told["base"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadRequest(f"that is no batch of pictures: {error}") from error
    if not 1 <= len(batch.cells) <= _MOST_CELLS:
        raise BadRequest(f"a batch has 1 to {_MOST_CELLS} pictures")
    return batch


def _cell(told: Mapping[str, Any]) -> CellAsk:
    return CellAsk(**{**told, "lora": _lora(told.get("lora"))})


def _lora(told: Mapping[str, Any] | None) -> LoraAsk | None:
    return None if told is None else LoraAsk(**told)


def pack_answer(answer: Answer) -> str:
    """Return an answer as JSON, pictures in base64."""
    made = [
        {
            "key": each.key,
            "png": None if each.png is None else base64.b64encode(each.png).decode(),
            "problem": each.problem,
            "text": each.text,
        }
        for each in answer.made
    ]
    return pack_json({"made": made, "busy": answer.busy, "seconds": answer.seconds}).decode()


def unpack_answer(text: str, keys: Iterable[str]) -> Answer:
    """Return what `pack_answer` packed, of the cells that were asked for; BadRequest for anything else."""
    wanted = set(keys)
    try:
        told = orjson.loads(text)
        made = [_made(each) for each in told["made"]]
        busy, seconds = told["busy"], float(told["seconds"])
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise BadRequest(f"that is no answer to a batch: {error}") from error
    if not (busy is None or isinstance(busy, str)):
        raise BadRequest("that is no answer to a batch")
    return Answer(tuple(each for each in made if each.key in wanted), busy, seconds)


def _made(told: Mapping[str, Any]) -> Made:
    png, problem = told["png"], told["problem"]
    if not (problem is None or isinstance(problem, str)):
        raise TypeError("a problem is a slug")
    return Made(
        str(told["key"]),
        None if png is None else base64.b64decode(png, validate=True),
        problem,
        str(told["text"]),
    )
