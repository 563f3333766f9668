"""Whatever strangers send to be drawn: something within bounds, or a refusal that says why."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from registry.errors import BadRequest
from registry.wire import a1111_drawing, a1111_drawn, miaohua_drawing
from registry.wire.a1111_drawn import Made

SAMPLERS = ("Euler", "DPM++ 2M", "DPM++ 2M Karras")
ANY_TEXT = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
PROMPTS = st.lists(
    st.sampled_from(
        ["<lora:", "<lyco:", "<hypernet:", "ink", ":", ">", "te=", "unet=", "0.5", "-1", "dyn=", " "]
    )
    | ANY_TEXT,
    max_size=12,
).map("".join)
A1111: dict[str, st.SearchStrategy[Any]] = {
    "prompt": PROMPTS,
    "negative_prompt": ANY_TEXT,
    "seed": st.integers(-2, 2**32),
    "batch_size": st.integers(0, 65),
    "n_iter": st.integers(0, 65),
    "steps": st.integers(0, 151),
    "cfg_scale": st.floats(),
    "width": st.integers(8, 260).map(lambda side: side * 8),
    "height": st.integers(8, 260).map(lambda side: side * 8),
    "sampler_name": st.sampled_from([*SAMPLERS, "k_euler", "Euler a"]),
    "sampler_index": ANY_TEXT,
    "scheduler": st.sampled_from(["automatic", "Karras", "Uniform", "Beta"]),
    "init_images": st.lists(
        st.sampled_from(["aGk=", "data:image/png;base64,aGk=", "http://a/b"]), max_size=2
    ),
    "denoising_strength": st.floats(-0.1, 1.1),
    "override_settings": st.fixed_dictionaries({}, optional={"sd_model_checkpoint": JSON, "sd_vae": JSON}),
    "styles": JSON,
    "alwayson_scripts": JSON,
    "send_images": JSON,
    "force_task_id": JSON,
}
MIAOHUA: dict[str, st.SearchStrategy[Any]] = {
    "token": ANY_TEXT,
    "versionid": ANY_TEXT,
    "prompt": PROMPTS,
    "n_images": st.integers(0, 9),
    "scale": st.integers(0, 21),
    "strength": st.floats(-0.1, 1.1),
    "ddim_steps": st.integers(0, 151),
    "select_seed": st.integers(-2, 2**32),
    "output_size": st.from_regex(r"[0-9]{1,5}[x*][0-9]{1,5}", fullmatch=True),
    "init_img": st.sampled_from(["", "ours", "aGk=", "data:image/png;base64,aGk=", "http://a/b"]),
    "add_prompt": JSON,
    "lora_configs": st.lists(
        st.fixed_dictionaries({}, optional={"versionid": JSON, "merge_weight": st.floats(-1, 3) | JSON})
    ),
    "cn_configs": JSON,
    "task_id": JSON,
    "task_ids": st.lists(ANY_TEXT, max_size=60),
    "sensitive_limit_value": st.floats(),
}


def bodies(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[object]:
    """Any JSON, objects of these members with any values, and such as they may be."""
    odd = st.fixed_dictionaries({}, optional=dict.fromkeys(members, JSON))
    return JSON | odd | st.fixed_dictionaries({}, optional=members)


@given(bodies(A1111), st.booleans())
@example({"prompt": "<lora:" * 1600}, False)  # noqa: FBT003 - the second of two that are given
@example({"styles": float("nan"), "seed": 10**400}, False)  # noqa: FBT003
def test_any_body_is_drawn_within_bounds_or_refused_by_a1111(body: object, from_image: bool) -> None:  # noqa: FBT001
    with contextlib.suppress(BadRequest):
        found = a1111_drawing.read_drawing(body, samplers=SAMPLERS, draw=lambda _: 5, from_image=from_image)
        assert 1 <= len(found.seeds) <= 64
        assert all(seed >= 0 for seed in found.seeds)
        assert 1 <= found.steps <= 150
        assert 0 <= found.cfg <= 30
        assert all(side % 8 == 0 and 64 <= side <= 2048 for side in (found.width, found.height))
        assert found.sampler in SAMPLERS
        assert 0 <= found.denoising_strength <= 1
        assert (found.init_image is not None) == from_image
        assert all(name and abs(weight) <= 10 for name, weight in found.loras)
        answer: Any = a1111_drawn.drawn(found, Made([b""], [found.prompt]))
        assert json.loads(answer["info"])["prompt"] == found.sent
        json.dumps(answer, allow_nan=False).encode()


@given(bodies(A1111))
def test_a_drawing_asked_for_again_is_the_same(body: object) -> None:
    with contextlib.suppress(BadRequest):
        found = a1111_drawing.read_drawing(body, samplers=SAMPLERS, draw=lambda _: 5)
        again = a1111_drawn.drawn(found, Made([], []))["parameters"]
        assert a1111_drawing.read_drawing(again, samplers=SAMPLERS, draw=lambda _: 6) == found


@given(bodies({"image": JSON}))
def test_any_picture_to_be_told_of_is_read_or_refused(body: object) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(a1111_drawing.read_png_info(body), bytes)


@given(st.dictionaries(st.sampled_from(["parameters", "workflow"]), st.text(max_size=200)))
def test_whatever_a_picture_says_can_be_told(texts: dict[str, str]) -> None:
    assert a1111_drawn.png_info(texts)["info"] == texts.get("parameters", "")


@given(bodies(MIAOHUA))
def test_any_body_is_drawn_within_bounds_or_refused_by_miaohua(body: object) -> None:
    with contextlib.suppress(BadRequest):
        task = miaohua_drawing.read_task(body, draw=lambda _: 5, uploaded="ours".__eq__)
        assert 1 <= len(task.seeds) <= 8
        assert task.seed >= 0
        assert 0 <= task.denoising <= 1
        assert task.image is None or task.address is None
        assert task.address in (None, "ours")
        assert task.lora is None or (task.lora[0] and 0 <= task.lora[1] <= 2)
        if task.size is None:
            assert task.image or task.address
        else:
            assert all(side % 8 == 0 and 64 <= side <= 2048 for side in task.size)


@given(bodies(MIAOHUA))
def test_any_body_asks_for_results_or_is_refused(body: object) -> None:
    for read in (miaohua_drawing.read_task_result, miaohua_drawing.read_task_results):
        with contextlib.suppress(BadRequest):
            asked = read(body)
            assert len(asked.task_ids) <= miaohua_drawing.MAX_TASKS
            assert all(asked.task_ids)
