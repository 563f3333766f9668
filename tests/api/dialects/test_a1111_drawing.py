"""Drawing over A1111's API: asked by clients that wait, answered with what our renderer drew."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import webuiapi  # type: ignore[import-untyped]
from PIL import Image

from registry.api.dialects.base_models import bases_of
from registry.catalog.jobs import get_job
from registry.catalog.pictures import picture_of_key
from registry.catalog.pieces import stop_job
from registry.catalog.uploads import UPLOAD
from registry.config import load_settings
from registry.drawings import FIRST, Asking
from registry.errors import NoBase, UnsupportedArchitecture
from tests.support.easel import Easel
from tests.support.files import kohya_metadata
from tests.support.pictures import plain
from tests.support.serving import REMOTE, Service
from tests.support.telling import bearer, token
from tests.support.tool_library import note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.catalogs import Builder

    Start = Callable[..., Service]

TXT, IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
PROGRESS, INTERRUPT, SKIP = "/sdapi/v1/progress", "/sdapi/v1/interrupt", "/sdapi/v1/skip"
BASES = {"sd15": "/models/sd15.safetensors", "sdxl": "/models/xl/base.safetensors"}
SMALL: dict[str, Any] = {"width": 64, "height": 64, "steps": 2}
INFO = [
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds", "subseed",
    "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale", "steps", "batch_size",
    "restore_faces", "face_restoration_model", "sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash",
    "seed_resize_from_w", "seed_resize_from_h", "denoising_strength", "extra_generation_params",
    "index_of_first_image", "infotexts", "styles", "job_timestamp", "clip_skip",
    "is_using_inpainting_conditioning", "version",
]  # fmt: skip


@pytest.fixture
def filled(builder: Builder) -> Builder:
    """A catalog of loras, some of which share names and aliases."""
    root, more = builder.root("/models/lora", label="main"), builder.root("/models/more", label="more")
    for name, alias in (("ink", "Ink wash"), ("hat", "last"), ("own", "last")):
        builder.file(root, f"{name}.safetensors", kohya_metadata(seed=len(name), tags=2, name=alias))
    builder.file(more, "deep/hat.safetensors")
    builder.file(more, ".hidden/dot.safetensors")
    builder.write()
    builder.hash("ink", "1" * 64, "a" * 64)
    return builder


@pytest.fixture
def opened(start: Start, filled: Builder) -> Service:
    return start(bases=BASES, nsfw_pictures="none")


@pytest.fixture
def easel(opened: Service) -> Easel:
    return Easel(opened)


def draw(service: Service, path: str = TXT, **body: Any) -> httpx.Response:
    return service.ask("POST", path, json={**SMALL, **body})


def refusal(answer: httpx.Response, status: int = 422) -> str:
    body: dict[str, str] = answer.json()
    assert answer.status_code == status, answer.text
    assert list(body) == ["error", "detail", "body", "errors"]
    assert body["errors"].startswith(body["detail"])
    return body["detail"]


def image(answer: httpx.Response, place: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][place])))


def state_of(service: Service, job_id: int) -> str:
    with service.builder.catalog.read() as conn:
        return get_job(conn, job_id).state


def lora_id(service: Service, name: str) -> int:
    found: int = service.get(f"/api/v1/loras/{name}")["lora"]["id"]
    return found


def test_a_prompt_is_answered_with_pictures_in_the_order_of_their_seeds(easel: Easel) -> None:
    service = easel.service
    answer = draw(
        service,
        prompt="a heron <lora:ink:0.8>",
        negative_prompt="lowres",
        seed=7,
        batch_size=2,
        n_iter=2,
        cfg_scale=5,
        sampler_name="DPM++ 2M",
        scheduler="Karras",
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert list(told) == ["images", "parameters", "info"]
    info = json.loads(told["info"])
    assert list(info) == INFO
    assert easel.asked == [
        Asking(
            loras=(lora_id(service, "ink"),),
            weights=(0.8,),
            seeds=(7, 8, 9, 10),
            prompt="a heron",
            negative="lowres",
            size=(64, 64),
            steps=2,
            sampler="DPM++ 2M Karras",
            cfg=5.0,
            priority=FIRST,
        )
    ]
    assert [image(answer, place).getpixel((0, 0)) for place in range(4)] == [
        (seed, 2, len("a heron")) for seed in (7, 8, 9, 10)
    ]
    assert info["all_seeds"] == [7, 8, 9, 10]
    assert (info["sd_model_name"], info["sd_model_hash"]) == ("base", "ab" * 5)
    assert image(answer, 1).info["parameters"] == info["infotexts"][1]
    assert "Seed: 8" in info["infotexts"][1]
    assert info["extra_generation_params"]["Lora hashes"].startswith("ink: ")
    assert told["parameters"]["prompt"] == "a heron <lora:ink:0.8>"
    assert len(info["job_timestamp"]) == 14


def test_what_is_sent_is_what_is_kept(easel: Easel) -> None:
    service = easel.service
    sent = base64.b64decode(draw(service, prompt="<lora:ink:1>", seed=1).json()["images"][0])
    (shown,) = service.get("/api/v1/loras/ink/pictures")["items"]
    assert service.ask("GET", f"/api/v1/pictures/{shown['key']}/original").content == sent
    assert draw(service, prompt="x", send_images=False).json()["images"] == []


def test_without_a_lora_the_base_model_is_drawn(easel: Easel) -> None:
    answer = draw(easel.service, prompt="a cat", override_settings={"sd_model_checkpoint": "base"})
    assert answer.status_code == 200
    (asked,) = easel.asked
    assert (asked.loras, asked.weights, asked.base, asked.architecture) == ((), (), "sdxl", "sdxl")
    assert 0 <= asked.seeds[0] < 2**32
    draw(easel.service, prompt="<lora:ink:1>", override_settings={"sd_model_checkpoint": "sd15.safetensors"})
    assert (easel.asked[1].base, easel.asked[1].architecture) == ("sd15", "")
    said = refusal(draw(easel.service, override_settings={"sd_model_checkpoint": "other"}))
    assert said == "there is no checkpoint 'other'"


def test_ancestral_samplers_are_drawn_without_their_noise_and_so_told(easel: Easel) -> None:
    answer = draw(easel.service, sampler_name="Euler a")
    assert easel.asked[0].sampler == "Euler"
    assert answer.json()["parameters"]["sampler_name"] == "Euler"
    said = refusal(draw(easel.service, sampler_name="DPM fast"))
    assert "there is no sampler 'DPM fast'" in said


def test_another_renderer_has_samplers_of_its_own(start: Start, filled: Builder) -> None:
    service = start(renderer="a1111")
    easel = Easel(service)
    assert draw(service, sampler_name="Euler a").status_code == 200
    assert easel.asked[0].sampler == "Euler a"
    names = [each["name"] for each in service.get("/sdapi/v1/samplers")]
    assert "UniPC" in names


@pytest.mark.parametrize(("name", "found"), [("ink", "ink"), ("Ink wash", "ink"), ("own", "own")])
def test_loras_are_called_as_in_the_list(easel: Easel, name: str, found: str) -> None:
    listed = {each["name"]: each["alias"] for each in easel.service.get("/sdapi/v1/loras")}
    assert name in {*listed, *listed.values()}
    assert draw(easel.service, prompt=f"<lora:{name}:1>").status_code == 200
    assert easel.asked[0].loras == (lora_id(easel.service, found),)


def test_of_files_with_one_name_it_is_the_one_that_is_listed(easel: Easel) -> None:
    (listed,) = [each for each in easel.service.get("/sdapi/v1/loras") if each["name"] == "hat"]
    assert listed["path"].endswith("deep/hat.safetensors")
    draw(easel.service, prompt="<lora:hat:1>")
    assert easel.asked[0].loras == (lora_id(easel.service, "deep%2Fhat.safetensors"),)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("<lora:nobody:1>", "there is no lora 'nobody'"),
        ("<lora:INK:1>", "there is no lora 'INK'"),
        ("<lora:dot:1>", "there is no lora 'dot'"),
        ("<lora:last:1>", "several loras have the alias 'last': 'hat', 'own'"),
        (
            "<lora:ink:1> <lora:own:1>",
            "a picture is drawn with one lora here, and the prompt names 2: 'ink', 'own'",
        ),
        ("<lora:ink:1:0.5>", "prompt gives the lora 'ink' two weights, te and unet, which is not done here"),
        ("<hypernet:x:1>", "prompt names a hypernetwork, which is not done here"),
    ],
)
def test_what_cannot_be_drawn_as_asked_is_refused(easel: Easel, prompt: str, said: str) -> None:
    assert refusal(draw(easel.service, prompt=prompt)) == said
    assert easel.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"5", b'"x"', b'{"prompt": 5}', b'{"steps": 1e99}', b'{"width": 100000}',
        b'{"batch_size": 65}', b'{"prompt": "<lora::1>"}', b'{"enable_hr": true}',
        b'{"override_settings": []}', b'{"prompt": "\\ud800<lora:\\udfff:1>"}', b"[" * 10_000, b"\xff",
        b'{"script_name": "x/y/z"}', b'{"alwayson_scripts": {"ControlNet": {}}}', b'{"seed": NaN}',
    ],
)  # fmt: skip
def test_hostile_bodies_are_refused_in_its_words(easel: Easel, body: bytes) -> None:
    refusal(easel.service.ask("POST", TXT, content=body))
    refusal(easel.service.ask("POST", IMG, content=body))
    assert easel.asked == []


def test_what_the_renderer_says_is_told(easel: Easel) -> None:
    easel.refusal = NoBase("no base model is known", remedy="name one in the settings")
    answer = draw(easel.service)
    assert refusal(answer, 409) == "no base model is known"
    assert answer.json()["errors"] == "no base model is known; name one in the settings"
    easel.refusal = UnsupportedArchitecture("ink is for flux1, which is not drawn here")
    assert refusal(draw(easel.service)) == "ink is for flux1, which is not drawn here"


def test_pictures_that_fail_are_no_answer(easel: Easel) -> None:
    easel.error = "there is not enough memory"
    said = refusal(draw(easel.service, batch_size=2), 500)
    assert said == "2 of 2 pictures could not be drawn: there is not enough memory"


def test_an_answer_waits_until_the_pictures_are_there(easel: Easel) -> None:
    easel.draws = False

    def later() -> None:
        assert easel.queued.wait(20)
        easel.draw(most=1)
        easel.draw()

    painter = threading.Thread(target=later)
    painter.start()
    answer = draw(easel.service, prompt="a cat", batch_size=2)
    painter.join(20)
    assert len(answer.json()["images"]) == 2


def gone(service: Service, body: dict[str, Any]) -> list[Any]:
    """Send a request whose client goes away, and return what would be sent to it."""
    told: list[Any] = []
    content = json.dumps(body).encode()
    incoming: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": TXT,
        "raw_path": TXT.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8567"), (b"content-length", b"%d" % len(content))],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8567),
    }
    assert service._runner is not None
    service._runner.run(service.app(scope, receive, send))
    return told


def test_a_drawing_is_stopped_when_its_client_goes_away(easel: Easel) -> None:
    easel.draws = False
    assert gone(easel.service, {**SMALL, "prompt": "a cat"})[0]["status"] == 499
    assert state_of(easel.service, easel.jobs[0]) == "cancelled"


def test_of_one_that_was_begun_the_renderer_is_told(easel: Easel) -> None:
    easel.draws = False
    original = easel.render

    def render(asking: Asking, actor: str | None) -> Any:
        found = original(asking, actor)
        easel.begin()
        return found

    object.__setattr__(easel.service.app.state.context, "render", render)
    gone(easel.service, {**SMALL, "prompt": "a cat"})
    with easel.service.builder.catalog.read() as conn:
        query = "SELECT state, cancel FROM job"
        assert [tuple(row) for row in conn.exec_driver_sql(query)] == [("running", 1)]


@pytest.mark.parametrize("path", [INTERRUPT, SKIP])
def test_an_interrupt_stops_what_one_has_waited_for_longest(easel: Easel, path: str) -> None:
    easel.draws = False
    service = easel.service

    def job(actor: str | None, **more: Any) -> int:
        job_id = easel.render(Asking(prompt="a cat", **more), actor)[0]
        if more:
            service.app.state.context.waiting[job_id] = actor
        return job_id

    # Whatever its priority: nobody waits for it.
    easel.render(Asking(prompt="a cat", priority=2 * FIRST), None)
    other, batch = job("mia", priority=FIRST), job(None)
    first, second = job(None, priority=FIRST), job(None, priority=FIRST)
    stopped = []
    for _ in range(3):
        answer = service.ask("POST", path)
        assert (answer.status_code, answer.json()) == (200, {} if path == INTERRUPT else None)
        stopped.append([each for each in easel.jobs if state_of(service, each) == "cancelled"])
    assert stopped == [[first], [first, second], [first, second]]
    assert {state_of(service, each) for each in (easel.jobs[0], other, batch)} == {"queued"}


def test_one_that_was_stopped_is_answered_with_what_there_is(easel: Easel) -> None:
    easel.draws = False

    def later() -> None:
        assert easel.queued.wait(20)
        easel.draw(most=1)
        with easel.service.builder.catalog.write() as unit:
            stop_job(unit, easel.jobs[0])
        easel.give_up()

    painter = threading.Thread(target=later)
    painter.start()
    answer = draw(easel.service, prompt="a cat", batch_size=3)
    painter.join(20)
    assert len(answer.json()["images"]) == 1
    assert state_of(easel.service, easel.jobs[0]) == "cancelled"


def test_progress_is_idle_where_nothing_is_drawn(easel: Easel) -> None:
    told = easel.service.get(PROGRESS)
    assert list(told) == ["progress", "eta_relative", "state", "current_image", "textinfo"]
    assert (told["progress"], told["state"]["job_count"], told["current_image"]) == (0.0, 0, None)


def test_progress_tells_of_ones_own_drawing_before_those_of_others(easel: Easel) -> None:
    easel.draws = False
    service = easel.service
    other = easel.render(Asking(prompt="a dog", seeds=tuple(range(4))), "mia")[0]
    assert service.get(PROGRESS)["state"]["job_count"] == 0
    easel.begin()
    easel.told = {
        "state": "working",
        "batches": [{"jobs": [other], "pieces": 2, "step": 5, "steps": 10}],
        "waits_for": None,
    }
    told = service.get(f"{PROGRESS}?skip_current_image=true")
    assert (told["progress"], told["state"]["job_count"], told["state"]["job_no"]) == (0.25, 4, 0)
    assert (told["state"]["sampling_step"], told["state"]["sampling_steps"]) == (5, 10)
    assert told["eta_relative"] >= 0
    own = easel.render(Asking(prompt="a cat", seeds=(1, 2), priority=FIRST), None)[0]
    service.app.state.context.waiting[own] = None
    easel.told["waits_for"] = "ComfyUI is drawing for somebody else"
    told = service.get(PROGRESS)
    assert (told["progress"], told["state"]["job_count"]) == (0.0, 2)
    assert told["textinfo"] == "waiting: ComfyUI is drawing for somebody else"


def test_what_can_be_chosen_is_listed(easel: Easel) -> None:
    service = easel.service
    models = service.get("/sdapi/v1/sd-models")
    assert models[0] == {
        "title": "sd15.safetensors",
        "model_name": "sd15",
        "hash": None,
        "sha256": None,
        "filename": "/models/sd15.safetensors",
        "config": None,
    }
    assert [each["title"] for each in models] == ["sd15.safetensors", "base.safetensors"]
    assert service.get("/sdapi/v1/options") == {"sd_model_checkpoint": "sd15.safetensors"}
    assert service.ask("POST", "/sdapi/v1/options", json={}).status_code == 405
    assert service.get("/sdapi/v1/schedulers")[0]["name"] == "automatic"
    names = [each["name"] for each in service.get("/sdapi/v1/samplers")]
    assert names == ["Euler", "DPM++ 2M", "DPM++ 2M Karras", "DDIM", "LCM", "Euler a"]


def test_base_models_of_one_name_are_told_apart(start: Start, filled: Builder) -> None:
    bases = {"sd15": "/a/base.safetensors", "sdxl": "/b/base.safetensors", "pony": "/b/base.safetensors"}
    service = start(bases=bases)
    easel = Easel(service)
    titles = [each["title"] for each in service.get("/sdapi/v1/sd-models")]
    assert titles == ["a/base.safetensors", "b/base.safetensors"]
    for title in titles:
        assert draw(service, override_settings={"sd_model_checkpoint": title}).status_code == 200
    assert [asked.base for asked in easel.asked] == ["sd15", "sdxl"]


def test_no_base_model_is_no_checkpoint(start: Start) -> None:
    service = start()
    assert service.get("/sdapi/v1/sd-models") == []
    assert service.get("/sdapi/v1/options") == {"sd_model_checkpoint": None}


def test_a_png_tells_how_it_was_made(easel: Easel) -> None:
    sent = draw(easel.service, prompt="a heron", seed=3).json()["images"][0]
    for given in (sent, f"data:image/png;base64,{sent}"):
        told = easel.service.ask("POST", "/sdapi/v1/png-info", json={"image": given}).json()
        assert list(told) == ["info", "items", "parameters"]
        assert told["info"].startswith("a heron\nSteps: 2")
        assert (told["parameters"]["Prompt"], told["parameters"]["Seed"]) == ("a heron", "3")
    other = base64.b64encode(plain("JPEG")).decode()
    told = easel.service.ask("POST", "/sdapi/v1/png-info", json={"image": other}).json()
    assert told == {"info": "", "items": {}, "parameters": {}}
    wrong: tuple[object, ...] = ({}, {"image": 5}, {"image": "!"}, [])
    for body in wrong:
        refusal(easel.service.ask("POST", "/sdapi/v1/png-info", json=body))


def init(size: tuple[int, int] = (60, 40), kind: str = "PNG", **options: Any) -> str:
    return base64.b64encode(plain(kind, size, **options)).decode()


def uploads(service: Service) -> list[str]:
    with service.builder.catalog.read() as conn:
        query = f"SELECT key FROM picture_of WHERE kind = '{UPLOAD}'"
        return list(conn.exec_driver_sql(query).scalars())


def test_a_drawing_begins_with_a_picture_that_is_kept(easel: Easel) -> None:
    service = easel.service
    answer = draw(service, IMG, prompt="a cat", init_images=[init()], denoising_strength=0.4)
    assert answer.status_code == 200, answer.text
    (asked,) = easel.asked
    assert ([asked.start], asked.denoise) == (uploads(service), 0.4)
    assert answer.json()["parameters"]["init_images"] is None
    assert "Denoising strength: 0.4" in json.loads(answer.json()["info"])["infotexts"][0]
    (key,) = uploads(service)
    with service.builder.catalog.read() as conn:
        assert picture_of_key(conn, key) is not None


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "init_images has no picture"),
        ([init(), init()], "init_images has more than one picture"),
        (["https://evil.example/x.png"], "init_images is no picture in base64"),
        ([base64.b64encode(b"<svg/>").decode()], "that is no picture"),
        ([init(kind="JPEG")], "a picture to begin with is no JPEG here"),
        ([base64.b64encode(plain()[:60]).decode()], "the PNG picture is damaged"),
        ([init((4100, 8))], "a picture to begin with has at most 4,096 pixels a side"),
    ],
)
def test_what_is_no_picture_to_begin_with_is_refused(easel: Easel, images: Any, said: str) -> None:
    assert said in refusal(draw(easel.service, IMG, init_images=images))
    assert easel.asked == []


def test_another_renderer_begins_with_more_kinds(start: Start, filled: Builder) -> None:
    service = start(renderer="comfyui")
    Easel(service)
    for kind in ("PNG", "JPEG", "WEBP"):
        assert draw(service, IMG, init_images=[init(kind=kind)]).status_code == 200
    refusal(draw(service, IMG, init_images=[init(kind="GIF")]))


def test_only_bodies_with_pictures_may_be_large(easel: Easel) -> None:
    service = easel.service
    large = b'{"prompt": "' + b"x" * (2 << 20) + b'"}'
    assert service.ask("POST", TXT, content=large).status_code == 413
    assert refusal(service.ask("POST", IMG, content=large)) == "prompt has more than 10,000 characters"
    picture = json.dumps({"image": "A" * (33 << 20)}).encode()
    assert service.ask("POST", "/sdapi/v1/png-info", content=picture).status_code == 200
    assert refusal(service.ask("POST", "/sdapi/v1/png-info", content=b" " * ((43 << 20) + 1)), 413)


def test_drawing_needs_the_role_for_it(opened: Service) -> None:
    Easel(opened)
    reader, writer = token(opened), token(opened, "painter", "write")
    for path in (TXT, IMG, INTERRUPT, SKIP):
        assert opened.ask("POST", path, peer=REMOTE, json=SMALL).status_code == 401
        answer = opened.ask("POST", path, peer=REMOTE, json=SMALL, headers=bearer(reader))
        assert refusal(answer, 403) == "that needs the role write, not read"
        assert opened.ask("POST", f"/k/{writer}{path}", peer=REMOTE, json=SMALL).status_code == 403
    for path in (PROGRESS, "/sdapi/v1/samplers", "/sdapi/v1/sd-models", "/sdapi/v1/options"):
        assert opened.ask("GET", path, peer=REMOTE).status_code == 401
        assert opened.ask("GET", path, peer=REMOTE, headers=bearer(reader)).status_code == 200
    basic = {"Authorization": "Basic " + base64.b64encode(f"any:{writer}".encode()).decode()}
    assert opened.ask("POST", TXT, peer=REMOTE, json=SMALL, headers=basic).status_code == 200


def test_where_files_are_is_told_to_those_who_may_write(opened: Service) -> None:
    for role, filename in (("read", "sd15.safetensors"), ("write", "/models/sd15.safetensors")):
        headers = bearer(token(opened, role, role))
        models = opened.ask("GET", "/sdapi/v1/sd-models", peer=REMOTE, headers=headers).json()
        assert models[0]["filename"] == filename


def test_whoever_is_not_told_of_a_lora_draws_none_of_it(opened: Service) -> None:
    easel = Easel(opened)
    note(opened.builder, "ink", nsfw=8)
    for name, scope, status in (
        ("kid", {"nsfw_entries": 2}, 422),
        ("shy", {"nsfw_pictures": 2}, 403),
        ("mia", {"nsfw_pictures": 8, "nsfw_entries": 8}, 200),
    ):
        headers = bearer(token(opened, name, "write", **scope))
        answer = opened.ask(
            "POST", TXT, peer=REMOTE, json={**SMALL, "prompt": "<lora:ink:1>"}, headers=headers
        )
        assert answer.status_code == status, answer.text
        assert opened.ask("POST", TXT, peer=REMOTE, json=SMALL, headers=headers).status_code == 200
    assert len([asked for asked in easel.asked if asked.loras]) == 1


def test_a_tool_draws_with_the_loras_of_its_profile(start: Start, filled: Builder) -> None:
    tools = {"webui": {"dialect": "a1111", "roots": ["more"]}}
    service = start(tools=tools, bases=BASES)
    easel = Easel(service)
    assert draw(service, f"/t/webui{TXT}", prompt="<lora:hat:1>").status_code == 200
    assert len(easel.asked) == 1
    refusal(draw(service, f"/t/webui{TXT}", prompt="<lora:ink:1>"))


def test_a_client_that_people_use_draws(filled: Builder, tmp_path: Path) -> None:
    service = Service(filled, tmp_path, lambda: 0.0, bases=BASES)
    easel = Easel(service)
    with service.listening() as url:
        api = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1", sampler="Euler a", steps=2)
        found = api.txt2img(prompt="a heron <lora:ink:0.5>", width=64, height=64, seed=5)
        assert (found.image.size, found.info["seed"]) == ((64, 64), 5)
        again = api.img2img(images=[found.image], prompt="a heron", width=64, height=64, seed=6)
        assert again.image.size == (64, 64)
        assert "Seed: 5" in api.png_info(found.image).info
        assert api.get_samplers()[0]["name"] == "Euler"
        assert api.get_progress()["progress"] == 0
        assert api.util_get_model_names() == ["base.safetensors", "sd15.safetensors"]
        assert api.util_get_current_model() == "sd15.safetensors"
        api.interrupt()
    assert [asked.start is None for asked in easel.asked] == [True, False]
    service.studio.close()


def test_a_client_that_closes_its_connection_stops_its_drawing(filled: Builder, tmp_path: Path) -> None:
    service = Service(filled, tmp_path, lambda: 0.0, bases=BASES)
    easel = Easel(service, draws=False)
    ended = threading.Event()

    def look() -> None:
        if easel.jobs and state_of(service, easel.jobs[0]) == "cancelled":
            ended.set()

    with service.listening() as url:
        host, _, port = url.removeprefix("http://").partition(":")
        body = json.dumps({**SMALL, "prompt": "a cat"}).encode()
        with socket.create_connection((host, int(port))) as client:
            head = f"POST {TXT} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            assert easel.queued.wait(20)
            service.builder.catalog.on_commit(lambda: threading.Thread(target=look).start())
        assert ended.wait(20)
    service.studio.close()


def test_a_server_that_stops_leaves_nobody_waiting(filled: Builder, tmp_path: Path) -> None:
    service = Service(filled, tmp_path, lambda: 0.0, bases=BASES)
    easel = Easel(service, draws=False)
    answers: list[httpx.Response] = []
    with service.listening() as url:
        client = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}{TXT}", json=SMALL, timeout=20))
        )
        client.start()
        assert easel.queued.wait(20)
    client.join(20)
    assert refusal(answers[0], 503) == "the server is going down"
    assert state_of(service, easel.jobs[0]) == "cancelled"
    service.studio.close()


def test_a_body_of_millions_of_parts_is_refused_before_it_is_read(easel: Easel) -> None:
    body = b'{"image": [' + b"[]," * 700_000 + b"[]]}"
    answer = easel.service.ask("POST", "/sdapi/v1/png-info", content=body)
    assert answer.status_code == 422
    assert "too many parts" in answer.text


def test_base_models_of_one_name_are_told_apart_by_no_more_than_is_needed() -> None:
    paths = {"a": "/home/anna/a/model.safetensors", "b": "/home/anna/secret/model.safetensors"}
    settings = load_settings(bases=paths | {"c": "/m/other.safetensors"})
    found = [base.checkpoint.rel for base in bases_of(settings)]
    assert found == ["a/model.safetensors", "secret/model.safetensors", "other.safetensors"]
