"""How fast a graphics card draws: `python -m bench.render_device sd15|sdxl [--loras 16] [--size 512]`.

The true shapes of SD 1.5 and SDXL with random weights in 16 bits, different LoRAs of rank 32 on attention and
text encoders, seconds on the clock, all in one run:

- `naive`: diffusers as it is usually used (load an adapter, draw one picture, unload);
- `batched`: the same pictures by our engine, adapters read from their files, many at once;
- `bare`: the same batches without any adapter.

With `--device cpu` and small numbers it shows that it runs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch

from registry.hashing.contents import open_tensors
from registry.render.bases import KINDS
from registry.render.clip import CONFIGS, tokenizer
from registry.render.engine import Cell, Engine, Look
from registry.render.fitting import fit
from tests.support.adapters import written
from tests.support.fitted import arrays_for, base_of

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPT = "a cat in the rain"
_PARTS = {
    "unet": diffusers.UNet2DConditionModel,
    "vae": diffusers.AutoencoderKL,
}
TARGETS = {"sd15": (6.0, 8.0), "sdxl": (2.5, 1.1)}
"""Times naive, and pictures a second."""


def pipeline(model: str, device: str, dtype: torch.dtype) -> Any:
    """Return a pipeline of the true shapes with random weights."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection  # noqa: PLC0415

    folder, kind = CONFIGS / model, KINDS[model]
    torch.manual_seed(0)
    parts: dict[str, Any] = {}
    for name, made in _PARTS.items():
        parts[name] = made.from_config(made.load_config(str(folder / name))).to(device, dtype).eval()
    encoders = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    for name, encoder in encoders.items():
        if (folder / name).is_dir():
            config = CLIPTextConfig.from_pretrained(str(folder / name))
            parts[name] = encoder(config).to(device, dtype).eval()
    for name in kind.tokenizers:
        parts[name] = tokenizer(folder / name)
    scheduler = diffusers.DDIMScheduler.from_pretrained(str(folder / "scheduler"))
    pipe = kind.pipeline(**parts, scheduler=scheduler, **kind.options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes, after it was done once."""
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def measure(asked: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Return the figures of one model."""
    dtype = torch.float16 if asked.device == "cuda" else torch.float32
    pipe = pipeline(asked.model, asked.device, dtype)
    base = base_of(pipe)
    paths = [
        written(place / f"{seed}.safetensors", arrays_for(base, "lora", seed=seed, rank=32, size=0.01))
        for seed in range(asked.loras)
    ]
    engine = Engine(pipe, most=asked.most)
    look = Look(asked.size, asked.size, asked.steps, "DDIM")

    def naive() -> None:
        for seed, path in enumerate(paths):
            pipe.load_lora_weights(str(path.parent), weight_name=path.name)
            pipe(
                PROMPT,
                num_inference_steps=asked.steps,
                width=asked.size,
                height=asked.size,
                generator=torch.Generator().manual_seed(seed),
            )
            pipe.unload_lora_weights()

    def drawn(*, bare: bool) -> None:
        cells = []
        for seed, path in enumerate(paths):
            adapter = None
            if not bare:
                with open_tensors(path) as raw:
                    adapter = fit(path.stem, raw, engine.base)
            cells.append(Cell(PROMPT, seed, adapter=adapter))
        if any(found.pixels is None for _, found in engine.draw(cells, look)):
            raise SystemExit("a picture could not be drawn")

    together, alone = seconds(lambda: drawn(bare=False)), seconds(lambda: drawn(bare=True))
    one_by_one = seconds(naive)
    times, rate = TARGETS[asked.model]
    return {
        "naive_pictures_a_second": round(asked.loras / one_by_one, 3),
        "batched_pictures_a_second": round(asked.loras / together, 3),
        "bare_pictures_a_second": round(asked.loras / alone, 3),
        "times_naive": round(one_by_one / together, 2),
        "target_times_naive": times,
        "target_pictures_a_second": rate,
        "share_of_bare": round(alone / together, 2),
        "target_share_of_bare": 0.75,
    }


def main() -> None:
    """Print the figures, with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=sorted(TARGETS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--loras", type=int, default=16)
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    asked = parser.parse_args()
    device = torch.cuda.get_device_name() if asked.device == "cuda" else platform.processor() or "cpu"
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked, Path(folder))
    told = {
        "date": dt.datetime.now().astimezone().date().isoformat(),
        "device": device,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        **vars(asked),
    }
    print(json.dumps({**told, "figures": found}, indent=2))


if __name__ == "__main__":
    main()
