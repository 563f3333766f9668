"""What is in the catalog in Civitai's words."""

from __future__ import annotations

import pytest

from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS, VARIANT_PAIRS, WORD_VARIANTS
from registry.identify.rules import SIZE_VARIANTS
from registry.shown import Shown, Source
from registry.wire import civitai_words as words
from tests.support.civitai_entries import NOON, entry


def test_every_base_model_of_the_table_is_one_of_ours() -> None:
    variants = {row.variant for row in WORD_VARIANTS} | {row[2] for row in SIZE_VARIANTS}
    assert set(words.BASE_MODELS) <= set(ARCHITECTURES) | variants | set(VARIANT_PAIRS.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_everything_has_a_type_that_civitai_has(kind: str, adapter: str) -> None:
    assert words.model_type(entry(kind=kind, adapter=adapter)) in words.MODEL_TYPES


def test_types_are_told_by_tensors_where_nobody_says_them() -> None:
    assert words.model_type(entry(adapter="loha")) == "LoCon"
    assert words.model_type(entry(adapter="dora")) == "DoRA"
    assert words.model_type(entry(kind="checkpoint", adapter="dora")) == "Checkpoint"
    assert words.model_type(entry(Shown("x", model_type="LORA"), adapter="dora")) == "LORA"


def test_base_models_are_told_by_tensors_where_nobody_says_them() -> None:
    assert words.base_model(entry(Shown("x", base_model="Pony"))) == "Pony"
    assert words.base_model(entry(base_model="illustrious")) == "Illustrious"
    assert words.base_model(entry(base_model="animagine")) == "SDXL 1.0"
    assert words.base_model(entry(architecture="sana")) is None


def test_the_name_is_the_users_before_that_of_the_model() -> None:
    said = Shown("Mine", model_name="Theirs", sources={"name": Source("user")})
    assert words.title(said) == "Mine"
    assert words.title(Shown("ink_v2", model_name="Theirs")) == "Theirs"
    assert words.title(Shown("ink_v2")) == "ink_v2"


def test_groups_of_triggers_are_texts() -> None:
    assert words.trained_words(Shown("x", triggers=(("a", "b"), (), ("c",)))) == ["a, b", "c"]


@pytest.mark.parametrize(("level", "unsafe"), [(None, False), (0, False), (2, False), (4, True), (32, True)])
def test_levels_from_r_on_are_not_safe(level: int | None, unsafe: bool) -> None:  # noqa: FBT001 - expected
    assert words.is_nsfw(entry(Shown("x", nsfw_level=level))) is unsafe


def test_times_out_of_every_calendar_are_none() -> None:
    assert (words.moment(None), words.moment(10**18), words.moment(-(10**18))) == (None, None, None)
    time = words.moment(NOON)
    assert time is not None
    assert time.isoformat() == "2023-11-29T12:00:00.250000+00:00"
