"""What is to be drawn, decided without drawing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.drawings import Asking
from registry.errors import BadRequest
from registry.render.plan import (
    AREAS,
    HOUSE_PROMPT,
    MOST_CELLS,
    SWEEP,
    Planned,
    Spec,
    Subject,
    Way,
    batches,
    cells,
    grid,
    own_prompt,
    own_size,
    place_on,
    seconds,
)

INK = Subject(1, "ink_wash", "aa", "sd15", rank=8)
ASKING = Asking()
WAY = Way("base")


@pytest.mark.parametrize(
    ("told", "prompt"),
    [
        ({"triggers": ("ink wash, sumi-e", "other"), "examples": ("x",)}, "ink wash, sumi-e"),
        ({"examples": ("", "<lora:ink:0.8>, a  heron,, in\nreeds <lyco:x:1>")}, "a heron, in reeds"),
        ({"tags": (("long_hair", 0.9), ("1girl", 0.2), ("rare", 0.1))}, "long hair, 1girl"),
        ({"tags": (("rare", 0.1),)}, "ink wash"),
        ({}, "ink wash"),
    ],
)
def test_a_prompt_is_what_shows_the_lora_best(told: dict[str, object], prompt: str) -> None:
    assert own_prompt(replace(INK, **told)) == prompt  # type: ignore[arg-type] # the field names are its own


def test_a_prompt_has_room_in_an_encoder() -> None:
    assert len(own_prompt(replace(INK, triggers=("word " * 500,))).split()) == 60
    assert own_prompt(replace(INK, tags=tuple((f"tag{n}", 1.0) for n in range(99)))).count(",") == 11


@pytest.mark.parametrize(
    ("architecture", "bucket", "resolution", "size"),
    [
        ("sd15", None, None, (512, 512)),
        ("sd15", (512, 768), None, (512, 768)),
        ("sd15", (1024, 1024), None, (768, 768)),
        ("sdxl", (832, 1216), None, (832, 1216)),
        ("sdxl", None, (512, 512), (768, 768)),
        ("sdxl", None, (1024, 1024), (1024, 1024)),
        ("sd15", (64, 6400), None, (448, 896)),
        ("sd15", (0, -5), None, (512, 512)),
    ],
)
def test_a_picture_has_the_shape_of_the_training(
    architecture: str,
    bucket: tuple[int, int] | None,
    resolution: tuple[int, int] | None,
    size: tuple[int, int],
) -> None:
    subject = replace(INK, architecture=architecture, bucket=bucket, resolution=resolution)
    assert own_size(subject) == size


@given(st.sampled_from(sorted(AREAS)), st.integers(1, 10_000), st.integers(1, 10_000))
def test_every_size_can_be_drawn(architecture: str, width: int, height: int) -> None:
    found = own_size(replace(INK, architecture=architecture, bucket=(width, height)))
    assert all(side % 64 == 0 and side >= 256 for side in found)
    assert found[0] * found[1] <= AREAS[architecture][1] ** 2


def test_an_architecture_that_only_other_tools_draw_has_a_size_too() -> None:
    assert own_size(replace(INK, architecture="flux1", bucket=(1024, 1024))) == (1024, 1024)


def test_every_combination_is_a_cell_and_equal_ones_are_one() -> None:
    other = replace(INK, id=2, name="other", data_sha256="bb")
    asking = replace(ASKING, weights=SWEEP, seeds=(1, 2), prompt="a cat", size=(512, 512))
    found = cells([INK, other], asking, WAY)
    assert len(found) == 2 * 4 * 2
    # Without weight the lora does not matter: the two share these.
    assert len({each.spec.key() for each in found}) == 2 * 3 * 2 + 2
    assert len(cells([INK], replace(asking, weights=(0.5, 0.5)), WAY)) == 2
    own = cells([INK], replace(ASKING, house=True), WAY)
    assert [each.spec.prompt for each in own] == ["ink wash", HOUSE_PROMPT]
    assert [each.weight for each in cells([replace(INK, preferred_weight=0.6)], ASKING, WAY)] == [0.6]
    draft = cells([INK], ASKING, replace(WAY, mode="draft 12 34"))[0].spec
    assert (draft.mode, draft.sampler, draft.cfg, draft.steps) == ("draft 12 34", "LCM", 1.0, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (510, 512)},
        {"size": (4096, 64)},
        {"weights": (11.0,)},
        {"weights": (float("nan"),)},
        {"steps": 0},
        {"seeds": (-1,)},
        {"seeds": (2**32,)},
        {"cfg": float("nan")},
        {"sampler": "PLMS"},
        {"seeds": tuple(range(MOST_CELLS + 1))},
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        cells([INK], replace(ASKING, **wrong), WAY)  # type: ignore[arg-type] # the field names are its own


def spec(**told: object) -> Spec:
    (planned,) = cells([INK], ASKING, WAY)
    return replace(planned.spec, **told)  # type: ignore[arg-type] # the field names are its own


def test_a_picture_is_known_by_all_that_it_depends_on_and_nothing_else() -> None:
    known = spec().key()
    assert known == spec().key()
    changes: list[dict[str, object]] = [
        {"base": "x"}, {"prompt": "x"}, {"negative": "x"}, {"seed": 9}, {"width": 8}, {"height": 8},
        {"steps": 9}, {"sampler": "x"}, {"cfg": 9.0}, {"dtype": "x"}, {"lora": "x"}, {"weight": 0.9},
        {"vae": "x"}, {"mode": "x"}, {"engine": 9}, {"by": "x"}, {"start": "x"}, {"denoise": 0.5},
    ]  # fmt: skip
    keys = {spec(**change).key() for change in changes}
    assert len(keys) == len(changes)
    assert known not in keys
    assert {name for change in changes for name in change} == set(Spec.__dataclass_fields__)


def planned(lora: int, weight: float = 1.0, seed: int = 1, rank: int = 4, width: int = 512) -> Planned:
    subject = replace(INK, id=lora, data_sha256=str(lora), name=f"lora {lora}", rank=rank, epoch=lora)
    return Planned(subject, spec(lora=str(lora), weight=weight, seed=seed, width=width), weight)


def test_batches_hold_what_can_be_drawn_together_and_little_that_is_filled_up() -> None:
    many = [planned(1, seed=seed) for seed in range(5)]
    others = [planned(n, rank=rank) for n, rank in ((2, 64), (3, 4), (4, 64), (5, 4))]
    wide = [planned(6, width=768)]
    found = list(batches([*others, *many, *wide], 2))
    assert sorted(len(batch) for batch in found) == [1, 1, 2, 2, 2, 2]
    assert all(len({each.spec.width for each in batch}) == 1 for batch in found)
    merged = [batch for batch in found if len({each.spec.lora for each in batch}) == 1 and len(batch) == 2]
    assert len(merged) == 2
    mixed = [batch for batch in found if batch not in merged and batch[0].spec.width == 512]
    assert [[each.subject.rank for each in batch] for batch in mixed] == [[4, 4], [4, 64], [64]]
    drawn = [each for batch in found for each in batch]
    assert sorted(map(repr, drawn)) == sorted(map(repr, [*others, *many, *wide]))
    assert list(batches([], 4)) == []


def test_a_grid_has_rows_and_columns_in_order() -> None:
    some = [planned(lora, weight) for lora in (2, 1) for weight in (1.0, 0.5)][:3]
    rows = grid(some, "weight", "lora")
    assert [[each and (each.subject.id, each.weight) for each in row] for row in rows] == [
        [(2, 0.5), (2, 1.0)],
        [None, (1, 1.0)],
    ]
    assert [[each and each.subject.id for each in row] for row in grid(some, "seed", "epoch")] == [[1], [2]]
    with pytest.raises(BadRequest, match="axis"):
        place_on(some[0], "colour")


def test_an_estimate_grows_with_steps_and_area() -> None:
    assert seconds([planned(1), planned(2)], 0.1) == pytest.approx(2 * 20 * 0.1)
    assert seconds([planned(1, width=1024)], 0.1) == pytest.approx(2 * 20 * 0.1)
