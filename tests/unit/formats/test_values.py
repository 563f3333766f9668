from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from registry.formats import values
from registry.formats.values import OddValueError

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT = ("None", "null", "")


@pytest.mark.parametrize(
    ("parse", "written", "expected"),
    [
        (values.text, "None", None),
        (values.text, "no", "no"),
        (values.whole, "42", 42),
        (values.whole, "-1", -1),
        (values.whole, "12.0", 12),
        (values.whole, "9223372036854775807", 2**63 - 1),
        (values.number, "5e-05", 5e-05),
        (values.number, "0.0001", 0.0001),
        (values.number, ".5", 0.5),
        (values.number, "-0.1", -0.1),
        (values.boolean, "True", True),
        (values.boolean, "False", False),
        (values.boolean, "0", False),
        (values.steps_or_ratio, "648", 648),
        (values.steps_or_ratio, "0.1", 0.1),
        (values.dimension, "Dynamic", "Dynamic"),
        (values.dimension, "128", 128),
        (values.scale, "Dynamic", "Dynamic"),
        (values.scale, "16.0", 16.0),
        (values.numbers, "5e-05", 5e-05),
        (values.numbers, "[5e-05, 1e-5]", (5e-05, 1e-5)),
        (values.numbers, "[1e-4, None]", (1e-4, None)),
        (values.numbers, "2.0,4.0", (2.0, 4.0)),
        (values.size, "(768, 512)", (768, 512)),
        (values.size, "768x512", (768, 512)),
        (values.size, "768,512", (768, 512)),
        (values.size, "[1024, 1024]", (1024, 1024)),
        (values.size, "512", (512, 512)),
    ],
)
def test_values_are_read_as_python_wrote_them(
    parse: Callable[[str], object], written: str, expected: object
) -> None:
    assert parse(written) == expected
    assert type(parse(written)) is type(expected)


@pytest.mark.parametrize("written", ABSENT)
@pytest.mark.parametrize(
    "parse", [values.whole, values.number, values.boolean, values.dimension, values.size]
)
def test_a_value_that_is_none_is_none(parse: Callable[[str], object], written: str) -> None:
    assert parse(written) is None


@pytest.mark.parametrize(
    ("parse", "written"),
    [
        (values.whole, "12.5"),
        (values.whole, "9" * 5000),
        (values.whole, "9223372036854775808"),
        (values.whole, "\u0664\u0662"),
        (values.whole, "1_000"),
        (values.number, "nan"),
        (values.number, "inf"),
        (values.number, "1e999"),
        (values.number, "9" * 5000),
        (values.number, "abc"),
        (values.boolean, "yes"),
        (values.boolean, "2"),
        (values.dimension, "dynamic"),
        (values.size, "(768, 512, 3)"),
        (values.size, "(0, 512)"),
        (values.size, "-1x5"),
        (values.size, "()"),
        (values.size, " " * 10_000),
        (values.numbers, "[1, x]"),
        (values.numbers, "[" + "1," * 100_000 + "]"),
        (values.json_object, "[1]"),
        (values.json_object, "{"),
        (values.json_value, "[" * 100_000),
        (values.json_value, "not json"),
    ],
)
def test_odd_values_are_refused_in_one_way(parse: Callable[[str], object], written: str) -> None:
    with pytest.raises(OddValueError) as refused:
        parse(written)

    assert len(str(refused.value)) < 200


def test_json_may_hold_nan_and_half_surrogates() -> None:
    found = values.json_object('{"a": NaN, "b": "\ud800", "c": "\\udc00"}')

    assert found is not None
    assert isinstance(found["a"], float)
    assert math.isnan(found["a"])
    assert (found["b"], found["c"]) == ("\ud800", "\udc00")


@pytest.mark.parametrize("digits", [30, 10_000])
def test_long_integers_in_json_do_not_raise(digits: int) -> None:
    found = values.json_value(f"[NaN, {'9' * digits}]")

    assert isinstance(found, list)
    assert isinstance(found[1], float)
    assert values.as_int(found[1]) is None


@pytest.mark.parametrize("written", ABSENT)
def test_json_null_is_no_object(written: str) -> None:
    assert values.json_object(written) is None


def test_json_numbers_are_taken_only_where_they_are_what_is_asked() -> None:
    assert [values.as_int(value) for value in (3, 3.0, 3.5, True, "3", None, 2**70)] == [
        3,
        3,
        *[None] * 5,
    ]
    assert [values.as_float(value) for value in (3, 0.5, math.inf, False, "3")] == [
        3.0,
        0.5,
        None,
        None,
        None,
    ]
    assert [values.as_size(value) for value in ([2, 3], 4, [2], [0, 1], "2", [1, 2, 3])] == [
        (2, 3),
        (4, 4),
        *[None] * 4,
    ]


def test_depth_of_decoded_json_is_bounded() -> None:
    assert values.is_shallow({"a": [1, 2]}, 2)
    assert not values.is_shallow({"a": [[1]]}, 2)
