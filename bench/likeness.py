"""How well adapters are told alike, and what that costs: `python -m bench.likeness [--families 12]`.

- `cost`: the fingerprint of real-shaped files (SD 1.x rank 128, SDXL rank 32, LoKr, LoHa), CPU seconds of one
  thread and memory beyond the file, beside reading and widening the same numbers;
- `angles`: sketched and exact cosines of adapters and their variants (casts, alpha, SVD resizing, noise as of
  later epochs, merges), and of adapters that have nothing to do with each other;
- `query`: what is like one among 100,000 loras: the list of sketches made, then asked, in milliseconds;
- `classes`: how often the class of a pair is right (recall) and is meant when it is told (precision), by
  the sketches alone.

Families are generated: layers of SD 1.x, factors with a spectrum that decays. How alike unrelated adapters of
one trainer and seed really are, nobody has measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from safetensors.numpy import save_file

from registry.catalog import tables
from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.hashing.contents import open_tensors
from registry.lora.compare import compare
from registry.lora.fingerprint import VERSION, Fingerprint, fingerprint
from registry.lora.pairs import Traits, classify, parents
from registry.lora.sketch import SIZE
from registry.lora.tensors import FloatTensors
from registry.measured import MERGE, RELATIONS, UNRELATED
from registry.search.likeness import Likeness
from tests.support.adapters import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from registry.lora.numbers import Floats

Arrays = dict[str, "NDArray[Any]"]
SD15: Final = (
    *[(320, 320)] * 60,
    *[(640, 640)] * 60,
    *[(1280, 1280)] * 80,
    *[(2560, 320)] * 10,
    *[(5120, 640)] * 10,
    *[(10240, 1280)] * 12,
    *[(320, 1280)] * 10,
    *[(1280, 5120)] * 12,
    *[(768, 768)] * 48,
    *[(3072, 768)] * 12,
    *[(768, 3072)] * 12,
)
SDXL: Final = (
    *[(640, 640)] * 60,
    *[(1280, 1280)] * 668,
    *[(10240, 1280)] * 60,
    *[(1280, 5120)] * 60,
    *[(1280, 2048)] * 120,
    *[(768, 768)] * 72,
)
FAMILY: Final = (*[(320, 320)] * 12, *[(640, 320)] * 6, *[(640, 640)] * 12, *[(320, 768)] * 8)
RANK: Final = 16


def module(number: int) -> str:
    """Return the name of a layer."""
    level, rest = divmod(number, 120)
    return f"lora_unet_down_blocks_{level}_attentions_{rest // 20}_transformer_blocks_{rest % 20}_attn1_to_q"


def of_shapes(shapes: tuple[tuple[int, int], ...], rank: int, seed: int = 0) -> Arrays:
    """Return a LoRA in 16 bits whose layers have these shapes."""
    draw = np.random.default_rng(seed)
    arrays: Arrays = {}
    for number, (rows, columns) in enumerate(shapes):
        name = module(number)
        arrays[f"{name}.alpha"] = np.full((), rank / 2, np.float16)
        arrays[f"{name}.lora_down.weight"] = _halves(draw, rank, columns)
        arrays[f"{name}.lora_up.weight"] = _halves(draw, rows, rank)
    return arrays


def lokr_of(shapes: tuple[tuple[int, int], ...], factor: int) -> Arrays:
    """Return a LoKr with whole second factors."""
    draw = np.random.default_rng(1)
    arrays: Arrays = {}
    for number, (rows, columns) in enumerate(shapes):
        arrays[f"{module(number)}.lokr_w1"] = _halves(draw, factor, factor)
        arrays[f"{module(number)}.lokr_w2"] = _halves(draw, rows // factor, columns // factor)
    return arrays


def loha_of(shapes: tuple[tuple[int, int], ...], rank: int) -> Arrays:
    """Return a LoHa."""
    draw = np.random.default_rng(2)
    arrays: Arrays = {}
    for number, (rows, columns) in enumerate(shapes):
        name = module(number)
        arrays[f"{name}.alpha"] = np.full((), rank / 2, np.float16)
        for half in ("w1", "w2"):
            arrays[f"{name}.hada_{half}_a"] = _halves(draw, rows, rank)
            arrays[f"{name}.hada_{half}_b"] = _halves(draw, rank, columns)
    return arrays


def _halves(draw: np.random.Generator, *shape: int) -> NDArray[np.float16]:
    return (draw.standard_normal(shape, dtype=np.float32) * 0.02).astype(np.float16)


def measure_cost(place: Path) -> dict[str, Any]:
    """Return what the fingerprints of big files take."""
    made: dict[str, Callable[[], Arrays]] = {
        "sd15 rank 128": lambda: of_shapes(SD15, 128),
        "sdxl rank 32": lambda: of_shapes(SDXL, 32),
        "sdxl lokr factor 4": lambda: lokr_of(SDXL, 4),
        "sdxl lokr factor 8": lambda: lokr_of(SDXL, 8),
        "sd15 lokr factor 8": lambda: lokr_of(SD15, 8),
        "sd15 loha rank 8": lambda: loha_of(SD15, 8),
        "sd15 loha rank 32": lambda: loha_of(SD15, 32),
    }
    return {name: _cost(place / "big.safetensors", make) for name, make in made.items()}


def _cost(path: Path, make: Callable[[], Arrays]) -> dict[str, Any]:
    # In a process of its own, so that making the file leaves no trace in the memory of measuring it.
    save_file(make(), path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, json.dumps(_measured(path)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        os.close(writer)
        found: dict[str, Any] = json.loads(pipe.read())
    return found


def _measured(path: Path) -> dict[str, Any]:
    def reading() -> None:
        with open_tensors(path) as raw:
            tensors = FloatTensors(raw)
            for name in tensors.names:
                tensors.read(name)

    def measuring() -> None:
        with open_tensors(path) as raw:
            fingerprint(FloatTensors(raw))

    reading()
    bare = min(_cpu(reading) for _ in range(3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole = min(_cpu(measuring) for _ in range(3))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = path.stat().st_size / 1e6
    return {
        "megabytes": round(size, 1),
        "cpu_seconds": round(whole, 3),
        "cpu_seconds_per_200_mb": round(whole / size * 200, 3),
        "target_per_200_mb": 1.0,
        "reading_and_widening": round(bare, 3),
        "extra_megabytes": round((after - before) / 1000, 1),
        "target_extra_megabytes": 100,
    }


def _cpu(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure_queries(place: Path, loras: int) -> dict[str, Any]:
    """Return what finding the nearest of many sketches takes."""
    catalog = Catalog(f"sqlite:///{(place / 'catalog.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    draw = np.random.default_rng(0)
    with catalog.write() as unit:
        ids = unit.allocate("lora", loras)
        unit.insert(tables.TABLES["lora"], [_lora_row(lora_id) for lora_id in ids])
        for start in range(0, loras, 1000):
            some = ids[start : start + 1000]
            sketches = draw.standard_normal((len(some), SIZE), dtype=np.float32)
            sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
            halves = sketches.astype("<f2")
            rows = [_fingerprint_row(one, half.tobytes()) for one, half in zip(some, halves, strict=True)]
            unit.insert(tables.TABLES["fingerprint"], rows)
    likeness = Likeness(catalog, place / "likeness")
    begun = time.perf_counter()
    likeness.nearest(ids[0], 20, -1)
    made = time.perf_counter() - begun
    times = []
    for number in range(100):
        begun = time.perf_counter()
        near, held = likeness.nearest(ids[number * (loras // 100)], 20, -1)
        times.append((time.perf_counter() - begun) * 1000)
        if held != loras or len(near) != min(20, loras - 1):
            raise SystemExit("the list does not hold what the catalog does")
    catalog.close()
    times.sort()
    return {
        "loras": loras,
        "list_made_seconds": round(made, 2),
        "p50_ms": round(times[50], 1),
        "p95_ms": round(times[95], 1),
        "target_ms": 50,
    }


def _lora_row(lora_id: int) -> dict[str, object]:
    name = f"lora {lora_id}"
    fixed = {"kind": "lora", "files_present": 1, "files": 1, "size": 1, "mtime_ns": 1, "first_seen": 1}
    return {"id": lora_id, "identity": f"data:{lora_id:064x}", "name": name, "name_key": name, **fixed}


def _fingerprint_row(lora_id: int, sketch: bytes) -> dict[str, object]:
    fixed = {
        "basis": "change",
        "health": "ok",
        "layers": 1,
        "unet_norm": 1.0,
        "te_norm": 0.0,
        "blocks": b"[]",
    }
    return {"lora_id": lora_id, "version": VERSION, "measured_at": 1, "unet": sketch, **fixed}


def original(seed: int) -> Arrays:
    """Return an adapter whose singular values decay as those of trained ones do."""
    draw = np.random.default_rng([7, seed])
    decay = np.exp(-np.arange(RANK) / 6).astype(np.float32)
    arrays: Arrays = {}
    for number, (rows, columns) in enumerate(FAMILY):
        strength = 0.3 + draw.random()
        up = draw.standard_normal((rows, RANK), dtype=np.float32) * (decay * strength * 0.05)
        down = draw.standard_normal((RANK, columns), dtype=np.float32) * 0.05
        arrays |= _layer(number, up, down)
    return arrays


def _layer(number: int, up: Floats, down: Floats) -> Arrays:
    name = module(number)
    return {
        f"{name}.alpha": np.full((), down.shape[0], np.float32),
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
    }


def layers_of(arrays: Arrays) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield the factors of each layer."""
    for number in range(len(FAMILY)):
        name = module(number)
        yield number, arrays[f"{name}.lora_up.weight"], arrays[f"{name}.lora_down.weight"]


