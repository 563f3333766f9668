"""Drawing in A1111's manner: the bodies that its clients send, and answers that they can read."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import webuiapi  # type: ignore[import-untyped]
from PIL import Image

from registry.errors import BadRequest
from registry.wire import a1111_drawing, a1111_drawn
from registry.wire.a1111_drawing import Drawing
from registry.wire.a1111_drawn import Checkpoint, Made, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLERS = ("Euler", "DPM++ 2M", "DPM++ 2M Karras", "DDIM", "LCM")
DRAWN_SEED = 777
SHA256 = "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa"
# The keys of `info` in the order of modules/processing.py, Processed.js.
INFO_KEYS = [
    "prompt",
    "all_prompts",
    "negative_prompt",
    "all_negative_prompts",
    "seed",
    "all_seeds",
    "subseed",
    "all_subseeds",
    "subseed_strength",
    "width",
    "height",
    "sampler_name",
    "cfg_scale",
    "steps",
    "batch_size",
    "restore_faces",
    "face_restoration_model",
    "sd_model_name",
    "sd_model_hash",
    "sd_vae_name",
    "sd_vae_hash",
    "seed_resize_from_w",
    "seed_resize_from_h",
    "denoising_strength",
    "extra_generation_params",
    "index_of_first_image",
    "infotexts",
    "styles",
    "job_timestamp",
    "clip_skip",
    "is_using_inpainting_conditioning",
    "version",
]


class Client(webuiapi.WebUIApi):  # type: ignore[misc]
    """The client that people use, which keeps what it would have sent."""

    sent: Any = None

    def check_extensions(self) -> None:
        """Asks a server."""

    def post_and_get_api_result(self, *request: Any) -> None:
        self.sent = json.loads(json.dumps(request[1]))


def client(sampler: str = "Euler", scheduler: str = "automatic") -> Client:
    return Client(sampler=sampler, scheduler=scheduler)


def picture() -> Image.Image:
    return Image.new("RGB", (8, 8), (200, 100, 50))


def png() -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    return buffer.getvalue()


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(body: object = None, *, from_image: bool = False, **asked: object) -> Drawing:
    sent = asked if body is None else body
    return a1111_drawing.read_drawing(
        sent, samplers=SAMPLERS, draw=lambda _: DRAWN_SEED, from_image=from_image
    )


def refusal(asked: Mapping[str, object], *, from_image: bool = False) -> str:
    with pytest.raises(BadRequest) as caught:
        read(asked, from_image=from_image)
    return str(caught.value)


def test_an_empty_body_is_one_picture_as_a1111_draws_it() -> None:
    drawing = read({})
    assert (drawing.steps, drawing.cfg, drawing.width, drawing.height) == (50, 7.0, 512, 512)
    assert (drawing.batch_size, drawing.n_iter, drawing.sampler) == (1, 1, "Euler")
    assert (drawing.send_images, drawing.save_images, drawing.force_task_id) == (True, False, None)
    assert drawing.seeds == (DRAWN_SEED,)


@pytest.mark.parametrize("body", [None, [], "txt2img", 5, True])
def test_a_body_is_an_object(body: object) -> None:
    with pytest.raises(BadRequest, match="no JSON object"):
        a1111_drawing.read_drawing(body, samplers=SAMPLERS, draw=lambda _: 0)


def test_all_that_the_client_can_ask_for_is_read() -> None:
    api = client(sampler="DPM++ 2M", scheduler="Karras")
    api.txt2img(
        prompt="a heron <lora:ink:0.8>, ink wash",
        negative_prompt="lowres",
        seed=1003,
        batch_size=2,
        n_iter=3,
        steps=30,
        cfg_scale=5.5,
        width=768,
        height=1024,
        override_settings={"sd_model_checkpoint": "base.safetensors [6ce0161689]"},
        save_images=True,
    )
    drawing = read(api.sent)
    assert drawing == Drawing(
        prompt="a heron , ink wash",
        sent="a heron <lora:ink:0.8>, ink wash",
        negative="lowres",
        loras=(("ink", 0.8),),
        seed=1003,
        batch_size=2,
        n_iter=3,
        steps=30,
        cfg=5.5,
        width=768,
        height=1024,
        sampler="DPM++ 2M Karras",
        denoising_strength=0.7,
        checkpoint="base.safetensors [6ce0161689]",
        save_images=True,
    )
    assert drawing.seeds == (1003, 1004, 1005, 1006, 1007, 1008)


def test_a_picture_to_begin_with_comes_with_or_without_the_head_of_a_data_url() -> None:
    api = client()
    api.img2img(images=[picture()], denoising_strength=0.4)
    assert api.sent["init_images"][0].startswith("data:image/png;base64,")
    drawing = read(api.sent, from_image=True)
    assert drawing.init_image == png()
    assert drawing.denoising_strength == 0.4
    bare = read(init_images=[text_of(png())], from_image=True)
    assert (bare.init_image, bare.denoising_strength) == (png(), 0.75)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "init_images has no picture"),
        ([], "init_images has no picture"),
        ("aGk=", "init_images has no picture"),
        (["aGk=", "aGk="], "more than one"),
        ([None], "init_images is no picture"),
        ([""], "init_images is no picture"),
        (["https://example.com/a.png"], "no picture in base64"),
        (["水墨"], "no picture in base64"),
        (["aGk"], "no picture in base64"),
        (["A" * (a1111_drawing.MAX_PICTURE * 4 // 3 + 8)], "larger than 32 MiB"),
    ],
)
def test_what_is_no_picture_is_refused_and_no_address_is_fetched(images: object, said: str) -> None:
    assert said in refusal({"init_images": images}, from_image=True)


@pytest.mark.parametrize(
    ("prompt", "loras", "left"),
    [
        ("<lora:ink:0.8>", (("ink", 0.8),), ""),
        ("<lora:ink>", (("ink", 1.0),), ""),
        ("<lyco:ink:0.5> a", (("ink", 0.5),), "a"),
        ("<LORA:ink:-1>", (("ink", -1.0),), ""),
        ("<lora:ink:0.5:0.5>", (("ink", 0.5),), ""),
        ("<lora:ink:te=0.5>", (("ink", 0.5),), ""),
        ("<lora:ink:te=0.5:unet=.5>", (("ink", 0.5),), ""),
        ("<lora:ink:0.3:unet=0.3>", (("ink", 0.3),), ""),
        ("a <lora:ink a=b:1> b <lora:水墨:0.2> c", (("ink a=b", 1.0), ("水墨", 0.2)), "a  b  c"),
        ("a <unknown:x:1> b", (), "a  b"),
        ("a < b: c > d", (), "a < b: c > d"),
    ],
)
def test_loras_are_named_in_the_prompt(prompt: str, loras: object, left: str) -> None:
    drawing = read(prompt=prompt)
    assert (drawing.loras, drawing.prompt, drawing.sent) == (loras, left, prompt)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("<lora::1>", "a lora without a name"),
        ("<lora:ink:strong>", "'ink' a weight that is no number from -10 to 10"),
        ("<lora:ink:>", "a weight that is no number"),
        ("<lora:ink:11>", "a weight that is no number"),
        ("<lora:ink:nan>", "a weight that is no number"),
        ("<lora:ink:0.5:0.8>", "'ink' two weights, te and unet"),
        ("<lora:ink:unet=0.5>", "'ink' two weights, te and unet"),
        ("<lora:ink:1:1:16>", "dyn of the lora 'ink'"),
        ("<lora:ink:dyn=16>", "dyn of the lora 'ink'"),
        ("<hypernet:ink:1>", "a hypernetwork"),
        ("x" * 10_001, "more than 10,000 characters"),
    ],
)
def test_a_prompt_that_would_be_drawn_as_another_one_is_refused(prompt: str, said: str) -> None:
    assert said in refusal({"prompt": prompt})


def test_networks_that_are_switched_off_are_none() -> None:
    assert read(prompt="a <lora:ink:1>", disable_extra_networks=True).loras == ()


@pytest.mark.parametrize(
    ("name", "index", "scheduler", "sampler"),
    [
        (None, None, None, "Euler"),
        (None, "DDIM", None, "DDIM"),
        ("LCM", "DDIM", "Automatic", "LCM"),
        ("dpm++ 2m", None, "automatic", "DPM++ 2M"),
        ("DPM++ 2M", None, "Uniform", "DPM++ 2M"),
        ("DPM++ 2M", None, "Karras", "DPM++ 2M Karras"),
        ("DPM++ 2M Karras", None, "karras", "DPM++ 2M Karras"),
        ("k_dpmpp_2m", None, "karras", "DPM++ 2M Karras"),
        ("k_dpmpp_2m_ka", None, None, "DPM++ 2M Karras"),
    ],
)
def test_sampler_and_schedule_are_one_name(
    name: str | None, index: str | None, scheduler: str | None, sampler: str
) -> None:
    assert read(sampler_name=name, sampler_index=index, scheduler=scheduler).sampler == sampler


@pytest.mark.parametrize(
    ("name", "scheduler", "said"),
    [
        (
            "Euler a",
            None,
            "no sampler 'Euler a': sampler_name is one of Euler, DPM++ 2M, DPM++ 2M Karras, DDIM, LCM",
        ),
        ("DDIM", "Karras", "no sampler 'DDIM Karras'"),
        ("Euler", "SGM Uniform", "scheduler is none of Automatic, Uniform, Karras"),
    ],
)
def test_a_sampler_that_there_is_not_is_refused_with_those_that_there_are(
    name: str, scheduler: str | None, said: str
) -> None:
    assert said in refusal({"sampler_name": name, "scheduler": scheduler})


def test_the_client_without_any_wish_asks_for_euler_a() -> None:
    api = Client()
    api.txt2img(prompt="a heron")
    found = a1111_drawing.read_drawing(api.sent, samplers=(*SAMPLERS, "Euler a"), draw=lambda _: 0)
    assert found.sampler == "Euler a"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_hr", True),
        ("restore_faces", True),
        ("tiling", True),
        ("styles", ["ink"]),
        ("script_name", "X/Y/Z plot"),
        ("alwayson_scripts", {"ControlNet": {"args": []}}),
        ("refiner_checkpoint", "refiner"),
        ("infotext", "Steps: 20"),
        ("subseed_strength", 0.5),
        ("seed_resize_from_w", 512),
        ("s_churn", 1),
        ("mask", "aGk="),
        ("resize_mode", 1),
    ],
)
def test_what_is_not_done_here_is_refused_by_its_name(name: str, value: object) -> None:
    assert refusal({name: value}) == f"{name} is not done here"


@pytest.mark.parametrize(
    "settings", [{"CLIP_stop_at_last_layers": 2}, {"sd_vae": "vae.pt"}, {"eta_noise_seed_delta": 31337}]
)
def test_settings_that_would_change_the_picture_are_refused(settings: dict[str, object]) -> None:
    assert refusal({"override_settings": settings}) == f"{next(iter(settings))} is not done here"


def test_settings_that_change_no_picture_are_let_be() -> None:
    idle = {"CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic", "samples_format": "png"}
    assert read(override_settings=idle).checkpoint is None
    assert "override_settings is no JSON object" in refusal({"override_settings": [1]})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"batch_size": 8, "n_iter": 9}, "batch_size times n_iter is more than 64"),
        ({"n_iter": 65}, "n_iter is no whole number from 1 to 64"),
        ({"steps": 0}, "steps is no whole number from 1 to 150"),
        ({"steps": 151}, "steps is no whole number"),
        ({"width": 56}, "width is no whole number from 64 to 2048"),
        ({"height": 2056}, "height is no whole number"),
        ({"width": 500}, "width is no multiple of 8"),
        ({"cfg_scale": 31}, "cfg_scale is no number from 0 to 30"),
        ({"cfg_scale": "much"}, "cfg_scale is no number"),
        ({"denoising_strength": 1.5}, "denoising_strength is no number from 0 to 1"),
        ({"seed": -2}, "seed is no whole number from -1 to 4294967295"),
        ({"seed": 2**32}, "seed is no whole number"),
        ({"prompt": ["a"]}, "prompt is no text"),
        ({"send_images": "perhaps"}, "send_images is neither true nor false"),
    ],
)
def test_values_have_bounds(asked: dict[str, object], said: str) -> None:
    assert said in refusal(asked)


def test_random_seeds_can_be_asked_for_again() -> None:
    below: list[int] = []

    def draw(most: int) -> int:
        below.append(most)
        return most - 1

    asked = {"seed": -1, "n_iter": 2}
    drawing = a1111_drawing.read_drawing(asked, samplers=SAMPLERS, draw=draw)
    assert below == [a1111_drawing.MAX_SEED]
    assert read(seed=drawing.seed).seed == drawing.seed


MADE = Made(
    pngs=(png(), png()),
    infotexts=("one", "two"),
    model="base",
    model_hash=SHA256[:10],
    lora_hashes="ink: 0123456789ab",
    at="20240131120000",
    version="lora-registry",
)


def test_an_answer_has_all_that_a_client_looks_for() -> None:
    drawing = read(prompt="a heron <lora:ink:0.8>", seed=7, n_iter=2)
    answer = a1111_drawn.drawn(drawing, MADE)
    assert list(answer) == ["images", "parameters", "info"]
    response = SimpleNamespace(status_code=200, json=lambda: json.loads(json.dumps(answer)))
    told = client()._to_api_result(response)
    assert [image.size for image in told.images] == [(8, 8), (8, 8)]
    assert list(told.info) == INFO_KEYS
    assert (told.info["all_seeds"], told.info["infotexts"]) == ([7, 8], ["one", "two"])
    assert told.info["all_prompts"] == ["a heron <lora:ink:0.8>"] * 2
    assert told.info["extra_generation_params"] == {"Lora hashes": "ink: 0123456789ab"}
    assert (told.info["sd_model_name"], told.info["sd_model_hash"]) == ("base", "6ce0161689")
    assert told.parameters["prompt"] == "a heron <lora:ink:0.8>"


def test_the_parameters_of_an_answer_ask_for_the_same_again() -> None:
    drawing = read(
        prompt="a heron <lora:ink:0.8>", batch_size=2, override_settings={"sd_model_checkpoint": "b"}
    )
    assert read(a1111_drawn.drawn(drawing, MADE)["parameters"]) == drawing


def test_pictures_are_left_out_for_who_wants_none_and_that_to_begin_with_is_not_sent_back() -> None:
    assert a1111_drawn.drawn(read(send_images=False), MADE)["images"] == []
    answer: Any = a1111_drawn.drawn(read(init_images=[text_of(png())], from_image=True), MADE)
    assert answer["parameters"]["init_images"] is None


def test_progress_of_nothing_is_what_clients_take_for_idle() -> None:
    idle: Any = a1111_drawn.progress(None)
    assert list(idle) == ["progress", "eta_relative", "state", "current_image", "textinfo"]
    assert (idle["progress"], idle["state"]["job_count"]) == (0.0, 0)
    assert list(idle["state"]) == [
        *("skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp"),
        *("job_no", "sampling_step", "sampling_steps"),
    ]


def test_progress_has_the_picture_unless_it_is_not_wanted() -> None:
    now = Progress(0.5, 12.0, "task(1)", 2, 1, 3, 20, "20240131120000", picture=png(), text="drawing")
    told = a1111_drawn.progress(now)
    assert (told["progress"], told["eta_relative"], told["textinfo"]) == (0.5, 12.0, "drawing")
    assert told["current_image"] == text_of(png())
    assert a1111_drawn.progress(now, picture=False)["current_image"] is None
    assert a1111_drawn.progress(replace(now, done=1.5))["progress"] == 1.0


def test_lists_have_the_members_of_a1111() -> None:
    assert a1111_drawn.samplers(["DPM++ 2M Karras"]) == [
        {"name": "DPM++ 2M Karras", "aliases": ["k_dpmpp_2m_ka"], "options": {"scheduler": "karras"}}
    ]
    assert a1111_drawn.schedulers()[-1] == {
        "name": "karras",
        "label": "Karras",
        "aliases": None,
        "default_rho": 7.0,
        "need_inner_model": False,
    }


def test_each_sampler_of_the_list_can_be_asked_for_by_all_its_names() -> None:
    for listed in a1111_drawn.samplers(SAMPLERS):
        aliases: Any = listed["aliases"]
        assert {read(sampler_name=name).sampler for name in (listed["name"], *aliases)} == {listed["name"]}


def test_a_checkpoint_is_chosen_by_its_title_name_or_hash() -> None:
    first = Checkpoint("old/base.safetensors", "/models/old/base.safetensors", "f" * 64)
    second = Checkpoint("base.safetensors", "/models/base.safetensors", SHA256)
    unhashed = Checkpoint("new.ckpt", "/models/new.ckpt")
    assert a1111_drawn.checkpoint(second) == {
        "title": "base.safetensors [6ce0161689]",
        "model_name": "base",
        "hash": "6ce0161689",
        "sha256": SHA256,
        "filename": "/models/base.safetensors",
        "config": None,
    }
    assert a1111_drawn.checkpoint(first)["model_name"] == "old_base"
    assert a1111_drawn.checkpoint(unhashed)["title"] == "new.ckpt"
    known = [first, second, unhashed]
    for wanted in (second.title, "base.safetensors", "base", "6CE0161689", SHA256, "base.safetensors [000]"):
        assert a1111_drawn.checkpoint_called(wanted, known) is second
    assert a1111_drawn.checkpoint_called("base", [first]) is first
    assert a1111_drawn.checkpoint_called("new", known) is unhashed
    with pytest.raises(BadRequest, match="there is no checkpoint 'other'"):
        a1111_drawn.checkpoint_called("other", known)


def test_what_a_picture_says_is_told_whole_and_in_parts() -> None:
    info = "a heron\nNegative prompt: lowres\nSteps: 20, Sampler: Euler, Size: 512x768, Seed: 1"
    told = a1111_drawn.png_info({"parameters": info, "Software": "ink"})
    assert list(told) == ["info", "items", "parameters"]
    assert (told["info"], told["items"]) == (info, {"Software": "ink"})
    assert told["parameters"] == {
        "Prompt": "a heron",
        "Negative prompt": "lowres",
        "Steps": "20",
        "Sampler": "Euler",
        "Size-1": "512",
        "Size-2": "768",
        "Seed": "1",
    }
    assert a1111_drawn.png_info({}) == {"info": "", "items": {}, "parameters": {}}


def test_the_picture_that_is_asked_about_is_read() -> None:
    assert a1111_drawing.read_png_info({"image": "data:image/png;base64," + text_of(png())}) == png()
    for body in (None, {}, {"image": 5}, {"image": "http://example.com/a.png"}):
        with pytest.raises(BadRequest, match="image is no picture"):
            a1111_drawing.read_png_info(body)
