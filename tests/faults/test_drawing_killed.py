"""Drawing that is killed again and again: every picture that was asked for is there once in the end."""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from registry.catalog.engine import Catalog
from registry.config import load_settings
from registry.drawings import Asking
from registry.rendering import Rendering
from tests.support.adapters import lora, written
from tests.support.oracles import oracle
from tests.support.program import run
from tests.support.served import Served, served, until
from tests.support.shelf import open_shelf
from tests.support.tools_a1111 import Job, a1111_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.tools_a1111 import FakeA1111

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
SD15 = {"ss_base_model_version": "sd_v1-5", "modelspec.architecture": "stable-diffusion-v1/lora"}
LORAS, SEEDS = 4, 4
ASKED = "SELECT key, state FROM job_piece"
KEPT = "SELECT key, picture FROM drawn"
SHOWN = "SELECT name, key FROM picture_of WHERE kind = 'render' AND of_id > 0"


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    catalog = Catalog(load_settings(data_dir=data).url())
    try:
        with catalog.read() as conn:
            return [tuple(row) for row in conn.exec_driver_sql(query)]
    finally:
        catalog.close()


def all_there_once(data: Path, number: int) -> None:
    """Every picture was asked for, drawn, kept and is one of its lora's, none twice."""
    asked = rows(data, ASKED)
    assert {state for _, state in asked} == {"done"}
    kept = dict(rows(data, KEPT))
    assert len(asked) == len(kept) == len(set(kept.values())) == number
    assert {key for key, _ in asked} == set(kept)
    assert sorted((bytes(name).decode(), key) for name, key in rows(data, SHOWN)) == sorted(kept.items())
    files = {path.name.partition(".")[0] for path in data.glob("pictures-*/*/*.orig.png")}
    assert set(kept.values()) <= files


def kill(server: Served) -> None:
    """Kill the process that serves, as a power cut would."""
    port = int(server.url.rpartition(":")[2])
    for process in psutil.process_iter(["cmdline"]):
        if "serve" in (process.info["cmdline"] or ()) and any(
            each.laddr.port == port for each in process.net_connections("tcp")
        ):
            process.kill()
            process.wait(30)
            return
    raise AssertionError("nobody serves")


def test_a_server_that_is_killed_while_it_has_pictures_drawn(tmp_path: Path) -> None:
    folder, data = tmp_path / "loras", tmp_path / "data"
    folder.mkdir()
    with a1111_server() as fake:
        fake.model("model.safetensors [0123456789]", "0123456789" + "a" * 54)
        fake.told = one_step
        for number in range(LORAS):
            written(folder / f"{number}.safetensors", lora(seed=number), SD15)
            fake.lora(f"/webui/models/Lora/{number}.safetensors")
        settings = {"LORAS_RENDERER": "a1111", "LORAS_RENDERER_URL": fake.url, "LORAS_RENDER_MOST": "3"}
        assert run(data, ["scan", str(folder)], settings).code == 0
        body = {"query": "", "seeds": [*range(SEEDS)], "width": 64, "height": 64, "steps": 2}
        for round_ in range(2):
            with served(data, **settings) as server:
                if not round_:
                    until(partial(indexed, server))
                    assert server.ask("POST", "/renders", json=body).status_code == 202
                wanted = len(fake.drawn) + 2 + round_
                until(partial(has_drawn, fake, wanted))
                kill(server)
        assert any(state != "done" for _, state in rows(data, ASKED))
        with served(data, **settings) as server:
            until(lambda: not server.get("/jobs?live=true&kind=render")["items"])
    all_there_once(data, LORAS * SEEDS)


def indexed(server: Served) -> bool:
    return server.get("/status")["progress"]["search"]["done"] is not None


def has_drawn(fake: FakeA1111, number: int) -> bool:
    return len(fake.drawn) >= number


def one_step(job: Job) -> None:
    job.step = job.steps


def test_a_child_that_is_killed_while_it_draws(tmp_path: Path) -> None:
    oracle("torch")
    oracle("diffusers")
    from tests.support.fitted import arrays_for, base_of  # noqa: PLC0415 - only with torch
    from tests.support.pipelines import tiny_sd15  # noqa: PLC0415 - only with torch

    pipe = tiny_sd15(tmp_path / "words")
    pipe.save_pretrained(tmp_path / "base")
    settings = {"bases": {"sd15": str(tmp_path / "base")}, "render_most": 3, "render_vram_mb": 0}
    with open_shelf(tmp_path, settings=settings) as shelf:
        for number in range(LORAS):
            arrays = arrays_for(base_of(pipe), "lora", seed=number)
            written(shelf.folder / f"{number}.safetensors", arrays, SD15)
        shelf.scan()
        shelf.hash()
        loras = tuple(shelf.loras())
        rendering = Rendering(shelf.registry)
        asking = Asking(loras=loras, seeds=(1, 2), size=(64, 64), steps=12, base="sd15")
        try:
            job_id, _ = rendering.start(asking)
            with killing(tmp_path / "data", after=(3,)) as killed:
                job = rendering.finish(job_id, lambda _job, _told: None)
            assert killed.times == 1
            assert (job.state, job.result) == ("done", {"done": LORAS * 2})
        finally:
            rendering.close()
    all_there_once(tmp_path / "data", LORAS * 2)


class killing:  # noqa: N801 - used as a block
    """Kills the child that draws once so many pictures are kept, for each of the numbers."""

    def __init__(self, data: Path, after: Sequence[int]) -> None:
        self.times = 0
        self._data, self._after = data, after
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _kill(self) -> None:
        for number in self._after:
            while not self._ended.wait(0.3):
                if len(rows(self._data, KEPT)) >= number and (children := self._drawing()):
                    for child in children:
                        child.send_signal(signal.SIGKILL)
                    self.times += 1
                    break

    @staticmethod
    def _drawing() -> list[psutil.Process]:
        """Return the children that calculate: those that have loaded torch."""
        found = []
        for child in psutil.Process().children(recursive=True):
            try:
                if any("torch" in each.path for each in child.memory_maps()):
                    found.append(child)
            except psutil.Error:
                continue
        return found