def resized(arrays: Arrays, rank: int) -> Arrays:
    """Return an adapter with only its largest singular values."""
    found: Arrays = {}
    for number, up, down in layers_of(arrays):
        left, values, right = np.linalg.svd(up @ down, full_matrices=False)
        found |= _layer(number, left[:, :rank] * values[:rank], right[:rank])
    return found


def noisy(arrays: Arrays, share: float, seed: int) -> Arrays:
    """Return an adapter that went on learning: both factors move by a share of their size."""
    draw = np.random.default_rng([11, seed])
    found: Arrays = {}
    for number, up, down in layers_of(arrays):
        moved = [
            each + share * each.std() * draw.standard_normal(each.shape, dtype=np.float32)
            for each in (up, down)
        ]
        found |= _layer(number, *moved)
    return found


def merged(one: Arrays, two: Arrays, share: float) -> Arrays:
    """Return a weighted sum of two adapters, of the rank of both together."""
    found: Arrays = {}
    for (number, up1, down1), (_, up2, down2) in zip(layers_of(one), layers_of(two), strict=True):
        up = np.concatenate([share * up1, (1 - share) * up2], axis=1)
        found |= _layer(number, up, np.concatenate([down1, down2]))
    return found


def to_bfloat(array: NDArray[Any]) -> Floats:
    """Return numbers as if they had been kept in bfloat16."""
    return (array.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def to_eighths(array: NDArray[Any]) -> Floats:
    """Return numbers as if they had been kept in 8 bits, three of them for the mantissa."""
    mantissa, exponent = np.frexp(array.astype(np.float32))
    rounded: Floats = np.ldexp(np.round(mantissa * 16) / 16, exponent).astype(np.float32)
    return rounded


Variant = tuple[str, str, Arrays, int, str]
"""Name, the class it is of, tensors, rank, precision."""


def variants(one: Arrays, other: Arrays, seed: int) -> Iterator[Variant]:
    """Yield what an adapter becomes."""
    yield "itself", "same-weights", one, RANK, "fp32"
    yield "fp16", "other-precision", {n: a.astype(np.float16) for n, a in one.items()}, RANK, "fp16"
    yield "bf16", "other-precision", {n: to_bfloat(a) for n, a in one.items()}, RANK, "bf16"
    yield "fp8", "other-precision", {n: to_eighths(a) for n, a in one.items()}, RANK, "fp8_e4m3"
    weaker = {n: a * np.float32(0.7) if n.endswith("alpha") else a for n, a in one.items()}
    yield "alpha x 0.7", "rescaled", weaker, RANK, "fp32"
    for rank in (8, 4):
        yield f"resized to {rank}", "resized", resized(one, rank), rank, "fp32"
    yield "noise 10 %", "near-epoch", noisy(one, 0.1, seed), RANK, "fp32"
    yield "noise 30 %", "near-epoch", noisy(one, 0.3, seed), RANK, "fp32"
    yield "noise 60 %", "family", noisy(one, 0.6, seed), RANK, "fp32"
    yield "merge 60/40", MERGE, merged(one, other, 0.6), 2 * RANK, "fp32"
    yield "merge 50/50", MERGE, merged(one, other, 0.5), 2 * RANK, "fp32"


def measure_likeness(families: int) -> dict[str, Any]:
    """Return how well adapters and their variants are told apart."""
    originals = [original(seed) for seed in range(families)]
    marks = [fingerprint(Held(arrays)) for arrays in originals]
    sketched: dict[str, list[float]] = defaultdict(list)
    exact: dict[str, list[float]] = defaultdict(list)
    told: Counter[tuple[str, str]] = Counter()
    for seed, arrays in enumerate(originals):
        other = (seed + 1) % families
        for name, meant, changed, rank, precision in variants(arrays, originals[other], seed):
            mark = fingerprint(Held(changed))
            sketched[name].append(cosine(marks[seed], mark))
            true = compare(Held(arrays), Held(changed))["unet"].cosine
            exact[name].append(0.0 if true is None else true)
            told[meant, judged(marks, seed, mark, rank, precision)] += 1
    strangers = [cosine(one, two) for one, two in combinations(marks, 2)]
    for (one, two), found in zip(combinations(marks, 2), strangers, strict=True):
        traits = [Traits(mark.unet_norm, RANK, "fp32") for mark in (one, two)]
        told[UNRELATED, classify(found, *traits)] += 1
    return {
        "angles": {
            name: {
                "exact": round(float(np.mean(exact[name])), 4),
                "largest_error": round(float(np.max(np.abs(np.subtract(found, exact[name])))), 4),
            }
            for name, found in sketched.items()
        }
        | {
            "unrelated": {
                "pairs": len(strangers),
                "rms": round(float(np.sqrt(np.mean(np.square(strangers)))), 4),
                "largest": round(float(np.max(np.abs(strangers))), 4),
            }
        },
        "classes": {name: _score(told, name) for name in RELATIONS},
    }


def judged(marks: list[Fingerprint], seed: int, mark: Fingerprint, rank: int, precision: str) -> str:
    """Return what a variant is told to be to its original, as the catalog tells it."""
    relatives = [sketch_of(each) for each in marks if cosine(each, mark) > 0.3]
    if parents(sketch_of(mark), relatives):
        return MERGE
    one = marks[seed]
    return classify(
        cosine(one, mark), Traits(one.unet_norm, RANK, "fp32"), Traits(mark.unet_norm, rank, precision)
    )


def cosine(one: Fingerprint, two: Fingerprint) -> float:
    """Return the sketched cosine of two adapters."""
    first, second = sketch_of(one), sketch_of(two)
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def sketch_of(mark: Fingerprint) -> Floats:
    """Return the sketch of the denoiser, zeros where there is none."""
    return np.zeros(SIZE, np.float32) if mark.unet is None else mark.unet


def _score(told: Counter[tuple[str, str]], name: str) -> dict[str, Any]:
    right = told[name, name]
    meant = sum(count for (class_, _), count in told.items() if class_ == name)
    said = sum(count for (_, class_), count in told.items() if class_ == name)
    return {
        "meant": meant,
        "recall": round(right / meant, 3) if meant else None,
        "precision": round(right / said, 3) if said else None,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--families", type=int, default=12)
    parser.add_argument("--loras", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "cost": measure_cost(Path(folder)),
            "query": measure_queries(Path(folder), asked.loras),
            **measure_likeness(asked.families),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
