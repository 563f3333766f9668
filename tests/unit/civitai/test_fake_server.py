"""The fake Civitai that other tests rely on, asked by the real client: it answers and fails as it says."""

from __future__ import annotations

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from registry.civitai.asking import ATTEMPTS, Waiting
from registry.civitai.client import Client, Match
from registry.errors import AnswerTooLarge, OutboundError, RefusedAddress
from registry.net import Asked, Door, Purpose
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import (
    ARCHIVED,
    TAKEN_DOWN,
    file_answer,
    image_answer,
    model_answer,
    version_answer,
)
from tests.support.civitai_faults import (
    CHALLENGE,
    FAILED,
    OVERLOADED,
    UNAVAILABLE,
    answering,
    backwards,
    broken_off,
    changed,
    cut_short,
    downloads_at,
    endless,
    null_counters,
    other_hashes,
    overrunning,
    redirected,
    stalled,
    too_fast,
    twice,
    with_gaps,
    without_creator,
    without_hashes,
)
from tests.support.civitai_library import DETAILS, IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.civitai import FakeCivitai
    from tests.support.civitai_faults import Fault

ONE, TWO, THREE, NONE = (hashlib.sha256(name.encode()).hexdigest() for name in ("1", "2", "3", "none"))
AUTOV3, BLAKE3 = "0123456789ab", "f" * 64
BEARER = "of-nobody"
TODAY = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
HOSTS = frozenset({"127.0.0.1"})


