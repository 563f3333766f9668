"""Asking a second source over real HTTP: a server on loopback answers as CivArchive does, and fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.civitai.archive import ATTEMPTS, Archive, purpose
from registry.civitai.asking import Waiting
from registry.errors import Cancelled, Offline, OutboundError, RefusedAddress
from registry.net import Door
from tests.support.civarchive import answer_of, files_answer
from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.outside import Outside

ONE, TWO = "a" * 64, "b" * 64
HTML = {"Content-Type": "text/html"}


def said(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def there() -> Iterator[Outside]:
    with outside() as running:
        yield running


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door(own_hosts={"127.0.0.1"}, seconds=5.0)
    yield opened
    opened.close()


@pytest.fixture
def archive(there: Outside, door: Door) -> Archive:
    return Archive(door, f"{there.url}/api/", waiting=Waiting(sleep=lambda _seconds: None))


def test_a_file_is_asked_for_by_its_sha256_and_nothing_is_told_of_us(
    there: Outside, archive: Archive
) -> None:
    there.answers.append(said(answer_of(7, 70, ONE)))

    found = archive.version_of(ONE.upper())

    assert found is not None
    assert (found.told.id, found.told.model_id, found.told.files[0].hashes) == (70, 7, {"sha256": ONE})
    assert found.model is not None
    assert (found.model.id, found.model.name) == (7, "Model 7")
    assert json.loads(found.raw) == answer_of(7, 70, ONE)
    (asked,) = there.asked
    assert (asked.method, asked.path, asked.body) == ("GET", f"/api/sha256/{ONE}", b"")
    assert "authorization" not in asked.headers


def test_where_only_a_place_is_told_that_is_asked_for(there: Outside, archive: Archive) -> None:
    there.answers += [
        said(files_answer((7, 70), (8, 80), (9, 90))),
        said({"error": "Model not found"}, 404),
        said(answer_of(8, 80, ONE)),
    ]

    found = archive.version_of(ONE)

    assert found is not None
    assert found.told.id == 80
    assert [asked.path for asked in there.asked[1:]] == [
        "/api/models/7?modelVersionId=70",
        "/api/models/8?modelVersionId=80",
    ]
    assert archive.requests == 3


@pytest.mark.parametrize(
    "answer",
    [
        said(answer_of(7, 70, TWO)),
        said(answer_of(7, 70, ONE[:10])),
        said(answer_of(7, 70, ONE, platform="tensorart")),
        said({"files": []}),
        said({"error": "odd"}),
        said(None),
        said([]),
        said({"error": "File not found"}, 404),
        said({"detail": "Not Found"}, 404),
        said(None, 404),
        Answer(404, b"<html>", HTML),
    ],
)
def test_what_names_no_version_with_that_hash_is_none(
    there: Outside, archive: Archive, answer: Answer
) -> None:
    there.answers.append(answer)

    assert archive.version_of(ONE) is None
    assert archive.requests == 1


def test_a_place_that_has_another_file_is_none(there: Outside, archive: Archive) -> None:
    there.answers += [said(files_answer((7, 70))), said(answer_of(7, 71, TWO))]

    assert archive.version_of(ONE) is None


@pytest.mark.parametrize(
    "failure",
    [said({}, 500), said({}, 429), Answer(503, b"<html>", HTML), Answer(403, b"<html>", HTML)],
)
def test_what_passes_is_asked_again_a_few_times(there: Outside, archive: Archive, failure: Answer) -> None:
    there.answers += [failure, said(answer_of(7, 70, ONE))]
    assert archive.version_of(ONE) is not None

    there.otherwise = lambda _said: failure
    with pytest.raises(OutboundError, match=f"failed {ATTEMPTS} times"):
        archive.version_of(ONE)
    assert archive.requests == 2 + ATTEMPTS


def test_a_refusal_names_the_setting(there: Outside, archive: Archive) -> None:
    there.answers.append(said({"error": "who are you?"}, 403))

    with pytest.raises(OutboundError, match="403") as refused:
        archive.version_of(ONE)
    assert "LORAS_ARCHIVE_URL" in refused.value.remedy
    assert archive.requests == 1


def test_its_purpose_is_of_its_own_host_only(there: Outside, door: Door) -> None:
    assert purpose("https://archive.example/api").hosts == {"archive.example"}
    there.answers.append(Answer(302, b"", {"Location": "http://elsewhere.example/"}))

    with pytest.raises(RefusedAddress, match="the second source"):
        Archive(door, there.url).version_of(ONE)
    assert len(there.asked) == 1


def test_nothing_is_asked_offline_or_after_a_cancel(there: Outside, door: Door) -> None:
    shut = Door(offline=True)
    with pytest.raises(Offline):
        Archive(shut, there.url).version_of(ONE)
    shut.close()
    with pytest.raises(Cancelled):
        Archive(door, there.url, cancelled=lambda: True).version_of(ONE)
    assert there.asked == []


@pytest.mark.parametrize("digest", ["../models/1", "a?b", "é", ""])
def test_only_hashes_stand_in_addresses(there: Outside, archive: Archive, digest: Any) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        archive.version_of(digest)
    assert there.asked == []
