"""Asking for pictures of a folder of real files, drawn by a tool that runs beside."""

from __future__ import annotations

import io
import json
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from registry.catalog.drawing import base_files, drawables, step_seconds
from registry.catalog.forgetting import forget
from registry.catalog.jobs import lines_of
from registry.catalog.lookup import resolve
from registry.catalog.pictures import cover_of, pictures_of
from registry.catalog.pieces import Share, retry_job, take
from registry.catalog.searching import search_records
from registry.catalog.showing import known_of
from registry.config import load_settings
from registry.drawings import Asking
from registry.errors import BadRequest, CannotDraw, NoBase, NotFound, UnsupportedArchitecture
from registry.render.batch import BaseAsk
from registry.render.choosing import Bases
from registry.render.renderers import open_renderer
from registry.render.trade import Drawing
from registry.rendering import Rendering
from registry.sheets import sheet_of
from registry.views import Drawable
from tests.support.adapters import lora, written
from tests.support.shelf import open_shelf
from tests.support.tools_a1111 import Job, a1111_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.views import JobView
    from tests.support.shelf import Shelf
    from tests.support.tools_a1111 import FakeA1111

SD15 = {"ss_base_model_version": "sd_v1-5", "modelspec.architecture": "stable-diffusion-v1/lora"}
FLUX = {"ss_base_model_version": "flux1", "modelspec.architecture": "flux-1-dev/lora"}
INK = SD15 | {
    "ss_tag_frequency": json.dumps({"10_ink": {"ink wash": 20, "1girl": 15, "rare": 1}}),
    "ss_num_train_images": "20",
    "ss_resolution": "(512, 768)",
    "ss_bucket_info": json.dumps({"buckets": {"0": {"resolution": [512, 768], "count": 20}}}),
    "ss_epoch": "3",
    "ss_new_sd_model_hash": "AB" * 32,
    "ss_sd_model_hash": "0123abcd",
}
SMALL: dict[str, Any] = {"size": (64, 64), "steps": 2}


@contextmanager
def studio(place: Path, **settings: Any) -> Iterator[tuple[Shelf, Rendering, FakeA1111]]:
    """A shelf with three loras, and an A1111 that draws them."""
    with a1111_server() as fake:
        fake.model("model.safetensors [0123456789]", "0123456789" + "a" * 54)
        fake.options["sd_model_checkpoint"] = "model.safetensors [0123456789]"
        fake.told = one_step
        bases = dict.fromkeys(("sd15", "ambiguous", "flux1"), "model.safetensors")
        given = {"renderer": "a1111", "renderer_url": fake.url, "render_most": 4, "bases": bases} | settings
        with open_shelf(place, settings=given) as shelf:
            for number, (name, metadata) in enumerate([("ink", INK), ("水墨 é", SD15), ("plain", FLUX)]):
                written(shelf.folder / f"{name}.safetensors", lora(seed=number, rank=number + 2), metadata)
                fake.lora(f"/webui/models/Lora/{name}.safetensors")
            shelf.scan()
            shelf.hash()
            rendering = Rendering(shelf.registry)
            try:
                yield shelf, rendering, fake
            finally:
                rendering.close()


def one_step(job: Job) -> None:
    job.step = job.steps


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def ids(shelf: Shelf, *names: str) -> tuple[int, ...]:
    with shelf.registry.catalog.read() as conn:
        return tuple(resolve(conn, name, shelf.registry.machine_id) for name in names)


def drawn(rendering: Rendering, asking: Asking) -> JobView:
    job_id, _ = rendering.start(asking, actor="mia")
    return rendering.finish(job_id, lambda _job, _told: None)


