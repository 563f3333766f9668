from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from registry.errors import UnsupportedKind
from registry.lora import delta
from registry.lora.keys import read_layers
from tests.support.adapters import (
    COLUMNS,
    FAMILIES,
    ROWS,
    Held,
    diff,
    locon,
    loha,
    lokr,
    lora,
    numbers,
    oft,
    one,
)

if TYPE_CHECKING:
    from registry.lora.numbers import Floats
    from tests.support.adapters import Arrays

WEIGHT = numbers(ROWS, COLUMNS, seed=9)


def changed(arrays: Arrays, weight: Floats | None = None) -> Floats:
    held = Held(arrays)
    (layer,) = read_layers(held.names).layers
    factors = {role: held.read(name) for role, name in layer.factors.items()}
    found: Floats = delta.dense(layer.family, factors, weight)
    return found


def factors_of(arrays: Arrays) -> dict[str, Floats]:
    (layer,) = read_layers(arrays).layers
    return {role: arrays[name].astype(np.float32) for role, name in layer.factors.items()}


def test_alpha_over_rank_counts_once() -> None:
    arrays = lora(alpha=2, rank=4)
    down, up, _ = arrays.values()
    np.testing.assert_allclose(changed(arrays), 0.5 * up @ down, rtol=1e-6)
    np.testing.assert_allclose(changed(lora(alpha=None)), up @ down, rtol=1e-6)


@pytest.mark.parametrize("core", [False, True])
def test_a_convolution_is_a_matrix_of_outputs_and_inputs_times_kernel(*, core: bool) -> None:
    arrays = locon("lora_unet_down_blocks_0_resnets_0_conv1", core=core)
    down, up = (np.squeeze(arrays[f"{name}"]) for name in list(arrays)[:2])
    if core:
        mid = list(arrays.values())[3]
        whole = np.einsum("ijkl,oi,jn->onkl", mid, up, down)
    else:
        whole = np.einsum("or,rnkl->onkl", up, down)
    np.testing.assert_allclose(changed(arrays), whole.reshape(12, -1) * 3 / 4, rtol=1e-4, atol=1e-6)


def test_a_loha_is_a_product_element_by_element_and_a_lokr_of_kronecker() -> None:
    a1, b1, a2, b2, _ = loha().values()
    np.testing.assert_allclose(changed(loha()), (a1 @ b1) * (a2 @ b2) * 1.5 / 3, rtol=1e-5)
    w1, _, a, b = lokr(rank=2).values()
    np.testing.assert_allclose(changed(lokr(rank=2)), np.kron(w1, a @ b) / 2, rtol=1e-5)


def test_the_alpha_of_a_lokr_without_a_rank_means_nothing() -> None:
    w1, _, w2 = lokr(rank=None).values()
    np.testing.assert_allclose(changed(lokr(rank=None)), np.kron(w1, w2), rtol=1e-6)


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (1, COLUMNS)])
def test_a_dora_gives_rows_or_inputs_the_norms_it_stores(shape: tuple[int, ...]) -> None:
    magnitude = np.abs(numbers(*shape, seed=3)) + 1
    arrays = {**lora(), next(iter(lora())).replace("lora_down.weight", "dora_scale"): magnitude}
    found = changed(arrays, WEIGHT) + WEIGHT
    norms = np.linalg.norm(found, axis=0 if shape[0] == 1 else 1)
    np.testing.assert_allclose(norms, magnitude.reshape(-1), rtol=1e-5)
    plain = WEIGHT + changed(lora())
    turned = found / np.linalg.norm(found) * np.linalg.norm(plain)
    assert np.vdot(turned, plain) / np.vdot(plain, plain) > 0.9


def test_an_oft_only_turns_the_weight() -> None:
    found = changed(oft(), WEIGHT) + WEIGHT
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), np.linalg.norm(WEIGHT, axis=0), rtol=1e-5)
    assert np.linalg.norm(found - WEIGHT) > 0.1 * np.linalg.norm(WEIGHT)


@pytest.mark.parametrize("on_input", [False, True])
def test_an_ia3_scales_outputs_or_inputs(*, on_input: bool) -> None:
    scale = numbers(COLUMNS if on_input else ROWS)
    arrays = {"lora_unet_x.weight": scale, "lora_unet_x.on_input": np.array(int(on_input))}
    expected = WEIGHT * (scale if on_input else scale[:, None])
    np.testing.assert_allclose(changed(arrays, WEIGHT), expected, rtol=1e-6)


def test_peft_stores_what_an_ia3_multiplies_by() -> None:
    arrays = {"base_model.model.x.ia3_l": numbers(ROWS, 1) + 1}
    np.testing.assert_allclose(changed(arrays, WEIGHT), WEIGHT * numbers(ROWS, 1), rtol=1e-4, atol=1e-7)


