"""Syncs with a second source over HTTP: what it is asked, what comes of it, and what it never overrides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from registry.asked import ARCHIVE, FOUND, GONE, NOT_FOUND
from registry.catalog import tables
from registry.catalog.changes import changes_since, generation
from registry.catalog.lookups import asked_of, matches_of
from registry.catalog.remote import raw_of, unpack_model, unpack_version
from registry.catalog.roots import change_root
from registry.civitai.archive import Archive
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.planning import plan
from registry.civitai.policy import DAY
from registry.civitai.run import PATIENCE, Desk, Wish, summary
from registry.civitai.sync import carry_out
from registry.errors import Cancelled
from registry.net import Door
from tests.support.civarchive import answer_of, archive_server
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, model_answer, version_answer
from tests.support.civitai_library import IDS
from tests.support.library import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.asked import Asked
    from registry.told import RemoteModel, RemoteVersion
    from tests.support.civarchive import FakeArchive
    from tests.support.civitai import FakeCivitai
    from tests.support.library import Clock, Library

MODEL, VERSION, HASH = (tables.TABLES[name] for name in ("remote_model", "remote_version", "remote_hash"))
A, B, C = (Model(f"{name}.safetensors", weights=name) for name in "abc")


@dataclass
class Syncs:
    """Runs one sync after the other over one catalog, one service and one archive."""

    library: Library
    civitai: FakeCivitai
    archive: FakeArchive

    def run(
        self, *, with_archive: bool = True, stop_after: int | None = None, **wish: Any
    ) -> dict[str, object]:
        """Sync and return the summary; with `stop_after` it is cancelled after so many questions there."""
        door = Door(own_hosts={"127.0.0.1"}, seconds=5.0)
        waiting = Waiting(sleep=lambda _seconds: None, chance=lambda: 0.5)
        client = Client(door, self.civitai.url, waiting=waiting, attempts=2)
        archive = Archive(door, self.archive.url, waiting=waiting, attempts=2)

        def cancelled() -> bool:
            return stop_after is not None and archive.requests >= stop_after

        desk = Desk(
            self.library.catalog, client, archive=archive if with_archive else None, cancelled=cancelled
        )
        try:
            carry_out(desk, Wish(**wish))
        finally:
            door.close()
        return summary(desk.progress, client.requests + archive.requests, 0.0)

    def asked(self, model: Model) -> Asked:
        sha = sha256(model)
        with self.library.catalog.read() as conn:
            return asked_of(conn, [sha])[sha]

    def versions(self, model: Model) -> list[int]:
        sha = sha256(model)
        with self.library.catalog.read() as conn:
            return matches_of(conn, [sha]).get(sha, [])

    def row(self, table: Any, number: int) -> Any:
        with self.library.catalog.read() as conn:
            return conn.execute(select(table).where(table.c.id == number)).one()

    def version(self, number: int) -> RemoteVersion:
        return unpack_version(self.row(VERSION, number).facts)

    def model(self, number: int) -> RemoteModel:
        return unpack_model(self.row(MODEL, number).facts)

    def forget(self, number: int) -> None:
        """Leave of a version no more than its number."""
        with self.library.catalog.write() as unit:
            nothing = {"raw": None, "facts": None, "images": None, "fetched_at": None}
            unit.conn.execute(update(VERSION).where(VERSION.c.id == number).values(**nothing))


@pytest.fixture
def civitai() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@pytest.fixture
def archive() -> Iterator[FakeArchive]:
    with archive_server() as server:
        yield server


@pytest.fixture
def syncs(library: Library, civitai: FakeCivitai, archive: FakeArchive) -> Syncs:
    return Syncs(library, civitai, archive)


def there(library: Library, *models: Model) -> None:
    library.scan(*models)
    for model in models:
        library.hash(model)


def sha256(model: Model) -> str:
    return model.digests["sha256"]


def known(civitai: FakeCivitai, number: int, *models: Model) -> None:
    """Let the service have a model with one version for each file."""
    versions = [
        version_answer(number * 10 + place, [file_answer(sha256(model), autov3=model.digests["data_sha256"])])
        for place, model in enumerate(models)
    ]
    civitai.add(model_answer(number, versions))


def test_what_civitai_does_not_know_is_found_in_the_archive(syncs: Syncs, archive: FakeArchive) -> None:
    there(syncs.library, A, B)
    archive.add(sha256(A), 7, 70)

    told = syncs.run()

    assert (told["asked"], told["found"], told["not_found"], told["errors"]) == (2, 1, 1, [])
    assert (syncs.asked(A).state, syncs.asked(A).by, syncs.versions(A)) == (FOUND, ARCHIVE, [70])
    assert (syncs.asked(B).state, syncs.asked(B).by, syncs.versions(B)) == (NOT_FOUND, None, [])
    # Ids, two other hashes of each, each in the archive, and the model at Civitai.
    assert told["requests"] == 1 + 4 + 2 + 1
    assert sorted(archive.asked) == sorted([sha256(A), sha256(B)])


def test_what_the_archive_says_is_kept_as_its_own(syncs: Syncs, archive: FakeArchive) -> None:
    there(syncs.library, A)
    archive.add(sha256(A), 7, 70)

    syncs.run()

    row = syncs.row(VERSION, 70)
    assert (row.source, row.listed, row.gone_at, row.base_model) == (ARCHIVE, 0, None, "Pony")
    assert raw_of(row) == answer_of(7, 70, sha256(A))
    assert syncs.version(70).trained_words == ("archived word",)
    model = syncs.row(MODEL, 7)
    assert (model.source, model.gone_at is not None) == (ARCHIVE, True)
    assert (syncs.model(7).creator, syncs.model(7).tags) == ("somebody", ("archived",))
    with syncs.library.catalog.read() as conn:
        assert conn.execute(select(HASH.c.version_id).where(HASH.c.value == sha256(A))).scalars().all() == [
            70
        ]


def test_nobody_is_asked_where_there_is_no_archive(syncs: Syncs, archive: FakeArchive) -> None:
    there(syncs.library, A)
    archive.add(sha256(A), 7, 70)

    assert syncs.run(with_archive=False)["not_found"] == 1
    assert archive.asked == []


def test_civitai_is_asked_again_as_for_what_was_not_found(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    archive.add(sha256(A), 7, 70)
    syncs.run()
    questions = len(civitai.asked)

    assert syncs.run()["requests"] == 0
    for days in (1, 3, 9):
        clock.tick(days * DAY - 1)
        assert syncs.run()["requests"] == 0
        clock.tick(1)
        told = syncs.run()
        assert (told["found"], told["gone"], told["not_found"], told["requests"]) == (1, 0, 0, 3)
    assert len(civitai.asked) == questions + 9
    assert (syncs.asked(A).by, syncs.versions(A)) == (ARCHIVE, [70])
    assert archive.asked == [sha256(A)]


def test_what_civitai_has_again_is_told_by_civitai(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    archive.add(sha256(A), 7, 70)
    syncs.run()
    known(civitai, 7, A)
    clock.tick(DAY)

    assert syncs.run()["found"] == 1

    assert (syncs.asked(A).by, syncs.versions(A)) == ("sha256", [70])
    row = syncs.row(VERSION, 70)
    assert (row.source, row.listed) == ("civitai", 1)
    assert syncs.version(70).trained_words == ("a word",)
    clock.tick(31 * DAY)
    civitai.take_away_model(7)
    assert syncs.run()["gone"] == 1
    assert syncs.version(70).trained_words == ("a word",)


def test_a_version_known_from_civitai_is_never_overwritten(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai
) -> None:
    there(syncs.library, A, B)
    known(civitai, 7, A)
    archive.add(sha256(B), 7, 70)

    assert syncs.run()["found"] == 2

    assert (syncs.versions(A), syncs.versions(B)) == ([70], [70])
    assert (syncs.row(VERSION, 70).source, syncs.row(MODEL, 7).source) == ("civitai", "civitai")
    assert syncs.version(70).trained_words == ("a word",)


def test_a_version_that_civitai_only_lists_is_filled(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai
) -> None:
    there(syncs.library, A, B)
    known(civitai, 7, A, C)
    archive.add(sha256(B), 7, 71)

    syncs.run()

    row = syncs.row(VERSION, 71)
    assert (row.source, row.listed) == (ARCHIVE, 1)
    assert row.published_at is not None
    assert syncs.version(71).trained_words == ("archived word",)
    with syncs.library.catalog.read() as conn:
        found = set(conn.execute(select(HASH.c.value).where(HASH.c.version_id == 71)).scalars())
    assert {sha256(B), sha256(C)} <= found


def test_a_model_that_is_gone_is_told_by_the_archive_and_stays_gone(
    syncs: Syncs, archive: FakeArchive, clock: Clock
) -> None:
    there(syncs.library, A, B)
    archive.add(sha256(A), 7, 70, name=None, id=None)
    syncs.run()
    assert syncs.row(MODEL, 7).facts is None
    gone_at = syncs.row(MODEL, 7).gone_at
    assert gone_at is not None
    archive.add(sha256(B), 7, 71)
    clock.tick(DAY)

    syncs.run()

    assert syncs.row(MODEL, 7).gone_at == gone_at
    assert syncs.model(7).name == "Model 7"


@pytest.mark.parametrize(
    "answer",
    [
        answer_of(7, 70, "0" * 63 + "1"),
        answer_of(7, 70, sha256(A), platform="seaart"),
        {"data": {"version": {"id": 70}, "files": []}},
        {"files": [{"model_id": 7, "model_version_id": 70}]},
    ],
)
def test_it_is_believed_only_if_it_names_our_hash_and_a_number_of_civitai(
    syncs: Syncs, archive: FakeArchive, answer: object
) -> None:
    there(syncs.library, A)
    archive.known[sha256(A)] = answer

    assert syncs.run()["not_found"] == 1
    assert (syncs.asked(A).state, syncs.versions(A)) == (NOT_FOUND, [])


def test_what_is_gone_keeps_what_was_known(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    known(civitai, 7, A)
    syncs.run()
    archive.add(sha256(A), 7, 70)
    civitai.take_away_model(7)
    clock.tick(31 * DAY)

    assert syncs.run()["gone"] == 1

    assert (syncs.asked(A).state, syncs.versions(A)) == (GONE, [70])
    assert syncs.row(VERSION, 70).source == "civitai"
    assert archive.asked == []


@pytest.mark.parametrize("version_id", [70, 71])
def test_what_is_gone_with_nothing_known_gets_what_the_archive_knows(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai, clock: Clock, version_id: int
) -> None:
    there(syncs.library, A)
    known(civitai, 7, A)
    syncs.run()
    archive.add(sha256(A), 7, version_id)
    civitai.take_away_model(7)
    syncs.forget(70)
    clock.tick(31 * DAY)

    told = syncs.run()

    assert (told["gone"], told["found"], told["asked"]) == (1, 0, 1)
    assert (syncs.asked(A).state, syncs.asked(A).tries) == (GONE, 1)
    assert syncs.versions(A) == sorted({70, version_id})
    assert syncs.version(version_id).trained_words == ("archived word",)
    assert syncs.row(VERSION, 70).gone_at is not None
    clock.tick(7 * DAY)
    assert syncs.run()["gone"] == 1
    assert archive.asked == [sha256(A)]


def test_misses_of_the_archive_are_counted_apart(syncs: Syncs, archive: FakeArchive) -> None:
    there(syncs.library, A, B, C)

    told = syncs.run(misses=2)

    assert (told["not_found"], told["waiting"], told["requests"]) == (2, 1, 1 + 4 + 2)
    assert len(archive.asked) == 2
    assert syncs.run(misses=2)["requests"] == 2 + 1
    assert sorted(archive.asked) == sorted(map(sha256, (A, B, C)))


def test_an_archive_that_fails_changes_nothing_and_is_left_alone_soon(
    syncs: Syncs, archive: FakeArchive, clock: Clock
) -> None:
    models = [Model(f"{number}.safetensors", weights=str(number)) for number in range(PATIENCE + 3)]
    there(syncs.library, *models)
    archive.failing = True

    told = syncs.run()

    assert (told["not_found"], told["failed"]) == (len(models), 0)
    assert "the archive" in str(told["errors"])
    assert len(archive.asked) == 2 * PATIENCE
    archive.failing = False
    archive.add(sha256(models[0]), 7, 70)
    clock.tick(DAY)
    assert syncs.run()["found"] == 1


def test_a_run_that_is_stopped_keeps_what_it_found(syncs: Syncs, archive: FakeArchive, clock: Clock) -> None:
    there(syncs.library, A, B, C)
    for number, each in enumerate((A, B, C), 7):
        archive.add(sha256(each), number, number * 10)

    with pytest.raises(Cancelled):
        syncs.run(stop_after=2)

    states = sorted(syncs.asked(each).state for each in (A, B, C))
    assert states == [FOUND, FOUND, NOT_FOUND]
    clock.tick(DAY)
    assert syncs.run()["found"] == 3


def test_hashes_of_private_roots_never_leave(syncs: Syncs, archive: FakeArchive) -> None:
    there(syncs.library, A)
    with syncs.library.catalog.write() as unit:
        change_root(unit, syncs.library.root_id, private=True)

    assert syncs.run()["requests"] == 0
    assert archive.asked == []


def test_a_service_that_fails_is_no_reason_to_ask_elsewhere(
    syncs: Syncs, archive: FakeArchive, civitai: FakeCivitai
) -> None:
    there(syncs.library, A)
    civitai.switch_off(IDS, 500)

    assert syncs.run()["failed"] == 1
    assert archive.asked == []


def test_loras_change_when_the_archive_tells_something_new(
    syncs: Syncs, archive: FakeArchive, clock: Clock
) -> None:
    there(syncs.library, A)
    syncs.run()
    archive.add(sha256(A), 7, 70)
    clock.tick(DAY)
    before = 0

    def changed() -> set[int | None]:
        with syncs.library.catalog.read() as conn:
            return {each.lora_id for each in changes_since(conn, before) or ()}

    for expected in ({int(syncs.library.row(A.path).lora_id)}, set()):
        with syncs.library.catalog.read() as conn:
            before = generation(conn)
        syncs.run()
        assert changed() == expected
        clock.tick(DAY)


def test_a_plan_counts_what_the_archive_may_be_asked(
    syncs: Syncs, archive: FakeArchive, clock: Clock
) -> None:
    there(syncs.library, A, B)
    archive.add(sha256(A), 7, 70)
    syncs.run()
    clock.tick(DAY)

    made = plan(syncs.library.catalog, Wish(), archive=True)

    assert (made.files, made.reasons) == (2, {"retry": 2})
    # Ids, and two other hashes and the archive for each.
    assert made.requests == 1 + 2 * 3
    assert plan(syncs.library.catalog, Wish()).requests == 1 + 2 * 2
