"""Pictures drawn with a ComfyUI that the user already runs."""

from __future__ import annotations

import base64
import io
import json
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from registry.errors import BadRequest, NoBase, Offline, OutboundError
from registry.net import Door
from registry.render.backends import comfyui
from registry.render.backends.comfyui import ComfyUI
from registry.render.batch import Answer, BaseAsk, Batch, CellAsk, LoraAsk, Made, pack_batch, unpack_answer
from registry.render.tool import BadAnswer, LoraNotThere, ToolRefused
from registry.render.workflow import NAMES, filled, parse_workflow, starting_with, without_lora
from tests.support.tools_comfyui import Raw, comfyui_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.tools_comfyui import FakeComfyUI

STYLE = LoraAsk("aa" * 32, "style", "art/style.safetensors")
BASE = BaseAsk("sdxl", "sdxl")


@dataclass
class Watched:
    """A line; `drop` says which places are dropped once they were told of so many times."""

    drop: Mapping[int, int] = field(default_factory=dict)
    told: list[tuple[int, int]] = field(default_factory=list)
    asked: Callable[[], object] = lambda: None

    def step(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def dropped(self) -> frozenset[int]:
        self.asked()
        return frozenset(place for place, after in self.drop.items() if len(self.told) > after)


def batch(*cells: CellAsk, **changed: Any) -> Batch:
    return replace(Batch("b", BASE, cells, 64, 96, 4, "DPM++ 2M Karras", 7.0), **changed)


def cell(key: str, **changed: Any) -> CellAsk:
    return replace(CellAsk(key, f"a {key}", "blurry", 7, 0.8, STYLE), **changed)


def draw(fake: FakeComfyUI, asked: Batch, line: Watched | None = None, **options: Any) -> Answer:
    door = Door(own_hosts={"127.0.0.1"})
    try:
        backend = ComfyUI(door, options.pop("url", fake.url), sleep=lambda _seconds: None, **options)
        text = backend.draw(pack_batch(asked), line or Watched())
    finally:
        door.close()
    return unpack_answer(text, [each.key for each in asked.cells])


def only(answer: Answer) -> Made:
    assert answer.busy is None
    (made,) = answer.made
    return made


def texts(made: Made) -> dict[str, str]:
    assert made.png is not None, made
    with Image.open(io.BytesIO(made.png)) as picture:
        return dict(picture.text)  # type: ignore[attr-defined]


def started(colour: str) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def fake() -> Iterator[FakeComfyUI]:
    with comfyui_server() as running:
        running.choices = {
            "loras": ["art/style.safetensors", "other.safetensors"],
            "checkpoints": ["sub/flux1-dev-fp8.safetensors", "sub/sdxl.safetensors"],
            "unets": ["flux1-dev.safetensors"],
        }
        yield running


def test_a_picture_is_drawn_with_the_lora_and_the_base_model_as_the_tool_calls_them(
    fake: FakeComfyUI,
) -> None:
    made = json.loads(texts(only(draw(fake, batch(cell("one")))))["made"])
    sampler = made["images"]["samples"]
    lora = sampler["model"]
    assert lora["by"] == "LoraLoader"
    assert (lora["lora_name"], lora["strength_model"], lora["strength_clip"]) == (
        "art/style.safetensors",
        0.8,
        0.8,
    )
    assert lora["model"] == {"by": "CheckpointLoaderSimple", "ckpt_name": "sub/sdxl.safetensors"}
    assert sampler["positive"]["text"] == "a one"
    assert sampler["negative"]["text"] == "blurry"
    assert (sampler["sampler_name"], sampler["scheduler"]) == ("dpmpp_2m", "karras")
    assert (sampler["seed"], sampler["steps"], sampler["cfg"], sampler["denoise"]) == (7, 4, 7.0, 1.0)
    assert (sampler["latent_image"]["width"], sampler["latent_image"]["height"]) == (64, 96)


def test_pictures_go_into_the_folder_that_is_emptied_and_not_into_the_users(fake: FakeComfyUI) -> None:
    draw(fake, batch(cell("one", start=started("red"), denoise=0.5)))
    assert {kind for kind, _ in fake.files} == {"temp"}


def test_a_picture_keeps_what_the_tool_says_and_says_what_we_say(fake: FakeComfyUI) -> None:
    made = only(draw(fake, batch(cell("one", infotext="a one\nSteps: 4, Sampler: Euler, Seed: 7"))))
    assert texts(made)["parameters"] == "a one\nSteps: 4, Sampler: Euler, Seed: 7"
    assert json.loads(texts(made)["prompt"]) == fake.prompts[0]
    assert "parameters" not in texts(only(draw(fake, batch(cell("two")))))


def test_each_cell_is_a_prompt_and_only_one_is_in_the_queue(fake: FakeComfyUI) -> None:
    most = []
    fake.told = lambda _step: most.append(len(fake.waiting))
    line = Watched()
    answer = draw(fake, batch(cell("one"), cell("two", seed=8), cell("three", weight=-1.5)), line)
    assert [each.problem for each in answer.made] == [None, None, None]
    assert set(most) == {0}
    assert fake.node(1, "KSampler")["seed"] == 8
    assert fake.node(2, "LoraLoader")["strength_model"] == -1.5
    assert len({each.png for each in answer.made}) == 3
    assert line.told[0] == (0, 12)
    assert line.told[-1] == (12, 12)
    assert line.told == sorted(line.told)


@pytest.mark.parametrize("changed", [{"weight": 0.0}, {"lora": None}])
def test_without_a_lora_its_loader_is_left_out(fake: FakeComfyUI, changed: dict[str, Any]) -> None:
    fake.choices["loras"] = []
    made = json.loads(texts(only(draw(fake, batch(cell("one", **changed)))))["made"])
    assert made["images"]["samples"]["model"]["by"] == "CheckpointLoaderSimple"
    assert made["images"]["samples"]["positive"]["clip"]["by"] == "CheckpointLoaderSimple"


def test_flux_is_drawn_with_guidance_and_its_own_schedule(fake: FakeComfyUI) -> None:
    flux = BaseAsk("flux1", "flux1-dev-fp8")
    made = json.loads(
        texts(only(draw(fake, batch(cell("one"), base=flux, cfg=3.5, sampler="Euler"))))["made"]
    )
    sampler = made["images"]["samples"]
    assert sampler["positive"]["by"] == "FluxGuidance"
    assert sampler["positive"]["guidance"] == 3.5
    assert sampler["cfg"] == 1.0
    assert (sampler["sampler_name"], sampler["scheduler"]) == ("euler", "simple")
    assert sampler["latent_image"]["by"] == "EmptySD3LatentImage"
    assert sampler["model"]["lora_name"] == "art/style.safetensors"
    assert sampler["model"]["model"]["ckpt_name"] == "sub/flux1-dev-fp8.safetensors"


@pytest.mark.parametrize("newest", [True, False])
def test_lists_of_older_and_newer_versions_are_read(fake: FakeComfyUI, newest: bool) -> None:  # noqa: FBT001
    fake.newest = newest
    assert only(draw(fake, batch(cell("one")))).problem is None


@pytest.mark.parametrize(
    ("names", "claims", "called"),
    [
        (["art\\style.safetensors", "style.safetensors"], {}, "art\\style.safetensors"),
        (["deep/art/style.safetensors"], {}, "deep/art/style.safetensors"),
        (["style.safetensors"], {}, "style.safetensors"),
        (["style.safetensors"], {"style.safetensors": "AA" * 32}, "style.safetensors"),
        (["style.safetensors"], {"style.safetensors": "bb" * 32}, None),
        (["art/style.safetensors"], {"art/style.safetensors": "bb" * 32}, "art/style.safetensors"),
        (["a/style.safetensors", "b/style.safetensors"], {}, None),
        (
            ["a/style.safetensors", "b/style.safetensors"],
            {"b/style.safetensors": "aa" * 32},
            "b/style.safetensors",
        ),
        (["art/style.pt", "mystyle.safetensors"], {}, None),
        ([], {}, None),
    ],
)
def test_a_lora_is_known_by_the_end_of_its_path_or_its_hash(
    fake: FakeComfyUI, names: list[str], claims: dict[str, str], called: str | None
) -> None:
    fake.choices["loras"] = names
    fake.headers = {name: {"sshs_model_hash": claim} for name, claim in claims.items()}
    made = only(draw(fake, batch(cell("one"))))
    if called is None:
        assert made.problem == "lora-not-there"
        assert "folders of loras" in made.text
    else:
        assert fake.node(0, "LoraLoader")["lora_name"] == called


def test_a_lora_that_is_not_there_fails_alone(fake: FakeComfyUI) -> None:
    missing = LoraAsk("cc" * 32, "missing", "missing.safetensors")
    answer = draw(fake, batch(cell("one", lora=missing), cell("two")))
    assert [each.problem for each in answer.made] == ["lora-not-there", None]
    assert "'missing'" in answer.made[0].text


@pytest.mark.parametrize(
    ("base", "problem"),
    [
        (BaseAsk("sdxl", "unknown"), "no-base"),
        (BaseAsk("sdxl", ""), "no-base"),
        (BaseAsk("sdxl", "for people", "/models/sub/sdxl.safetensors"), None),
        (BaseAsk("sdxl", "SDXL.safetensors"), None),
    ],
)
def test_a_base_model_is_known_by_its_path_or_name(
    fake: FakeComfyUI, base: BaseAsk, problem: str | None
) -> None:
    assert only(draw(fake, batch(cell("one"), base=base))).problem == problem
    if problem is None:
        assert fake.node(0, "CheckpointLoaderSimple")["ckpt_name"] == "sub/sdxl.safetensors"
    else:
        assert fake.prompts == []


def test_the_only_base_model_there_is_need_not_be_named(fake: FakeComfyUI) -> None:
    fake.choices["checkpoints"] = ["one.safetensors"]
    assert only(draw(fake, batch(cell("one"), base=BaseAsk("sdxl", "")))).problem is None


def test_a_sampler_that_the_tool_has_no_name_for_is_told_of(fake: FakeComfyUI) -> None:
    made = only(draw(fake, batch(cell("one"), sampler="of an extension")))
    assert made.problem == "bad-request"
    assert "DPM++ 2M" in made.text


def test_what_is_filled_in_is_never_a_place_again_nor_json(fake: FakeComfyUI) -> None:
    sly = '%seed% "}, "x": {%lora%} \\ <lora:a:1> %'
    draw(fake, batch(cell("one", prompt=sly)))
    asked = [each["inputs"]["text"] for each in fake.prompts[0].values() if "text" in each["inputs"]]
    assert asked == [sly, "blurry"]


def test_a_seed_is_one_that_the_tool_takes(fake: FakeComfyUI) -> None:
    draw(fake, batch(cell("one", seed=-1)))
    assert fake.node(0, "KSampler")["seed"] == 2**64 - 1


@pytest.mark.parametrize("architecture", ["sdxl", "flux1"])
def test_a_picture_can_begin_with_another(fake: FakeComfyUI, architecture: str) -> None:
    start = started("blue")
    asked = batch(cell("one", start=start, denoise=0.4), base=replace(BASE, architecture=architecture))
    made = json.loads(texts(only(draw(fake, asked)))["made"])
    latent = made["images"]["samples"]["latent_image"]
    assert made["images"]["samples"]["denoise"] == 0.4
    assert latent["by"] == "VAEEncode"
    assert (latent["pixels"]["width"], latent["pixels"]["height"]) == (64, 96)
    name = latent["pixels"]["image"]["image"].removesuffix(" [temp]")
    assert fake.files["temp", name] == base64.b64decode(start)


def test_a_picture_to_begin_with_that_is_none_is_refused(fake: FakeComfyUI) -> None:
    made = only(draw(fake, batch(cell("one", start="no base64!"))))
    assert made.problem == "bad-request"


OWN = {
    "a": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "b": {
        "class_type": "EveryLora",
        "inputs": {"model": ["a", 0], "clip": ["z", 1], "name": "%lora%", "strength": "%weight%"},
    },
    "z": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sub/sdxl.safetensors"}},
    "c": {
        "class_type": "CLIPTextEncode",
        "inputs": {"clip": ["b", 1], "text": "masterpiece, %prompt%, seed %seed% at %weight%, 100%"},
        "_meta": {"title": "what I like"},
    },
    "d": {"class_type": "EmptyLatentImage", "inputs": {"width": 8, "height": "%height%", "batch_size": 1}},
    "e": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["b", 0],
            "positive": ["c", 0],
            "negative": ["c", 0],
            "latent_image": ["d", 0],
            "seed": "%seed%",
            "steps": 30,
            "cfg": "%cfg%",
            "sampler_name": "lcm",
            "scheduler": "simple",
            "denoise": 1.0,
        },
    },
    "f": {"class_type": "VAEDecode", "inputs": {"samples": ["e", 0], "vae": ["z", 2]}},
    "g": {"class_type": "SaveImage", "inputs": {"images": ["f", 0], "filename_prefix": "mine_%date%"}},
}


