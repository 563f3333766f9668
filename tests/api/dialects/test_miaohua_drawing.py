"""Drawing over Miaohua's API: tasks that are submitted, asked for, and told to whom they belong."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.jobs import list_jobs
from registry.catalog.pieces import stop_job
from registry.catalog.tokens import revoke_token
from registry.drawings import FIRST, Asking
from registry.errors import NoBase
from tests.support.easel import Easel
from tests.support.pictures import plain
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token
from tests.support.tool_library import note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

SUBMIT, RESULT, RESULTS = "/api/v1b/task_submit", "/api/v1b/task_result", "/api/v1b/task_results"
UPLOAD, UPLOADS, FORM = "/api/v1b/upload_img", "/api/v1b/upload_imgs", "/api/v1b/get_generation_form"
CONTROLS = ("/api/v1b/cn/artist", "/api/v1b/cn/opensource")
BODY_PATHS = (SUBMIT, RESULT, RESULTS, *CONTROLS)
HOST = "http://127.0.0.1:8567"
SMALL: dict[str, Any] = {"output_size": "64x64", "ddim_steps": 2, "select_seed": 8206464}


@pytest.fixture
def filled(builder: Builder) -> Builder:
    root = builder.root("/models/lora", label="main")
    for name in ("ink", "hat", "base"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    builder.hash("ink", "1" * 64, "a" * 64)
    note(builder, "base", kind="checkpoint")
    return builder


@pytest.fixture
def opened(start: Start, filled: Builder) -> Service:
    """A server at which nobody may do anything without a token."""
    return start(require_token=True, bases={"sd15": "/models/sd15.safetensors", "sdxl": "/models/xl"})


@pytest.fixture
def easel(opened: Service) -> Easel:
    return Easel(opened)


@pytest.fixture
def secret(opened: Service) -> str:
    return token(opened, "painter", "write")


def post(service: Service, path: str, **body: Any) -> httpx.Response:
    return service.ask("POST", path, peer=REMOTE, json=body)


def submit(service: Service, secret: str, **body: Any) -> str:
    answer = post(service, SUBMIT, token=secret, **{**SMALL, **body})
    told = answer.json()
    assert (answer.status_code, list(told)) == (200, ["task_id"]), answer.text
    task_id: str = told["task_id"]
    return task_id


def refusal(answer: httpx.Response, status: int = 200) -> tuple[int, str]:
    """Return code and words of a failure in its envelope."""
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert (list(body), body["info"]) == (["code", "info", "msg"], "")
    return body["code"], body["msg"]


def id_of(service: Service, secret: str, name: str) -> str:
    answer = service.ask("GET", f"/api/v1/loras/{name}", headers=bearer(secret))
    return str(answer.json()["lora"]["id"])


def upload(service: Service, secret: str | None, *pictures: bytes, path: str = UPLOAD) -> httpx.Response:
    headers = {} if secret is None else bearer(secret)
    files = [("init_img", (f"{place}.png", data)) for place, data in enumerate(pictures)]
    return service.ask("POST", path, peer=REMOTE, headers=headers, files=files)


def fetched(service: Service, url: str) -> httpx.Response:
    assert url.startswith(f"{HOST}/")
    return service.ask("GET", url.removeprefix(HOST), peer=REMOTE)


def test_a_task_is_submitted_and_done(easel: Easel, secret: str) -> None:
    service = easel.service
    ink = id_of(service, secret, "ink")
    task_id = submit(
        service,
        secret,
        prompt="one girl, beautiful",
        neg_prompt="lowres",
        n_images=2,
        scale=5,
        versionid="sd15",
        lora_configs=[{"versionid": ink, "merge_weight": 0.5}, {"versionid": "99"}],
    )
    assert str(uuid.UUID(task_id)) == task_id
    assert easel.asked == [
        Asking(
            loras=(int(ink),),
            base="sd15",
            weights=(0.5,),
            seeds=(8206464, 8206465),
            prompt="one girl, beautiful",
            negative="lowres",
            size=(64, 64),
            steps=2,
            cfg=5.0,
            denoise=0.4,
            priority=FIRST,
        )
    ]
    told = post(service, RESULT, task_id=task_id, token=secret, sensitive_limit_value=0.5).json()
    assert list(told) == ["state", "images", "select_seed", "error_msg"]
    assert (told["state"], told["select_seed"], told["error_msg"]) == ("done", 8206464, "")
    assert [list(each) for each in told["images"]] == [
        ["large", "middle", "save_index", "share", "shareable"]
    ] * 2
    for each in told["images"]:
        assert (each["share"], each["shareable"]) == (False, True)
        large, middle = fetched(service, each["large"]), fetched(service, each["middle"])
        assert (large.headers["content-type"], middle.headers["content-type"]) == ("image/png", "image/webp")
    assert [each["save_index"] for each in told["images"]] == [0, 1]


def test_a_task_that_goes_on_is_pending(easel: Easel, secret: str) -> None:
    easel.draws = False
    task_id = submit(easel.service, secret)
    pending = {"state": "pending", "images": [], "select_seed": 8206464, "error_msg": ""}
    assert post(easel.service, RESULT, task_id=task_id, token=secret).json() == pending
    easel.draw(most=1)
    assert post(easel.service, RESULT, task_id=task_id, token=secret).json() == pending
    easel.draw()
    done = post(easel.service, RESULT, task_id=task_id, token=secret).json()
    assert (done["state"], len(done["images"])) == ("done", 2)


def test_a_task_that_failed_is_done_and_says_why(easel: Easel, secret: str) -> None:
    easel.error = "there is not enough memory"
    failed = submit(easel.service, secret)
    easel.error, easel.draws = None, False
    stopped = submit(easel.service, secret, select_seed=1)
    with easel.service.builder.catalog.write() as unit:
        stop_job(unit, easel.jobs[1])
    told = post(easel.service, RESULTS, task_ids=[failed, stopped], token=secret).json()
    assert [(each["state"], each["images"], each["error_msg"]) for each in told["info"]] == [
        ("done", [], "2 of 2 pictures could not be drawn: there is not enough memory"),
        ("done", [], "it was stopped"),
    ]


def test_results_are_told_in_the_order_of_the_ids(easel: Easel, secret: str) -> None:
    service = easel.service
    first, second = submit(service, secret), submit(service, secret, select_seed=5, n_images=1)
    nobody = str(uuid.uuid4())
    answer = post(service, RESULTS, task_ids=[second, nobody, first, "../x"], token=secret)
    told = answer.json()
    assert (answer.status_code, list(told), told["code"]) == (200, ["code", "info"], 0)
    assert [list(each) for each in told["info"]] == [["state", "error_msg", "images", "select_seed"]] * 4
    assert [each["select_seed"] for each in told["info"]] == [5, -1, 8206464, -1]
    image = told["info"][0]["images"][0]
    assert list(image) == ["task_id", "task_type", "large", "middle", "small", "save_index"]
    assert (image["task_id"], image["task_type"], image["small"]) == (second, "txt2img", image["middle"])
    assert told["info"][1] == {
        "state": "done", "error_msg": "there is no such task", "images": [], "select_seed": -1,
    }  # fmt: skip


def test_more_than_fifty_ids_are_refused(easel: Easel, secret: str) -> None:
    ids = [str(uuid.uuid4()) for _ in range(51)]
    said = refusal(post(easel.service, RESULTS, task_ids=ids, token=secret))
    assert said == (400, "task_ids has more than 50 ids")
    assert len(post(easel.service, RESULTS, task_ids=ids[1:], token=secret).json()["info"]) == 50


def test_results_of_several_are_asked_for_six_times_a_second(easel: Easel, secret: str) -> None:
    service, now = easel.service, [1_700_000_000_000]
    service.builder.catalog.clock = lambda: now[0]
    answers = [post(service, RESULTS, task_ids=[], token=secret) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert answers[-1].headers["retry-after"] == "1"
    refusal(answers[-1], 429)
    assert post(service, RESULTS, task_ids=[], token=token(service, "other")).status_code == 200
    now[0] += 1000
    assert post(service, RESULTS, task_ids=[], token=secret).status_code == 200


def test_tasks_are_told_to_those_who_submitted_them(easel: Easel, secret: str) -> None:
    service = easel.service
    task_id = submit(service, secret)
    other, admin = token(service, "other", "write"), token(service, "boss", "admin")
    assert refusal(post(service, RESULT, task_id=task_id, token=other)) == (404, "there is no such task")
    (told,) = post(service, RESULTS, task_ids=[task_id], token=other).json()["info"]
    assert told["error_msg"] == "there is no such task"
    assert post(service, RESULT, task_id=task_id, token=admin).json()["state"] == "done"
    assert refusal(post(service, RESULT, task_id="5", token=secret))[0] == 404
    assert refusal(post(service, RESULT, token=secret)) == (400, "task_id is missing")


def test_a_later_token_of_the_same_name_is_somebody_else(easel: Easel, secret: str) -> None:
    service = easel.service
    task_id = submit(service, secret)
    with service.builder.catalog.write() as unit:
        revoke_token(unit, "painter")
    later = token(service, "painter", "write")
    assert refusal(post(service, RESULT, task_id=task_id, token=later)) == (404, "there is no such task")
    own = submit(service, later, prompt="its own")
    assert post(service, RESULT, task_id=own, token=later).json()["state"] == "done"


def test_jobs_of_another_kind_are_no_tasks(opened: Service, secret: str) -> None:
    with opened.builder.catalog.read() as conn:
        assert list_jobs(conn) == []
    key = uuid.uuid4()
    with opened.builder.catalog.write(actor="painter") as unit:
        unit.conn.exec_driver_sql(
            "INSERT INTO job (kind, key, state, spec, priority, attempts, cancel, done, created_at, actor, "
            f"webhook_tries) VALUES ('scan', '{key.hex}', 'done', x'', 0, 1, 0, 0, 1, 'painter', 0)"
        )
    assert refusal(post(opened, RESULT, task_id=str(key), token=secret))[0] == 404


def test_a_picture_is_uploaded_and_begun_with(easel: Easel, secret: str) -> None:
    service = easel.service
    answer = upload(service, secret, plain(size=(100, 76)))
    told = answer.json()
    assert (list(told), told["code"], told["msg"]) == (["code", "info", "msg"], 0, "")
    (address,) = told["info"]
    assert fetched(service, address).content == plain(size=(100, 76))
    task_id = submit(service, secret, init_img=address, output_size=None, strength=0.82, n_images=1)
    (asked,) = easel.asked
    assert (asked.start, asked.size) == (address.split("/")[6], (96, 72))
    assert asked.denoise == pytest.approx(0.18)
    (told,) = post(service, RESULTS, task_ids=[task_id], token=secret).json()["info"]
    assert told["images"][0]["task_type"] == "img2img"
    # What was drawn can be begun with too.
    again = submit(service, secret, init_img=told["images"][0]["large"], prompt="again")
    assert post(service, RESULT, task_id=again, token=secret).json()["state"] == "done"


def test_several_pictures_are_uploaded_at_once(easel: Easel, secret: str) -> None:
    pictures = [plain(size=(side, side)) for side in (10, 20, 30)]
    told = upload(easel.service, secret, *pictures, path=UPLOADS).json()
    assert [fetched(easel.service, address).content for address in told["info"]] == pictures
    code, said = refusal(upload(easel.service, secret, *pictures))
    assert (code, "Too many files" in said) == (400, True)
    refusal(upload(easel.service, secret, *[plain()] * 21, path=UPLOADS))


def test_a_picture_may_be_sent_with_the_task(easel: Easel, secret: str) -> None:
    sent = base64.b64encode(plain(size=(4000, 40))).decode()
    for given in (sent, f"data:image/png;base64,{sent}"):
        submit(easel.service, secret, init_img=given, output_size=None)
    assert [asked.size for asked in easel.asked] == [(2048, 64)] * 2


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/x.png",
        "file:///etc/passwd",
        "http://[::1",
        f"{HOST}/api/v1/pictures/{'a' * 64}/original",
        f"{HOST}/api/v1/pictures/{'a' * 64}?until=99999999999&signature=x",
        "//evil.example/api/v1/pictures/../original?until=1&signature=1",
    ],
)
def test_addresses_of_strangers_are_refused(easel: Easel, secret: str, address: str) -> None:
    code, said = refusal(post(easel.service, SUBMIT, token=secret, **SMALL, init_img=address))
    assert code == 400
    assert said.startswith("init_img is neither an address of a picture that was uploaded here nor")


def test_an_address_that_was_changed_or_is_old_is_refused(easel: Easel, secret: str) -> None:
    service = easel.service
    (address,) = upload(service, secret, plain()).json()["info"]
    key = address.split("/")[6]
    for changed in (address.replace(key, "b" * 64), address.replace("until=", "until=9")):
        code, said = refusal(post(service, SUBMIT, token=secret, **SMALL, init_img=changed))
        assert (code, "was not made here" in said) == (403, True)
    now = service.builder.catalog.clock()
    service.builder.catalog.clock = lambda: now + 86_401_000
    code, said = refusal(post(service, SUBMIT, token=secret, **SMALL, init_img=address))
    assert (code, "this link ended" in said) == (403, True)
    assert easel.asked == []


def test_uploads_of_the_day_before_are_forgotten_but_for_those_that_are_waited_for(
    easel: Easel, secret: str
) -> None:
    service = easel.service
    first, second = (upload(service, secret, plain(size=(side, 40))).json()["info"][0] for side in (30, 50))
    easel.draws = False
    submit(service, secret, init_img=second, select_seed=3)
    now = service.builder.catalog.clock()
    service.builder.catalog.clock = lambda: now + 86_402_000
    upload(service, secret, plain(size=(70, 40)))
    kept = [service.studio.store.original(address.split("/")[6]) for address in (first, second)]
    assert [found is not None for found in kept] == [False, True]


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ([], "init_img is missing"),
        ([b"<svg/>"], "that is no picture"),
        ([plain("JPEG")], "a picture to begin with is no JPEG here"),
        ([plain()[:50]], "the PNG picture is damaged"),
    ],
)
def test_what_is_no_picture_is_not_kept(
    easel: Easel, secret: str, pictures: Sequence[bytes], said: str
) -> None:
    code, told = refusal(upload(easel.service, secret, *pictures, path=UPLOADS))
    assert code == 400
    assert told.startswith(said)


def test_a_field_that_is_no_file_is_refused(easel: Easel, secret: str) -> None:
    service, headers = easel.service, bearer(secret)
    answer = service.ask("POST", UPLOAD, headers=headers, data={"init_img": "x"})
    assert refusal(answer) == (400, "init_img is no file")
    broken = {**headers, "content-type": "multipart/form-data; boundary=x"}
    refusal(service.ask("POST", UPLOAD, headers=broken, content=b"--y\r\n\r\n"))
    refusal(service.ask("POST", UPLOAD, headers=headers, content=b"{}"))


def test_uploads_need_a_bearer_who_may_write(easel: Easel, secret: str) -> None:
    service = easel.service
    assert refusal(upload(service, None, plain()))[0] == 401
    assert refusal(upload(service, token(service), plain()))[0] == 403
    assert refusal(service.ask("POST", UPLOAD, peer=REMOTE, json={"token": secret}))[0] == 401
    assert refusal(service.ask("GET", FORM, peer=REMOTE))[0] == 401
    assert service.ask("GET", FORM, peer=REMOTE, headers=bearer(token(service, "x"))).status_code == 200


def test_all_else_needs_a_token_that_is_known_in_the_body(easel: Easel, secret: str) -> None:
    service, task_id = easel.service, submit(easel.service, secret)
    asked = {"task_id": task_id, "task_ids": [task_id]}
    for path in BODY_PATHS:
        for given in ({}, {"token": ""}, {"token": "wrong"}):
            service.app.state.tokens._throttle.succeeded("192.0.2.7")
            assert refusal(post(service, path, **asked, **given))[0] == 401
        assert refusal(service.ask("POST", path, peer=REMOTE))[0] in {400, 401}
        assert service.ask("POST", path, peer=REMOTE, json=asked, headers=bearer(secret)).status_code == 200
    reader = token(service)
    assert refusal(post(service, SUBMIT, token=reader)) == (403, "that needs the role write, not read")
    assert refusal(service.ask("POST", f"/k/{secret}{SUBMIT}", peer=REMOTE, json={}))[0] == 403
    for path in CONTROLS:
        assert post(service, path, token=reader).json() == {"code": 0, "info": [], "msg": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{", b"5", b"[" * 10_000, b"\xff", b'{"lora_configs": {}}', b'{"cn_configs": [1]}',
        b'{"init_img": {}}', b'{"token": 5}', b'{"versionid": []}', b'{"scale": 1e999}', b'{"scale": NaN}',
        b'{"add_prompt": true}', b'{"output_size": "2748x4096"}', b'{"lora_configs": [{"versionid": 5}]}',
    ],
)  # fmt: skip
def test_hostile_bodies_are_failures_in_the_envelope(easel: Easel, secret: str, content: bytes) -> None:
    service, headers = easel.service, bearer(secret)
    for path in (SUBMIT, RESULT, RESULTS):
        assert refusal(service.ask("POST", path, peer=REMOTE, content=content, headers=headers))[0] == 400
    assert easel.asked == []


def test_loras_without_a_name_are_none(easel: Easel, secret: str) -> None:
    submit(easel.service, secret, lora_configs=[{"versionid": ""}, 5], prompt="a \x00 cat")
    assert easel.asked[0].loras == ()


def test_strangers_send_no_large_bodies(easel: Easel, secret: str) -> None:
    service = easel.service
    large = b'{"prompt": "' + b"x" * (2 << 20) + b'"}'
    refusal(service.ask("POST", SUBMIT, peer=REMOTE, content=large), 413)
    known = service.ask("POST", SUBMIT, peer=REMOTE, content=large, headers=bearer(secret))
    assert refusal(known) == (400, "prompt has more than 10,000 characters")
    refusal(service.ask("POST", SUBMIT, content=b" " * ((43 << 20) + 1), headers=bearer(secret)), 413)
    refusal(service.ask("POST", RESULT, content=large, headers=bearer(secret)), 413)


def test_base_models_are_those_of_the_lists_and_of_the_settings(easel: Easel, secret: str) -> None:
    service = easel.service
    for given in ({"versionid": id_of(service, secret, "base")}, {"model_name": "XL"}, {}):
        submit(service, secret, **given)
    assert [(asked.base, asked.architecture) for asked in easel.asked] == [
        ("/models/lora/base.safetensors", "sd15"),
        ("sdxl", "sdxl"),
        ("", ""),
    ]
    for wrong in ("sgl_artist_v0.3.5_0925", id_of(service, secret, "ink"), "999", "9" * 30):
        code, said = refusal(post(service, SUBMIT, token=secret, versionid=wrong))
        assert (code, said) == (400, f"there is no checkpoint '{wrong}'")


def test_another_renderer_is_told_the_name_of_a_checkpoint(start: Start, filled: Builder) -> None:
    service = start(renderer="a1111")
    easel = Easel(service)
    base = str(service.get("/api/v1/loras/base")["lora"]["id"])
    assert service.ask("POST", SUBMIT, json={**SMALL, "versionid": base}).status_code == 200
    assert easel.asked[0].base == "base.safetensors"


def test_loras_are_those_of_the_list(easel: Easel, secret: str) -> None:
    for wrong in ("aaa", "999", id_of(easel.service, secret, "base")):
        answer = post(easel.service, SUBMIT, token=secret, lora_configs=[{"versionid": wrong}])
        assert refusal(answer) == (404, f"there is no lora '{wrong}'")
    assert easel.asked == []


def test_whoever_is_not_told_of_a_lora_draws_none_of_it(easel: Easel) -> None:
    service = easel.service
    ink = note(service.builder, "ink", nsfw=8)
    configs = [{"versionid": str(ink)}]
    for name, scope, code in (("kid", {"nsfw_entries": 2}, 404), ("shy", {"nsfw_pictures": 2}, 403)):
        secret = token(service, name, "write", **scope)
        assert refusal(post(service, SUBMIT, token=secret, lora_configs=configs))[0] == code
    assert easel.asked == []


def test_what_was_drawn_is_shown_to_whom_it_may_be(easel: Easel, secret: str) -> None:
    service = easel.service
    ink = note(service.builder, "ink", nsfw=8)
    task_id = submit(service, secret, lora_configs=[{"versionid": str(ink)}])
    told = post(service, RESULT, task_id=task_id, token=secret).json()
    for size in ("large", "middle"):
        url = told["images"][0][size]
        assert url.endswith("&nsfw=xxx")
        assert fetched(service, url).status_code == 200
        assert fetched(service, url.removesuffix("&nsfw=xxx")).status_code == 403


def test_an_address_shows_no_more_than_it_was_made_for(easel: Easel) -> None:
    service = easel.service
    shy = token(service, "shy", "write", nsfw_pictures=2)
    ink = note(service.builder, "ink", nsfw=2)
    task_id = submit(service, shy, lora_configs=[{"versionid": str(ink)}])
    url = post(service, RESULT, task_id=task_id, token=shy).json()["images"][0]["large"]
    assert fetched(service, url).status_code == 200
    note(service.builder, "ink", nsfw=8)
    # It has another level now, and neither the address nor the task shows it any more.
    for raised in (url, f"{url}&nsfw=xxx", url.replace("nsfw=pg13", "nsfw=xxx")):
        assert fetched(service, raised).status_code == 403
    told = post(service, RESULT, task_id=task_id, token=shy).json()
    assert (told["state"], told["images"], told["error_msg"]) == ("done", [], "hidden by level")


def test_the_form_names_the_base_models(opened: Service, secret: str) -> None:
    told = opened.ask("GET", FORM, headers=bearer(secret)).json()
    assert (told["code"], told["msg"]) == (0, "")
    assert [each["name"] for each in told["info"]] == [
        "model_name", "prompt", "neg_prompt", "n_images", "scale", "select_seed", "resolution", "init_img",
        "controlnet_model",
    ]  # fmt: skip
    assert (told["info"][0]["choices"], told["info"][0]["default"]) == (["sd15", "sdxl"], "sd15")


def test_what_the_renderer_says_is_told(easel: Easel, secret: str) -> None:
    easel.refusal = NoBase("no base model is known")
    assert refusal(post(easel.service, SUBMIT, token=secret)) == (409, "no base model is known")
