"""The search index against what may happen: kills, damage, older versions, other catalogs, two writers."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.catalog.presence import set_missing
from registry.errors import IndexTaken
from registry.search.catchup import Follower, Progress
from registry.search.engine import Engine
from registry.search.index import Place
from registry.search.keeper import Keeper, keep
from registry.search.nodes import Exact, Match, Text
from tests.support.catalogs import open_builder
from tests.support.search_index import indexed
from tests.support.search_records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

posix_only = pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    root = made.root("/models/lora")
    for number in range(40):
        made.file(root, f"a/style_{number:02d}.safetensors", {"ss_training_comment": f"comment {number}"})
    made.write()
    yield made
    made.catalog.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "search")


def caught_up(builder: Builder, place: Place) -> Engine:
    """Bring the index up to date and return what reads it."""
    follower = Follower(builder.catalog, place)
    follower.catch_up()
    follower.close()
    return Engine(place)


def shown(engine: Engine) -> list[int]:
    """Return all ids that the index has, each as often as it has it."""
    engine.refresh()
    return sorted(engine.search(None, limit=1000).ids)


def test_an_index_follows_the_catalog_change_by_change(builder: Builder, place: Place) -> None:
    engine = caught_up(builder, place)
    assert shown(engine) == list(range(1, 41))
    first = place.state()
    builder.file(1, "b/newcomer.safetensors")
    builder.file(1, "a/style_00.safetensors", {"ss_training_comment": "other words"})
    builder.write()
    caught_up(builder, place)
    state = place.state()
    assert first is not None
    assert state is not None
    assert state.folder == first.folder
    assert state.seq > first.seq
    engine.refresh()
    assert engine.count(Text("newcomer")) == 1
    assert engine.count(Match("comment", (Exact("other words"),))) == 1
    assert engine.count(Match("comment", (Exact("comment 0"),))) == 0


@pytest.mark.parametrize("harm", ["state", "meta", "segments", "folder", "version"])
def test_a_damaged_or_older_index_is_made_anew_without_anyone_asking(
    builder: Builder, place: Place, harm: str
) -> None:
    caught_up(builder, place)
    state = place.state()
    assert state is not None
    folder = place.folder / state.folder
    if harm == "state":
        (place.folder / "state.json").write_text("{")
    elif harm == "meta":
        (folder / "meta.json").write_text("nonsense")
    elif harm == "segments":
        for each in folder.glob("*.store"):
            each.unlink()
    elif harm == "folder":
        shutil.rmtree(folder)
    else:
        older = json.dumps({**dataclasses.asdict(state), "version": 0})
        (place.folder / "state.json").write_text(older)
    engine = caught_up(builder, place)
    assert shown(engine) == list(range(1, 41))
    assert len(list(place.folder.glob("index-*"))) == 1


def test_an_index_of_another_catalog_or_of_a_lost_future_is_made_anew(
    builder: Builder, place: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "backup.sqlite3"
    with (
        closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as now,
        closing(sqlite3.connect(copy)) as then,
    ):
        now.backup(then)
    builder.file(1, "b/lost.safetensors")
    builder.write()
    assert len(shown(caught_up(builder, place))) == 41
    builder.catalog.close()
    for name in ("catalog.sqlite3-wal", "catalog.sqlite3-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(copy, tmp_path / "catalog.sqlite3")
    restored = open_builder(tmp_path)
    restored.file(1, "b/other.safetensors")
    restored.write()
    engine = caught_up(restored, place)
    restored.catalog.close()
    assert len(shown(engine)) == 41
    assert (engine.count(Text("lost")), engine.count(Text("other"))) == (0, 1)


def test_one_writes_and_others_read_what_is_there(builder: Builder, place: Place) -> None:
    owner = Follower(builder.catalog, place)
    owner.catch_up()
    builder.file(1, "b/newcomer.safetensors")
    builder.write()
    with pytest.raises(IndexTaken):
        Follower(builder.catalog, place).catch_up()
    engine = Engine(place)
    assert len(shown(engine)) == 40
    owner.catch_up()
    assert len(shown(engine)) == 41
    owner.close()
    assert len(shown(caught_up(builder, place))) == 41


def test_of_two_that_make_the_first_index_one_does(builder: Builder, place: Place) -> None:
    outcomes: list[str] = []

    def second(_: Progress) -> None:
        try:
            Follower(builder.catalog, place).catch_up()
        except IndexTaken:
            outcomes.append("taken")

    first = Follower(builder.catalog, place, report=second)
    first.catch_up()
    first.close()
    assert outcomes == ["taken"]
    assert shown(Engine(place)) == list(range(1, 41))


def test_a_rebuild_tells_how_far_it_is_and_the_old_index_answers_meanwhile(
    builder: Builder, place: Place
) -> None:
    engine = caught_up(builder, place)
    shown(engine)
    place.forget()
    told: list[Progress] = []

    def report(said: Progress) -> None:
        assert len(shown(engine)) == 40
        told.append(said)

    follower = Follower(builder.catalog, place, report=report)
    follower.catch_up()
    follower.close()
    assert told[0] == Progress("rebuilding", 0, 40)
    assert len(shown(engine)) == 40


def test_files_that_go_away_and_roots_that_are_removed_are_seen(builder: Builder, place: Place) -> None:
    engine = caught_up(builder, place)
    with builder.catalog.write() as unit:
        set_missing(unit, [1, 2, 3])
    caught_up(builder, place)
    engine.refresh()
    assert engine.count(Match("missing", (Exact("yes"),))) == 3


@posix_only
def test_killing_the_writer_at_any_moment_loses_nothing(
    builder: Builder, place: Place, tmp_path: Path
) -> None:
    chance = random.Random(7)
    context = multiprocessing.get_context("spawn")
    for turn in range(6):
        for number in range(15):
            builder.file(1, f"turn{turn}/style_{number}.safetensors")
        builder.write()
        ours, theirs = context.Pipe()
        child = context.Process(target=keep, args=(str(builder.catalog.url), place.folder, theirs))
        child.start()
        theirs.close()
        # Some are killed while they start, some while they index, some when they are done.
        ours.poll(chance.choice((0.5, 2.0, 20.0)))
        time.sleep(chance.random() * 0.05)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        ours.close()
    assert shown(caught_up(builder, place)) == list(range(1, 131))


def test_the_keeper_makes_changes_visible_by_itself_and_ends_when_told(
    builder: Builder, place: Place
) -> None:
    engine = Engine(place)
    keeper = Keeper(str(builder.catalog.url), place, engine.refresh)
    builder.catalog.on_commit(keeper.wake)
    keeper.start()
    try:
        _wait_for(engine, 40)
        builder.file(1, "b/newcomer.safetensors")
        builder.write()
        _wait_for(engine, 41)
    finally:
        keeper.stop()
    assert len(shown(caught_up(builder, place))) == 41


def test_a_keeper_whose_child_is_killed_or_fails_says_so_and_goes_on(builder: Builder, place: Place) -> None:
    place.folder.write_text("in the way")
    engine = Engine(place)
    keeper = Keeper(str(builder.catalog.url), place, engine.refresh, retry_seconds=0.01)
    keeper.start()
    try:
        _until(lambda: keeper.progress.state == "failing")
        place.folder.unlink()
        _until(lambda: keeper.progress.state == "idle")
        for number in range(5):
            (child,) = (each for each in multiprocessing.active_children() if each.name == "search")
            child.kill()
            _until(lambda: keeper.progress.state == "failing")
            builder.file(1, f"b/newcomer_{number}.safetensors")
            builder.write()
            _wait_for(engine, 41 + number)
    finally:
        keeper.stop()


def test_a_record_that_cannot_be_indexed_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(3)
    good, bad, other = (record(chance, number) for number in (1, 2, 3))
    engine = indexed(tmp_path, [good, dataclasses.replace(bad, name="no text \ud800"), other])
    assert shown(engine) == [1, 3]
    assert "lora 2 cannot be searched" in caplog.text


def _wait_for(engine: Engine, count: int) -> None:
    _until(lambda: engine.generation >= 0 and len(engine.search(None, limit=1000).ids) == count)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