def test_a_workflow_of_the_users_own_is_drawn_with_what_it_leaves_open(fake: FakeComfyUI) -> None:
    asked = batch(cell("one"), sampler="of an extension", base=BaseAsk("sdxl", "unknown"))
    made = json.loads(texts(only(draw(fake, asked, workflow=json.dumps(OWN))))["made"])
    sampler = made["images"]["samples"]
    assert sampler["model"]["name"] == "art/style.safetensors"
    assert (sampler["model"]["by"], sampler["model"]["strength"]) == ("EveryLora", 0.8)
    assert sampler["positive"]["text"] == "masterpiece, a one, seed 7 at 0.8, 100%"
    assert (sampler["steps"], sampler["latent_image"]["width"]) == (30, 8)
    assert sampler["latent_image"]["height"] == 96
    assert fake.node(0, "SaveImage")["filename_prefix"] == "mine_%date%"
    assert fake.prompts[0]["c"]["_meta"] == {"title": "what I like"}


def test_a_loader_of_others_cannot_be_left_out(fake: FakeComfyUI) -> None:
    answer = draw(fake, batch(cell("one", lora=None), cell("two")), workflow=json.dumps(OWN))
    assert [each.problem for each in answer.made] == ["bad-request", None]
    assert "EveryLora" in answer.made[0].text


