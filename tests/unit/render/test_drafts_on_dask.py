"""Drafts that a worker of a real Dask cluster draws, with loras that it fetches from the registry."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from registry.api.signing import Signed, check, find_signature
from registry.catalog.lookup import resolve
from registry.catalog.secrets import find_link_key
from registry.drawings import Asking
from registry.errors import BadRequest, Forbidden
from registry.hashing.reader import hash_file
from registry.rendering import Rendering
from registry.work.cluster import Scheduler
from tests.support.adapters import lora, written
from tests.support.oracles import oracle
from tests.support.outside import Answer, outside
from tests.support.shelf import open_shelf
from tests.support.work_cluster import Processes
from tests.support.work_doubling import ended, running, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from registry.catalog.engine import Catalog
    from tests.support.outside import Said
    from tests.support.shelf import Shelf

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are ended by signals")
SD15 = {"ss_base_model_version": "sd_v1-5", "modelspec.architecture": "stable-diffusion-v1/lora"}


class Drawing(Processes):
    """The processes of a cluster whose workers have an environment of their own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._preload = folder / "environment.py"
        self._preload.write_text(f"import os\nos.environ.update({dict(environment)!r})\n", encoding="utf-8")

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return super()._start(*arguments, "--preload", str(self._preload))


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawing]:
    """A scheduler, as yet without workers."""
    folder = tmp_path_factory.mktemp("dask")
    environment = {"LORAS_WORKER_BASES": str(folder / "bases"), "LORAS_WORKER_CACHE": str(folder / "cache")}
    found = Drawing(folder, environment)
    try:
        found.start_scheduler()
        yield found
    finally:
        found.stop()


@contextmanager
def registry_at(
    place: Path, dask: Processes, draft: Path, **settings: Any
) -> Iterator[tuple[Shelf, Rendering]]:
    """A registry whose drafts are drawn with a lora by the workers of a cluster."""
    (place / "tiny").mkdir(exist_ok=True)
    given = {
        "dask_address": dask.address,
        "draft_loras": {"sd15": str(draft)},
        "bases": {"sd15": str(place / "tiny")},
        "public_url": "http://127.0.0.1:1",
    }
    with open_shelf(place, settings=given | settings) as shelf:
        shelf.scan()
        shelf.hash()
        rendering = Rendering(shelf.registry)
        try:
            yield shelf, rendering
        finally:
            rendering.close()


class Sends:
    """Sends files by links that a catalog has signed, as the registry does."""

    def __init__(self, catalog: Catalog, *files: Path) -> None:
        self._catalog = catalog
        self._files = {
            f"/api/v1/loras/hash:{hash_file(str(path)).hashes.sha256}/file": path.read_bytes()
            for path in files
        }

    def __call__(self, said: Said) -> Answer:
        parts = urlsplit(said.path)
        with self._catalog.read() as conn:
            key = find_link_key(conn)
        try:
            check(key, parts.path, find_signature(parts.query) or Signed("", ""), int(time.time()))
        except Forbidden:
            return Answer(403)
        return Answer(body=self._files[parts.path])


def asking(shelf: Shelf) -> Asking:
    with shelf.registry.catalog.read() as conn:
        ink = resolve(conn, "ink", shelf.registry.machine_id)
    return Asking(loras=(ink,), size=(64, 64), base="sd15", draft=True)


def test_a_worker_fetches_what_drafts_are_drawn_with(tmp_path: Path, dask: Drawing) -> None:
    oracle("torch")
    oracle("diffusers")
    from tests.support.fitted import arrays_for, base_of  # noqa: PLC0415 - only with torch
    from tests.support.pipelines import tiny_sd15  # noqa: PLC0415 - only with torch

    pipe = tiny_sd15(tmp_path / "words")
    for folder in (tmp_path, dask.folder / "bases"):
        pipe.save_pretrained(folder / "tiny")
    loras = tmp_path / "loras"
    loras.mkdir()
    for seed, name in enumerate(["ink", "lcm"]):
        written(loras / f"{name}.safetensors", arrays_for(base_of(pipe), "lora", seed=seed), SD15)
    lcm = loras / "lcm.safetensors"
    dask.start_workers(1)
    until(lambda: Scheduler(dask.address).count() == 1)
    with outside() as server, registry_at(tmp_path, dask, lcm, public_url=server.url) as (shelf, rendering):
        server.otherwise = Sends(shelf.registry.catalog, *loras.iterdir())
        job_id, _ = rendering.start(asking(shelf))
        with running(rendering.dispatcher):
            until(lambda: ended(shelf.registry.catalog, job_id))
        (result,) = rendering.results(job_id)
        # A draft without such a lora would be told in `error`.
        assert (result.state, result.slug, result.error) == ("done", None, None)
        assert result.planned.spec.mode == f"draft {hash_file(str(lcm)).hashes.data_sha256}"
        assert rendering.picture(result.picture or "") is not None
        fetched = {path.read_bytes() for path in (dask.folder / "cache").iterdir()}
        assert fetched == {path.read_bytes() for path in loras.iterdir()}


def test_what_workers_cannot_fetch_is_refused_before_anything_is_drawn(tmp_path: Path, dask: Drawing) -> None:
    (tmp_path / "loras").mkdir()
    inside, beside = tmp_path / "loras" / "ink.safetensors", tmp_path / "lcm.safetensors"
    written(inside, lora(), SD15)
    written(beside, lora(seed=1), SD15)
    with (
        registry_at(tmp_path, dask, beside) as (shelf, rendering),
        pytest.raises(BadRequest, match="not in it"),
    ):
        rendering.start(asking(shelf))
    with (
        registry_at(tmp_path, dask, inside, public_url="") as (shelf, rendering),
        pytest.raises(BadRequest, match="cannot fetch") as refused,
    ):
        rendering.start(asking(shelf))
    assert "LORAS_PUBLIC_URL" in refused.value.remedy


def test_drafts_are_not_drawn_with_another_lora_than_they_were_asked_with(
    tmp_path: Path, dask: Drawing
) -> None:
    (tmp_path / "loras").mkdir()
    ink, other = (tmp_path / "loras" / f"{name}.safetensors" for name in ("ink", "other"))
    written(ink, lora(), SD15)
    written(other, lora(seed=1), SD15)
    with registry_at(tmp_path, dask, ink) as (shelf, rendering):
        job_id, _ = rendering.start(asking(shelf))
    with registry_at(tmp_path, dask, other) as (shelf, rendering):
        with running(rendering.dispatcher):
            until(lambda: ended(shelf.registry.catalog, job_id))
        (result,) = rendering.results(job_id)
        assert (result.state, result.slug) == ("failed", "cannot-draw")
