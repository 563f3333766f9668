"""An answer is believed for the hashes in it, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.asked import AMBIGUOUS, FOUND, Outcome
from registry.civitai.matching import AUTOV3, BLAKE3, SHA256, asked_as, believed, outcome
from registry.formats.civitai import version_of
from tests.support.civitai_answers import file_answer, version_answer

if TYPE_CHECKING:
    from registry.told import RemoteVersion

ONE, TWO = "1" * 64, "2" * 64


def told(number: int, *sha256s: str, **members: Any) -> RemoteVersion:
    files = [file_answer(sha256, autov3="ab" * 32, blake3="c" * 64) for sha256 in sha256s]
    found = version_of(version_answer(number, files, **members))
    assert found is not None
    return found


def test_a_version_is_believed_if_one_of_its_files_has_the_hash() -> None:
    versions = [told(1, TWO), told(2, TWO, ONE), told(3)]
    assert believed(versions, SHA256, ONE) == [2]
    assert believed(versions, SHA256, "3" * 64) == []


def test_the_version_that_appeared_first_stands_in_front() -> None:
    late = told(1, ONE, publishedAt="2025-01-01T00:00:00.000Z")
    early = told(2, ONE, publishedAt="2023-01-01T00:00:00.000Z")
    never = told(3, ONE, publishedAt=None)
    assert believed([never, late, early, early], SHA256, ONE) == [2, 1, 3]


def test_other_hashes_are_compared_as_the_service_names_them() -> None:
    digests = {"data_sha256": "ab" * 32, "blake3": "c" * 64}
    autov3, blake3 = asked_as(AUTOV3, digests), asked_as(BLAKE3, digests)
    assert (autov3, blake3, asked_as(SHA256, digests)) == ("abababababab", "c" * 64, None)
    assert believed([told(1, ONE)], AUTOV3, "abababababab") == [1]
    assert believed([told(1, ONE)], BLAKE3, "c" * 64) == [1]


def test_several_versions_are_ambiguous_and_none_is_nothing() -> None:
    assert outcome(ONE, SHA256, []) is None
    assert outcome(ONE, SHA256, [7]) == Outcome(ONE, FOUND, SHA256, (7,))
    assert outcome(ONE, SHA256, [7, 8]) == Outcome(ONE, AMBIGUOUS, SHA256, (7, 8))