class Time:
    """Time that goes by only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)

    def waiting(self) -> Waiting:
        return Waiting(lambda: self.now, self.sleep, lambda: TODAY, lambda: 0.5)


def a_library(fake: FakeCivitai) -> None:
    """Two versions of one model, and one of another."""
    early = version_answer(
        11,
        [file_answer(ONE, autov3=AUTOV3, blake3=BLAKE3)],
        images=[image_answer("https://image.civitai.com/of/11.jpeg")],
    )
    late = version_answer(12, [file_answer(TWO)], publishedAt="2026-05-01T10:00:00.000Z", name="v2.0")
    fake.add(model_answer(7, [late, early], name="Roses", tags=["flower"], creator="gardener"))
    fake.add(model_answer(8, [version_answer(13, [file_answer(THREE)])]))


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as running:
        a_library(running)
        yield running


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door(own_hosts=HOSTS, seconds=20.0)
    yield opened
    opened.close()


@pytest.fixture
def client(fake: FakeCivitai, clock: Time, door: Door) -> Client:
    return Client(door, fake.url, token=BEARER, waiting=clock.waiting())


def get(fake: FakeCivitai, path: str) -> tuple[int, Any]:
    answer = httpx.get(f"{fake.url}/api/v1{path}", trust_env=False)
    return answer.status_code, answer.json()


def version_ids(client: Client, *sha256s: str) -> list[int]:
    found = client.versions_of(sha256s)
    assert found is not None
    return [version.told.id for version in found if version.told.id is not None]


def test_a_model_tells_who_made_it_and_its_versions_do_not(fake: FakeCivitai, client: Client) -> None:
    model, version = client.model(7), client.version(11)

    assert model is not None
    assert version is not None
    assert (model.told.name, model.told.creator, model.told.tags) == ("Roses", "gardener", ("flower",))
    assert [each.id for each in model.told.versions] == [12, 11]
    assert (version.told.model_id, version.told.model_name, version.told.base_model) == (
        7,
        "Roses",
        "SDXL 1.0",
    )
    raw = orjson.loads(version.raw)
    assert set(raw["model"]) == {"name", "type", "nsfw", "poi"}
    assert raw["air"] == "urn:air:sdxl:lora:civitai:7@11"
    assert version.told.files[0].primary
    assert "id" not in raw["images"][0]
    assert [(asked.method, asked.path, asked.n) for asked in fake.asked] == [
        ("GET", "/api/v1/models/7", 0),
        ("GET", "/api/v1/model-versions/11", 0),
    ]
    assert fake.bearers == [f"Bearer {BEARER}"] * 2


def test_what_two_routes_say_of_a_version_is_the_same(client: Client) -> None:
    model, version = client.model(8), client.version(13)

    assert model is not None
    assert version is not None
    (within,) = model.told.versions
    assert (within.files, within.trained_words) == (version.told.files, version.told.trained_words)
    assert within.published_at == version.told.published_at


def test_a_version_is_found_by_each_hash_of_its_file_in_any_case(fake: FakeCivitai, client: Client) -> None:
    version = client.version(11)
    assert version is not None
    hashes = orjson.loads(version.raw)["files"][0]["hashes"]

    assert set(hashes) == {"AutoV1", "AutoV2", "AutoV3", "SHA256", "CRC32", "BLAKE3"}
    assert (hashes["SHA256"], hashes["AutoV3"], hashes["BLAKE3"]) == (
        ONE.upper(),
        AUTOV3.upper(),
        BLAKE3.upper(),
    )
    for digest in hashes.values():
        assert get(fake, f"/model-versions/by-hash/{digest.lower()}") == (200, orjson.loads(version.raw))


def test_of_several_versions_with_a_hash_the_oldest_that_is_published_answers(
    fake: FakeCivitai, client: Client
) -> None:
    later = version_answer(5, [file_answer(ONE)], publishedAt="2026-04-01T10:00:00.000Z")
    draft = version_answer(6, [file_answer(ONE)], publishedAt="2026-01-01T10:00:00.000Z", status="Draft")
    fake.add(model_answer(9, [later, draft]))

    found = client.version_of(ONE)

    assert found is not None
    assert found.told.id == 11
    assert sorted(version_ids(client, ONE)) == [5, 11]
    assert sorted(client.ids_of([ONE]) or ()) == [Match(ONE, 5, 9), Match(ONE, 11, 7)]
    assert client.version(6) is None


def test_details_leave_out_what_is_unknown_and_come_in_another_order(
    fake: FakeCivitai, client: Client
) -> None:
    assert version_ids(client, ONE, NONE, TWO, THREE) == [13, 12, 11]
    assert client.ids_of([ONE, NONE, THREE]) == [Match(THREE, 13, 8), Match(ONE, 11, 7)]
    assert [asked.n for asked in fake.asked] == [4, 3]


def test_a_version_without_a_file_is_not_shown(fake: FakeCivitai) -> None:
    fake.add(model_answer(9, [version_answer(14, [])]))

    assert get(fake, "/model-versions/14") == (404, {"error": "Missing model file"})
    assert get(fake, "/models/9")[1]["modelVersions"] == []


@pytest.mark.parametrize(("mode", "files", "images"), [(ARCHIVED, 0, 1), (TAKEN_DOWN, 1, 0)])
def test_a_model_that_is_no_longer_whole_is_still_found(
    fake: FakeCivitai, client: Client, mode: str, files: int, images: int
) -> None:
    picture = image_answer("https://image.civitai.com/of/14.jpeg")
    version = version_answer(14, [file_answer(NONE)], images=[picture])
    fake.add(model_answer(9, [version], mode=mode))

    found, model = client.version_of(NONE), client.model(9)

    assert found is not None
    assert model is not None
    assert (found.told.mode, model.told.mode) == (mode, mode)
    for told in (found.told, *model.told.versions):
        assert (len(told.files), len(told.images)) == (files, images)


def test_what_is_not_there_is_said_in_the_words_of_the_service(fake: FakeCivitai, client: Client) -> None:
    assert get(fake, "/models/99") == (404, {"error": "No model with id 99"})
    assert get(fake, "/model-versions/99") == (404, {"error": "Model not found"})
    assert get(fake, f"/model-versions/by-hash/{NONE}") == (404, {"error": "Model not found"})
    assert [client.model(99), client.version(99), client.version_of(NONE)] == [None, None, None]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/0", 400),
        ("/models/2147483648", 400),
        ("/models/x", 400),
        ("/models/2147483647", 404),
        ("/model-versions/0", 400),
        ("/model-versions/x", 400),
        ("/model-versions/9999999999", 500),
    ],
)
def test_numbers_have_their_bounds(fake: FakeCivitai, path: str, status: int) -> None:
    told, body = get(fake, path)

    assert told == status
    assert isinstance(body["error"], str)


def test_no_more_details_are_taken_at_once_than_by_the_service(fake: FakeCivitai, client: Client) -> None:
    many = [f"{number:064x}" for number in range(100)]

    assert client.versions_of(many) == []
    with pytest.raises(OutboundError, match=r"400.*Too many hashes"):
        client.versions_of([*many, ONE])
    with pytest.raises(OutboundError, match=r"400.*Invalid hash"):
        client.versions_of([AUTOV3])
    assert [asked.n for asked in fake.asked] == [100, 101, 1]


def test_a_service_that_takes_fewer_ids_at_once_is_asked_for_details(
    fake: FakeCivitai, client: Client
) -> None:
    many = [f"{number:064x}" for number in range(10_000)]

    assert client.ids_of(many) == []
    assert client.ids_of([*many, ONE]) is None
    assert client.ids_of([ONE]) is None
    assert [asked.n for asked in fake.asked] == [10_000, 10_001]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda client: client.version_of(ONE), id="one hash"),
        pytest.param(lambda client: client.version(11), id="version"),
        pytest.param(lambda client: client.model(7), id="model"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answering(200, {"error": "no"}), id="an error that is sent as an answer"),
        pytest.param(answering(404, {"detail": "Not Found"}), id="a 404 of some other service"),
    ],
)
def test_what_is_no_answer_never_means_that_there_is_nothing(
    fake: FakeCivitai, client: Client, ask: Callable[[Client], object], fault: Fault
) -> None:
    fake.fail("*", fault)
    with pytest.raises(OutboundError):
        ask(client)


@pytest.mark.parametrize("route", [IDS, DETAILS])
def test_an_error_that_is_sent_as_an_answer_is_no_list(fake: FakeCivitai, client: Client, route: str) -> None:
    fake.fail(route, answering(200, {"error": "no"}))
    with pytest.raises(OutboundError, match="no list"):
        (client.ids_of if route == IDS else client.versions_of)([ONE])


def test_ids_without_hashes_are_those_of_an_older_server(fake: FakeCivitai, client: Client) -> None:
    fake.fail(IDS, answering(200, [11, 12]))
    assert client.ids_of([ONE]) is None


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_server_has_no_bulk_routes(fake: FakeCivitai, client: Client, status: int) -> None:
    fake.switch_off(IDS, status)
    fake.switch_off(DETAILS, status)

    assert client.ids_of([ONE]) is None
    assert client.versions_of([ONE]) is None
    assert client.version_of(ONE) is not None
    assert len(fake.asked) == client.requests == 3


def test_an_older_server_does_not_tell_the_model_of_a_match(fake: FakeCivitai, client: Client) -> None:
    fake.tells_models = False

    assert client.ids_of([ONE]) == [Match(ONE, 11, None)]


def test_images_come_with_their_bytes_and_kind(fake: FakeCivitai, door: Door) -> None:
    url = fake.add_image("a.png", b"\x89PNG...", "image/png")
    purpose = Purpose("the test", "to test", HOSTS)

    there = door.ask(purpose, Asked("GET", url))
    absent = door.ask(purpose, Asked("GET", f"{fake.url}/images/b.png"))

    assert (there.status, there.body, there.headers["content-type"]) == (200, b"\x89PNG...", "image/png")
    assert absent.status == 404


def test_many_models_are_made_when_they_are_asked_for(fake: FakeCivitai, client: Client) -> None:
    sha256s = [f"{number:064x}" for number in range(30_001)]
    many = fake.add_many(sha256s, per_model=3)

    matches = [one for begin in (0, 10_000, 20_000) for one in client.ids_of(sha256s[begin:][:10_000]) or ()]
    assert len({match.version_id for match in matches}) == 30_000
    assert len({match.model_id for match in matches}) == 10_000

    row = many.row(sha256s[-1])
    assert row is not None
    lone, full, none = (client.model(row.model_id - back) for back in (0, 1, -1))
    assert lone is not None
    assert full is not None
    assert none is None
    assert [version.id for version in lone.told.versions] == [row.version_id]
    assert len(full.told.versions) == 3
    for version in (client.version(row.version_id), client.version_of(sha256s[-1])):
        assert version is not None
        assert (version.told.id, version.told.model_id) == (row.version_id, row.model_id)
        assert version.told.files[0].hashes["sha256"] == sha256s[-1]
    assert len(version_ids(client, *sha256s[5_000:5_100])) == 100


def test_several_threads_may_ask_at_once(fake: FakeCivitai, client: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(client.version, [11, 12, 13, 99] * 20))

    assert [version and version.told.id for version in found] == [11, 12, 13, None] * 20
    assert len(fake.asked) == len(fake.bearers) == 80


PASSING = {
    "429": too_fast(),
    "500": FAILED,
    "502 without a body": answering(502, b"", "text/plain"),
    "503": OVERLOADED,
    "503 with a page": UNAVAILABLE,
    "403 with a page": CHALLENGE,
    "JSON that is cut": cut_short(),
    "JSON of nothing": cut_short(0.0),
    "a connection that breaks off": broken_off(),
    "a connection that breaks off at once": broken_off(0.0),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_asked_again_until_all_is_well(
    fake: FakeCivitai, client: Client, clock: Time, fault: Fault
) -> None:
    fake.fail("*", fault, times=2)

    assert version_ids(client, ONE) == [11]
    assert [asked.path for asked in fake.asked] == [DETAILS] * 3
    assert sum(clock.slept) >= 0.75 + 1.5


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_an_error_in_the_end(fake: FakeCivitai, client: Client, fault: Fault) -> None:
    fake.fail("/api/v1/models/*", fault, times=None)

    with pytest.raises(OutboundError, match=f"failed {ATTEMPTS} times"):
        client.model(7)
    assert len(fake.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("wish", "seconds"), [(None, 0.75), ("7", 7.0), ("Thu, 26 Nov 2026 12:00:09 GMT", 9.0)]
)
def test_a_service_that_is_asked_too_fast_says_when_to_ask_again(
    fake: FakeCivitai, client: Client, clock: Time, wish: str | None, seconds: float
) -> None:
    fake.fail("*/by-hash/*", too_fast(wish))
    begun = clock.now

    assert client.version_of(ONE) is not None
    assert seconds <= clock.now - begun < seconds + 2


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_client_hangs_up_on_an_answer_that_stalls(fake: FakeCivitai, clock: Time, share: float) -> None:
    fake.fail("*", stalled(share))
    impatient = Door(own_hosts=HOSTS, seconds=0.2)
    client = Client(impatient, fake.url, waiting=clock.waiting())

    found = client.version(11)
    impatient.close()

    assert found is not None
    assert len(fake.asked) == 2


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_answer_that_stalls_goes_on_when_it_is_let_go(
    fake: FakeCivitai, client: Client, share: float
) -> None:
    fake.fail("*", stalled(share))
    with ThreadPoolExecutor(1) as thread:
        asking = thread.submit(client.version, 11)
        fake.release()
        found = asking.result()

    assert found is not None
    assert len(fake.asked) == 1


def test_versions_may_come_in_any_order_with_gaps_and_twice(fake: FakeCivitai, client: Client) -> None:
    fake.fail(DETAILS, changed(backwards))
    fake.fail(DETAILS, changed(with_gaps))
    fake.fail(DETAILS, changed(twice))
    fake.fail(IDS, changed(with_gaps))

    assert version_ids(client, ONE, TWO) == [11, 12]
    assert version_ids(client, ONE, TWO) == [12, 11]
    assert version_ids(client, ONE, TWO) == [12, 11]
    assert client.ids_of([ONE]) == [Match(ONE, 11, 7)]


def test_a_download_may_be_said_to_lie_elsewhere(fake: FakeCivitai, client: Client) -> None:
    fake.fail(DETAILS, changed(downloads_at("https://undefined")))

    wrong, right = (client.versions_of([ONE]) or [] for _ in range(2))

    assert [version.told.files[0].download_url for version in (*wrong, *right)] == [
        "https://undefined/api/download/models/11",
        "https://civitai.com/api/download/models/11",
    ]


def test_an_answer_may_be_of_another_file_or_of_one_without_hashes(fake: FakeCivitai, client: Client) -> None:
    fake.fail("*", changed(other_hashes))
    fake.fail("*", changed(without_hashes))

    other, bare, right = (client.version_of(ONE) for _ in range(3))

    assert other is not None
    assert bare is not None
    assert right is not None
    assert other.told.files[0].hashes["sha256"] == ONE[::-1]
    assert bare.told.files[0].hashes == {}
    assert right.told.files[0].hashes["sha256"] == ONE


def test_counters_may_be_null_and_a_creator_may_be_gone(fake: FakeCivitai, client: Client) -> None:
    fake.fail("*", changed(null_counters))
    fake.fail("*", changed(without_creator))
    fake.add(model_answer(9, [], creator=None))

    uncounted, unmade, whole, built = *(client.model(7) for _ in range(3)), client.model(9)

    assert uncounted is not None
    assert unmade is not None
    assert whole is not None
    assert built is not None
    assert (uncounted.told.stats, uncounted.told.versions[0].stats) == ({}, {})
    assert whole.told.stats["downloadCount"] == 34
    assert [one.told.creator for one in (uncounted, unmade, whole, built)] == [
        "gardener",
        None,
        "gardener",
        None,
    ]


@pytest.mark.parametrize("squeezed", [False, True])
def test_an_answer_without_end_is_an_error_at_once(
    fake: FakeCivitai, client: Client, *, squeezed: bool
) -> None:
    fake.fail("*", endless(squeezed=squeezed))

    with pytest.raises(AnswerTooLarge):
        client.versions_of([ONE])
    assert len(fake.asked) == 1
    assert version_ids(client, ONE) == [11]


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_large_answer_that_is_not_too_large_is_whole(
    fake: FakeCivitai, client: Client, door: Door, *, squeezed: bool
) -> None:
    size = (3 << 20) + 5
    fake.fail("*", endless(size, squeezed=squeezed), times=2)

    reply = door.ask(Purpose("the test", "to test", HOSTS), Asked("GET", f"{fake.url}/x"))

    assert len(reply.body) == size
    assert client.ids_of([ONE]) == []


def test_an_answer_that_goes_on_after_its_end_is_not_listened_to(
    fake: FakeCivitai, clock: Time, door: Door
) -> None:
    fake.fail("*", overrunning())
    client = Client(door, fake.url, waiting=clock.waiting(), attempts=1)

    with pytest.raises(OutboundError, match="goes on after its end"):
        client.version(11)
    assert client.version(11) is not None


def test_no_other_host_is_asked_for_a_redirect(fake: FakeCivitai, client: Client) -> None:
    with civitai_server() as elsewhere:
        fake.fail("*", redirected(f"{elsewhere.url}/api/v1/models/7".replace("127.0.0.1", "localhost")))

        with pytest.raises(RefusedAddress, match="localhost is none of the hosts"):
            client.model(7)
        assert (len(fake.asked), elsewhere.asked) == (1, [])


def test_no_token_goes_along_with_a_redirect(fake: FakeCivitai, client: Client) -> None:
    with civitai_server() as elsewhere:
        a_library(elsewhere)
        fake.fail("*", redirected(f"{elsewhere.url}/api/v1/models/8", 307))

        found = client.model(7)

        assert found is not None
        assert found.told.id == 8
        assert (len(fake.bearers), len(elsewhere.asked), elsewhere.bearers) == (1, 1, [])


def test_a_version_that_is_taken_away_is_nowhere(fake: FakeCivitai, client: Client) -> None:
    fake.take_away_version(11)

    model = client.model(7)
    assert model is not None
    assert [version.id for version in model.told.versions] == [12]
    assert [client.version(11), client.version_of(ONE), client.version_of(AUTOV3)] == [None, None, None]
    assert version_ids(client, ONE, TWO) == [12]
    assert client.ids_of([ONE, TWO]) == [Match(TWO, 12, 7)]


def test_a_model_that_is_taken_away_takes_its_versions_along_and_may_come_back(
    fake: FakeCivitai, client: Client
) -> None:
    many = fake.add_many([NONE])
    row = many.row(NONE)
    assert row is not None

    fake.take_away_model(7)
    fake.take_away_model(row.model_id)
    assert [client.model(7), client.version(11), client.version(12)] == [None, None, None]
    assert [client.model(row.model_id), client.version_of(NONE)] == [None, None]
    assert client.ids_of([ONE, TWO, THREE, NONE]) == [Match(THREE, 13, 8)]

    fake.bring_back_model(7)
    assert client.model(7) is not None
    assert version_ids(client, ONE) == [11]


def test_versions_may_outlive_their_model(fake: FakeCivitai, client: Client) -> None:
    fake.take_away_model(7, versions=False)

    assert client.model(7) is None
    assert client.version_of(ONE) is not None


def test_a_model_that_changes_is_answered_as_it_is_now(fake: FakeCivitai, client: Client) -> None:
    before = client.model(7)
    fake.add(model_answer(7, [version_answer(15, [file_answer(NONE)])], name="Tulips"))
    after = client.model(7)

    assert before is not None
    assert after is not None
    assert (before.told.name, after.told.name) == ("Roses", "Tulips")
    assert [client.version(11), client.version_of(ONE)] == [None, None]
    assert version_ids(client, NONE) == [15]


def test_faults_come_in_the_order_they_are_planned_in_and_can_be_called_off(
    fake: FakeCivitai, client: Client
) -> None:
    fake.fail("*/models/7", answering(400, {"error": "first"}), after=1)
    fake.fail("*/models/*", answering(400, {"error": "second"}), times=None)
    fake.fail("*/model-versions/*", answering(400, {"error": "never"}), times=None)

    said = []
    for number in (7, 7, 8):
        with pytest.raises(OutboundError) as caught:
            client.model(number)
        said.append(str(caught.value).rpartition(" ")[2])
    assert said == ["second", "first", "second"]

    fake.mend()
    assert client.version(11) is not None


@pytest.mark.data
def test_recorded_answers_are_served_byte_for_byte(fake: FakeCivitai, client: Client, data_dir: Path) -> None:
    folder = data_dir / "civitai"
    for name in (
        "by_hash_1050496_2024-11.json",
        "model_215485_2023-12.json",
        "model_version_242807_2023-12.json",
        "model_version_1387174_flux_lora.json",
        "models_list_2026-08.json",
    ):
        fake.serve_recorded(folder / name)

    whole = httpx.get(f"{fake.url}/api/v1/models/215485", trust_env=False).content
    assert whole == (folder / "model_215485_2023-12.json").read_bytes()
    whole = httpx.get(f"{fake.url}/api/v1/model-versions/by-hash/7aae878cb805", trust_env=False).content
    assert whole == (folder / "by_hash_1050496_2024-11.json").read_bytes()
    for digest, version_id in {
        "A599C42A9F4F7494C7F410DBC0FD432CF0242720509E9D52FA41AAC7A88D1B69": 242807,
        "813EA5FB1C67": 242807,
        "34A22376739D": 1387174,
        "9F02751CC929": 3220243,
    }.items():
        found = client.version_of(digest)
        assert found is not None
        assert found.told.id == version_id

    fake.take_away_version(242807)
    model = client.model(215485)
    assert model is not None
    assert 242807 not in [version.id for version in model.told.versions]
    assert model.told.versions


@pytest.mark.data
def test_errors_are_said_as_they_were_recorded(fake: FakeCivitai, data_dir: Path) -> None:
    recorded = orjson.loads((data_dir / "civitai" / "error_bodies.json").read_bytes())
    bodies = {(one["status"], str(one["body"])) for one in recorded if "body" in one}
    fake.add(model_answer(9, [version_answer(14, [])]))
    wrong_verb = httpx.post(f"{fake.url}/api/v1/models/7", trust_env=False)

    for status, body in (
        get(fake, "/model-versions/99"),
        get(fake, f"/model-versions/by-hash/{NONE}"),
        get(fake, "/model-versions/14"),
        (wrong_verb.status_code, wrong_verb.json()),
    ):
        assert (status, str(body)) in bodies
    assert get(fake, "/models/99")[1]["error"].startswith("No model with id ")
