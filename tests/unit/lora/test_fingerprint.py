from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.errors import Cancelled, FileChanged, UnreadableFile, UnsupportedKind
from registry.hashing.contents import open_tensors
from registry.lora.fingerprint import Fingerprint, block_of, fingerprint
from registry.lora.tensors import FloatTensors
from tests.support.adapters import (
    ENCODER,
    FAMILIES,
    QUERY,
    Held,
    cast,
    diff,
    loha,
    lokr,
    lora,
    numbers,
    oft,
    one,
    written,
)

if TYPE_CHECKING:
    from pathlib import Path

    from registry.lora.numbers import Floats
    from tests.support.adapters import Arrays


def measured(arrays: Arrays) -> Fingerprint:
    return fingerprint(Held(arrays))


def sketch(found: Fingerprint) -> Floats:
    assert found.unet is not None
    return found.unet


def cosine(first: Any, second: Any) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_norms_and_the_spectrum_are_those_of_the_change() -> None:
    up, down = numbers(36, 4, seed=1), numbers(4, 24)
    change = up @ down * 0.5
    singular = np.linalg.svd(change, compute_uv=False)[:4]
    shares = singular / singular.sum()
    found = measured(lora(alpha=2, rank=4))
    assert found.unet_norm == pytest.approx(np.linalg.norm(change), rel=1e-4)
    assert found.spectral == pytest.approx(singular[0], rel=1e-3)
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-3)
    assert (found.te_norm, found.te, found.layers, found.health, found.basis) == (
        0,
        None,
        1,
        ("ok",),
        "change",
    )


@pytest.mark.parametrize("rank", [2, None])
def test_the_spectrum_of_a_lokr_is_that_of_its_product(rank: int | None) -> None:
    w1, _, *second = lokr(rank=rank).values()
    change = np.kron(w1, second[0] @ second[1] * 0.5 if rank else second[0])
    singular = np.linalg.svd(change, compute_uv=False)
    shares = singular[singular > 1e-6] / singular.sum()
    found = measured(lokr(rank=rank))
    assert found.unet_norm == pytest.approx(np.linalg.norm(change), rel=1e-4)
    assert found.spectral == pytest.approx(singular[0], rel=1e-3)
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-2)


def test_a_loha_of_low_rank_has_the_spectrum_and_the_sketch_of_its_product() -> None:
    a1, b1, a2, b2, _ = loha(rank=3).values()
    change = (a1 @ b1) * (a2 @ b2) * 0.5
    singular = np.linalg.svd(change, compute_uv=False)
    found = measured(loha(rank=3))
    assert found.unet_norm == pytest.approx(np.linalg.norm(change), rel=1e-4)
    assert found.spectral == pytest.approx(singular[0], rel=1e-3)
    np.testing.assert_allclose(sketch(found), sketch(measured({f"{QUERY}.diff": change})), atol=1e-6)


@pytest.mark.parametrize("arrays", [loha(rank=9), diff()])
def test_families_without_small_factors_have_norms_and_no_spectrum(arrays: Arrays) -> None:
    found = measured(arrays)
    assert found.unet_norm > 0
    assert (found.spectral, found.effective_rank) == (None, None)
    assert found.unet is not None


def test_layers_are_gathered_into_the_blocks_of_the_base_model() -> None:
    arrays = {**lora(QUERY), **lora(QUERY.replace("to_q", "to_k"), seed=5), **lora(ENCODER, seed=7)}
    found = measured(arrays)
    assert [(block.part, block.name, block.layers) for block in found.blocks] == [
        ("unet", "down_blocks_0_attentions_0", 2),
        ("te1", "encoder_layers_0", 1),
    ]
    whole = sum(block.norm**2 for block in found.blocks if block.part == "unet") ** 0.5
    assert found.unet_norm == pytest.approx(whole)
    assert found.te_norm == pytest.approx(found.blocks[1].norm)
    assert found.te is not None


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q", "down_blocks_1_attentions_0"),
        ("up_blocks_2_resnets_1_conv1", "up_blocks_2_resnets_1"),
        ("mid_block_attentions_0_proj_in", "mid_block_attentions_0"),
        ("transformer_blocks_12_attn_to_q", "transformer_blocks_12"),
        ("encoder_layers_3_mlp_fc1", "encoder_layers_3"),
        ("conv_in", "other"),
        ("time_embedding_linear_1", "time_embedding_linear_1"),
    ],
)
def test_the_block_of_a_layer_is_read_from_its_name(layer: str, block: str) -> None:
    assert block_of(layer) == block


