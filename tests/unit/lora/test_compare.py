from __future__ import annotations

import numpy as np
import pytest

from registry.errors import UnsupportedKind
from registry.lora.compare import compare
from registry.lora.pairs import Traits, classify, parents
from registry.measured import RELATIONS
from tests.support.adapters import ENCODER, QUERY, Held, loha, lora, numbers, oft


def angle(one: dict[str, np.ndarray], two: dict[str, np.ndarray], part: str = "unet") -> float | None:
    return compare(Held(one), Held(two))[part].cosine


def test_the_angle_is_that_of_the_changes_whatever_the_ranks() -> None:
    one, two = lora(rank=4), lora(rank=7, seed=3, alpha=None)
    (down1, up1, _), (down2, up2) = one.values(), two.values()
    first, second = up1 @ down1 * 0.5, up2 @ down2
    expected = np.vdot(first, second) / np.linalg.norm(first) / np.linalg.norm(second)
    assert angle(one, two) == pytest.approx(expected, abs=1e-5)
    assert angle(one, one) == pytest.approx(1)


def test_families_are_compared_by_what_they_change() -> None:
    a1, b1, a2, b2, _ = loha().values()
    whole = {f"{QUERY}.diff": (a1 @ b1) * (a2 @ b2)}
    assert angle(loha(), whole) == pytest.approx(1, abs=1e-5)
    down, up, _ = lora().values()
    assert angle({f"{QUERY}.diff": up @ down}, lora()) == pytest.approx(1, abs=1e-5)


def test_a_fused_layer_is_compared_with_its_parts() -> None:
    up, down = numbers(72, 4), numbers(4, 24)
    module = "lora_unet_double_blocks_0_img_attn_qkv"
    fused = {f"{module}.lora_up.weight": up, f"{module}.lora_down.weight": down}
    part = {
        "transformer.transformer_blocks.0.attn.to_k.lora_A.weight": down,
        "transformer.transformer_blocks.0.attn.to_k.lora_B.weight": up[24:48],
    }
    found = compare(Held(fused), Held(part))["unet"]
    assert (found.shared, found.layers) == (1, 3)
    assert found.product == pytest.approx(found.second)


def test_parts_are_compared_apart_and_layers_of_one_alone_count_against() -> None:
    both, one = {**lora(), **lora(ENCODER, seed=2)}, lora()
    found = compare(Held(both), Held(one))
    assert found["unet"].cosine == pytest.approx(1)
    assert found["te"].cosine is None
    more = {**one, **lora(QUERY.replace("to_q", "to_k"), seed=5)}
    assert 0.3 < (angle(more, one) or 0) < 0.95


def test_what_needs_the_base_model_is_refused() -> None:
    with pytest.raises(UnsupportedKind, match="oft"):
        compare(Held(oft()), Held(lora()))


HALF = Traits(1.0, 16, "fp16")


@pytest.mark.parametrize(
    ("cosine", "other", "found"),
    [
        (1.0, HALF, "same-weights"),
        (0.9999, HALF._replace(precision="bf16", norm=1.001), "other-precision"),
        (0.9985, HALF._replace(precision="fp8_e4m3"), "other-precision"),
        (0.9985, HALF, "near-epoch"),
        (1.0, HALF._replace(norm=0.7), "rescaled"),
        (0.991, HALF._replace(rank=8, norm=0.991), "resized"),
        (0.7, HALF._replace(rank=4, norm=0.7), "resized"),
        (0.7, HALF._replace(rank=4, norm=1.4), "family"),
        (0.95, HALF, "near-epoch"),
        (0.6, HALF, "family"),
        (0.2, HALF, "unrelated"),
        (-1.0, HALF, "unrelated"),
    ],
)
def test_pairs_are_classed_by_angle_strength_rank_and_precision(
    cosine: float, other: Traits, found: str
) -> None:
    assert classify(cosine, HALF, other) == classify(cosine, other, HALF) == found
    assert found in RELATIONS


def test_a_weighted_sum_has_two_parents_and_nothing_else_has() -> None:
    one, two, three = (numbers(512, seed=n) for n in range(3))
    assert parents(0.8 * one + 0.5 * two, [three, one, two]) == (1, 2)
    assert parents(one, [one + 0.1 * two, three]) == ()
    assert parents(three, [one, two]) == ()
    assert parents(one, []) == ()
    # An epoch has two relatives as well, which are alike.
    assert parents(one + 0.3 * three, [one, one + 0.2 * two]) == ()
