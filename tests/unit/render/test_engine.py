"""Pictures by the batch from tiny pipelines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.errors import BadRequest
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
    assert seen == [(3, 9), (6, 9), (9, 9)]
    seen.clear()
    found = drawn(
        engine,
        cells,
        step=lambda done, total: seen.append((done, total)),
        dropped=lambda: frozenset(range(3)) if len(seen) > 1 else frozenset(),
    )
    assert len(seen) == 2
    assert [each.problem for each in found] == ["cancelled"] * 3
    np.testing.assert_array_equal(pixels(drawn(engine, cells[:1])[0]), pixels(before))


def test_what_nobody_wants_is_left_out_and_the_others_are_the_same(engine: Engine, tmp_path: Path) -> None:
    cells = cells_of(engine, tmp_path, 2)
    whole = drawn(engine, cells)
    seen: list[int] = []
    found = drawn(
        engine,
        cells,
        step=lambda done, _total: seen.append(done),
        dropped=lambda: frozenset({1}) if len(seen) > 1 else frozenset(),
    )
    assert [each.problem for each in found] == [None, "cancelled", None]
    assert found[1].pixels is None
    assert all(np.abs(pixels(found[n]) - pixels(whole[n])).max() <= 1 for n in (0, 2))
    seen.clear()
    begun = drawn(engine, cells, step=lambda done, _total: seen.append(done), dropped=lambda: frozenset({0}))
    assert [each.problem for each in begun] == ["cancelled", None, None]
    assert seen == [2, 4, 6]


def test_a_picture_that_is_encoded_and_decoded_is_what_the_autoencoder_makes_of_it(engine: Engine) -> None:
    start = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    vae, image = engine.pipe.vae, torch.from_numpy(start).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        wanted = vae.decode(vae.encode(image).latent_dist.mode()).sample[0].permute(1, 2, 0) / 2 + 0.5
    found = engine._decoder.decoded(engine._decoder.encoded(start)[0])
    assert found is not None
    assert np.abs(found / 255 - wanted.clamp(0, 1).numpy()).max() < 0.003


def test_a_picture_is_begun_with_one_and_as_much_of_it_drawn_anew(engine: Engine, tmp_path: Path) -> None:
    look = replace(LOOK, steps=8)
    start = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    adapter = adapter_of(tmp_path, engine.base, "lora")
    parts = {0.0: 1, 0.4: 3, 1.0: 8}

    def cell(part: float, begun: Any, seed: int = 1) -> Cell:
        return Cell("a cat", seed, adapter=adapter, start=begun, denoise=part)

    differences = []
    for part, steps in parts.items():
        seen: list[int] = []
        one = drawn(
            engine, [cell(part, start)], look, step=lambda done, _total, seen=seen: seen.append(done)
        )[0]
        assert len(seen) == steps
        assert seen[-1] == 8
        other = drawn(engine, [cell(part, 255 - start)], look)[0]
        differences.append(float(np.abs(pixels(one) - pixels(other)).mean()))
    # The more is drawn anew, the less it matters what was there.
    assert differences[0] > differences[1] > differences[2]
    mixed = [*(cell(part, start) for part in (*parts, 0.4)), Cell("a cat", 9), cell(0.4, start, 2)]
    found = drawn(engine, mixed, look)
    for place in (1, 3, 5):
        alone = drawn(engine, [mixed[place]], look)[0]
        assert np.abs(pixels(alone) - pixels(found[place])).max() <= 1
    assert np.abs(pixels(found[1]) - pixels(found[5])).max() > 2


def test_what_16_bits_cannot_hold_is_drawn_again_in_32_and_the_model_is_as_it_was(
    engine: Engine, tmp_path: Path
) -> None:
    large = adapter_of(tmp_path, engine.base, "lora", size=0.15)
    for hit in large.hits:
        # Together as before, but each number of one half is too large for 16 bits.
        hit.factors["up"].mul_(1e7)
        hit.factors["down"].div_(1e7)
    cells = [Cell("a cat", 1, adapter=large), Cell("a cat", 1)]
    wanted = pixels(drawn(engine, cells)[0])
    models = [*engine.base.parts.values(), engine.pipe.vae]
    try:
        for model in models:
            model.to(torch.bfloat16)
            model.to(torch.float16)
        before = [each.clone() for model in models for each in model.parameters()]
        found = drawn(engine, cells)
        assert [each.problem for each in found] == [None, None]
        assert np.abs(pixels(found[0]) - wanted).mean() < 2
        after = [each for model in models for each in model.parameters()]
        assert all(each.dtype == torch.float16 for each in after)
        assert all(bool((a == b).all()) for a, b in zip(before, after, strict=True))
    finally:
        for model in models:
            model.float()


def test_an_autoencoder_that_overflows_decodes_in_32_bits(engine: Engine) -> None:
    vae = engine.pipe.vae
    cells = [Cell("a cat", 1)]
    wanted = pixels(drawn(engine, cells)[0])
    decode, wide = vae.decode, engine._decoder._is_wide
    seen: list[Any] = []

    def decoded(latents: Any) -> Any:
        seen.append(vae.dtype)
        found = decode(latents)
        if vae.dtype == torch.float16:
            found.sample[...] = torch.inf
        return found

    vae.half()
    vae.decode, engine._decoder._is_wide = decoded, False
    try:
        found = drawn(engine, cells)[0]
        assert np.abs(pixels(found) - wanted).mean() < 2
        assert seen == [torch.float16, torch.float32]
        assert vae.dtype == torch.float16
    finally:
        del vae.decode
        engine._decoder._is_wide = wide
        vae.float()


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


def test_a_picture_that_does_not_fit_when_it_is_decoded_is_decoded_in_tiles(engine: Engine) -> None:
    vae = engine.pipe.vae
    decode = vae.decode

    def crowded(latents: Any) -> Any:
        if not vae.use_tiling:
            raise torch.OutOfMemoryError
        return decode(latents)

    vae.decode = crowded
    try:
        assert drawn(engine, [Cell("a cat", 1)])[0].problem is None
        assert not vae.use_tiling
    finally:
        del vae.decode


@pytest.mark.parametrize("wrong", [{"sampler": "ancestral"}, {"width": 60}, {"steps": 0}])
def test_what_cannot_be_drawn_is_refused(engine: Engine, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"ancestral|cannot be drawn"):
        drawn(engine, [Cell("x", 1)], replace(LOOK, **wrong))
