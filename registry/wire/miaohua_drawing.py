"""What is asked to be drawn by SenseTime Miaohua's `/api/v1b`, after its document for business users."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.sidecar_values import number, record
from registry.formats.values import quoted
from registry.wire.parameters import flag, line, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PROMPT: Final = 10_000
MAX_TASKS: Final = 50
MAX_CONTROLS: Final = 3
MAX_PICTURE: Final = 32 << 20
"""Bytes of a picture that is sent, once it is decoded."""
MAX_SEED: Final = 2**32 - 1
MAX_DRAWN_SEED: Final = 9_999_999
"""The largest seed that the form knows; larger ones are taken from who names them."""
SIDES: Final = (64, 2048, 8)
"""The least and the largest side of a picture, and what it is a multiple of."""
RANDOM: Final = -1
_MAX_TOKEN: Final = 1_000
_MAX_ADDRESS: Final = 2_000
_MAX_WEIGHT: Final = 2.0
_MAX_LORAS: Final = 100
_SIZE: Final = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII)
_USUAL_SIZE: Final = "960x960"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be drawn; `versionid` or else `model_name` is the base model, neither is the usual one.

    `lora` is a versionid with its weight. What it begins with is `image`, or what was uploaded to `address`;
    then `size` (width, height) may be `None`, which is that of the picture. `strength` (0 to 1) is how much
    the picture counts.
    """

    token: str = field(repr=False)
    versionid: str | None
    model_name: str | None
    prompt: str
    negative: str
    n_images: int
    scale: int
    strength: float
    steps: int
    seed: int
    size: tuple[int, int] | None
    lora: tuple[str, float] | None = None
    image: bytes | None = field(default=None, repr=False)
    address: str | None = None

    @property
    def denoising(self) -> float:
        """How much of the picture is drawn anew, from 0 to 1."""
        return 1.0 - self.strength

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture."""
        return tuple(self.seed + place for place in range(self.n_images))


@dataclass(frozen=True, slots=True)
class Asked:
    """Tasks whose results are asked for; `sensitive` (0 to 1) is how strict to be about what is shown."""

    token: str = field(repr=False)
    task_ids: tuple[str, ...]
    sensitive: float = 0.0


def read_task(
    body: object, *, draw: Callable[[int], int], uploaded: Callable[[str], bool] = lambda _: False
) -> Task:
    """Return what task_submit was asked for.

    `draw` gives a random number below another, for who names no seed; `uploaded` tells whether an address is
    one that an upload here was answered with. Of several loras the first counts, as at Miaohua. Raises
    BadRequest for what cannot be, and for what is not done here.
    """
    asked = _object(body)
    if flag("add_prompt", asked.get("add_prompt")):
        raise BadRequest("add_prompt is not done here: prompts stay as they are", remedy="leave it out")
    _refuse_controls(asked.get("cn_configs"))
    image, address = _begun(asked.get("init_img"), uploaded)
    seed = _whole(asked, "select_seed", RANDOM, MAX_SEED, RANDOM)
    return Task(
        token=_token(asked),
        versionid=line("versionid", asked.get("versionid")),
        model_name=line("model_name", asked.get("model_name")),
        prompt=line("prompt", asked.get("prompt"), MAX_PROMPT) or "",
        negative=line("neg_prompt", asked.get("neg_prompt"), MAX_PROMPT) or "",
        n_images=_whole(asked, "n_images", 1, 8, 2),
        scale=_whole(asked, "scale", 1, 20, 7),
        strength=_number("strength", asked.get("strength"), 0, 1, 0.6),
        steps=_whole(asked, "ddim_steps", 1, 150, 50),
        seed=draw(MAX_DRAWN_SEED + 1) if seed == RANDOM else seed,
        size=_size(asked.get("output_size"), None if image or address else _USUAL_SIZE),
        lora=_lora(asked.get("lora_configs")),
        image=image,
        address=address,
    )


def read_task_result(body: object) -> Asked:
    """Return which task task_result was asked for; BadRequest for none."""
    asked = _object(body)
    return Asked(_token(asked), (_task_id(asked.get("task_id")),), _sensitive(asked))


def read_task_results(body: object) -> Asked:
    """Return which tasks task_results was asked for; BadRequest for more than `MAX_TASKS`."""
    asked = _object(body)
    ids = asked.get("task_ids")
    if not isinstance(ids, list):
        raise BadRequest("task_ids is no list", remedy="give a list of ids that task_submit gave")
    if len(ids) > MAX_TASKS:
        raise BadRequest(f"task_ids has more than {MAX_TASKS} ids", remedy="ask for fewer at once")
    return Asked(_token(asked), tuple(map(_task_id, ids)), _sensitive(asked))


def _object(body: object) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object", remedy="send a JSON object")
    return body


def _token(asked: Mapping[str, object]) -> str:
    """Return the token; whether it is known is for the server to say: without one it is empty."""
    return line("token", asked.get("token"), _MAX_TOKEN) or ""


def _task_id(value: object) -> str:
    task_id = line("task_id", value)
    if task_id is None:
        raise BadRequest("task_id is missing", remedy="give an id that task_submit gave")
    return task_id


def _sensitive(asked: Mapping[str, object]) -> float:
    return _number("sensitive_limit_value", asked.get("sensitive_limit_value"), 0, 1, 0.0)


def _lora(value: object) -> tuple[str, float] | None:
    """Return the first lora that is named; the document says that no other one takes effect."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MAX_LORAS:
        raise BadRequest(
            f"lora_configs is no list of at most {_MAX_LORAS} loras",
            remedy='give [{"versionid": ID, "merge_weight": 1}]',
        )
    for config in map(record, value):
        versionid = line("versionid", config.get("versionid"))
        if versionid is not None:
            return versionid, _number("merge_weight", config.get("merge_weight"), 0, _MAX_WEIGHT, 1.0)
    return None


