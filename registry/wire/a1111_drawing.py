"""What is asked to be drawn by the API of AUTOMATIC1111/stable-diffusion-webui.

Sources: `modules/api/models.py`, `modules/api/api.py`, `modules/extra_networks.py`,
`modules/sd_schedulers.py` and `extensions-builtin/Lora/extra_networks_lora.py` of that repository,
version 1.10.1.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.errors import BadRequest
from registry.formats.sidecar_values import number, record
from registry.formats.values import quoted
from registry.wire.parameters import flag, line, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_PROMPT: Final = 10_000
MAX_PICTURES: Final = 64
MAX_PICTURE: Final = 32 << 20
"""Bytes of a picture that is sent, once it is decoded."""
MAX_SEED: Final = 2**32 - 1
_SIDE: Final = (64, 2048, 8)
_MAX_WEIGHT: Final = 10.0
RANDOM: Final = -1
_SAMPLER: Final = "Euler"
_NETWORK: Final = re.compile(r"<(\w{1,20}):([^>]{1,500})>")
_LORA_NAMES: Final = ("te", "unet", "dyn")

# What is not done here, by what may be said of it all the same: then A1111 does nothing about it either.
_IDLE: Final[Mapping[str, tuple[object, ...]]] = {
    "enable_hr": (False,),
    "restore_faces": (False,),
    "tiling": (False,),
    "styles": ([], ""),
    "script_name": ("", "None"),
    "alwayson_scripts": ({}, []),
    "refiner_checkpoint": ("", "None"),
    "infotext": ("",),
    "subseed_strength": (0,),
    "seed_resize_from_w": (0, -1),
    "seed_resize_from_h": (0, -1),
    "s_churn": (0,),
    "mask": ("",),
    "latent_mask": ("",),
    "resize_mode": (0,),
    "initial_noise_multiplier": (1,),
}
_IDLE_SETTINGS: Final[Mapping[str, tuple[object, ...]]] = {
    "CLIP_stop_at_last_layers": (1,),
    "sd_vae": ("Automatic", "None", ""),
    "eta_noise_seed_delta": (0,),
}


class Schedule(NamedTuple):
    """A schedule of noise, and what the name of a sampler ends with that has it built in."""

    name: str
    label: str
    suffix: str = ""
    rho: float = -1
    inner: bool = False


SCHEDULES: Final = (
    Schedule("automatic", "Automatic"),
    Schedule("uniform", "Uniform", inner=True),
    Schedule("karras", "Karras", " Karras", rho=7.0),
)
# Other names of samplers (modules/sd_samplers_kdiffusion.py and sd_samplers_timesteps.py, up to 1.8).
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "Euler": ("k_euler",),
    "Euler a": ("k_euler_a", "k_euler_ancestral"),
    "DPM++ 2M": ("k_dpmpp_2m",),
    "DPM++ 2M Karras": ("k_dpmpp_2m_ka",),
    "DPM++ SDE Karras": ("k_dpmpp_sde_ka",),
    "DPM++ 2M SDE Karras": ("k_dpmpp_2m_sde_ka",),
    "DDIM": ("ddim",),
    "UniPC": ("unipc",),
    "LCM": ("k_lcm",),
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is to be drawn; `prompt` is without the names of networks, `sent` is the prompt as it came.

    The seeds of the pictures follow each other. `init_image` is what they begin with, of which
    `denoising_strength` (0 to 1) is drawn anew: without one it means nothing.
    """

    prompt: str
    sent: str
    negative: str
    loras: tuple[tuple[str, float], ...]
    seed: int
    batch_size: int
    n_iter: int
    steps: int
    cfg: float
    width: int
    height: int
    sampler: str
    denoising_strength: float
    init_image: bytes | None = field(default=None, repr=False)
    checkpoint: str | None = None
    send_images: bool = True
    save_images: bool = False
    force_task_id: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture."""
        return tuple(self.seed + place for place in range(self.batch_size * self.n_iter))


def read_drawing(
    body: object, *, samplers: Sequence[str], draw: Callable[[int], int], from_image: bool = False
) -> Drawing:
    """Return what txt2img or, `from_image`, img2img was asked for.

    `samplers` are those that there are; `draw` gives a random number below another, for who names no seed.
    Raises BadRequest that names the field for what cannot be, and for what is not done here.
    """
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object", remedy="send a JSON object")
    settings = _settings(body)
    _refuse(body, _IDLE)
    sent = line("prompt", body.get("prompt"), MAX_PROMPT) or ""
    prompt, loras = _without_networks(sent)
    batch_size, n_iter = (_whole(body, name, 1, MAX_PICTURES, 1) for name in ("batch_size", "n_iter"))
    if batch_size * n_iter > MAX_PICTURES:
        raise BadRequest(
            f"batch_size times n_iter is more than {MAX_PICTURES}", remedy="ask for fewer pictures at once"
        )
    seed = _whole(body, "seed", RANDOM, MAX_SEED, RANDOM)
    return Drawing(
        prompt=prompt,
        sent=sent,
        negative=line("negative_prompt", body.get("negative_prompt"), MAX_PROMPT) or "",
        loras=() if flag("disable_extra_networks", body.get("disable_extra_networks")) else loras,
        seed=draw(MAX_SEED) if seed == RANDOM else seed,
        batch_size=batch_size,
        n_iter=n_iter,
        steps=_whole(body, "steps", 1, 150, 50),
        cfg=_number(body, "cfg_scale", 0, 30, 7.0),
        width=_side(body, "width"),
        height=_side(body, "height"),
        sampler=_sampler(body, samplers),
        denoising_strength=_number(body, "denoising_strength", 0, 1, 0.75),
        init_image=_init_image(body) if from_image else None,
        checkpoint=line("sd_model_checkpoint", settings.get("sd_model_checkpoint")),
        send_images=flag("send_images", body.get("send_images")) is not False,
        save_images=flag("save_images", body.get("save_images")) is True,
        force_task_id=line("force_task_id", body.get("force_task_id")),
    )


def read_png_info(body: object) -> bytes:
    """Return the picture whose texts are asked for; BadRequest for none."""
    return _picture("image", record(body).get("image"))


def _settings(body: Mapping[str, object]) -> Mapping[str, object]:
    settings = body.get("override_settings")
    if settings is not None and not isinstance(settings, dict):
        raise BadRequest("override_settings is no JSON object", remedy="give an object, or leave it out")
    _refuse(record(settings), _IDLE_SETTINGS)
    return record(settings)


def _refuse(asked: Mapping[str, object], idle: Mapping[str, tuple[object, ...]]) -> None:
    for name, harmless in idle.items():
        value = asked.get(name)
        if value is not None and value not in harmless:
            raise BadRequest(f"{name} is not done here", remedy=f"leave {name} out")


def _without_networks(prompt: str) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Return the prompt without all that names a network, and the loras among them."""
    loras: list[tuple[str, float]] = []

    def take(found: re.Match[str]) -> str:
        kind = found[1].lower()
        if kind == "hypernet":
            raise BadRequest("prompt names a hypernetwork, which is not done here", remedy="leave it out")
        if kind in ("lora", "lyco"):
            loras.append(_lora(found[2]))
        return ""

    return _NETWORK.sub(take, prompt).strip(), tuple(loras)


