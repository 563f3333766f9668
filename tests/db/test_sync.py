"""A whole sync over HTTP against a stand-in for Civitai: what is asked, what comes of it, what survives."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from registry.asked import AMBIGUOUS, FAILED, FOUND, GONE, NOT_FOUND, UNMATCHED
from registry.catalog.changes import changes_since, generation
from registry.catalog.curation import edit
from registry.catalog.lookups import asked_of, matches_of
from registry.catalog.presence import set_missing
from registry.catalog.remote import stored_models
from registry.catalog.roots import change_root
from registry.catalog.searching import search_records
from registry.catalog.showing import known_of
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.planning import plan
from registry.civitai.policy import DAY
from registry.civitai.run import Desk, Wish, summary
from registry.civitai.sync import carry_out
from registry.curation import read_changes
from registry.errors import Cancelled
from registry.net import Door
from tests.support import civitai_faults as faults
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, image_answer, model_answer, version_answer
from tests.support.civitai_library import DETAILS as BATCH
from tests.support.civitai_library import IDS
from tests.support.library import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.asked import Asked
    from registry.catalog.remote import StoredModel
    from tests.support.civitai import FakeCivitai
    from tests.support.library import Clock, Library


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@dataclass
class Syncs:
    """Runs one sync after the other over one catalog and one service."""

    library: Library
    fake: FakeCivitai
    waited: list[float] = field(default_factory=list)

    def run(self, *, stop_after: int | None = None, attempts: int = 2, **wish: object) -> dict[str, object]:
        """Sync and return the summary; with `stop_after` it is cancelled after so many requests."""
        door = Door(own_hosts={"127.0.0.1"}, seconds=1.0)
        waiting = Waiting(sleep=self.waited.append, today=lambda: dt.datetime.now(dt.UTC), chance=lambda: 0.5)
        client = Client(door, self.fake.url, waiting=waiting, attempts=attempts)

        def cancelled() -> bool:
            return stop_after is not None and client.requests >= stop_after

        desk = Desk(self.library.catalog, client, cancelled=cancelled)
        try:
            carry_out(desk, Wish(**wish))  # type: ignore[arg-type] # the names are the test's own
        finally:
            door.close()
        return summary(desk.progress, client.requests, 0.0)

    def asked(self, model: Model) -> Asked | None:
        sha = model.digests["sha256"]
        with self.library.catalog.read() as conn:
            return asked_of(conn, [sha]).get(sha)

    def state(self, model: Model) -> str | None:
        asked = self.asked(model)
        return None if asked is None else asked.state

    def versions(self, model: Model) -> list[int]:
        sha = model.digests["sha256"]
        with self.library.catalog.read() as conn:
            return matches_of(conn, [sha]).get(sha, [])

    def model(self, model_id: int) -> StoredModel | None:
        with self.library.catalog.read() as conn:
            return stored_models(conn, [model_id]).get(model_id)

    def routes(self) -> Counter[str]:
        """Return how often each route was asked, by its last part."""
        return Counter(f"{one.method} {one.path.removeprefix('/api/v1')}" for one in self.fake.asked)


@pytest.fixture
def syncs(library: Library, fake: FakeCivitai) -> Syncs:
    return Syncs(library, fake)


def there(library: Library, *models: Model) -> None:
    library.scan(*models)
    for model in models:
        library.hash(model)


def known(fake: FakeCivitai, number: int, *models: Model, **members: object) -> None:
    """Let the service have a model with one version for each file."""
    versions = [
        version_answer(number * 10 + place, [file_answer(**hashes(model))])
        for place, model in enumerate(models)
    ]
    fake.add(model_answer(number, versions, **members))  # type: ignore[arg-type] # as the test names them


def hashes(model: Model) -> dict[str, Any]:
    found = model.digests
    return {"sha256": found["sha256"], "autov3": found["data_sha256"], "blake3": found["blake3"]}


A, B, C = (Model(f"{name}.safetensors", weights=name) for name in "abc")


def test_files_are_found_in_bulk_and_their_models_once(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A, B, C)
    known(fake, 7, A, B)
    known(fake, 8, C)
    told = syncs.run()
    assert (told["asked"], told["found"], told["not_found"], told["failed"]) == (3, 3, 0, 0)
    assert syncs.routes() == {
        "POST /model-versions/by-hash/ids": 1,
        "POST /model-versions/by-hash": 1,
        "GET /models/7": 1,
        "GET /models/8": 1,
    }
    assert told["requests"] == 4
    assert [syncs.versions(each) for each in (A, B, C)] == [[70], [71], [80]]
    assert syncs.model(7) is not None


def test_what_is_known_is_not_asked_again_before_it_is_stale(
    syncs: Syncs, fake: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    syncs.run()
    assert syncs.run()["requests"] == 0
    clock.tick(31 * DAY)
    assert syncs.run()["found"] == 1
    assert syncs.run(everything=True)["requests"] == 0
    clock.tick(2 * 3_600_000)
    assert syncs.run(everything=True)["found"] == 1


def test_what_the_sha256_does_not_find_is_asked_for_by_its_other_hashes(
    syncs: Syncs, fake: FakeCivitai
) -> None:
    there(syncs.library, A, B, C)
    by_data, by_blake3 = (
        hashes(A) | {"sha256": "1" * 64},
        hashes(B) | {"sha256": "2" * 64, "autov3": "3" * 12},
    )
    fake.add(model_answer(7, [version_answer(70, [file_answer(**by_data)])]))
    fake.add(model_answer(8, [version_answer(80, [file_answer(**by_blake3)])]))
    told = syncs.run()
    assert (told["found"], told["not_found"], told["waiting"]) == (2, 1, 0)
    assert [(asked.state, asked.by) for each in (A, B, C) if (asked := syncs.asked(each))] == [
        (FOUND, "autov3"),
        (FOUND, "blake3"),
        (NOT_FOUND, None),
    ]
    # Ids, 1 + 2 + 2 single ones, and the two models that turned up.
    assert told["requests"] == 1 + 5 + 2


def test_misses_are_spread_over_runs_and_remembered(syncs: Syncs, clock: Clock) -> None:
    models = [Model(f"{number}.safetensors", weights=str(number)) for number in range(5)]
    there(syncs.library, *models)
    first = syncs.run(misses=2)
    assert (first["not_found"], first["waiting"], first["requests"]) == (2, 3, 1 + 4)
    second = syncs.run(misses=2)
    assert (second["not_found"], second["waiting"], second["requests"]) == (2, 1, 4)
    third = syncs.run(misses=2)
    assert (third["not_found"], third["waiting"], third["requests"]) == (1, 0, 2)
    assert syncs.run()["requests"] == 0
    clock.tick(DAY)
    again = syncs.run(misses=10)
    assert (again["not_found"], again["requests"]) == (5, 1 + 10)
    clock.tick(DAY)
    assert syncs.run()["requests"] == 0


@pytest.mark.parametrize(
    ("off", "requests"),
    [
        ([], 2),
        ([IDS], 1 + 1),
        ([IDS, BATCH], 1 + 1 + 2),
        ([BATCH], 1 + 1 + 2),
    ],
)
def test_where_there_is_no_bulk_route_the_next_slower_one_is_asked(
    syncs: Syncs, fake: FakeCivitai, off: list[str], requests: int
) -> None:
    there(syncs.library, A, B)
    known(fake, 7, A)
    known(fake, 8, B)
    for route in off:
        fake.switch_off(route)
    told = syncs.run()
    assert (told["found"], told["requests"]) == (2, requests + 2)


def test_an_answer_is_believed_only_if_it_names_our_hash(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    fake.fail("*by-hash*", faults.changed(faults.other_hashes), times=None, after=1)
    told = syncs.run()
    assert (told["found"], told["not_found"]) == (0, 1)
    assert syncs.versions(A) == []


def test_several_versions_with_one_hash_are_ambiguous_and_all_kept(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A)
    late = version_answer(70, [file_answer(**hashes(A))], publishedAt="2025-05-01T00:00:00.000Z")
    early = version_answer(80, [file_answer(**hashes(A))], publishedAt="2023-05-01T00:00:00.000Z")
    fake.add(model_answer(7, [late]))
    fake.add(model_answer(8, [early]))
    assert syncs.run()["ambiguous"] == 1
    assert (syncs.state(A), sorted(syncs.versions(A))) == (AMBIGUOUS, [70, 80])


def test_what_is_gone_keeps_what_was_known_with_the_time(
    syncs: Syncs, fake: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    syncs.run()
    clock.tick(31 * DAY)
    fake.take_away_model(7)
    assert syncs.run()["gone"] == 1
    assert (syncs.state(A), syncs.versions(A)) == (GONE, [70])
    model = syncs.model(7)
    assert model is not None
    assert model.gone
    clock.tick(8 * DAY)
    fake.bring_back_model(7)
    assert syncs.run()["found"] == 1
    assert syncs.state(A) == FOUND


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.answering(500), id="500"),
        pytest.param(faults.answering(503, b"<html>busy</html>", "text/html"), id="503 with a page"),
        pytest.param(faults.too_fast(), id="429"),
        pytest.param(faults.too_fast("7"), id="429 that tells how long"),
        pytest.param(faults.cut_short(), id="JSON that ends too early"),
        pytest.param(faults.broken_off(), id="a connection that ends too early"),
        pytest.param(faults.answering(200, b"<html>who are you?</html>", "text/html"), id="a page"),
    ],
)
def test_what_passes_costs_a_second_request_and_nothing_else(
    syncs: Syncs, fake: FakeCivitai, fault: faults.Fault
) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    fake.fail(IDS, fault)
    fake.fail(BATCH, fault)
    fake.fail("/api/v1/models/7", fault)
    told = syncs.run()
    assert (told["found"], told["failed"], told["requests"]) == (1, 0, 6)


def test_a_service_that_stays_away_is_an_outcome_of_its_files_and_takes_nothing(
    syncs: Syncs, fake: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A, B)
    known(fake, 7, A)
    syncs.run()
    clock.tick(31 * DAY)
    fake.fail("*", faults.answering(500), times=None)
    told = syncs.run()
    assert (told["asked"], told["failed"]) == (2, 2)
    assert (syncs.state(A), syncs.versions(A), syncs.state(B)) == (FOUND, [70], NOT_FOUND)
    assert told["errors"]
    fake.mend()
    assert syncs.run()["found"] == 1


def test_a_file_that_was_never_answered_for_is_asked_for_again_at_once(
    syncs: Syncs, fake: FakeCivitai
) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    fake.fail(IDS, faults.answering(500), times=2)
    assert syncs.run()["failed"] == 1
    assert syncs.state(A) == FAILED
    assert syncs.run()["found"] == 1


def test_a_body_without_end_fails_its_files_only(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    fake.fail(BATCH, faults.endless(), times=None)
    told = syncs.run()
    assert (told["found"], told["failed"]) == (0, 1)
    assert "larger" in str(told["errors"])


@pytest.mark.parametrize(
    "change", [faults.twice, faults.with_gaps, faults.backwards, faults.downloads_at("https://posthost")]
)
def test_batches_may_be_in_any_order_with_gaps_and_repetitions(
    syncs: Syncs, fake: FakeCivitai, change: Callable[[Any], object]
) -> None:
    there(syncs.library, A, B, C)
    for number, each in enumerate((A, B, C), 7):
        known(fake, number, each)
    fake.fail(BATCH, faults.changed(change))
    assert syncs.run()["found"] == 3
    assert [syncs.versions(each) for each in (A, B, C)] == [[70], [80], [90]]


def test_models_without_creator_and_counters_are_taken(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A)
    known(fake, 7, A)
    fake.fail("/api/v1/models/7", faults.changed(faults.without_creator))
    fake.fail(BATCH, faults.changed(faults.null_counters))
    assert syncs.run()["found"] == 1
    assert syncs.model(7) is not None


def test_a_run_that_is_stopped_goes_on_without_asking_for_what_is_known(
    syncs: Syncs, fake: FakeCivitai
) -> None:
    models = [Model(f"{number}.safetensors", weights=str(number)) for number in range(250)]
    there(syncs.library, *models)
    fake.add_many(sorted(each.digests["sha256"] for each in models), per_model=50)
    with pytest.raises(Cancelled):
        # Ids, and one of three batches of details.
        syncs.run(stop_after=2)
    first = len(fake.asked)
    told = syncs.run()
    assert told["found"] == 150
    routes = Counter(one.path for one in fake.asked[first:])
    assert routes[IDS] == 0
    assert routes[BATCH] == 2
    assert Counter(syncs.state(each) for each in models) == {FOUND: 250}


def test_copies_and_files_of_one_version_are_asked_for_together(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A, A.but(path="copy.safetensors"), B)
    fake.add(model_answer(7, [version_answer(70, [file_answer(**hashes(A)), file_answer(**hashes(B))])]))
    told = syncs.run()
    assert (told["asked"], told["found"], told["requests"]) == (2, 2, 3)
    assert [one.n for one in fake.asked if one.path == BATCH] == [1]


def test_hashes_of_private_roots_never_leave(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A, B)
    with syncs.library.catalog.write() as unit:
        change_root(unit, syncs.library.root_id, private=True)
    assert syncs.run()["requests"] == 0
    assert fake.asked == []


def test_loras_change_when_something_new_is_known_of_them(
    syncs: Syncs, fake: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    known(fake, 7, A)

    def changed_by(run: dict[str, object]) -> set[int | None]:
        assert run
        with syncs.library.catalog.read() as conn:
            return {each.lora_id for each in changes_since(conn, before) or ()}

    with syncs.library.catalog.read() as conn:
        before = generation(conn)
    assert changed_by(syncs.run()) == {int(syncs.library.row(A.path).lora_id)}
    with syncs.library.catalog.read() as conn:
        before = generation(conn)
    clock.tick(31 * DAY)
    assert changed_by(syncs.run()) == set()
    known(fake, 7, A, tags=["style"])
    clock.tick(31 * DAY)
    assert len(changed_by(syncs.run())) == 1


def test_a_plan_asks_for_nothing(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A, B)
    known(fake, 7, A)
    made = plan(syncs.library.catalog, Wish())
    assert (made.files, made.reasons, made.models) == (2, {"never": 2}, 0)
    assert fake.asked == []
    syncs.run(misses=0)
    assert syncs.state(B) == UNMATCHED
    assert plan(syncs.library.catalog, Wish()).reasons == {"unfinished": 1}


def test_the_level_of_images_is_searched_as_it_is_shown(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A)
    images = [image_answer("https://image.civitai.com/a/1.jpeg", nsfwLevel=level) for level in (1, 16, 4)]
    version = version_answer(70, [file_answer(**hashes(A))], images=images, nsfwLevel=1)
    fake.add(model_answer(7, [version]))
    syncs.run()
    lora_id = int(syncs.library.row(A.path).lora_id)
    with syncs.library.catalog.read() as conn:
        (record,) = search_records(conn, [lora_id])
        shown = known_of(conn, [lora_id])[lora_id].shown
    assert (record.nsfw, shown.nsfw_level) == (16, 16)
    assert shown.sources["nsfw_level"].kind == "civitai"


def test_a_newer_version_for_the_same_base_is_an_update_until_it_is_there(
    syncs: Syncs, fake: FakeCivitai
) -> None:
    there(syncs.library, A)
    fake.add(
        model_answer(
            7,
            [
                version_answer(72, [file_answer(**hashes(B))], publishedAt="2025-01-01T00:00:00.000Z"),
                version_answer(73, [], publishedAt="2025-02-01T00:00:00.000Z", baseModel="SD 1.5"),
                version_answer(71, [file_answer("3" * 64)], publishedAt="2022-01-01T00:00:00.000Z"),
                version_answer(70, [file_answer(**hashes(A))], publishedAt="2024-01-01T00:00:00.000Z"),
            ],
        )
    )
    syncs.run()
    lora_id = int(syncs.library.row(A.path).lora_id)

    def updates() -> list[tuple[int, bool]]:
        with syncs.library.catalog.read() as conn:
            link = known_of(conn, [lora_id])[lora_id].link
        assert link is not None
        return [(each.version_id, each.have) for each in link.updates]

    assert updates() == [(72, False)]
    generation_before = syncs.library.generation()
    there(syncs.library, B)
    assert updates() == [(72, True)]
    assert lora_id in {each.lora_id for each in syncs.library.changes(generation_before)}
    generation_before = syncs.library.generation()
    with syncs.library.catalog.write() as unit:
        set_missing(unit, [syncs.library.row(B.path).id])
    assert updates() == [(72, False)]
    assert lora_id in {each.lora_id for each in syncs.library.changes(generation_before)}


def choose(library: Library, model: Model, version_id: int) -> int:
    lora_id = int(library.row(model.path).lora_id)
    with library.catalog.write() as unit:
        edit(unit, [lora_id], read_changes({"civitai": {"version": version_id}}))
    return lora_id


def test_a_chosen_version_is_fetched_with_its_model_and_told_of(syncs: Syncs, fake: FakeCivitai) -> None:
    there(syncs.library, A, B)
    syncs.run()
    fake.add(model_answer(8, [version_answer(80, [file_answer("5" * 64)])], name="Chosen"))
    lora_id = choose(syncs.library, A, 80)
    assert (plan(syncs.library.catalog, Wish()).files, plan(syncs.library.catalog, Wish()).requests) == (0, 1)
    assert syncs.run(hashes=[B.digests["sha256"]])["requests"] == 0
    before = syncs.library.generation()
    told = syncs.run()
    assert (told["asked"], told["found"], told["requests"], told["errors"]) == (0, 0, 2, [])
    assert {each.lora_id for each in syncs.library.changes(before)} == {lora_id}
    with syncs.library.catalog.read() as conn:
        shown = known_of(conn, [lora_id])[lora_id].shown
    assert (shown.model_name, shown.version_id, syncs.versions(A)) == ("Chosen", 80, [])
    assert syncs.run()["requests"] == 0


def test_a_lora_is_told_of_news_of_the_model_of_its_chosen_version(
    syncs: Syncs, fake: FakeCivitai, clock: Clock
) -> None:
    there(syncs.library, A)
    chosen = version_answer(80, [file_answer("5" * 64)])
    fake.add(model_answer(8, [chosen]))
    lora_id = choose(syncs.library, A, 80)
    syncs.run()
    fake.add(model_answer(8, [chosen, version_answer(81, [file_answer("6" * 64)])]))
    clock.tick(31 * DAY)
    before = syncs.library.generation()
    syncs.run()
    assert lora_id in {each.lora_id for each in syncs.library.changes(before)}


def test_a_chosen_version_that_is_not_there_and_one_of_a_private_root_cost_little(
    syncs: Syncs, fake: FakeCivitai
) -> None:
    there(syncs.library, A)
    syncs.run()
    choose(syncs.library, A, 999)
    told = syncs.run()
    assert (told["asked"], told["requests"], told["errors"]) == (0, 1, [])
    with syncs.library.catalog.write() as unit:
        change_root(unit, syncs.library.root_id, private=True)
    asked = len(fake.asked)
    assert (syncs.run()["requests"], len(fake.asked)) == (0, asked)


def test_a_plan_is_no_promise_that_a_run_breaks(syncs: Syncs, fake: FakeCivitai, clock: Clock) -> None:
    there(syncs.library, A, B, C)
    known(fake, 7, A)
    by_data = {**hashes(B), "sha256": "1" * 64}
    fake.add(model_answer(8, [version_answer(80, [file_answer(**by_data)])]))
    for days in (0, 1, 31):
        clock.tick(days * DAY)
        most = plan(syncs.library.catalog, Wish()).requests
        spent = syncs.run()["requests"]
        assert isinstance(spent, int)
        assert 0 < spent <= most