def test_a_workflow_that_has_no_denoise_cannot_begin_with_a_picture(fake: FakeComfyUI) -> None:
    made = only(draw(fake, batch(cell("one", start=started("red"))), workflow=json.dumps(OWN)))
    assert made.problem == "bad-request"
    assert "%denoise%" in made.text


def test_a_workflow_can_say_where_its_beginning_goes() -> None:
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "%start%"}},
        "2": {"class_type": "Odd", "inputs": {"denoise": "%denoise%", "lora": "%lora%"}},
        "3": {"class_type": "SaveImage", "inputs": {}},
    }
    found = starting_with(parse_workflow(json.dumps(nodes)))
    assert filled(found, {"start": "x.png [temp]"})["1"]["inputs"] == {"image": "x.png [temp]"}
    assert set(found) == {"1", "2", "3"}


def test_a_workflow_whose_beginning_is_not_clear_says_what_to_do() -> None:
    nodes = {
        "1": {"class_type": "Odd", "inputs": {"denoise": "%denoise%", "lora": "%lora%"}},
        "2": {"class_type": "SaveImage", "inputs": {}},
    }
    with pytest.raises(BadRequest) as refused:
        starting_with(parse_workflow(json.dumps(nodes)))
    assert "%start%" in refused.value.remedy


