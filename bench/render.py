"""How fast pictures are drawn: `python -m bench.render [--loras 8] [--steps 4]`, with the extra `oracles`.

On tiny pipelines with random weights (SD 1.x and XL), one thread, CPU seconds, all in one run:

- `batched`: different adapters read and drawn in one batch, beside diffusers as it is usually used (load the
  adapter, draw one picture, unload); the drawing alone beside the same batch without any adapter;
- `merged`: putting an adapter into the weights and taking it out, for each module, beside diffusers' load and
  unload.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from registry.hashing.contents import open_tensors
from registry.render.batched import batched
from registry.render.fitting import fit
from registry.render.patch import merged
from tests.support.adapters import written
from tests.support.fitted import arrays_for, base_of
from tests.support.pipelines import tiny_sd15, tiny_sdxl

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.render.fitting import Adapter

PROMPT = "a cat in the rain"
ROUNDS = 5


def cpu(work: Callable[[], object]) -> float:
    """Return the median CPU seconds of some work."""
    times = []
    work()
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return statistics.median(times)


class Bench:
    """One pipeline and files of adapters for it."""

    def __init__(self, pipe: Any, place: Path, loras: int, steps: int) -> None:
        self.pipe = pipe
        self.steps = steps
        pipe.set_progress_bar_config(disable=True)
        self.base = base_of(pipe)
        self.paths = [
            written(
                place / f"{seed}.safetensors",
                arrays_for(self.base, "lora", seed=seed, rank=4 + 12 * seed // max(1, loras - 1)),
            )
            for seed in range(loras)
        ]
        self.adapters = [self.fitted(path) for path in self.paths]

    def fitted(self, path: Path) -> Adapter:
        """Read an adapter as the engine does."""
        with open_tensors(path) as raw:
            return fit(path.stem, raw, self.base)

    def drawn(self, seeds: list[int]) -> None:
        """Draw a batch."""
        noise = [torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        with torch.no_grad():
            self.pipe(
                [PROMPT] * len(seeds),
                num_inference_steps=self.steps,
                height=64,
                width=64,
                latents=torch.cat(noise),
                output_type="pt",
            )

    def naive(self) -> None:
        """Do what scripts do."""
        for seed, path in enumerate(self.paths):
            self.pipe.load_lora_weights(str(path.parent), weight_name=path.name)
            self.drawn([seed])
            self.pipe.unload_lora_weights()

    def batched(self) -> None:
        """Read all adapters and draw them at once."""
        pairs = [(self.fitted(path), 1.0) for path in self.paths]
        with batched(pairs):
            self.drawn(list(range(len(pairs))))

    def bare(self) -> None:
        """Draw the same batch without any adapter."""
        self.drawn(list(range(len(self.paths))))

    def loaded(self) -> None:
        """Load and unload one adapter."""
        path = self.paths[0]
        self.pipe.load_lora_weights(str(path.parent), weight_name=path.name)
        self.pipe.unload_lora_weights()

    def merged(self) -> None:
        """Merge and restore one adapter."""
        with merged((self.adapters[0], 1.0)):
            pass

    def figures(self) -> dict[str, Any]:
        """Return what was measured."""
        modules = len(self.adapters[0].hits)
        naive, together, bare = cpu(self.naive), cpu(self.batched), cpu(self.bare)
        with batched([(adapter, 1.0) for adapter in self.adapters]):
            drawing = cpu(self.bare)
        loaded, put_on = cpu(self.loaded), cpu(self.merged)
        number = len(self.paths)
        return {
            "modules": modules,
            "batched": {
                "naive_ms_a_picture": round(naive / number * 1000, 1),
                "batched_ms_a_picture": round(together / number * 1000, 1),
                "bare_ms_a_picture": round(bare / number * 1000, 1),
                "naive_to_batched": round(naive / together, 2),
                "target": 4.0,
                "drawing_alone_ms_a_picture": round(drawing / number * 1000, 1),
                "bare_to_drawing": round(bare / drawing, 2),
                "target_of_bare": 0.6,
            },
            "merged": {
                "load_unload_ms_a_module": round(loaded / modules * 1000, 3),
                "merge_restore_ms_a_module": round(put_on / modules * 1000, 3),
                "ratio": round(loaded / put_on, 1),
                "target": 10.0,
            },
        }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loras", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("sd15", tiny_sd15), ("sdxl", tiny_sdxl)):
            place = Path(folder) / name
            place.mkdir()
            found[name] = Bench(make(place), place, asked.loras, asked.steps).figures()
    print(json.dumps({"loras": asked.loras, "steps": asked.steps, **found}, indent=2))


if __name__ == "__main__":
    main()