def test_pictures_are_drawn_once_and_become_those_of_their_loras(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        ink, other = ids(shelf, "ink", "水墨 é")
        asking = Asking(loras=(ink, other), weights=(0.0, 1.0), **SMALL)
        plan = rendering.plan(asking)
        # Without a weight both would be the picture of the base model, but for their own prompts.
        assert (plan.pictures, plan.there, plan.seconds, plan.left) == (4, 0, None, ())
        job = drawn(rendering, asking)
        assert (job.state, job.result, job.actor) == ("done", {"done": 4}, "mia")
        assert len(fake.drawn) == 4
        prompts = {body["prompt"].partition(" <lora")[0] for body in fake.drawn}
        assert prompts == {"ink wash, 1girl", "水墨 é"}
        registry = shelf.registry
        with registry.catalog.read() as conn:
            known = known_of(conn, [ink])
            covers = cover_of(conn, known)
            pictures = pictures_of(conn, ink, known[ink])
            (record,) = search_records(conn, [ink])
            # The first batch of a worker tells how fast it starts, and not how fast it draws.
            assert step_seconds(conn, "a1111") is None
        assert (covers[ink].source, record.rendered) == ("render", True)
        # The one of weight 0 shows nothing of it.
        assert len(pictures) == 1
        assert (pictures[0].drawn["weight"], pictures[0].drawn["seed"]) == (1.0, 1234)
        assert rendering.plan(asking).there == 4
        again = drawn(rendering, replace(asking, weights=(1.0,)))
        assert (again.result, len(fake.drawn)) == ({"done": 2}, 4)
        data = rendering.picture(covers[ink].key)
        assert data is not None
        assert "Seed: 1234" in Image.open(io.BytesIO(data)).info["parameters"]


def test_how_fast_it_draws_is_known_after_the_second_batch(place: Path) -> None:
    with studio(place, render_most=1) as (shelf, rendering, _):
        asking = Asking(loras=ids(shelf, "ink"), seeds=(1, 2), **SMALL)
        drawn(rendering, asking)
        later = rendering.plan(replace(asking, seeds=(3, 4)))
        assert later.seconds is not None
        assert later.seconds > 0


def test_a_sheet_shows_them_by_two_axes(place: Path) -> None:
    with studio(place) as (shelf, rendering, _):
        asking = Asking(loras=ids(shelf, "ink"), weights=(0.5, 1.0), seeds=(1, 2, 3), **SMALL)
        job = drawn(rendering, asking)
        sheet = Image.open(io.BytesIO(sheet_of(rendering, job.id, "weight", "seed") or b""))
        assert sheet.size == (140 + 2 * 68, 28 + 3 * 68)
        colours = {sheet.getpixel((140 + x * 68 + 32, 28 + y * 68 + 32)) for x in (0, 1) for y in (0, 1, 2)}
        assert len(colours) == 6
        with pytest.raises(BadRequest, match="no axis"):
            sheet_of(rendering, job.id, "colour", "seed")


def test_prompts_and_base_models_are_axes_too(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        fake.model("other.safetensors [aaaaaaaaaa]", "aaaaaaaaaa" + "b" * 54)
        asking = Asking(
            loras=ids(shelf, "ink"),
            prompt="a cat",
            prompts=("水墨 山",),
            bases=("model.safetensors", "other.safetensors"),
            **SMALL,
        )
        job = drawn(rendering, asking)
        assert job.result == {"done": 4}
        made = {
            (each["prompt"].partition(" <lora")[0], each["override_settings"]["sd_model_checkpoint"])
            for each in fake.drawn
        }
        assert len(made) == 4
        sheet = Image.open(io.BytesIO(sheet_of(rendering, job.id, "base", "prompt") or b""))
        assert sheet.size == (140 + 2 * 68, 28 + 2 * 68)


def test_what_cannot_be_drawn_is_left_out_with_its_reason(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        fake.loras.clear()
        fake.lora("/webui/models/Lora/ink.safetensors")
        job = drawn(rendering, Asking(loras=ids(shelf, "ink", "plain"), **SMALL))
        assert job.result == {"done": 1, "failed": 1}
        results = {each.planned.subject.name: each for each in rendering.results(job.id)}
        assert results["plain"].slug == "lora-not-there"
        with shelf.registry.catalog.read() as conn:
            (line,) = lines_of(conn, job.id)
        assert line.text.startswith("piece ")
        # Somebody gives the tool that file, and asks for what failed again.
        fake.lora("/webui/models/Lora/plain.safetensors")
        with shelf.registry.catalog.write() as unit:
            assert retry_job(unit, job.id) == 1
        assert rendering.finish(job.id, lambda _job, _told: None).result == {"done": 2}
        assert len(fake.drawn) == 2


def test_a_lora_that_is_away_fails_alone(place: Path) -> None:
    with studio(place) as (shelf, rendering, _):
        loras = ids(shelf, "ink", "plain")
        job_id, _ = rendering.start(Asking(loras=loras, **SMALL))
        (shelf.folder / "plain.safetensors").unlink()
        shelf.scan()
        job = rendering.finish(job_id, lambda _job, _told: None)
        assert job.result == {"done": 1, "failed": 1}
        slugs = {each.slug for each in rendering.results(job_id)}
        assert slugs == {None, "file-missing"}
        with pytest.raises(BadRequest, match="no file of plain"):
            rendering.start(Asking(loras=loras[1:], **SMALL))
        with pytest.raises(NotFound):
            rendering.start(Asking(loras=(999,), **SMALL))


def test_what_another_renderer_was_asked_for_is_not_drawn_by_this_one(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        job_id, _ = rendering.start(Asking(loras=ids(shelf, "ink"), **SMALL))
        other = Drawing(
            shelf.registry.catalog,
            shelf.registry.studio,
            shelf.registry.machine_id,
            lambda _lora: "/x",
            renderer="local",
            most=1,
        )
        with shelf.registry.catalog.write() as unit:
            taken = take(unit, Share("render", shelf.registry.machine_id), 1, "m:1:x", "b")
        packed = other.pack("b", taken, ())
        assert (packed.spec, packed.ended[job_id, 0].slug) == (None, "cannot-draw")
        assert "a1111" in (packed.ended[job_id, 0].text or "")
        assert fake.drawn == []


def test_the_base_alone_is_drawn_by_a_prompt(place: Path) -> None:
    with studio(place) as (_, rendering, fake):
        job = drawn(rendering, Asking(prompt="a cat", architecture="sd15", **SMALL))
        assert (job.called, job.result) == ("1 picture", {"done": 1})
        assert fake.drawn[0]["prompt"] == "a cat"
        with pytest.raises(BadRequest, match="no loras"):
            rendering.start(Asking())


def test_a_lora_that_was_forgotten_and_comes_back_is_drawn_anew(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        asking = Asking(loras=ids(shelf, "ink"), **SMALL)
        drawn(rendering, asking)
        path = shelf.folder / "ink.safetensors"
        data = path.read_bytes()
        path.unlink()
        shelf.scan()
        registry = shelf.registry
        with registry.catalog.write() as unit:
            forgotten = forget(unit, asking.loras)
        registry.studio.store.remove(forgotten.pictures)
        path.write_bytes(data)
        shelf.scan()
        shelf.hash()
        (back,) = ids(shelf, "ink")
        assert drawn(rendering, replace(asking, loras=(back,))).result == {"done": 1}
        assert len(fake.drawn) == 2
        with registry.catalog.read() as conn:
            assert len(pictures_of(conn, back, known_of(conn, [back])[back])) == 1


def test_a_picture_that_is_there_becomes_that_of_the_lora_that_lacks_it(place: Path) -> None:
    with studio(place) as (shelf, rendering, fake):
        asking = Asking(loras=ids(shelf, "ink"), **SMALL)
        drawn(rendering, asking)
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql("UPDATE picture_of SET of_id = 0 WHERE kind = 'render'")
        assert drawn(rendering, asking).result == {"done": 1}
        assert len(fake.drawn) == 1
        (lora_id,) = asking.loras
        with shelf.registry.catalog.read() as conn:
            assert cover_of(conn, known_of(conn, [lora_id]))[lora_id].source == "render"
            (record,) = search_records(conn, [lora_id])
        assert record.rendered


def test_a_name_that_is_no_text_costs_no_other_picture(place: Path) -> None:
    with studio(place) as (shelf, rendering, _):
        try:
            path = written(shelf.folder / "odd.safetensors", lora(seed=9), SD15)
            path.rename(os.fsdecode(os.fsencode(shelf.folder) + b"/o\xffdd.safetensors"))
        except OSError:
            pytest.skip("this disk takes no such name")
        shelf.scan()
        shelf.hash()
        loras = tuple(shelf.loras())
        job = drawn(rendering, Asking(loras=loras, **SMALL))
        assert job.result == {"done": 3, "failed": 1}
        assert {each.slug for each in rendering.results(job.id)} == {None, "lora-not-there"}


def test_webhooks_need_a_key_and_a_plain_address(place: Path) -> None:
    with studio(place) as (shelf, rendering, _):
        asking = Asking(loras=ids(shelf, "ink"), webhook="https://example.org/hook", **SMALL)
        with pytest.raises(BadRequest, match="signed"):
            rendering.start(asking)
        with pytest.raises(BadRequest, match="plain"):
            rendering.start(replace(asking, webhook="file:///etc/passwd"))
        with pytest.raises(BadRequest, match="plain"):
            rendering.start(replace(asking, webhook="http://[::1"))


def test_what_a_picture_depends_on_is_read_from_the_catalog(place: Path) -> None:
    with studio(place) as (shelf, _, _fake):
        registry = shelf.registry
        with registry.catalog.read() as conn:
            (found,) = drawables(conn, ids(shelf, "ink"), registry.machine_id)
            assert drawables(conn, [999], registry.machine_id) == []
            assert base_files(conn, ["ab" * 32, "odd"], registry.machine_id) == {}
        assert (found.name, found.architecture, found.kind, found.epoch) == ("ink", "sd15", "lora", 3)
        assert found.tags == (("ink wash", 1.0), ("1girl", 0.75), ("rare", 0.05))
        assert (found.bucket, found.resolution) == ((512, 768), (512, 768))
        assert found.base_hashes == ("ab" * 32, "0123abcd")
        assert found.path == "ink.safetensors"
        assert found.sha256 is not None
        assert len(found.sha256) == 64


DRAWABLE = Drawable(
    1, "ink", "lora", "sdxl", "Pony", "d" * 64, 1, "ink.safetensors", 10, None,
    base_hashes=("ab" * 32, "0123abcd"),
)  # fmt: skip
NAMES = {"sdxl": "/m/xl.safetensors", "pony": "C:\\m\\pony.safetensors"}


def test_a_lora_is_drawn_on_what_it_was_trained_on_else_on_its_kind_of_base() -> None:
    trained = BaseAsk("", "base.safetensors", "/m/base.safetensors", "0123")
    bases = Bases("local", NAMES, {"0123abcd": trained})
    assert bases.choose(DRAWABLE) == replace(trained, architecture="sdxl")
    bases = Bases("local", NAMES, {})
    assert bases.choose(DRAWABLE).name == "pony.safetensors"
    assert bases.choose(replace(DRAWABLE, base_model="NoobAI")).path == "/m/xl.safetensors"
    assert bases.choose(DRAWABLE, "SDXL").path == "/m/xl.safetensors"
    assert bases.choose(DRAWABLE, "/other.safetensors").path == "/other.safetensors"
    with pytest.raises(NoBase, match="sd15"):
        bases.choose(replace(DRAWABLE, architecture="sd15", base_model=None))
    with pytest.raises(UnsupportedArchitecture, match="flux1"):
        bases.choose(replace(DRAWABLE, architecture="flux1"))
    unsure = replace(DRAWABLE, architecture="unknown", base_model=None)
    assert bases.choose(unsure, "sdxl") == BaseAsk("sdxl", "xl.safetensors", "/m/xl.safetensors")
    with pytest.raises(UnsupportedArchitecture, match="unknown"):
        bases.choose(unsure)
    with pytest.raises(BadRequest, match="checkpoint"):
        bases.choose(replace(DRAWABLE, kind="checkpoint"))


def test_a_tool_draws_what_this_program_does_not_and_has_a_base_of_its_own() -> None:
    bases = Bases("comfyui", {"flux1": "flux/dev.safetensors"}, {})
    flux = replace(DRAWABLE, architecture="flux1", base_model=None)
    assert bases.choose(flux) == BaseAsk("flux1", "flux/dev.safetensors")
    assert bases.choose(DRAWABLE) == BaseAsk("sdxl", "")


def test_the_settings_say_who_draws(tmp_path: Path) -> None:
    workflow = tmp_path / "mine.json"
    with pytest.raises(BadRequest, match="cannot be read"):
        open_renderer(load_settings(renderer="comfyui", renderer_workflow=workflow))
    workflow.write_text("{}")
    with pytest.raises(BadRequest):
        open_renderer(load_settings(renderer="comfyui", renderer_workflow=workflow))
    for settings in ({"renderer": "a1111"}, {"renderer": "comfyui"}, {"render_gpus": (0, 1)}):
        found = open_renderer(load_settings(**settings))
        assert len(found.workers) == len(settings.get("render_gpus", (0,)))
        for worker in found.workers:
            worker.close()
        found.close()


def test_a_base_model_that_is_not_there_is_named(place: Path) -> None:
    with open_shelf(place, settings={"bases": {"sd15": str(place / "none.safetensors")}}) as shelf:
        written(shelf.folder / "ink.safetensors", lora(), INK)
        shelf.scan()
        shelf.hash()
        rendering = Rendering(shelf.registry)
        try:
            with pytest.raises(NoBase, match=r"none\.safetensors"):
                rendering.plan(Asking(loras=ids(shelf, "ink")))
            with pytest.raises(CannotDraw):
                rendering.plan(Asking(prompt="a cat"))
        finally:
            rendering.close()