def test_chains_of_loaders_are_left_out_together() -> None:
    nodes = {
        "1": {"class_type": "UNETLoader", "inputs": {}},
        "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["1", 0], "lora_name": "%lora%"}},
        "3": {
            "class_type": "LoraLoader",
            "inputs": {"model": ["2", 0], "clip": ["9", 1], "lora_name": "%lora%"},
        },
        "4": {"class_type": "SaveImage", "inputs": {"m": ["3", 0], "c": ["3", 1], "size": [3, 0]}},
    }
    found = without_lora(parse_workflow(json.dumps(nodes)))
    assert set(found) == {"1", "4"}
    assert found["4"]["inputs"] == {"m": ["1", 0], "c": ["9", 1], "size": [3, 0]}


def test_loaders_that_lead_in_a_circle_do_not_go_on_for_ever() -> None:
    nodes = {
        "1": {"class_type": "LoraLoader", "inputs": {"model": ["2", 0], "lora_name": "%lora%"}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "lora_name": "%lora%"}},
        "3": {"class_type": "SaveImage", "inputs": {"m": ["1", 0]}},
    }
    assert set(without_lora(parse_workflow(json.dumps(nodes)))) == {"3"}


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("{", "no JSON", "Export (API)"),
        (json.dumps({"nodes": [], "links": []}), "format of the canvas", "Export (API)"),
        ("[]", "not in the API format", "Export (API)"),
        ("{}", "not in the API format", "Export (API)"),
        (json.dumps({"1": {"class_type": "X"}}), "not in the API format", "Export (API)"),
        (json.dumps({"1": {"class_type": "SaveImage", "inputs": {}}}), "no place for a lora", "%lora%"),
        (json.dumps({"1": {"class_type": "X", "inputs": {"a": "%lora%"}}}), "no picture", "PreviewImage"),
        ('"' + "x" * 1_000_001 + '"', "1,000,000 characters", ""),
    ],
)
def test_a_workflow_that_cannot_be_used_says_what_to_do(text: str, message: str, remedy: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ComfyUI(Door(), "http://127.0.0.1:8188", text)
    assert message in str(refused.value)
    assert remedy in refused.value.remedy


def test_a_batch_waits_while_the_users_own_pictures_are_drawn(fake: FakeComfyUI) -> None:
    fake.users()
    answer = draw(fake, batch(cell("one")))
    assert answer.made == ()
    assert answer.busy is not None
    assert fake.url in answer.busy
    assert answer.seconds > 0
    assert fake.prompts == []


def test_what_the_user_asks_for_meanwhile_is_drawn_between_two_of_ours(fake: FakeComfyUI) -> None:
    order = []

    def told(step: int) -> None:
        assert fake.running is not None
        order.append(fake.running.client)
        if len(order) == 1:
            fake.users()

    fake.told = told
    answer = draw(fake, batch(cell("one"), cell("two")))
    assert [each.problem for each in answer.made] == [None, None]
    assert order[fake.steps] == "the user"
    assert order[-1] != "the user"


def test_a_cell_that_is_dropped_while_it_is_drawn_is_stopped_and_the_others_go_on(fake: FakeComfyUI) -> None:
    fake.steps = 20
    answer = draw(fake, batch(cell("one"), cell("two")), Watched(drop={0: 4}))
    assert [each.problem for each in answer.made] == ["cancelled", None]
    assert len(set(fake.interrupted)) == 1
    assert fake.deleted == []


def test_when_all_are_dropped_the_queue_is_empty(fake: FakeComfyUI) -> None:
    fake.steps = 20
    answer = draw(fake, batch(cell("one"), cell("two")), Watched(drop={0: 4, 1: 4}))
    assert [each.problem for each in answer.made] == ["cancelled", "cancelled"]
    assert len(fake.prompts) == 1
    assert (fake.running, fake.waiting) == (None, [])


def test_one_that_waits_behind_the_users_is_taken_from_the_queue_and_theirs_goes_on(
    fake: FakeComfyUI,
) -> None:
    fake.steps = 20
    line = Watched()

    def asked() -> None:
        # Once ours is in the queue the user's own gets before it.
        if fake.waiting and fake.running is None:
            fake.running = fake.users()
            fake.waiting.remove(fake.running)
            line.drop = {0: 0}

    line.asked = asked
    assert only(draw(fake, batch(cell("one")), line)).problem == "cancelled"
    assert fake.interrupted == []
    assert len(fake.deleted) == 1
    assert fake.running is not None
    assert fake.running.client == "the user"


def test_the_users_picture_is_not_stopped_by_one_of_ours_that_is_gone(fake: FakeComfyUI) -> None:
    fake.steps, fake.newest = 20, False
    line = Watched()

    def asked() -> None:
        if fake.running is not None and fake.running.client != "the user":
            fake.running = fake.users()
            fake.waiting.remove(fake.running)
            line.drop = {0: 0}

    line.asked = asked
    assert only(draw(fake, batch(cell("one")), line)).problem == "cancelled"
    assert fake.interrupted == []


def test_an_interruption_that_came_too_early_is_said_again(fake: FakeComfyUI) -> None:
    fake.steps = 20
    line = Watched()
    line.asked = lambda: setattr(line, "drop", {0: 0} if fake.running else {})
    fake.told = lambda _step: setattr(fake, "step", 0) if len(fake.interrupted) < 3 else None
    assert only(draw(fake, batch(cell("one")), line)).problem == "cancelled"
    assert len(fake.interrupted) >= 3


def test_when_whoever_watches_breaks_off_nothing_goes_on(fake: FakeComfyUI) -> None:
    fake.steps = 20

    def broken() -> None:
        if fake.running is not None and fake.step:
            raise RuntimeError("the line is dead")

    with pytest.raises(RuntimeError, match="the line is dead"):
        draw(fake, batch(cell("one")), Watched(asked=broken))
    assert len(fake.interrupted) == 1


def test_a_picture_that_the_user_stopped_or_took_away_says_so(fake: FakeComfyUI) -> None:
    fake.told = lambda step: setattr(fake, "stopped", step == 2)
    stopped = only(draw(fake, batch(cell("one"))))
    assert (stopped.problem, stopped.text) == ("cancelled", "it was stopped in ComfyUI")
    fake.told = lambda _step: setattr(fake, "running", None)
    gone = only(draw(fake, batch(cell("one"))))
    assert gone.problem == "cancelled"
    assert "started anew" in gone.text


def test_a_failure_is_told_without_what_is_nobodys_business_and_the_next_is_drawn(fake: FakeComfyUI) -> None:
    fake.failing = [
        {"node_type": "KSampler", "exception_type": "RuntimeError", "exception_message": "shapes\ndo not fit"}
    ]
    answer = draw(fake, batch(cell("one"), cell("two")))
    assert answer.made[0].problem == "tool-refused"
    assert answer.made[0].text == "ComfyUI: KSampler: RuntimeError: shapes do not fit"
    assert answer.made[1].problem is None


def test_a_tool_without_memory_says_so(fake: FakeComfyUI) -> None:
    fake.failing = [{"node_type": "KSampler", "exception_type": "torch.OutOfMemoryError"}]
    assert only(draw(fake, batch(cell("one")))).problem == "out-of-memory"


def test_a_workflow_that_the_tool_refuses_is_told_of_with_its_reason(fake: FakeComfyUI) -> None:
    wrong = json.loads(json.dumps(OWN))
    wrong["e"]["inputs"]["scheduler"] = "no such"
    made = only(draw(fake, batch(cell("one")), workflow=json.dumps(wrong)))
    assert made.problem == "tool-refused"
    assert "Prompt outputs failed validation" in made.text
    assert "scheduler: 'no such'" in made.text


def test_a_tool_that_is_not_there_is_asked_again_later(fake: FakeComfyUI) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        answer = draw(fake, batch(cell("one")), url=url)
    assert answer == Answer(busy=f"ComfyUI is not answering at {url}", seconds=30.0)


def test_a_network_that_is_switched_off_is_told_of() -> None:
    with pytest.raises(Offline):
        ComfyUI(Door(offline=True), "http://127.0.0.1").draw(pack_batch(batch(cell("one"))), Watched())


def test_when_the_tool_goes_away_the_rest_is_not_tried(fake: FakeComfyUI) -> None:
    tried = []

    class Cut(Door):
        def ask(self, *args: Any) -> Any:
            if fake.prompts:
                tried.append(args[1].url)
                return super().ask(args[0], replace(args[1], url="http://127.0.0.1:1/"))
            return super().ask(*args)

    door = Cut(own_hosts={"127.0.0.1"})
    asked = batch(cell("one"), cell("two"))
    text = ComfyUI(door, fake.url, sleep=lambda _seconds: None).draw(pack_batch(asked), Watched())
    door.close()
    answer = unpack_answer(text, ["one", "two"])
    # Nothing is said of them: they are tried another time.
    assert answer == Answer()
    assert not any(url.endswith("/prompt") for url in tried)
    assert 3 < len(tried) < 10


def test_a_question_that_fails_now_and_then_costs_no_picture(fake: FakeComfyUI) -> None:
    fake.steps = 10
    fails = iter([True, False, True, True, False, False] * 20)

    class Flaky(Door):
        def ask(self, *args: Any) -> Any:
            if "/history/" in args[1].url and next(fails):
                return super().ask(args[0], replace(args[1], url="http://127.0.0.1:1/"))
            return super().ask(*args)

    door = Flaky(own_hosts={"127.0.0.1"})
    text = ComfyUI(door, fake.url, sleep=lambda _seconds: None).draw(
        pack_batch(batch(cell("one"))), Watched()
    )
    door.close()
    assert only(unpack_answer(text, ["one"])).problem is None


PAGE = Raw(200, b"<html>a page</html>", "text/html")


@pytest.mark.parametrize(
    ("path", "raw", "text"),
    [
        ("/prompt", PAGE, "no JSON"),
        ("/view", PAGE, "is no picture"),
        ("/view", Raw(200, b"\xff\xd8\xff\xe0JFIF"), "is JPEG and not PNG"),
        ("/view", Raw(200, b"\x89PNG\r\n\x1a\n"), "without a beginning"),
        ("/object_info/CheckpointLoaderSimple", Raw(200, b"[[]]"), "has no base model"),
        ("/object_info/LoraLoader", Raw(200, b'{"LoraLoader": {"input": 7}}'), "has no lora"),
        ("/upload/image", Raw(200, b"{}"), "does not say where"),
        ("/upload/image", PAGE, "no JSON"),
    ],
)
def test_odd_answers_are_told_of_and_end_no_program(
    fake: FakeComfyUI, path: str, raw: Raw, text: str
) -> None:
    fake.instead[path] = raw
    made = only(draw(fake, batch(cell("one", start=started("red"), denoise=0.5))))
    assert made.problem in {"bad-answer", "no-base", "lora-not-there"}
    assert text in made.text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (PAGE, "no JSON"),
        (Raw(200, b"{}"), "there is no ComfyUI"),
        (Raw(200, b'{"queue_running": 7, "queue_pending": []}'), "there is no ComfyUI"),
        (Raw(503, b"away"), "503"),
    ],
)
def test_what_does_not_answer_as_comfyui_is_asked_again(fake: FakeComfyUI, raw: Raw, text: str) -> None:
    fake.instead["/queue"] = raw
    answer = draw(fake, batch(cell("one")))
    assert (answer.made, answer.seconds) == ((), 30.0)
    assert text in (answer.busy or "")


