"""Drawing in Miaohua's manner: the examples of its own document, typed as they stand there."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import BadRequest
from registry.wire import miaohua_drawing, miaohua_drawn
from registry.wire.miaohua_drawing import Task
from registry.wire.miaohua_drawn import Picture, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAWN_SEED = 8206464
TASK = "f3e5b59c-7416-11ed-a160-00163e025c94"
OURS = "http://loras.example/uploads/"
UPLOAD = OURS + "900ea63e-e1dd-11ed-bef5-00163e005161"
STRANGE = (
    "https://bkmk.oss-accelerate.aliyuncs.com/900ea63e?OSSAccessKeyId=x&Expires=317042257726&Signature=x"
)
PNG = b"\x89PNG\r\n\x1a\n a picture"
# The request of the document's example for Python.
EXAMPLE: Mapping[str, object] = {
    "versionid": "sgl_artist_v0.3.5_0925",
    "prompt": "one girl, beautiful",
    "neg_prompt": "",
    "n_images": 2,
    "ddim_steps": 50,
    "scale": 7,
    "strength": 0.6,
    "output_size": "960x960",
    "select_seed": -1,
    "init_img": "",
    "add_prompt": False,
    "token": "xxx",
    "lora_configs": [{"versionid": "aaa", "merge_weight": 1}],
}
CONTROL = {"cn": "openpose", "img": "https://ossxxxxxx.png", "weight": 1}


def read(asked: Mapping[str, object]) -> Task:
    return miaohua_drawing.read_task(
        asked, draw=lambda _: DRAWN_SEED, uploaded=lambda text: text.startswith(OURS)
    )


def refusal(asked: Mapping[str, object]) -> str:
    with pytest.raises(BadRequest) as caught:
        read(asked)
    return str(caught.value)


def test_the_request_of_the_document_is_read() -> None:
    assert read(EXAMPLE) == Task(
        token="xxx",  # noqa: S106 - as the document writes it
        versionid="sgl_artist_v0.3.5_0925",
        model_name=None,
        prompt="one girl, beautiful",
        negative="",
        n_images=2,
        scale=7,
        strength=0.6,
        steps=50,
        seed=DRAWN_SEED,
        size=(960, 960),
        lora=("aaa", 1.0),
    )


def test_what_is_left_out_is_as_the_document_says() -> None:
    task = read({})
    assert (task.n_images, task.scale, task.strength, task.steps) == (2, 7, 0.6, 50)
    assert (task.size, task.seed, task.seeds) == ((960, 960), DRAWN_SEED, (DRAWN_SEED, DRAWN_SEED + 1))
    assert (task.versionid, task.model_name, task.lora, task.image, task.address) == (None,) * 5


def test_a_base_model_may_be_named_as_before_there_were_versions() -> None:
    task = read({"model_name": "Dalcefo", "output_size": "2048x1024"})
    assert (task.versionid, task.model_name, task.size) == (None, "Dalcefo", (2048, 1024))


def test_the_token_and_the_picture_are_not_shown() -> None:
    shown = repr(read({**EXAMPLE, "token": "lr_secret", "init_img": base64.b64encode(PNG).decode()}))
    assert "lr_secret" not in shown
    assert "PNG" not in shown


@pytest.mark.parametrize("body", [None, [], "x", 5])
@pytest.mark.parametrize(
    "read_body",
    [
        lambda body: miaohua_drawing.read_task(body, draw=lambda _: 0),
        miaohua_drawing.read_task_result,
        miaohua_drawing.read_task_results,
    ],
)
def test_a_body_is_an_object(read_body: Any, body: object) -> None:
    with pytest.raises(BadRequest, match="no JSON object"):
        read_body(body)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n_images": 0}, "n_images is no whole number from 1 to 8"),
        ({"n_images": 9}, "n_images is no whole number from 1 to 8"),
        ({"scale": 21}, "scale is no whole number from 1 to 20"),
        ({"scale": 0}, "scale is no whole number"),
        ({"strength": 1.1}, "strength is no number from 0 to 1"),
        ({"strength": "strong"}, "strength is no number"),
        ({"ddim_steps": 151}, "ddim_steps is no whole number from 1 to 150"),
        ({"select_seed": -2}, "select_seed is no whole number from -1 to 4294967295"),
        ({"select_seed": 2**32}, "select_seed is no whole number"),
        ({"prompt": 5}, "prompt is no text"),
        ({"prompt": "x" * 10_001}, "prompt has more than 10,000 characters"),
        ({"output_size": "960"}, "output_size '960' is no size"),
        ({"output_size": 960}, "output_size is no text"),
        ({"add_prompt": True}, "add_prompt is not done here"),
    ],
)
def test_values_have_bounds(asked: Mapping[str, object], said: str) -> None:
    assert said in refusal(asked)


@pytest.mark.parametrize("size", ["2748x4096", "2256x2252", "6144x6144", "56x64", "1001x1000", "0x0"])
def test_a_size_that_is_not_drawn_here_is_refused_with_those_that_are(size: str) -> None:
    said = refusal({"output_size": size})
    assert said.startswith(
        f"output_size '{size}' cannot be drawn here: sides are multiples of 8 from 64 to 2,048"
    )


@pytest.mark.parametrize("seed", [0, 9_999_999, 10_000_000, 2**32 - 1])
def test_seeds_may_be_larger_than_those_of_the_form(seed: int) -> None:
    assert read({"select_seed": seed}).seed == seed


def test_a_random_seed_is_one_of_the_form() -> None:
    below: list[int] = []

    def draw(most: int) -> int:
        below.append(most)
        return 0

    miaohua_drawing.read_task({"select_seed": -1}, draw=draw)
    assert below == [10_000_000]


@pytest.mark.parametrize(
    ("configs", "lora"),
    [
        (None, None),
        ([], None),
        ([{"versionid": "", "merge_weight": 1}], None),
        ([{"versionid": "aaa"}], ("aaa", 1.0)),
        ([{"versionid": "aaa", "merge_weight": 0.5}, {"versionid": "bbb", "merge_weight": 2}], ("aaa", 0.5)),
        ([{"versionid": ""}, {"versionid": "bbb", "merge_weight": 2}], ("bbb", 2.0)),
        ([5, {"versionid": "bbb"}], ("bbb", 1.0)),
    ],
)
def test_one_lora_takes_effect_as_the_document_says(configs: object, lora: object) -> None:
    assert read({"lora_configs": configs}).lora == lora


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ({"versionid": "aaa"}, "lora_configs is no list"),
        ([{"versionid": "aaa"}] * 101, "lora_configs is no list of at most 100"),
        ([{"versionid": "aaa", "merge_weight": 2.5}], "merge_weight is no number from 0 to 2"),
        ([{"versionid": "aaa", "merge_weight": -1}], "merge_weight is no number from 0 to 2"),
    ],
)
def test_odd_loras_are_refused(configs: object, said: str) -> None:
    assert said in refusal({"lora_configs": configs})


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ([CONTROL], "there are no ControlNets"),
        ([CONTROL] * 3, "there are no ControlNets"),
        ([CONTROL] * 4, "more than 3 ControlNets"),
        (CONTROL, "cn_configs is no list"),
    ],
)
def test_control_nets_are_refused(configs: object, said: str) -> None:
    assert said in refusal({**EXAMPLE, "cn_configs": configs})


def test_no_control_nets_are_as_good_as_none() -> None:
    assert read({**EXAMPLE, "cn_configs": []}) == read({**EXAMPLE, "cn_configs": None}) == read(EXAMPLE)


def test_a_picture_to_begin_with_is_one_that_was_uploaded_here() -> None:
    task = read({"init_img": UPLOAD, "strength": 0.75})
    assert (task.address, task.image, task.denoising) == (UPLOAD, None, 0.25)
    assert task.size is None
    assert read({"init_img": UPLOAD, "output_size": "640x960"}).size == (640, 960)


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_a_picture_to_begin_with_may_be_sent_itself(head: str) -> None:
    task = read({"init_img": head + base64.b64encode(PNG).decode()})
    assert (task.image, task.address, task.size) == (PNG, None, None)


@pytest.mark.parametrize(
    "value",
    [STRANGE, "file:///etc/passwd", "/uploads/1", "data:image/png;base64,", "data:,", "a b c", "水墨"],
)
def test_no_address_of_a_stranger_is_taken(value: str) -> None:
    assert "neither an address of a picture that was uploaded here nor one in base64" in refusal(
        {"init_img": value}
    )


def test_an_address_and_a_picture_have_bounds() -> None:
    assert "neither" in refusal({"init_img": OURS + "?" * 2_000})
    assert "larger than 32 MiB" in refusal({"init_img": "A" * (miaohua_drawing.MAX_PICTURE * 4 // 3 + 8)})
    assert "init_img is no text" in refusal({"init_img": [UPLOAD]})


def test_without_a_say_no_address_is_one_of_ours() -> None:
    with pytest.raises(BadRequest):
        miaohua_drawing.read_task({"init_img": UPLOAD}, draw=lambda _: 0)


def test_results_are_asked_for_by_the_ids_of_tasks() -> None:
    one = miaohua_drawing.read_task_result({"task_id": TASK, "token": "xxx", "sensitive_limit_value": 0.5})
    assert (one.task_ids, one.token, one.sensitive) == ((TASK,), "xxx", 0.5)
    many = miaohua_drawing.read_task_results({"task_ids": [TASK] * 50, "token": ""})
    assert (many.task_ids, many.token, many.sensitive) == ((TASK,) * 50, "", 0.0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "task_ids is no list"),
        ({"task_ids": TASK}, "task_ids is no list"),
        ({"task_ids": [TASK] * 51}, "task_ids has more than 50 ids"),
        ({"task_ids": [""]}, "task_id is missing"),
        ({"task_ids": [5]}, "task_id is no text"),
        ({"task_ids": [], "sensitive_limit_value": 2}, "sensitive_limit_value is no number from 0 to 1"),
    ],
)
def test_odd_questions_for_results_are_refused(asked: Mapping[str, object], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        miaohua_drawing.read_task_results(asked)


def test_a_result_needs_an_id() -> None:
    with pytest.raises(BadRequest, match="task_id is missing"):
        miaohua_drawing.read_task_result({"token": "xxx"})


ADDRESS = "https://pic.bakamaka.io/txt2img-result/2022-12-10/31e17f66-788b-11ed-98e2-00163e025c94_0000"
RESULT = Result(
    TASK,
    done=True,
    seed=8206464,
    pictures=[
        Picture(f"{ADDRESS}{place}.jpg", f"{ADDRESS}{place}.mid.jpg", f"{ADDRESS}{place}.mid.jpg")
        for place in range(4)
    ],
    error="Intern error",
)


def same(made: object, documented: object) -> bool:
    """Equal, and with their members in one order."""
    return json.dumps(made) == json.dumps(documented)


def test_the_answer_to_a_task_is_bare() -> None:
    assert same(miaohua_drawn.submitted(TASK), {"task_id": TASK})


def test_a_result_is_bare_and_has_the_members_of_the_document() -> None:
    documented = {
        "state": "done",
        "images": [
            {
                "large": f"{ADDRESS}{place}.jpg",
                "middle": f"{ADDRESS}{place}.mid.jpg",
                "save_index": place,
                "share": False,
                "shareable": True,
            }
            for place in range(4)
        ],
        "select_seed": 8206464,
        "error_msg": "Intern error",
    }
    assert same(miaohua_drawn.task_result(RESULT), documented)


def test_results_are_in_an_envelope_without_a_message() -> None:
    documented = {
        "code": 0,
        "info": [
            {
                "state": "done",
                "error_msg": "Intern error",
                "images": [
                    {
                        "task_id": TASK,
                        "task_type": "txt2img",
                        "large": f"{ADDRESS}{place}.jpg",
                        "middle": f"{ADDRESS}{place}.mid.jpg",
                        "small": f"{ADDRESS}{place}.mid.jpg",
                        "save_index": place,
                    }
                    for place in range(4)
                ],
                "select_seed": 8206464,
            }
        ],
    }
    assert same(miaohua_drawn.task_results([RESULT]), documented)
    assert same(miaohua_drawn.task_results([]), {"code": 0, "info": []})


def test_a_task_that_waits_has_no_pictures_yet() -> None:
    waiting = Result(TASK, done=False, seed=5, from_image=True)
    told = {"state": "pending", "images": [], "select_seed": 5, "error_msg": ""}
    assert miaohua_drawn.task_result(waiting) == told
    assert miaohua_drawn.task_results([waiting]) == {"code": 0, "info": [told]}


def test_a_task_from_a_picture_says_so() -> None:
    drawn: Any = miaohua_drawn.task_results(
        [Result(TASK, done=True, seed=5, pictures=[Picture("l", "m", "s")], from_image=True)]
    )
    assert drawn["info"][0]["images"][0]["task_type"] == "img2img"


def test_the_form_is_that_of_the_document() -> None:
    documented = {
        "code": 0,
        "info": [
            {
                "choices": ["Artist v0.3.0 Beta"],
                "default": "Artist v0.3.0 Beta",
                "description": "model name",
                "name": "model_name",
                "type": "list",
            },
            {"default": "", "description": "prompt", "name": "prompt", "type": "string"},
            {"default": "", "description": "negative prompt", "name": "neg_prompt", "type": "string"},
            {
                "default": 2,
                "description": "number of images",
                "max": 8,
                "min": 1,
                "name": "n_images",
                "type": "int",
            },
            {
                "default": 7,
                "description": "Guidance Scale",
                "max": 20,
                "min": 1,
                "name": "scale",
                "type": "int",
            },
            {
                "default": -1,
                "description": "seed",
                "max": 9999999,
                "min": 0,
                "name": "select_seed",
                "type": "int",
            },
            {
                "choices": {
                    "1:1": ["512x512", "640x640", "768x768", "1024x1024"],
                    "2:3": ["512x768", "640x960", "768x1152", "1024x1536"],
                    "3:2": ["768x512", "960x640", "1152x768", "1536x1024"],
                },
                "default": "512x512",
                "description": "resolution",
                "name": "resolution",
                "type": "dict",
            },
            {"default": "", "description": "init image url", "name": "init_img", "type": "str"},
            {
                "default": "",
                "description": "controlnet model",
                "name": "controlnet_model",
                "type": "str",
                # The document has "canny" here, which is not done.
                "choices": [""],
            },
        ],
        "msg": "",
    }
    assert same(miaohua_drawn.generation_form(["Artist v0.3.0 Beta"]), documented)


def test_the_form_without_a_base_model_has_an_empty_choice() -> None:
    form: Any = miaohua_drawn.generation_form([])
    assert (form["info"][0]["choices"], form["info"][0]["default"]) == ([], "")


def test_all_that_the_form_offers_can_be_asked_for() -> None:
    form: Any = miaohua_drawn.generation_form(["base"])
    rows = {row["name"]: row for row in form["info"]}
    for sizes in rows["resolution"]["choices"].values():
        for size in sizes:
            assert read({"output_size": size}).size == tuple(map(int, size.split("x")))
    for name in ("n_images", "scale", "select_seed"):
        for value in (rows[name]["default"], rows[name]["min"], rows[name]["max"]):
            read({name: value})


def test_uploads_are_answered_with_their_addresses() -> None:
    assert same(miaohua_drawn.uploaded_images([UPLOAD]), {"code": 0, "info": [UPLOAD], "msg": ""})
    two = [UPLOAD, UPLOAD + "2"]
    assert same(miaohua_drawn.uploaded_images(two), {"code": 0, "info": two, "msg": ""})


def test_there_are_no_control_nets() -> None:
    assert same(miaohua_drawn.controls(), {"code": 0, "info": [], "msg": ""})