def _lora(text: str) -> tuple[str, float]:
    """Return name and weight of `NAME:te:unet`: weights may be named, that of the U-Net is else the other."""
    places: list[str] = []
    named: dict[str, str] = {}
    for part in text.split(":"):
        key, equals, value = part.partition("=")
        if equals and key in _LORA_NAMES:
            named[key] = value
        else:
            places.append(part)
    name = places[0].strip() if places else ""
    if not name:
        raise BadRequest("prompt has a lora without a name", remedy="write <lora:NAME:WEIGHT>")
    if len(places) > 3 or "dyn" in named:
        raise BadRequest(f"dyn of the lora {quoted(name)} is not done here", remedy="leave it out")
    text_encoder = named.get("te", places[1] if len(places) > 1 else "1")
    unet = named.get("unet", places[2] if len(places) > 2 else text_encoder)
    weight, other = (number(written, -_MAX_WEIGHT, _MAX_WEIGHT) for written in (text_encoder, unet))
    if weight is None or other is None:
        raise BadRequest(
            f"prompt gives the lora {quoted(name)} a weight that is no number from -10 to 10",
            remedy="write <lora:NAME:WEIGHT>",
        )
    if weight != other:
        raise BadRequest(
            f"prompt gives the lora {quoted(name)} two weights, te and unet, which is not done here",
            remedy="give one weight for both",
        )
    return name, weight


def _sampler(body: Mapping[str, object], samplers: Sequence[str]) -> str:
    """Return the sampler that is asked for, with the schedule in its name where it is not the usual one."""
    known = {alias: name for name in samplers for alias in (name.lower(), *ALIASES.get(name, ()))}
    asked = line("sampler_name", body.get("sampler_name")) or line("sampler_index", body.get("sampler_index"))
    name = known.get((asked or _SAMPLER).lower(), asked or _SAMPLER)
    label = (line("scheduler", body.get("scheduler")) or SCHEDULES[0].name).lower()
    schedule = next((each for each in SCHEDULES if label in (each.name, each.label.lower())), None)
    if schedule is None:
        there_are = ", ".join(each.label for each in SCHEDULES)
        raise BadRequest(f"scheduler is none of {there_are}", remedy="give one of these, or none")
    wanted = name if name.lower().endswith(schedule.suffix.lower()) else name + schedule.suffix
    found = known.get(wanted.lower())
    if found is None:
        raise BadRequest(
            f"there is no sampler {quoted(wanted)}: sampler_name is one of {', '.join(samplers)}",
            remedy="give one of these",
        )
    return found


def _init_image(body: Mapping[str, object]) -> bytes:
    images = body.get("init_images")
    if not isinstance(images, list) or not images:
        raise BadRequest("init_images has no picture", remedy="give one in base64")
    if len(images) > 1:
        raise BadRequest("init_images has more than one picture", remedy="give one")
    return _picture("init_images", images[0])


def _picture(name: str, value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name} is no picture", remedy="give one in base64")
    text = value.partition(",")[2] if value.startswith("data:") else value
    if len(text) > MAX_PICTURE // 3 * 4 + 4:
        raise BadRequest(f"{name} is larger than {MAX_PICTURE >> 20} MiB", remedy="give a smaller picture")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise BadRequest(
            f"{name} is no picture in base64", remedy="send the picture itself: none is fetched"
        ) from None


def _side(body: Mapping[str, object], name: str) -> int:
    low, high, step = _SIDE
    side = _whole(body, name, low, high, 512)
    if side % step:
        raise BadRequest(f"{name} is no multiple of {step}", remedy=f"give {side - side % step}")
    return side


def _whole(body: Mapping[str, object], name: str, low: int, high: int, otherwise: int) -> int:
    value = body.get(name)
    return otherwise if value is None else whole(name, value, low, high)


def _number(body: Mapping[str, object], name: str, low: float, high: float, otherwise: float) -> float:
    value = body.get(name)
    found = otherwise if value is None else number(value, low, high)
    if found is None:
        raise BadRequest(f"{name} is no number from {low:g} to {high:g}", remedy=f"give {low:g} to {high:g}")
    return found