def _refuse_controls(value: object) -> None:
    if value in (None, "", [], {}):
        return
    if not isinstance(value, list):
        raise BadRequest("cn_configs is no list", remedy="leave it out")
    if len(value) > MAX_CONTROLS:
        raise BadRequest(f"cn_configs has more than {MAX_CONTROLS} ControlNets", remedy="leave it out")
    raise BadRequest("cn_configs is not done here: there are no ControlNets", remedy="leave it out")


def _begun(value: object, uploaded: Callable[[str], bool]) -> tuple[bytes | None, str | None]:
    """Return the picture to begin with, or the address of one that was uploaded here."""
    if value in (None, ""):
        return None, None
    if not isinstance(value, str):
        raise BadRequest("init_img is no text", remedy="give an address that upload_img gave")
    if len(value) <= _MAX_ADDRESS and uploaded(value):
        return None, value
    text = value.partition(",")[2] if value.startswith("data:") else value
    if len(text) > MAX_PICTURE // 3 * 4 + 4:
        raise BadRequest(f"init_img is larger than {MAX_PICTURE >> 20} MiB", remedy="give a smaller picture")
    try:
        image = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        image = b""
    if not image:
        raise BadRequest(
            "init_img is neither an address of a picture that was uploaded here nor one in base64",
            remedy="send the picture to upload_img and give the address that it answers: no other is fetched",
        )
    return image, None


def _size(value: object, otherwise: str | None) -> tuple[int, int] | None:
    text = line("output_size", value) or otherwise
    if text is None:
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise BadRequest(f"output_size {quoted(text)} is no size", remedy=f"write it as {_USUAL_SIZE}")
    least, most, step = SIDES
    size = int(found[1]), int(found[2])
    if any(not least <= side <= most or side % step for side in size):
        raise BadRequest(
            f"output_size {quoted(text)} cannot be drawn here: sides are multiples of {step} from {least} to "
            f"{most:,}, and Miaohua's larger ones are not made",
            remedy="ask for a smaller picture, such as 960x960",
        )
    return size


def _whole(asked: Mapping[str, object], name: str, low: int, high: int, otherwise: int) -> int:
    value = asked.get(name)
    return otherwise if value is None else whole(name, value, low, high)


def _number(name: str, value: object, low: float, high: float, otherwise: float) -> float:
    found = otherwise if value is None else number(value, low, high)
    if found is None:
        raise BadRequest(f"{name} is no number from {low:g} to {high:g}", remedy=f"give {low:g} to {high:g}")
    return found
