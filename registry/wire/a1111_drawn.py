"""What the API of AUTOMATIC1111/stable-diffusion-webui answers about drawing.

Sources: `modules/api/models.py`, `modules/api/api.py`, `modules/processing.py` (Processed.js) and
`modules/sd_models.py` of that repository, version 1.10.1.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.errors import BadRequest
from registry.formats.infotext import read_infotext
from registry.formats.packing import pack_json
from registry.formats.values import quoted
from registry.wire.a1111_drawing import ALIASES, RANDOM, SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.wire.a1111_drawing import Drawing

_SIZE: Final = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII)

# What an answer repeats of a request beside what is taken from it, as it is without being asked for.
_REPEATED: Final[Mapping[str, object]] = {
    "styles": None,
    "subseed": RANDOM,
    "subseed_strength": 0,
    "scheduler": None,
    "restore_faces": None,
    "tiling": None,
    "override_settings_restore_afterwards": True,
    "enable_hr": False,
    "script_name": None,
    "script_args": [],
    "alwayson_scripts": {},
    "infotext": None,
}


@dataclass(frozen=True, slots=True)
class Made:
    """The pictures of a drawing as PNG, what each says of itself, and what they were drawn with.

    `model_hash` are the first 10 digits of the SHA-256 of the base model, `at` is written YYYYMMDDhhmmss.
    """

    pngs: Sequence[bytes]
    infotexts: Sequence[str]
    model: str = ""
    model_hash: str = ""
    lora_hashes: str = ""
    at: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a drawing is: `done` from 0 to 1, `seconds` until its end, `picture` a PNG of what there is."""

    done: float
    seconds: float
    job: str
    jobs: int
    jobs_done: int
    step: int
    steps: int
    at: str
    interrupted: bool = False
    picture: bytes | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A base model: its path below its root with `/`, its whole path, and the SHA-256 of its file."""

    rel: str
    filename: str
    sha256: str | None = None

    @property
    def short_hash(self) -> str | None:
        """The first 10 digits of the hash."""
        return self.sha256[:10] if self.sha256 else None

    @property
    def title(self) -> str:
        """What it is chosen by."""
        return f"{self.rel} [{self.short_hash}]" if self.sha256 else self.rel


def drawn(drawing: Drawing, made: Made) -> dict[str, object]:
    """Return the answer of txt2img and img2img; its `info` is JSON in a text."""
    images = [base64.b64encode(png).decode() for png in made.pngs] if drawing.send_images else []
    settings = {} if drawing.checkpoint is None else {"sd_model_checkpoint": drawing.checkpoint}
    repeated = {
        "prompt": drawing.sent,
        "negative_prompt": drawing.negative,
        "seed": drawing.seed,
        "sampler_name": drawing.sampler,
        "batch_size": drawing.batch_size,
        "n_iter": drawing.n_iter,
        "steps": drawing.steps,
        "cfg_scale": drawing.cfg,
        "width": drawing.width,
        "height": drawing.height,
        "denoising_strength": drawing.denoising_strength,
        "override_settings": settings,
        "sampler_index": drawing.sampler,
        "send_images": drawing.send_images,
        "save_images": drawing.save_images,
        "force_task_id": drawing.force_task_id,
        "disable_extra_networks": drawing.prompt != drawing.sent and not drawing.loras,
        # A1111 sends the picture itself back only to who asks for it.
        **({} if drawing.init_image is None else {"init_images": None}),
        **_REPEATED,
    }
    return {"images": images, "parameters": repeated, "info": pack_json(_info(drawing, made)).decode()}


def progress(told: Progress | None, *, picture: bool = True) -> dict[str, object]:
    """Return how far the drawing is, without the picture if that is not wanted; `None` is idle."""
    now = told or Progress(0.0, 0.0, "", 0, 0, 0, 0, "0")
    state = {
        "skipped": False,
        "interrupted": now.interrupted,
        "stopping_generation": now.interrupted,
        "job": now.job,
        "job_count": now.jobs,
        "job_timestamp": now.at,
        "job_no": now.jobs_done,
        "sampling_step": now.step,
        "sampling_steps": now.steps,
    }
    shown = base64.b64encode(now.picture).decode() if picture and now.picture else None
    return {
        "progress": min(1.0, max(0.0, now.done)),
        "eta_relative": max(0.0, now.seconds),
        "state": state,
        "current_image": shown,
        "textinfo": now.text,
    }


def samplers(names: Sequence[str]) -> list[dict[str, object]]:
    """Return the list of samplers."""
    return [
        {
            "name": name,
            "aliases": list(ALIASES.get(name, ())),
            "options": {"scheduler": "karras"} if name.endswith(" Karras") else {},
        }
        for name in names
    ]


def schedulers() -> list[dict[str, object]]:
    """Return the list of schedules."""
    return [
        {
            "name": each.name,
            "label": each.label,
            "aliases": None,
            "default_rho": each.rho,
            "need_inner_model": each.inner,
        }
        for each in SCHEDULES
    ]


def checkpoint(told: Checkpoint) -> dict[str, object]:
    """Return a base model of the list of sd-models."""
    return {
        "title": told.title,
        "model_name": _stem(told.rel).replace("/", "_"),
        "hash": told.short_hash,
        "sha256": told.sha256,
        "filename": told.filename,
        "config": None,
    }


def checkpoint_called(wanted: str, known: Sequence[Checkpoint]) -> Checkpoint:
    """Return the base model that a client calls by its title, path, name or hash.

    Raises BadRequest for none of these (modules/sd_models.py, CheckpointInfo.ids).
    """
    bare = wanted.partition(" [")[0]
    for names_of in (_own_names, _short_names):
        for told in known:
            if {wanted, bare, wanted.lower()} & names_of(told):
                return told
    raise BadRequest(
        f"there is no checkpoint {quoted(wanted)}", remedy="give a title that /sdapi/v1/sd-models lists"
    )


def png_info(texts: Mapping[str, str]) -> dict[str, object]:
    """Return what a picture with these texts says, in one text and in parts."""
    info = texts.get("parameters", "")
    told = read_infotext(info)
    parts = {"Prompt": told.prompt, "Negative prompt": told.negative} if info else {}
    for name, value in told.parameters.items():
        size = _SIZE.fullmatch(value)
        parts |= {name: value} if size is None else {f"{name}-1": size[1], f"{name}-2": size[2]}
    items = {key: text for key, text in texts.items() if key != "parameters"}
    return {"info": info, "items": items, "parameters": parts}


def _info(drawing: Drawing, made: Made) -> dict[str, object]:
    seeds = list(drawing.seeds)
    return {
        "prompt": drawing.sent,
        "all_prompts": [drawing.sent] * len(seeds),
        "negative_prompt": drawing.negative,
        "all_negative_prompts": [drawing.negative] * len(seeds),
        "seed": drawing.seed,
        "all_seeds": seeds,
        # Of no strength: whichever it is, the picture is the same.
        "subseed": drawing.seed,
        "all_subseeds": seeds,
        "subseed_strength": 0,
        "width": drawing.width,
        "height": drawing.height,
        "sampler_name": drawing.sampler,
        "cfg_scale": drawing.cfg,
        "steps": drawing.steps,
        "batch_size": drawing.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": made.model,
        "sd_model_hash": made.model_hash,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": drawing.denoising_strength,
        "extra_generation_params": {"Lora hashes": made.lora_hashes} if made.lora_hashes else {},
        "index_of_first_image": 0,
        "infotexts": list(made.infotexts),
        "styles": [],
        "job_timestamp": made.at,
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": made.version,
    }


def _stem(rel: str) -> str:
    stem, dot, _ = rel.rpartition(".")
    return stem if dot and stem else rel


def _own_names(told: Checkpoint) -> set[str | None]:
    return {told.title, told.sha256, told.short_hash, told.rel, _stem(told.rel)}


def _short_names(told: Checkpoint) -> set[str | None]:
    file_name = told.rel.rpartition("/")[2]
    return {file_name, _stem(file_name)}
