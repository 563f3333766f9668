from __future__ import annotations

import numpy as np
import pytest

from registry.lora.sketch import SIZE, Folded, Sketch
from tests.support.adapters import numbers


def sketch_of(layer: str, matrix: np.ndarray) -> np.ndarray:
    sketch = Sketch()
    folded = Folded(layer, *matrix.shape)
    folded.add(matrix, 0)
    sketch.add_folded(folded)
    return sketch.numbers()


@pytest.mark.parametrize("rows", [3, SIZE, SIZE + 1, 1300])
def test_small_factors_and_the_matrix_they_make_have_one_sketch(rows: int) -> None:
    up, down = numbers(rows, 5), numbers(5, 700)
    small = Sketch()
    small.add_small("x", up, down)
    np.testing.assert_allclose(small.numbers(), sketch_of("x", up @ down), atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 7), (700, 3)])
def test_a_kronecker_product_has_the_sketch_of_the_matrix_it_makes(shape: tuple[int, int]) -> None:
    first, second = numbers(4, 6), numbers(*shape)
    sketch = Sketch()
    sketch.add_kronecker("x", first, second)
    np.testing.assert_allclose(sketch.numbers(), sketch_of("x", np.kron(first, second)), atol=1e-5)


def test_rows_that_come_in_blocks_add_up() -> None:
    matrix = numbers(1300, 90)
    sketch = Sketch()
    folded = Folded("x", *matrix.shape)
    for first in range(0, 1300, 333):
        folded.add(matrix[first : first + 333], first)
    sketch.add_folded(folded)
    np.testing.assert_allclose(sketch.numbers(), sketch_of("x", matrix), atol=1e-4)


def test_inner_products_are_kept_on_average() -> None:
    one, two = numbers(64, 48, seed=1), numbers(64, 48, seed=2)
    two = one * 0.6 + two * 0.8
    found = [float(sketch_of(f"layer {n}", one) @ sketch_of(f"layer {n}", two)) for n in range(200)]
    true = float(np.vdot(one, two))
    # The mean of 200 estimates, each with a standard deviation of about true * sqrt(2 / SIZE) / 0.6.
    assert abs(np.mean(found) / true - 1) < 0.03


def test_layers_of_other_names_are_strangers() -> None:
    matrix = numbers(64, 48)
    one, other = sketch_of("a", matrix), sketch_of("b", matrix)
    assert abs(float(one @ other)) < 0.25 * float(one @ one)


def test_a_sketch_is_the_same_for_ever() -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = sketch_of("unet/conv_in", matrix)
    # Three rows and four columns of one run each fall into six buckets in a row, one of which is empty.
    assert {place: round(float(found[place])) for place in np.flatnonzero(np.abs(found) > 1e-6).tolist()} == {
        452: -5,
        453: 15,
        454: -18,
        455: 17,
        456: -11,
    }