def test_sketches_recognise_casts_scaling_and_layouts_and_tell_strangers() -> None:
    arrays = lora(rows=640, columns=320, rank=8)
    base = measured(arrays)
    half = measured(cast(arrays, np.float16))
    weaker = measured({**arrays, f"{QUERY}.alpha": one(0.3)})
    ldm = measured(
        {n.replace("down_blocks_0_attentions_0", "input_blocks_1_1"): a for n, a in arrays.items()}
    )
    other = measured(lora(rows=640, columns=320, rank=8, seed=40))
    assert cosine(base.unet, half.unet) > 0.9999
    assert cosine(base.unet, weaker.unet) > 0.9999
    assert weaker.unet_norm == pytest.approx(base.unet_norm * 0.15, rel=1e-3)
    np.testing.assert_array_equal(base.unet, ldm.unet)
    assert abs(cosine(base.unet, other.unet)) < 0.25


def test_a_fused_layer_and_its_parts_have_one_sketch() -> None:
    up, down = numbers(72, 4), numbers(4, 24)
    fused = {"lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": up}
    fused["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"] = down
    parts: Arrays = {}
    for number, name in enumerate(("to_q", "to_k", "to_v")):
        module = f"transformer.transformer_blocks.0.attn.{name}"
        parts[f"{module}.lora_A.weight"] = down
        parts[f"{module}.lora_B.weight"] = up[24 * number : 24 * number + 24]
    whole, cut = measured(fused), measured(parts)
    np.testing.assert_allclose(sketch(whole), sketch(cut), atol=1e-4)
    assert whole.unet_norm == pytest.approx(cut.unet_norm)


def test_equal_changes_of_different_families_have_one_sketch() -> None:
    arrays = lora()
    down, up, _ = arrays.values()
    whole = {f"{QUERY}.diff": up @ down * np.float32(0.5)}
    np.testing.assert_allclose(sketch(measured(arrays)), sketch(measured(whole)), atol=1e-5)


@pytest.mark.parametrize(
    ("number", "health"), [(np.nan, "nan"), (np.inf, "infinite"), (3e30, "infinite"), (1e3, "exploding")]
)
def test_numbers_that_cannot_be_right_are_told(number: float, health: str) -> None:
    arrays = {**lora(QUERY), **lora(ENCODER)}
    arrays[f"{QUERY}.lora_up.weight"] = arrays[f"{QUERY}.lora_up.weight"] * 0 + number
    found = measured(arrays)
    assert found.health == (health,)
    assert (found.te is None) == (health != "exploding")


def test_a_file_that_was_never_trained_is_told() -> None:
    arrays = lora()
    arrays[f"{QUERY}.lora_up.weight"][:] = 0
    found = measured(arrays)
    assert (found.health, found.unet_norm, found.unet, found.spectral) == (("untrained",), 0, None, None)


def test_a_layer_that_lacks_a_factor_is_told_and_the_others_count() -> None:
    broken = lora(QUERY.replace("to_q", "to_k"))
    del broken[f"{QUERY.replace('to_q', 'to_k')}.lora_up.weight"]
    found = measured({**lora(), **broken})
    assert found.health == ("incomplete",)
    np.testing.assert_array_equal(found.unet, measured(lora()).unet)


def test_what_depends_on_the_base_model_is_measured_as_it_is_and_says_so() -> None:
    dora = {**lora(), f"{QUERY}.dora_scale": numbers(36, 1) + 3}
    assert measured(dora).basis == "before-magnitude"
    np.testing.assert_array_equal(measured(dora).unet, measured(lora()).unet)
    turned = measured(oft())
    assert turned.basis == "parameters"
    assert cosine(turned.unet, measured(cast(oft(), np.float16)).unet) > 0.9999
    assert abs(cosine(turned.unet, measured(oft(seed=9)).unet)) < 0.3


