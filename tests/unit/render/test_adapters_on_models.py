"""Adapters of every family on whole pipelines: merged, batched, taken off again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import UnsupportedKind, WrongBase
from tests.support.oracles import oracle

torch = oracle("torch")
oracle("diffusers")

from registry.hashing.contents import open_tensors  # noqa: E402 - only with torch
from registry.lora.keys import Layer  # noqa: E402
from registry.render.batched import batched  # noqa: E402
from registry.render.fitting import Adapter, Hit, fit  # noqa: E402
from registry.render.patch import merged  # noqa: E402
from tests.support.adapters import written  # noqa: E402
from tests.support.fitted import FAMILIES, adapter_of, arrays_for, base_of  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["a cat", "a dog in the rain", "two birds", "a house", "ink", "a red hat"]


def images(pipe: Any, prompts: list[str], seeds: list[int]) -> Any:
    """Return pictures whose noise follows from their seeds alone."""
    shape = (1, pipe.unet.config.in_channels, 8, 8)
    noise = torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    with torch.no_grad():
        found = pipe(prompts, num_inference_steps=3, height=64, width=64, latents=noise, output_type="pt")
    return found.images


def state(pipe: Any) -> dict[str, Any]:
    parts = base_of(pipe).parts
    return {
        f"{part}.{name}": data.clone()
        for part, model in parts.items()
        for name, data in model.state_dict().items()
    }


def unchanged(pipe: Any, before: dict[str, Any]) -> bool:
    return all(torch.equal(data, before[name]) for name, data in state(pipe).items())


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_is_merged_and_both_leave_the_model_as_it_was(pipe: Any, tmp_path: Path, family: str) -> None:
    base = base_of(pipe)
    before = state(pipe)
    adapter = adapter_of(tmp_path, base, family)
    plain = images(pipe, PROMPTS[:1], [5])
    with merged((adapter, 0.8)):
        one = images(pipe, PROMPTS[:1], [5])
    assert unchanged(pipe, before)
    with batched([(adapter, 0.8)]):
        other = images(pipe, PROMPTS[:1], [5])
    assert unchanged(pipe, before)
    assert torch.equal(images(pipe, PROMPTS[:1], [5]), plain)
    assert (one - plain).abs().max() > 1e-2
    assert (one - other).abs().max() < 1e-4


def test_every_row_of_a_batch_is_as_if_it_were_alone(pipe: Any, tmp_path: Path) -> None:
    base = base_of(pipe)
    families = ("lora", "loha", "lokr", "dora", "cp", "diff")
    weights = (1.0, 0.8, 0.5, 0.0, 1.0, 0.7)
    adapters = [adapter_of(tmp_path, base, f, seed=n, rank=2 + 3 * n) for n, f in enumerate(families)]
    pairs = list(zip(adapters, weights, strict=True))
    seeds = list(range(6))
    with batched(pairs):
        together = images(pipe, PROMPTS, seeds)
    for place, pair in enumerate(pairs):
        with merged(pair):
            alone = images(pipe, PROMPTS[place : place + 1], [seeds[place]])
        assert (together[place] - alone[0]).abs().max() < 1e-4, families[place]
    with batched(pairs[::-1]):
        turned = images(pipe, PROMPTS[::-1], seeds[::-1])
    assert (turned.flip(0) - together).abs().max() < 1e-4


def test_weight_zero_is_the_base_to_the_last_bit(pipe: Any, tmp_path: Path) -> None:
    adapter = adapter_of(tmp_path, base_of(pipe), "lora")
    plain = images(pipe, PROMPTS[:2], [1, 2])
    with batched([(adapter, 0.0), (adapter, 0.0)]):
        assert torch.equal(images(pipe, PROMPTS[:2], [1, 2]), plain)
    with merged((adapter, 0.0)):
        assert torch.equal(images(pipe, PROMPTS[:2], [1, 2]), plain)


def test_several_adapters_are_merged_as_their_sum_and_dora_by_the_base(pipe: Any, tmp_path: Path) -> None:
    base = base_of(pipe)
    before = state(pipe)
    first, second = adapter_of(tmp_path, base, "lora", seed=1), adapter_of(tmp_path, base, "dora", seed=2)
    with merged((first, 0.5), (second, 0.7)):
        one = state(pipe)
    with merged((second, 0.7), (first, 0.5)):
        other = state(pipe)
    assert all((one[name] - other[name]).abs().max() < 1e-6 for name in one)
    assert unchanged(pipe, before)


def test_half_precision_comes_back_to_the_last_bit(pipe: Any, tmp_path: Path) -> None:
    pipe.unet.half()
    try:
        before = state(pipe)
        with merged((adapter_of(tmp_path, base_of(pipe), "locon"), 1.0)):
            assert not unchanged(pipe, before)
        assert unchanged(pipe, before)
    finally:
        pipe.unet.float()


def test_a_file_that_does_not_fit_is_refused_and_names_what_is_missing(pipe: Any, tmp_path: Path) -> None:
    base = base_of(pipe)
    arrays = arrays_for(base, "lora")
    name = next(iter(arrays)).partition(".")[0]
    wrong = {n.replace(name, f"{name}_more") if n.startswith(f"{name}.") else n: a for n, a in arrays.items()}
    path = written(tmp_path / "wrong.safetensors", wrong)
    with open_tensors(path) as raw, pytest.raises(WrongBase, match="1 of "):
        fit("wrong", raw, base)
    with open_tensors(path) as raw:
        assert len(fit("wrong", raw, base, partly=True).missed) == 1
    wide = {n: (a if n.endswith(("up.weight", "alpha")) else a.repeat(2, axis=1)) for n, a in arrays.items()}
    path = written(tmp_path / "wide.safetensors", wide)
    with open_tensors(path) as raw, pytest.raises(WrongBase):
        fit("wide", raw, base, partly=True)
    path = written(tmp_path / "none.safetensors", {"x.weight": arrays[next(iter(arrays))]})
    with open_tensors(path) as raw, pytest.raises(UnsupportedKind):
        fit("none", raw, base)


def test_the_model_is_whole_again_after_a_failure(pipe: Any, tmp_path: Path) -> None:
    base = base_of(pipe)
    before = state(pipe)
    adapter = adapter_of(tmp_path, base, "lora")
    with pytest.raises(RuntimeError), merged((adapter, 1.0)):
        raise RuntimeError
    with pytest.raises(UnsupportedKind, match="rows for 3"), batched([(adapter, 1.0)] * 3):
        images(pipe, PROMPTS[:2], [1, 2])
    assert unchanged(pipe, before)
    images(pipe, PROMPTS[:2], [1, 2])


@pytest.mark.parametrize("size", [1e-7, 1.0, 3e6])
def test_factors_of_very_different_size_fit_into_16_bits(size: float) -> None:
    draw = torch.Generator().manual_seed(3)
    down, up, x = (torch.randn(shape, generator=draw) for shape in ((4, 32), (24, 4), (2, 5, 32)))
    module = torch.nn.Linear(32, 24).half()
    layer = Layer("unet", "conv_in", "conv_in", "lora", {})
    adapter = Adapter("one", (Hit(module, layer, {"down": down / size, "up": up * size}),))
    x = x.half()
    with torch.no_grad():
        plain = module(x)
        with batched([(adapter, 0.5), (Adapter("none", ()), 1.0)]):
            found = module(x)
    change = x[0].float() @ down.T @ up.T / 2
    torch.testing.assert_close((found[0] - plain[0]).float(), change, rtol=2e-2, atol=2e-2)
    assert torch.equal(found[1], plain[1])