@pytest.mark.parametrize(
    "history",
    [
        {"outputs": {}, "status": {"status_str": "success"}},
        {"outputs": {"9": {"images": [{"filename": "x", "subfolder": "", "type": "elsewhere"}]}}},
        {"outputs": {"9": {"images": [7]}}, "status": {"messages": [7, ["a"], [7, 7]]}},
        {"outputs": 7, "status": 7},
        {},
    ],
)
def test_odd_histories_are_told_of_and_end_no_program(fake: FakeComfyUI, history: dict[str, Any]) -> None:
    fake.told = lambda _step: fake.history.update({fake.running.number: history} if fake.running else {})
    made = only(draw(fake, batch(cell("one"))))
    assert made.problem in {"bad-answer", "cancelled"}
    assert made.png is None


def test_a_path_from_the_tool_stays_a_question(fake: FakeComfyUI) -> None:
    image = {"filename": "../../queue?x=1#", "subfolder": "a&type=input", "type": "temp"}
    found = comfyui._view({"outputs": {"9": {"images": [image]}}})
    assert found == "/view?filename=..%2F..%2Fqueue%3Fx%3D1%23&subfolder=a%26type%3Dinput&type=temp"


def test_the_page_lists_every_place_and_every_problem() -> None:
    page = (Path(__file__).parents[3] / "docs" / "render-tools.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`%{name}%`" not in page] == []
    errors = (BadAnswer, LoraNotThere, NoBase, OutboundError, ToolRefused)
    assert [error.slug for error in errors if f"`{error.slug}`" not in page] == []