@pytest.mark.parametrize(
    "factors",
    [
        # A few hundred kilobytes that claim layers and ranks of terabytes.
        {"lora_up.weight": (1, 100_000), "lora_down.weight": (100_000, 1)},
        {"lora_up.weight": (200_000, 1), "lora_down.weight": (1, 200_000)},
        {
            "hada_w1_a": (90_000, 1),
            "hada_w1_b": (1, 90_000),
            "hada_w2_a": (90_000, 1),
            "hada_w2_b": (1, 90_000),
        },
        {"lokr_w1": (1, 90_000), "lokr_w2": (90_000, 1)},
        {"lokr_w1": (90_000, 1), "lokr_w2": (1, 90_000)},
    ],
)
def test_a_small_file_that_claims_a_huge_layer_takes_no_more_than_others(
    factors: dict[str, tuple[int, int]],
) -> None:
    huge = {f"{QUERY}.{role}": np.zeros(shape, np.float32) for role, shape in factors.items()}
    found = measured({**huge, **lora(ENCODER)})
    assert found.health == ("incomplete",)
    assert found.te is not None


def test_a_flat_and_a_tall_kronecker_product_are_measured_alike() -> None:
    tall = {f"{QUERY}.lokr_w1": numbers(4000, 1), f"{QUERY}.lokr_w2": numbers(2, 40, seed=1)}
    whole = {f"{QUERY}.diff": np.kron(*tall.values())}
    np.testing.assert_allclose(sketch(measured(tall)), sketch(measured(whole)), atol=1e-4)


@pytest.mark.parametrize(
    ("first", "second"),
    [((1, 4096), (512, 1)), ((2048, 1), (512, 1)), ((1, 3000), (700, 3)), ((90, 2), (3, 900))],
)
def test_odd_kronecker_products_are_measured_like_others_and_not_in_a_million_steps(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    one, two = numbers(*first), numbers(*second, seed=1)
    odd = {f"{QUERY}.lokr_w1": one, f"{QUERY}.lokr_w2": two}
    whole = {f"{QUERY}.diff": np.kron(one, two)}
    np.testing.assert_allclose(sketch(measured(odd)), sketch(measured(whole)), atol=1e-3, rtol=1e-4)


def test_no_more_singular_values_count_than_there_are() -> None:
    a1, b1, a2, b2 = numbers(64, 8), numbers(8, 5), numbers(64, 8, seed=1), numbers(8, 5, seed=1)
    change = (a1 @ b1) * (a2 @ b2)
    singular = np.linalg.svd(change, compute_uv=False)
    shares = singular / singular.sum()
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    found = measured({f"{QUERY}.{name}": array for name, array in zip(names, (a1, b1, a2, b2), strict=True)})
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=2e-3)


def test_a_file_without_an_adapter_is_refused() -> None:
    with pytest.raises(UnsupportedKind):
        measured({"model.diffusion_model.input_blocks.0.0.weight": numbers(8, 4)})


def test_work_can_be_stopped_before_each_layer() -> None:
    asked: list[int] = []

    def before() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Cancelled("enough")

    arrays = {**lora(QUERY), **lora(ENCODER), **lora(QUERY.replace("to_q", "to_v"))}
    with pytest.raises(Cancelled):
        fingerprint(Held(arrays), before)
    assert len(asked) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_on_disk_gives_what_its_numbers_give(family: str, tmp_path: Path) -> None:
    arrays = FAMILIES[family]()
    path = written(tmp_path / "a.safetensors", arrays)
    with open_tensors(path) as raw:
        found = fingerprint(FloatTensors(raw))
    np.testing.assert_array_equal(found.unet, measured(arrays).unet)


def test_a_file_that_is_cut_or_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", lora())
    whole = path.read_bytes()
    with pytest.raises(FileChanged), open_tensors(path):
        path.write_bytes(whole + b" ")
    path.write_bytes(whole[:-8])
    with pytest.raises(UnreadableFile), open_tensors(path):
        pass
