"""`loras render` and `loras jobs`, run as a user runs them, drawn by a tool that runs beside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.support.adapters import lora, written
from tests.support.program import command_of, environment_of, run, run_all
from tests.support.tools_a1111 import Job, a1111_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.program import Outcome
    from tests.support.tools_a1111 import FakeA1111

SD15 = {"ss_base_model_version": "sd_v1-5", "modelspec.architecture": "stable-diffusion-v1/lora"}
NAMES = ("ink #1", "水墨 [x]", "cafe\u0301")
SMALL = ("--size", "64x64", "--steps", "2")


class Desk:
    """A library, and the program that draws it with an A1111 on loopback."""

    def __init__(self, place: Path, fake: FakeA1111) -> None:
        self.place, self.fake = place, fake
        self.data = place / "data"
        bases = dict.fromkeys(("sd15", "ambiguous"), "model.safetensors")
        self.settings = {
            "LORAS_RENDERER": "a1111",
            "LORAS_RENDERER_URL": fake.url,
            "LORAS_BASES": json.dumps(bases),
        }

    def loras(self, *arguments: str) -> Outcome:
        return run(self.data, arguments, self.settings)


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def one_step(job: Job) -> None:
    job.step = job.steps


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "loras"
    folder.mkdir()
    with a1111_server() as fake:
        fake.model("model.safetensors [0123456789]", "0123456789" + "a" * 54)
        fake.told = one_step
        for number, name in enumerate(NAMES):
            written(folder / f"{name}.safetensors", lora(seed=number), SD15)
            fake.lora(f"/webui/models/Lora/{name}.safetensors")
        (folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
        desk = Desk(tmp_path, fake)
        assert desk.loras("scan", str(folder)).code == 0
        yield desk


def test_what_has_no_preview_is_drawn_and_then_has_one(desk: Desk) -> None:
    dry = desk.loras("render", "--query", "-has:preview", *SMALL, "--dry-run")
    assert (dry.code, dry.out) == (0, "would draw 3 pictures\n")
    assert "broken is no adapter but of the kind other" in dry.err
    assert desk.fake.drawn == []
    done = desk.loras("render", "--query", "-has:preview", *SMALL, "--until", "07:00")
    assert (done.code, done.out) == (0, "3 pictures\n")
    assert [each["name"] for each in desk.loras("search", "-has:preview", "--json").json()["items"]] == [
        "broken"
    ]
    again = desk.loras("render", "--query", "kind:lora", *SMALL, "--json").json()
    assert (again["state"], again["pieces"], len(desk.fake.drawn)) == ("done", {"done": 3}, 3)
    planned = desk.loras("render", "--query", "kind:lora", *SMALL, "--dry-run", "--json").json()
    assert (planned["pictures"], planned["there"], planned["seconds"]) == (3, 3, 0)


def test_pictures_and_a_sheet_are_written_over_nothing(desk: Desk) -> None:
    arguments = ("render", "水墨 [x]", "--weights", "0.5,1", "--seeds", "3", *SMALL)
    first = desk.loras(*arguments, "--out", "pictures", "--grid", "weight,seed")
    assert first.code == 0, first.err
    folder = desk.place / "pictures"
    names = {"水墨 [x] 0.5 3.png", "水墨 [x] 1 3.png", "sheet 3.png"}
    assert {each.name for each in folder.iterdir()} == names
    assert size_of(folder / "sheet 3.png") == (140 + 2 * 68, 28 + 68)
    desk.loras(*arguments, "--out", "pictures")
    assert {each.name for each in folder.iterdir()} == names | {
        "水墨 [x] 0.5 3 (2).png",
        "水墨 [x] 1 3 (2).png",
    }


def test_previews_are_written_beside_models_only_where_that_is_allowed(desk: Desk) -> None:
    refused = desk.loras("render", "ink #1", *SMALL, "--beside")
    beside = desk.place / "loras" / "ink #1.preview.png"
    assert not beside.exists()
    assert "wrote 0 previews" in refused.err
    assert desk.loras("roots", "add", str(desk.place / "loras"), "--writable").code == 0
    (desk.place / "loras" / "cafe\u0301.png").write_bytes(b"mine")
    done = desk.loras("render", "ink #1", "cafe\u0301", *SMALL, "--beside")
    assert done.code == 0, done.err
    assert "wrote 1 previews" in done.err
    assert size_of(beside) == (64, 64)
    assert not (desk.place / "loras" / "cafe\u0301.preview.png").exists()


REFUSED: tuple[tuple[tuple[str, ...], int, str], ...] = (
    ((), 2, "some loras or of a query"),
    (("ink #1", "--query", "x"), 2, "some loras or of a query"),
    (("nobody",), 3, "nobody"),
    (("--query", "nobody-is-called-so"), 3, "no lora was found"),
    (("ink #1", "--weights", "a"), 2, "--weights takes numbers"),
    (("ink #1", "--weights", "99"), 2, "weights are numbers"),
    (("ink #1", "--seeds", "nan"), 2, "seeds are whole numbers"),
    (("ink #1", "--seeds", "1,-2"), 2, "seeds are whole numbers"),
    (("ink #1", "--seeds", "9999999999"), 2, "seeds are whole numbers"),
    (("ink #1", "--sampler", "PLMS"), 2, "there is no sampler"),
    (("ink #1", "--size", "big"), 2, "is no size"),
    (("ink #1", "--size", "63x64"), 2, "multiples of 8"),
    (("ink #1", "--until", "25:00"), 2, "is no time of day"),
    (("ink #1", "--grid", "weight"), 2, "a grid has two axes"),
    (("ink #1", "--steps", "0"), 2, "steps"),
    (("broken",), 2, "no adapter"),
)


def test_what_cannot_be_is_said(desk: Desk) -> None:
    found = run_all(desk.data, *(("render", *arguments) for arguments, _, _ in REFUSED), more=desk.settings)
    for (arguments, code, said), done in zip(REFUSED, found, strict=True):
        assert (done.code, done.out) == (code, ""), arguments
        assert said in done.err, arguments
    assert desk.fake.drawn == []


def test_a_tool_that_does_not_answer_is_waited_for_and_ctrl_c_ends_it(desk: Desk) -> None:
    settings = desk.settings | {"LORAS_RENDERER_URL": "http://127.0.0.1:9"}
    with started(desk, settings, "render", "ink #1", *SMALL) as program:
        until_job(desk, "running", "queued")
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "stopped" in err
    (job,) = desk.loras("jobs", "list", "--kind", "render", "--json").json()
    assert job["state"] == "cancelled"
    shown = desk.loras("jobs", "show", str(job["id"]))
    assert "1 cancelled" in shown.out
    assert desk.loras("jobs", "retry", str(job["id"])).code == 0
    # The next that draws does that too.
    assert desk.loras("render", "水墨 [x]", *SMALL).code == 0
    assert desk.loras("jobs", "list", "--live", "--json").json() == []
    assert len(desk.fake.drawn) == 2
    for command in ("cancel", "retry"):
        assert desk.loras("jobs", command, str(job["id"])).code in {2, 3}
    assert desk.loras("jobs", "forget", str(job["id"])).code == 0
    assert desk.loras("jobs", "show", str(job["id"])).code == 3


@contextmanager
def started(desk: Desk, settings: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command_of(*arguments),
        env=environment_of(desk.data, settings),
        cwd=desk.place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def until_job(desk: Desk, *states: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        jobs = json.loads(desk.loras("jobs", "list", "--kind", "render", "--json").out)
        if any(job["state"] in states for job in jobs):
            return
        assert time.monotonic() < deadline


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
