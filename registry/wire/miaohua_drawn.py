"""What SenseTime Miaohua's `/api/v1b` answers about drawing, after its document for business users.

Answers of task_submit and task_result are bare, all others are in the envelope; that of task_results has no
`msg`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.wire.miaohua import envelope
from registry.wire.miaohua_drawing import MAX_DRAWN_SEED, RANDOM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORM: Final[tuple[Mapping[str, object], ...]] = (
    {"default": "", "description": "prompt", "name": "prompt", "type": "string"},
    {"default": "", "description": "negative prompt", "name": "neg_prompt", "type": "string"},
    {
        "default": 2,
        "description": "number of images",
        "max": 8,
        "min": 1,
        "name": "n_images",
        "type": "int",
    },
    {"default": 7, "description": "Guidance Scale", "max": 20, "min": 1, "name": "scale", "type": "int"},
    {
        "default": RANDOM,
        "description": "seed",
        "max": MAX_DRAWN_SEED,
        "min": 0,
        "name": "select_seed",
        "type": "int",
    },
    {
        "choices": {
            "1:1": ["512x512", "640x640", "768x768", "1024x1024"],
            "2:3": ["512x768", "640x960", "768x1152", "1024x1536"],
            "3:2": ["768x512", "960x640", "1152x768", "1536x1024"],
        },
        "default": "512x512",
        "description": "resolution",
        "name": "resolution",
        "type": "dict",
    },
    {"default": "", "description": "init image url", "name": "init_img", "type": "str"},
)


@dataclass(frozen=True, slots=True)
class Picture:
    """The addresses of a picture in three sizes."""

    large: str
    middle: str
    small: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a task stands; one that failed is done, has no pictures, and says in `error` why."""

    task_id: str
    done: bool
    seed: int
    pictures: Sequence[Picture] = ()
    from_image: bool = False
    error: str = ""


def submitted(task_id: str) -> dict[str, object]:
    """Return the answer of task_submit."""
    return {"task_id": task_id}


def task_result(result: Result) -> dict[str, object]:
    """Return the answer of task_result."""
    images = [
        {"large": each.large, "middle": each.middle, "save_index": place, "share": False, "shareable": True}
        for place, each in enumerate(result.pictures)
    ]
    return {
        "state": _state(result),
        "images": images,
        "select_seed": result.seed,
        "error_msg": result.error,
    }


def task_results(results: Sequence[Result]) -> dict[str, object]:
    """Return the answer of task_results, in the order of the results."""
    return {"code": 0, "info": [_listed(result) for result in results]}


def generation_form(models: Sequence[str]) -> dict[str, object]:
    """Return the answer of get_generation_form for the names of base models, the usual one first."""
    chosen = {
        "choices": list(models),
        "default": models[0] if models else "",
        "description": "model name",
        "name": "model_name",
        "type": "list",
    }
    control = {
        "default": "",
        "description": "controlnet model",
        "name": "controlnet_model",
        "type": "str",
        "choices": [""],
    }
    return envelope([chosen, *_FORM, control])


def uploaded_images(addresses: Sequence[str]) -> dict[str, object]:
    """Return the answer of upload_img, of one address, and of upload_imgs."""
    return envelope(list(addresses))


def controls() -> dict[str, object]:
    """Return the answer of cn/artist and cn/opensource: there are none."""
    return envelope([])


def _state(result: Result) -> str:
    return "done" if result.done else "pending"


def _listed(result: Result) -> dict[str, object]:
    images = [
        {
            "task_id": result.task_id,
            "task_type": "img2img" if result.from_image else "txt2img",
            "large": each.large,
            "middle": each.middle,
            "small": each.small,
            "save_index": place,
        }
        for place, each in enumerate(result.pictures)
    ]
    return {
        "state": _state(result),
        "error_msg": result.error,
        "images": images,
        "select_seed": result.seed,
    }
