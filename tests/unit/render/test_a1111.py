"""Pictures drawn with an A1111 that the user already runs."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from registry.errors import BadRequest, Offline
from registry.net import Door
from registry.render.backends.a1111 import A1111
from registry.render.batch import Answer, BaseAsk, Batch, CellAsk, LoraAsk, Made, pack_batch, unpack_answer
from registry.render.called import ListedBase, ListedLora, base_among, lora_among
from registry.render.pngs import fault_of, with_text
from registry.render.tool import BadAnswer, Tool, refusal
from tests.support.tools_a1111 import Job, Raw, a1111_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.tools_a1111 import FakeA1111

STYLE = LoraAsk("aa" * 32, "style", "art/style.safetensors")
USERS = "users own.safetensors [0123456789]"
OURS = "sdxl.safetensors [abcdef0123]"
SHA = "abcdef0123" + "4" * 54
BASE = BaseAsk("sdxl", "sdxl", sha256=SHA)


@dataclass
class Watched:
    """A line that writes down what it is told; `drop` says after how many steps which places are dropped."""

    drop: Mapping[int, int] = field(default_factory=dict)
    told: list[tuple[int, int]] = field(default_factory=list)

    def step(self, done: int, total: int) -> None:
        self.told.append((done, total))

    def dropped(self) -> frozenset[int]:
        most = max((done for done, _ in self.told), default=0)
        return frozenset(place for place, after in self.drop.items() if most >= after)


def batch(*cells: CellAsk, **changed: Any) -> Batch:
    whole = Batch("b", BASE, cells, 64, 96, 4, "Euler", 7.0)
    return replace(whole, **changed)


def cell(key: str, **changed: Any) -> CellAsk:
    return replace(CellAsk(key, f"a {key}", "blurry", 7, 0.8, STYLE), **changed)


def draw(fake: FakeA1111, asked: Batch, line: Watched | None = None, **options: Any) -> Answer:
    door = Door(own_hosts={"127.0.0.1"})
    try:
        backend = A1111(door, options.pop("url", fake.url), every=0.002, **options)
        text = backend.draw(pack_batch(asked), line or Watched())
    finally:
        door.close()
    return unpack_answer(text, [each.key for each in asked.cells])


def only(answer: Answer) -> Made:
    assert answer.busy is None
    (made,) = answer.made
    return made


def said(made: Made) -> str:
    """What a picture says of how it was made."""
    assert made.png is not None, made
    with Image.open(io.BytesIO(made.png)) as picture:
        return str(picture.info["parameters"])


@pytest.fixture
def fake() -> Iterator[FakeA1111]:
    with a1111_server() as running:
        stocked(running)
        yield running


@contextmanager
def forked(fork: str) -> Iterator[FakeA1111]:
    with a1111_server(fork) as running:
        stocked(running)
        yield running


def stocked(running: FakeA1111) -> None:
    running.lora("/webui/models/Lora/art/style.safetensors")
    running.model(USERS)
    running.model(OURS, SHA)
    running.options["sd_model_checkpoint"] = USERS


def test_a_picture_is_drawn_with_the_lora_as_the_tool_calls_it_and_says_what_the_tool_says(
    fake: FakeA1111,
) -> None:
    made = only(draw(fake, batch(cell("one"))))
    assert said(made) == (
        "a one <lora:style:0.8>\nNegative prompt: blurry\n"
        f"Steps: 4, Sampler: Euler, CFG scale: 7.0, Seed: 7, Size: 64x96, Model: {OURS}"
    )


def test_nothing_is_saved_in_the_users_folders(fake: FakeA1111) -> None:
    draw(fake, batch(cell("one")))
    assert fake.drawn[0]["save_images"] is False


def test_every_cell_has_its_own_prompt_seed_and_weight(fake: FakeA1111) -> None:
    answer = draw(fake, batch(cell("one"), cell("two", seed=8, weight=-0.5, negative="")))
    assert [each.key for each in answer.made] == ["one", "two"]
    assert "a two <lora:style:-0.5>" in said(answer.made[1])
    assert "Seed: 8" in said(answer.made[1])


def test_without_a_weight_no_lora_is_named(fake: FakeA1111) -> None:
    answer = draw(fake, batch(cell("one", weight=0.0), cell("two", lora=None)))
    assert [said(each).partition("\n")[0] for each in answer.made] == ["a one", "a two"]
    assert fake.count("/sdapi/v1/loras") == 0


def test_prompts_put_on_no_loras_of_their_own(fake: FakeA1111) -> None:
    sly = "x <lora:other:1> <lyco<lora:a:1>:b:1> (y:1.2) >_<"
    draw(fake, batch(cell("one", prompt=sly, negative="<hypernet:bad:1>")))
    asked = fake.drawn[0]
    assert asked["prompt"] == "x < lora:other:1> <lyco< lora:a:1>:b:1> (y:1.2) >_< <lora:style:0.8>"
    assert asked["negative_prompt"] == "< hypernet:bad:1>"


@pytest.mark.parametrize("name", ["style:2", "style><lora:evil", "a=b", "line\nbreak"])
def test_a_name_that_means_something_else_in_a_prompt_is_refused(fake: FakeA1111, name: str) -> None:
    fake.loras = [{"name": name, "path": "/webui/models/Lora/art/style.safetensors", "metadata": {}}]
    answer = draw(fake, batch(cell("one"), cell("two", lora=None)))
    assert answer.made[0].problem == "lora-not-there"
    assert "rename" in answer.made[0].text
    assert [each["prompt"] for each in fake.drawn] == ["a two"]


def test_a_lora_that_is_missing_is_looked_for_once_more(fake: FakeA1111) -> None:
    fake.loras = []
    fake.lora("/webui/models/Lora/art/style.safetensors", hidden=True)
    assert "<lora:style:" in said(only(draw(fake, batch(cell("one")))))
    assert fake.count("/sdapi/v1/refresh-loras") == 1


def test_a_lora_that_is_not_there_fails_alone(fake: FakeA1111) -> None:
    other = LoraAsk("bb" * 32, "other", "other.safetensors")
    answer = draw(fake, batch(cell("one", lora=other), cell("two"), cell("three", lora=other)))
    assert [each.problem for each in answer.made] == ["lora-not-there", None, "lora-not-there"]
    assert "'other'" in answer.made[0].text
    assert "folders of loras" in answer.made[0].text
    assert fake.count("/sdapi/v1/refresh-loras") == 1


def test_loras_are_asked_for_once_in_a_batch(fake: FakeA1111) -> None:
    draw(fake, batch(cell("one"), cell("two"), cell("three")))
    assert fake.count("/sdapi/v1/loras") == 1


LISTED = [
    ListedLora("a", "D:\\ai\\Lora\\art\\style.safetensors", None),
    ListedLora("b", "/elsewhere/renamed.safetensors", "aa" * 32),
    ListedLora("c", "/lora/people/style.safetensors", "cc" * 32),
]


@pytest.mark.parametrize(
    ("lora", "listed", "name"),
    [
        (STYLE, LISTED, "b"),
        (STYLE, [LISTED[0], LISTED[2]], "a"),
        (STYLE, [LISTED[2]], None),
        (replace(STYLE, path="/lora/people/style.safetensors"), LISTED, "c"),
        (STYLE, [ListedLora("edited", "/x/edited.safetensors", "aa" * 32), *LISTED[:1]], "edited"),
        (
            STYLE,
            [
                ListedLora("edited", "/x/edited.safetensors", "aa" * 32),
                ListedLora("style", "/x/style.safetensors", "aa" * 32),
            ],
            "style",
        ),
        (STYLE, [ListedLora("d", "/x/art/style.safetensors", "dd" * 32)], "d"),
        (STYLE, [ListedLora("e", "/x/mystyle.safetensors", None)], None),
        (STYLE, [ListedLora(n, f"/{n}/style.safetensors", None) for n in "fg"], None),
    ],
)
def test_a_lora_is_known_by_its_path_its_weights_or_the_end_of_its_path(
    lora: LoraAsk, listed: list[ListedLora], name: str | None
) -> None:
    found = lora_among(lora, listed)
    assert (found.name if found else None) == name


BASES = [
    ListedBase("one.safetensors [1111111111]", ("one.safetensors",), "1" * 64),
    ListedBase("sub/two.ckpt", ("/m/sub/two.ckpt", "sub_two")),
    ListedBase("three [2222222222]", ("three",), "", "2222222222"),
]


@pytest.mark.parametrize(
    ("base", "title"),
    [
        (BaseAsk("sdxl", "anything", sha256="1" * 64), BASES[0].title),
        (BaseAsk("sdxl", "anything", sha256="2" * 64), BASES[2].title),
        (BaseAsk("sdxl", "one", sha256="3" * 64), None),
        (BaseAsk("sdxl", "Two", sha256="3" * 64), BASES[1].title),
        (BaseAsk("sdxl", "what we call it", "/models/two.ckpt"), BASES[1].title),
        (BaseAsk("sdxl", "ONE.safetensors"), BASES[0].title),
        (BaseAsk("sdxl", "none of them"), None),
    ],
)
def test_a_base_model_is_known_by_its_hash_or_its_name(base: BaseAsk, title: str | None) -> None:
    found = base_among(base, BASES)
    assert (found.title if found else None) == title


def test_a_base_model_that_is_not_there_is_told_of_every_cell(fake: FakeA1111) -> None:
    answer = draw(fake, batch(cell("one"), cell("two"), base=BaseAsk("sdxl", "unknown")))
    assert [each.problem for each in answer.made] == ["no-base", "no-base"]
    assert "'unknown'" in answer.made[0].text
    assert fake.drawn == []


def test_without_a_name_the_base_model_of_the_tool_stays(fake: FakeA1111) -> None:
    made = only(draw(fake, batch(cell("one"), base=BaseAsk("sdxl", ""))))
    assert said(made).endswith(f"Model: {USERS}")
    assert ("POST", "/sdapi/v1/options") not in fake.asked


def test_a1111_puts_the_users_base_model_back_itself(fake: FakeA1111) -> None:
    draw(fake, batch(cell("one")))
    assert fake.options["sd_model_checkpoint"] == USERS
    assert ("POST", "/sdapi/v1/options") not in fake.asked


def test_where_the_tool_does_not_the_users_base_model_is_put_back() -> None:
    with forked("forge") as fake:
        assert said(only(draw(fake, batch(cell("one"))))).endswith(f"Model: {OURS}")
        assert fake.options["sd_model_checkpoint"] == USERS


def test_the_users_base_model_is_put_back_after_a_failure_and_after_all_was_dropped() -> None:
    with forked("forge") as fake:
        fake.instead["/sdapi/v1/txt2img"] = Raw(500, b"{}")
        fake.options["sd_model_checkpoint"] = USERS
        wrong = draw(fake, batch(cell("one")))
        assert only(wrong).problem == "tool-refused"
        del fake.instead["/sdapi/v1/txt2img"]
        answer = draw(fake, batch(cell("one"), cell("two")), Watched(drop={0: 1, 1: 1}))
        assert [each.problem for each in answer.made] == ["cancelled", "cancelled"]
        assert len(fake.drawn) == 1
        assert fake.options["sd_model_checkpoint"] == USERS


def test_the_users_base_model_is_put_back_when_whoever_watches_breaks_off() -> None:
    class Broken(Watched):
        def dropped(self) -> frozenset[int]:
            if any(done for done, _ in self.told):
                raise RuntimeError("the line is dead")
            return frozenset()

    with forked("forge") as fake:
        with pytest.raises(RuntimeError, match="the line is dead"):
            draw(fake, batch(cell("one")), Broken())
        assert len(fake.interrupted) == 1
        assert fake.options["sd_model_checkpoint"] == USERS


def test_what_the_user_chose_meanwhile_stays_chosen() -> None:
    with forked("forge") as fake:
        fake.told = lambda _job: fake.options.update({"sd_model_checkpoint": "third.safetensors"})
        draw(fake, batch(cell("one")))
        assert fake.options["sd_model_checkpoint"] == "third.safetensors"


def test_a_batch_waits_while_the_users_own_pictures_are_drawn(fake: FakeA1111) -> None:
    fake.job = Job("task(user)", "task(user)", 30)
    answer = draw(fake, batch(cell("one")))
    assert answer.made == ()
    assert answer.busy is not None
    assert fake.url in answer.busy
    assert answer.seconds > 0
    assert fake.drawn == []


def test_how_far_it_is_is_told_in_steps_of_the_whole_batch(fake: FakeA1111) -> None:
    line = Watched()
    draw(fake, batch(cell("one"), cell("two")), line)
    done = [each for each, _ in line.told]
    assert done == sorted(done)
    assert {1, 2, 3, 4, 5} <= set(done)
    assert line.told[-1] == (8, 8)


def test_a_cell_that_is_dropped_while_it_is_drawn_is_stopped_and_the_others_go_on(fake: FakeA1111) -> None:
    answer = draw(fake, batch(cell("one", seed=1), cell("two", seed=2), steps=50), Watched(drop={0: 3}))
    assert [each.problem for each in answer.made] == ["cancelled", None]
    assert answer.made[0].png is None
    assert fake.interrupted == [fake.drawn[0]["force_task_id"]]


def test_a_cell_that_is_dropped_before_it_begins_is_not_asked_for(fake: FakeA1111) -> None:
    answer = draw(fake, batch(cell("one"), cell("two")), Watched(drop={1: 0}))
    assert [each.problem for each in answer.made] == [None, "cancelled"]
    assert len(fake.drawn) == 1


def test_stopping_is_asked_for_again_when_it_was_forgotten(fake: FakeA1111) -> None:
    def forget(job: Job) -> None:
        if len(fake.interrupted) < 3:
            job.step = 0

    fake.told = forget
    line = Watched(drop={0: 0})
    line.dropped = lambda: frozenset({0}) if fake.drawn else frozenset()  # type: ignore[method-assign]
    assert only(draw(fake, batch(cell("one"), steps=50), line)).problem == "cancelled"
    assert len(fake.interrupted) >= 3


def test_the_users_picture_is_not_stopped_while_ours_waits_for_its_turn(fake: FakeA1111) -> None:
    line = Watched()
    polls = []

    def users(job: Job) -> None:
        polls.append(job.task)
        if job.task == "task(user)" and len(polls) == 5:
            fake.job = None
            fake.turn.release()

    def dropped() -> frozenset[int]:
        # Between the look whether it is busy and the request the user begins with a picture.
        if not polls and fake.job is None:
            fake.turn.acquire()
            fake.job = Job("task(user)", "task(user)", 30)
        return frozenset({0} if fake.queued or fake.drawn else ())

    line.dropped = dropped  # type: ignore[method-assign]
    fake.told = users
    assert only(draw(fake, batch(cell("one"), steps=50), line)).problem == "cancelled"
    assert polls[:5] == ["task(user)"] * 5
    assert set(fake.interrupted) == {fake.drawn[0]["force_task_id"]}


def test_a_picture_that_the_user_stopped_is_not_taken_for_a_whole_one(fake: FakeA1111) -> None:
    fake.told = lambda job: fake.stop() if job.step == 2 else None
    made = only(draw(fake, batch(cell("one"), steps=50)))
    assert (made.problem, made.png) == ("cancelled", None)
    assert "stopped in the web UI" in made.text


def test_a_fork_that_knows_no_tasks_is_never_stopped_but_what_was_dropped_is_left_out() -> None:
    with forked("sdnext") as fake:
        answer = draw(fake, batch(cell("one"), cell("two")), Watched(drop={0: 2}))
        assert [each.problem for each in answer.made] == ["cancelled", None]
        assert fake.interrupted == []


def test_fields_that_a_fork_leaves_out_are_not_missed() -> None:
    with forked("sdnext") as fake:
        fake.loras = [{"name": "style"}, {"path": "/no/name"}, "odd"]  # type: ignore[list-item]
        fake.models = [{"title": "sdxl [abcdef01]", "hash": "abcdef01"}, {"model_name": "no title"}]
        made = only(draw(fake, batch(cell("one", lora=replace(STYLE, rel="style.safetensors")))))
        assert "<lora:style:0.8>" in said(made)
        assert said(made).endswith("Model: sdxl [abcdef01]")


def test_a_picture_can_begin_with_another(fake: FakeA1111) -> None:
    start = base64.b64encode(b"any picture").decode()
    only(draw(fake, batch(cell("one", start=start, denoise=0.4))))
    assert fake.count("/sdapi/v1/img2img") == 1
    assert fake.drawn[0]["init_images"] == [start]
    assert fake.drawn[0]["denoising_strength"] == 0.4


@pytest.mark.parametrize(
    ("sampler", "architecture", "schedule"),
    [
        ("Euler", "sdxl", None),
        ("DPM++ 2M", "sdxl", "Uniform"),
        ("DPM++ 2M Karras", "sdxl", None),
        ("of an extension", "sdxl", None),
        ("Euler", "flux1", "Simple"),
    ],
)
def test_samplers_are_told_with_the_schedule_that_their_name_means(
    fake: FakeA1111, sampler: str, architecture: str, schedule: str | None
) -> None:
    draw(fake, batch(cell("one"), sampler=sampler, base=replace(BASE, architecture=architecture)))
    assert fake.drawn[0]["sampler_name"] == sampler
    assert fake.drawn[0].get("scheduler") == schedule


def test_forge_is_told_the_guidance_of_flux_in_a_field_of_its_own() -> None:
    with forked("forge") as fake:
        fake.options["forge_preset"] = "flux"
        draw(fake, batch(cell("one"), cfg=3.5, base=replace(BASE, architecture="flux1")))
        assert (fake.drawn[0]["cfg_scale"], fake.drawn[0]["distilled_cfg_scale"]) == (1.0, 3.5)


def test_a_negative_seed_is_not_one_by_chance(fake: FakeA1111) -> None:
    draw(fake, batch(cell("one", seed=-1)))
    assert fake.drawn[0]["seed"] == 4294967295


def test_user_and_password_are_sent_and_told_on_when_they_are_wrong(fake: FakeA1111) -> None:
    fake.auth = "me:secret"
    assert only(draw(fake, batch(cell("one")), auth="me:secret")).png is not None
    refused = draw(fake, batch(cell("one")), auth="me:wrong").busy or ""
    assert "user and password" in refused
    assert "wrong" not in refused


@pytest.mark.parametrize(
    "url",
    ["http://me:secret@127.0.0.1:7860", "ftp://127.0.0.1", "http://", "http://h:port", "http://h/?a=b", "h"],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        A1111(Door(), url)
    assert "secret" not in str(refused.value)


def test_access_without_a_password_is_refused() -> None:
    with pytest.raises(BadRequest, match="user:password"):
        A1111(Door(), "http://127.0.0.1", auth="secret")


def test_a_tool_that_is_not_there_is_asked_again_later(fake: FakeA1111) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        answer = draw(fake, batch(cell("one")), url=url)
    assert answer == Answer(busy=f"the web UI is not answering at {url}", seconds=30.0)


def test_a_network_that_is_switched_off_is_told_of() -> None:
    with pytest.raises(Offline):
        A1111(Door(offline=True), "http://127.0.0.1").draw(pack_batch(batch(cell("one"))), Watched())


def test_when_the_tool_goes_away_the_rest_is_not_tried(fake: FakeA1111) -> None:
    cut = threading.Event()
    tried = []

    class Cut(Door):
        def ask(self, *args: Any) -> Any:
            if cut.is_set():
                tried.append(args[1].url)
                return super().ask(args[0], replace(args[1], url="http://127.0.0.1:1/"))
            if args[1].url.endswith("txt2img"):
                cut.set()
                return self.ask(*args)
            return super().ask(*args)

    door = Cut(own_hosts={"127.0.0.1"})
    asked = batch(cell("one"), cell("two"))
    answer = unpack_answer(
        A1111(door, fake.url, every=0.002).draw(pack_batch(asked), Watched()), ["one", "two"]
    )
    door.close()
    # Nothing is said of them: they are tried another time.
    assert answer == Answer()
    assert sum(url.endswith("txt2img") for url in tried) == 1
    assert fake.drawn == []


def test_the_reason_of_a_refusal_is_told_and_the_next_cell_is_drawn(fake: FakeA1111) -> None:
    fake.failing = ["mat1 and mat2\nshapes <b>cannot</b> be multiplied"]
    answer = draw(fake, batch(cell("one"), cell("two")))
    assert answer.made[0].problem == "tool-refused"
    assert answer.made[0].text == (
        "the web UI: RuntimeError: mat1 and mat2 shapes <b>cannot</b> be multiplied"
    )
    assert answer.made[1].problem is None


def test_a_tool_without_memory_says_so(fake: FakeA1111) -> None:
    fake.failing = ["CUDA out of memory. Tried to allocate 2.00 GiB"]
    assert only(draw(fake, batch(cell("one")))).problem == "out-of-memory"


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"error": "E", "detail": "", "errors": "why"}, "E: why"),
        ({"detail": [{"loc": ["body", "steps"], "msg": "too many"}]}, "too many"),
        ({"error": {"message": "M"}, "node_errors": {"3": {"errors": [{"message": "N"}]}}}, "M: N"),
        ("x" * 1000, "x" * 300),
        ("a\x1b[31m\x00b\u202ec", "a [31m b c"),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": "too deep"}}}}}}}, ""),
        (None, ""),
        (7, ""),
    ],
)
def test_reasons_are_one_line_of_plain_text(told: object, text: str) -> None:
    assert refusal(told) == text


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 2, height: int = 2, *, end: bool = True) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\0\0" * 2))
    return b"\x89PNG\r\n\x1a\n" + head + body + (chunk(b"IEND", b"") if end else b"")


def images(data: bytes) -> bytes:
    return json.dumps({"images": [base64.b64encode(data).decode()]}).encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<html>a page</html>", "no JSON"),
        (b"", "no picture"),
        (b"[]", "no picture"),
        (b"[" * 100_000, "no JSON"),
        (b'{"images": []}', "no picture"),
        (b'{"images": [7]}', "no picture"),
        (b'{"images": ["no base64!"]}', "no picture"),
        (images(b"GIF89a, or something like that"), "GIF and not PNG"),
        (images(b"<svg onload='x()'>"), "no picture"),
        (images(png(100_000, 100_000)), "100,000 x 100,000"),
        (images(png(0, 5)), "0 x 5"),
        (images(png(end=False)), "ends too early"),
        (images(b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b"")), "without a beginning"),
        (images(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR" + b"\0" * 40), "without a beginning"),
    ],
)
def test_what_is_no_picture_is_told_of_and_the_next_cell_is_drawn(
    fake: FakeA1111, body: bytes, text: str
) -> None:
    fake.instead["/sdapi/v1/txt2img"] = Raw(200, body)
    answer = draw(fake, batch(cell("one"), cell("two", start="eA==")))
    assert answer.made[0].problem == "bad-answer"
    assert text in answer.made[0].text
    assert answer.made[1].problem is None


@pytest.mark.parametrize("path", ["progress", "options", "loras", "sd-models"])
@pytest.mark.parametrize("body", [b"<html>", b"7", b'{"state": []}', b"null"])
def test_odd_answers_to_the_other_questions_end_no_program(fake: FakeA1111, path: str, body: bytes) -> None:
    fake.instead[f"/sdapi/v1/{path}"] = Raw(200, body)
    answer = draw(fake, batch(cell("one")))
    if answer.busy is not None:
        # Before a picture: no picture is to blame, and it is asked again.
        assert (answer.made, answer.seconds) == ((), 30.0)
        assert fake.url in answer.busy
        return
    assert path != "progress"
    made = only(answer)
    assert made.problem in {"bad-answer", "lora-not-there", "no-base", None}
    assert (made.problem is None) == (path == "options" and body == b'{"state": []}')


def test_an_answer_that_is_larger_than_it_may_be_is_given_up(fake: FakeA1111) -> None:
    fake.instead["/sdapi/v1/progress"] = Raw(200, b'"' + b"x" * 2000 + b'"')
    door = Door(own_hosts={"127.0.0.1"})
    with pytest.raises(BadAnswer, match="larger than 1,000 bytes"):
        Tool(door, fake.url, "it").ask("GET", "/sdapi/v1/progress", most=1000)
    door.close()


def test_a_redirect_to_another_host_is_not_followed(fake: FakeA1111) -> None:
    with a1111_server() as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        fake.instead["/sdapi/v1/progress"] = Raw(302, b"", "text/plain", f"{elsewhere}/sdapi/v1/progress")
        answer = draw(fake, batch(cell("one")))
        assert answer.made == ()
        assert "localhost is none of the hosts" in (answer.busy or "")
        assert other.asked == []


def test_a_text_is_put_into_a_picture_that_has_none_of_its_name() -> None:
    told = with_text(png(), "parameters", "naïve\nSteps: 4")
    with Image.open(io.BytesIO(told)) as picture:
        assert picture.info["parameters"] == "naïve\nSteps: 4"
        picture.load()
    assert fault_of(told) is None
    assert with_text(told, "parameters", "another") == told
