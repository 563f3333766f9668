"""Pictures by the batch from tiny pipelines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.errors import BadRequest, Cancelled
from tests.support.oracles import oracle

torch = oracle("torch")
oracle("diffusers")

from registry.hashing.contents import open_tensors  # noqa: E402 - only with torch
from registry.render.engine import Cell, Drawn, Engine, Look  # noqa: E402
from registry.render.fitting import fit  # noqa: E402
from registry.render.samplers import SAMPLERS  # noqa: E402
from tests.support.adapters import written  # noqa: E402
from tests.support.fitted import adapter_of, arrays_for  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LOOK = Look(64, 64, steps=3)


def drawn(engine: Engine, cells: Sequence[Cell], look: Look = LOOK, **options: Any) -> list[Drawn]:
    found = dict(engine.draw(cells, look, **options))
    return [found[place] for place in range(len(cells))]


def pixels(found: Drawn) -> Any:
    assert found.pixels is not None
    return found.pixels.astype(int)


def cells_of(engine: Engine, folder: Path, count: int = 5) -> list[Cell]:
    families = ("lora", "loha", "dora", "locon", "lokr")
    adapters = [adapter_of(folder, engine.base, family, seed=n) for n, family in enumerate(families[:count])]
    made = [Cell(f"picture {n}", n, "blurred", adapter, 0.8) for n, adapter in enumerate(adapters)]
    return [*made, Cell("without", 9)]


@pytest.fixture
def engine(pipe: Any) -> Iterator[Engine]:
    scheduler = pipe.scheduler
    yield Engine(pipe, most=4)
    pipe.scheduler = scheduler


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_depends_on_its_own_cell_alone(engine: Engine, tmp_path: Path, sampler: str) -> None:
    look = replace(LOOK, sampler=sampler)
    cells = cells_of(engine, tmp_path, 3)
    together = drawn(engine, cells, look)
    assert together[0].pixels is not None
    assert together[0].pixels.shape == (64, 64, 3)
    for place, cell in enumerate(cells):
        alone = drawn(engine, [cell], look)[0]
        assert np.abs(pixels(alone) - pixels(together[place])).max() <= 1
    turned = drawn(engine, cells[::-1], look)[::-1]
    assert all(np.abs(pixels(a) - pixels(b)).max() <= 1 for a, b in zip(turned, together, strict=True))
    plain = drawn(engine, [Cell("picture 0", 0, "blurred")], look)[0]
    assert np.abs(pixels(plain) - pixels(together[0])).max() > 2


def test_many_seeds_of_one_adapter_are_drawn_merged_and_the_same(engine: Engine, tmp_path: Path) -> None:
    adapter = adapter_of(tmp_path, engine.base, "lora")
    cells = [Cell("a cat", seed, adapter=adapter, weight=0.7) for seed in range(3)]
    merged = drawn(engine, cells)
    mixed = drawn(engine, [*cells, Cell("a cat", 3)])[:3]
    assert all(np.abs(pixels(a) - pixels(b)).max() <= 1 for a, b in zip(merged, mixed, strict=True))
    assert len({pixels(each).tobytes() for each in merged}) == 3


def test_a_broken_adapter_fails_alone(engine: Engine, tmp_path: Path) -> None:
    arrays = arrays_for(engine.base, "lora")
    name = next(name for name in arrays if name.endswith("lora_up.weight"))
    arrays[name] = arrays[name] * np.float32("nan")
    path = written(tmp_path / "broken.safetensors", arrays)
    with open_tensors(path) as raw:
        broken = fit("broken", raw, engine.base)
    good = cells_of(engine, tmp_path, 2)
    found = drawn(engine, [good[0], Cell("x", 1, adapter=broken), good[1]])
    assert [each.problem for each in found] == [None, "nan", None]
    assert found[1].pixels is None
    assert np.abs(pixels(found[0]) - pixels(drawn(engine, good[:1])[0])).max() <= 1


def test_steps_are_told_and_a_stop_comes_within_one(engine: Engine, tmp_path: Path) -> None:
    cells = cells_of(engine, tmp_path, 2)
    before = drawn(engine, cells[:1])[0]
    seen: list[tuple[int, int]] = []
    drawn(engine, cells, step=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    seen.clear()
    with pytest.raises(Cancelled):
        drawn(
            engine,
            cells,
            step=lambda done, total: seen.append((done, total)),
            cancelled=lambda: len(seen) > 1,
        )
    assert len(seen) == 2
    np.testing.assert_array_equal(pixels(drawn(engine, cells[:1])[0]), pixels(before))


def test_what_does_not_fit_into_memory_is_drawn_in_smaller_batches(engine: Engine, tmp_path: Path) -> None:
    cells = cells_of(engine, tmp_path, 3)
    whole = drawn(engine, cells)
    room = 4
    forward = engine.pipe.unet.forward

    def crowded(sample: Any, *rest: Any, **more: Any) -> Any:
        if sample.shape[0] > room:
            raise torch.OutOfMemoryError
        return forward(sample, *rest, **more)

    engine.pipe.unet.forward = crowded
    try:
        found = drawn(engine, cells)
        assert engine.most == 2
        assert all(np.abs(pixels(a) - pixels(b)).max() <= 1 for a, b in zip(found, whole, strict=True))
        room = 1
        assert [each.problem for each in drawn(engine, cells)] == ["out-of-memory"] * 4
    finally:
        # The one of its class is seen again.
        del engine.pipe.unet.forward


def test_a_picture_of_nothing_is_told(engine: Engine) -> None:
    weight = engine.pipe.vae.decoder.conv_out.weight
    kept, weight.data = weight.data, torch.zeros_like(weight.data)
    try:
        assert drawn(engine, [Cell("x", 1)])[0].problem == "flat"
    finally:
        weight.data = kept


def test_the_sampler_of_the_batch_before_does_not_matter(engine: Engine) -> None:
    cells, euler = [Cell("a cat", 1)], replace(LOOK, sampler="Euler")
    first = drawn(engine, cells, euler)[0]
    drawn(engine, cells, replace(LOOK, sampler="DPM++ 2M Karras"))
    np.testing.assert_array_equal(pixels(drawn(engine, cells, euler)[0]), pixels(first))


def test_a_sampler_that_there_is_not_is_refused(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="ancestral"):
        drawn(engine, [Cell("x", 1)], replace(LOOK, sampler="ancestral"))