def test_glora_reads_both_orders_of_its_factors() -> None:
    a, b = numbers(COLUMNS, 3, seed=1), numbers(3, COLUMNS, seed=2)
    up, down = numbers(ROWS, 3, seed=3), numbers(3, COLUMNS, seed=4)
    new = {"a1": a, "a2": b, "b1": up, "b2": down, "alpha": one(6)}
    old = {"a1": b, "a2": a, "b1": down, "b2": up, "alpha": one(6)}
    expected = 2 * (up @ down + WEIGHT @ a @ b)
    for factors in (new, old):
        named = {f"x.{name}" + ("" if name == "alpha" else ".weight"): each for name, each in factors.items()}
        np.testing.assert_allclose(changed(named, WEIGHT), expected, rtol=1e-4, atol=1e-6)


def test_a_difference_is_itself_and_has_a_bias() -> None:
    np.testing.assert_array_equal(changed(diff()), diff()[next(iter(diff()))])
    np.testing.assert_array_equal(np.asarray(delta.bias(factors_of(diff()))), list(diff().values())[1])
    assert delta.bias(factors_of(lora())) is None


@pytest.mark.parametrize(
    ("family", "factors"),
    [
        ("lora", {"up": numbers(700, 4), "down": numbers(4, 800)}),
        (
            "loha",
            {
                "w1_a": numbers(700, 9),
                "w1_b": numbers(9, 800),
                "w2_a": numbers(700, 9, seed=1),
                "w2_b": numbers(9, 800, seed=1),
            },
        ),
        ("lokr", {"w1": numbers(35, 40), "w2": numbers(20, 20)}),
        ("lokr", {"w1": numbers(2, 40), "w2": numbers(300, 20)}),
        ("diff", {"diff": numbers(700, 800)}),
    ],
)
def test_blocks_of_rows_are_the_whole(family: str, factors: dict[str, Floats]) -> None:
    whole = delta.dense(family, factors)
    assert delta.size(family, factors) == whole.shape if family != "lora" else True
    cut = list(delta.blocks(family, factors))
    assert len(cut) > 1
    np.testing.assert_allclose(np.concatenate(cut), whole, rtol=1e-5, atol=1e-6)


def test_a_loha_of_low_rank_has_two_factors_and_of_a_higher_one_none() -> None:
    factors = factors_of(loha(rank=8))
    small = delta.small("loha", factors)
    assert small is not None
    np.testing.assert_allclose(small.up @ small.down, delta.dense("loha", factors), atol=1e-7)
    assert delta.small("loha", factors_of(loha(rank=9))) is None


@pytest.mark.parametrize("family", ["oft", "glora", "ia3"])
def test_what_needs_the_weight_says_so(family: str) -> None:
    assert delta.needs_weight(family, {})
    with pytest.raises(UnsupportedKind):
        delta.dense(family, {"blocks": numbers(6, 6, 6), "scale": numbers(ROWS)})


@pytest.mark.parametrize(
    ("family", "missing"),
    [("lora", "up"), ("loha", "w2_b"), ("lokr", "w1"), ("diff", "diff"), ("oft", "blocks")],
)
def test_a_factor_that_is_missing_is_named_and_not_guessed(family: str, missing: str) -> None:
    factors = factors_of(FAMILIES[family]())
    del factors[missing]
    with pytest.raises(UnsupportedKind, match=f"{family}|base model"):
        delta.dense(family, factors, None if family == "diff" else WEIGHT)


@pytest.mark.parametrize("family", ["lora", "loha"])
def test_factors_that_do_not_fit_each_other_are_refused(family: str) -> None:
    factors = factors_of(FAMILIES[family]())
    role = "down" if family == "lora" else "w1_b"
    factors[role] = numbers(7, COLUMNS)
    with pytest.raises(UnsupportedKind):
        delta.dense(family, factors)
    with pytest.raises(UnsupportedKind):
        list(delta.blocks(family, factors))
    with pytest.raises(UnsupportedKind):
        delta.small(family, factors)


@pytest.mark.parametrize(
    ("role", "shape"),
    [
        ("w1_b", (5, COLUMNS - 1)),
        ("w2_a", (ROWS, 4)),
        ("w2_b", (4, COLUMNS)),
        ("w2_a", (1, 3)),
        ("w2_b", (3, 1)),
    ],
)
def test_halves_of_a_loha_that_do_not_fit_are_refused(role: str, shape: tuple[int, int]) -> None:
    factors = factors_of(loha()) | {role: numbers(*shape)}
    for way in (delta.small, delta.dense, delta.size):
        with pytest.raises(UnsupportedKind):
            way("loha", factors)


def test_a_rotation_stored_as_a_vector_and_a_kernel_in_the_upper_factor_are_refused() -> None:
    with pytest.raises(UnsupportedKind, match="vectors"):
        delta.dense("oft", {"blocks": numbers(6, 15)}, WEIGHT)
    with pytest.raises(UnsupportedKind, match="upper factor"):
        delta.small("lora", {"up": numbers(12, 4, 3, 3), "down": numbers(4, 8, 1, 1)})
