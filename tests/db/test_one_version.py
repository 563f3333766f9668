"""Asking Civitai for one version by its number: what is stored, what stays, what is never sent."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from registry.asked import AMBIGUOUS, FOUND
from registry.catalog.lookups import asked_of, matches_of
from registry.catalog.origins import (
    holders_of,
    origins_by_model,
    origins_by_version,
    sent_models,
    sent_versions,
)
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.one import ask_for_version
from registry.civitai.run import SOURCE, Desk
from registry.config import load_settings
from registry.errors import Offline, OutboundError
from registry.net import Door
from registry.syncing import Asking, Syncing
from tests.support import civitai_faults as faults
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, model_answer, version_answer
from tests.support.library import Model
from tests.support.shelf import lora, open_shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.civitai import FakeCivitai
    from tests.support.library import Library

A, B = Model("a.safetensors", weights="a"), Model("b.safetensors", weights="b")


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@pytest.fixture
def stocked(library: Library) -> Library:
    library.scan(A, B)
    library.hash(A, B)
    return library


def sha(model: Model) -> str:
    return model.digests["sha256"]


def ask(library: Library, fake: FakeCivitai, version_id: int) -> list[str]:
    door = Door(own_hosts={"127.0.0.1"})
    waiting = Waiting(sleep=lambda _: None, today=lambda: dt.datetime.now(dt.UTC), chance=lambda: 0.5)
    try:
        return ask_for_version(
            Desk(library.catalog, Client(door, fake.url, waiting=waiting, attempts=1)), version_id
        )
    finally:
        door.close()


def test_a_version_and_its_model_are_stored_and_files_that_are_here_found(
    stocked: Library, fake: FakeCivitai
) -> None:
    fake.add(model_answer(7, [version_answer(70, [file_answer(sha(A))]), version_answer(71, [])]))
    assert ask(stocked, fake, 70) == [sha(A)]
    assert [f"{one.method} {one.path}" for one in fake.asked] == [
        "GET /api/v1/model-versions/70",
        "GET /api/v1/models/7",
    ]
    with stocked.catalog.read() as conn:
        asked = asked_of(conn, [sha(A), sha(B)])
        origins = origins_by_version(conn, [70, 71])
        assert {key: one.state for key, one in asked.items()} == {sha(A): FOUND}
        assert origins == origins_by_model(conn, [7])
        assert [(one.lora_id, one.version_id, one.model_id) for one in origins] == [
            (stocked.lora(A.path).id, 70, 7)
        ]
        assert [one.lora_id for one in holders_of(conn, [sha(B), "9" * 64])] == [stocked.lora(B.path).id]
        assert set(sent_versions(conn, [70, 71, 72], SOURCE)) == {70}
        assert set(sent_models(conn, [7, 8], SOURCE)) == {7}
        assert sent_versions(conn, [70], "civarchive") == {}


def test_a_file_that_has_a_version_already_has_both_then(stocked: Library, fake: FakeCivitai) -> None:
    for number in (7, 8):
        fake.add(model_answer(number, [version_answer(number * 10, [file_answer(sha(A))])]))
        ask(stocked, fake, number * 10)
    with stocked.catalog.read() as conn:
        assert matches_of(conn, [sha(A)]) == {sha(A): [70, 80]}
        assert asked_of(conn, [sha(A)])[sha(A)].state == AMBIGUOUS


def test_a_version_that_went_away_is_marked_and_nothing_is_lost(stocked: Library, fake: FakeCivitai) -> None:
    fake.add(model_answer(7, [version_answer(70, [file_answer(sha(A))])]))
    ask(stocked, fake, 70)
    fake.take_away_version(70)
    assert ask(stocked, fake, 70) == []
    with stocked.catalog.read() as conn:
        row = conn.exec_driver_sql("SELECT gone_at, raw FROM remote_version WHERE id = 70").one()
        assert matches_of(conn, [sha(A)]) == {sha(A): [70]}
    assert row.gone_at is not None
    assert row.raw is not None
    assert ask(stocked, fake, 999) == []


@pytest.mark.parametrize("route", ["/api/v1/model-versions/70", "/api/v1/models/7"])
def test_a_server_that_answers_with_another_one_is_not_believed(
    stocked: Library, fake: FakeCivitai, route: str
) -> None:
    fake.add(model_answer(7, [version_answer(70, [file_answer(sha(A))])]))
    fake.fail(route, faults.changed(lambda answer: {**answer, "id": 99}), times=None)
    with pytest.raises(OutboundError, match="another one"):
        ask(stocked, fake, 70)
    with stocked.catalog.read() as conn:
        assert sent_versions(conn, [99], SOURCE) == sent_models(conn, [99], SOURCE) == {}


def test_a_version_is_synced_as_a_job_and_leaves_the_schedule_alone(
    tmp_path: Path, fake: FakeCivitai
) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "ink.safetensors", 1)
        shelf.scan()
        shelf.hash()
        (row,) = shelf.query("SELECT value FROM digest WHERE kind = 'sha256'")
        fake.add(model_answer(7, [version_answer(70, [file_answer(row["value"])])]))
        registry = shelf.registry
        registry.settings = load_settings(data_dir=tmp_path / "data", civitai_url=fake.url)
        syncing = Syncing(registry, lambda _query: [])
        told = syncing.run(Asking(version=70), actor="anna")
        assert (told["found"], told["failed"]) == (1, 0)
        (job,) = shelf.query("SELECT * FROM job WHERE kind = 'sync'")
        assert (job["state"], job["actor"]) == ("done", "anna")
        assert shelf.query("SELECT * FROM setting WHERE name = 'synced_at'") == []
        registry.settings = load_settings(data_dir=tmp_path / "data", offline=True)
        with pytest.raises(Offline):
            syncing.start(Asking(version=70))
