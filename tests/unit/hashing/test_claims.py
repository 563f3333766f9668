"""Verdicts on hashes that headers claim."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from registry.hashing.claims import RULES, check_claims, claim_problems, judge_claims, read_claims
from registry.hashing.reader import hash_file
from registry.views import Claim, HeaderClaim
from tests.support.files import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from registry.hashing.reader import HashedFile

EMPTY = hashlib.sha256().hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


class Files(NamedTuple):
    ordered: HashedFile
    turned: HashedFile
    broken: HashedFile
    small: HashedFile


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder: Path = tmp_path_factory.mktemp("claims")
    tensors = {"a": ("U8", (1_200_000,), 1), "b": ("U8", (9,), 2)}
    broken = write_safetensors(folder / "broken.safetensors", tensors)
    broken.write_bytes(broken.read_bytes() + b"!")
    return Files(
        hash_file(write_safetensors(folder / "ordered.safetensors", tensors, {"ss_a": "1"})),
        hash_file(write_safetensors(folder / "turned.safetensors", tensors, order="reversed")),
        hash_file(broken),
        hash_file(write_safetensors(folder / "small.safetensors", {"a": ("U8", (4,), 1)})),
    )


def judge(key: str, value: str, file: HashedFile, trainer: str | None = None) -> Claim:
    (claim,) = check_claims({"other": "x", key: value}, file.hashes, file.header, trainer)
    return claim


def data_hash(file: HashedFile) -> str:
    assert file.hashes.data_sha256 is not None
    return file.hashes.data_sha256


@pytest.mark.parametrize("length", [64, 12, 10, 8])
@pytest.mark.parametrize("key", ["sshs_model_hash", "modelspec.hash_sha256"])
def test_the_data_hash_and_its_usual_prefixes_match(files: Files, key: str, length: int) -> None:
    value = data_hash(files.ordered)[:length]
    for written in (value, value.upper(), "0x" + value, "0X" + value.upper(), f" {value}\n"):
        claim = judge(key, written, files.ordered)
        assert (claim.verdict, claim.claimed, claim.computed) == ("match", written, data_hash(files.ordered))


def test_another_hash_differs(files: Files) -> None:
    claim = judge("sshs_model_hash", OTHER, files.ordered)
    assert (claim.verdict, claim.computed) == ("differs", data_hash(files.ordered))


@pytest.mark.parametrize("value", [EMPTY, EMPTY[:12], "0x" + EMPTY, EMPTY[:8].upper()])
@pytest.mark.parametrize("key", ["sshs_model_hash", "modelspec.hash_sha256"])
def test_the_hash_of_nothing_is_called_that(files: Files, key: str, value: str) -> None:
    assert judge(key, value, files.ordered).verdict == "hash_of_nothing"


def test_a_right_legacy_hash_of_a_small_file_says_nothing_either(files: Files) -> None:
    claim = judge("sshs_legacy_hash", "e3b0c442", files.small)
    assert (claim.verdict, claim.computed) == ("hash_of_nothing", "e3b0c442")


def test_both_legacy_candidates_match(files: Files) -> None:
    likely, other = files.ordered.hashes.sshs_legacy_hash, files.ordered.hashes.sshs_legacy_other
    assert likely is not None
    assert other is not None
    assert likely != other
    for value in (likely, other):
        claim = judge("sshs_legacy_hash", value, files.ordered)
        assert (claim.verdict, claim.computed) == ("match", value)
    assert judge("sshs_legacy_hash", "0badf00d", files.ordered).computed == likely


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sshs_model_hash", ""),
        ("sshs_model_hash", "None"),
        ("sshs_model_hash", "0x"),
        ("sshs_model_hash", "abc"),
        ("sshs_model_hash", "abcdef"),
        ("sshs_model_hash", OTHER[:63]),
        ("sshs_model_hash", OTHER + "00"),
        ("sshs_model_hash", "g" * 64),
        ("sshs_legacy_hash", OTHER),
        ("sshs_legacy_hash", "abcdef"),
        ("modelspec.hash_sha256", "sha256:" + OTHER),
        ("modelspec.hash_sha256", "\ud800"),
    ],
)
def test_what_cannot_be_a_hash_is_malformed(files: Files, key: str, value: str) -> None:
    claim = judge(key, value, files.ordered)
    assert (claim.verdict, claim.claimed, claim.computed) == ("malformed", value, None)


def test_a_claim_of_megabytes_is_kept_short(files: Files) -> None:
    claim = judge("sshs_model_hash", "0" * 5_000_000, files.ordered)
    assert claim.verdict == "malformed"
    assert len(claim.claimed) < 300


def test_before_hashing_claims_are_unchecked_unless_they_are_hopeless(files: Files) -> None:
    metadata = {"sshs_model_hash": OTHER, "sshs_legacy_hash": "e3b0c442", "modelspec.hash_sha256": "?"}
    claims = check_claims(metadata, None, files.ordered.header, None)
    assert [claim.verdict for claim in claims] == ["unchecked", "hash_of_nothing", "malformed"]
    assert {claim.computed for claim in claims} == {None}


@pytest.mark.parametrize("key", [rule.key for rule in RULES])
def test_nothing_can_be_verified_in_a_broken_file(files: Files, key: str) -> None:
    claim = judge(key, "0badf00d", files.broken)
    assert (claim.verdict, claim.computed) == ("unverifiable", None)


@pytest.mark.parametrize("trainer", ["OneTrainer", "onetrainer", "sd-scripts"])
def test_a_modelspec_hash_in_an_order_the_file_does_not_keep_is_unverifiable(
    files: Files, trainer: str
) -> None:
    claim = judge("modelspec.hash_sha256", OTHER, files.turned, trainer)
    assert (claim.verdict, claim.computed) == ("unverifiable", data_hash(files.turned))


def test_onetrainer_is_held_to_its_hash_where_name_order_is_file_order(files: Files) -> None:
    assert judge("modelspec.hash_sha256", OTHER, files.ordered, "OneTrainer").verdict == "differs"
    assert (
        judge("modelspec.hash_sha256", data_hash(files.ordered), files.ordered, "OneTrainer").verdict
        == "match"
    )


def test_a_single_tensor_has_only_one_order(files: Files) -> None:
    assert judge("modelspec.hash_sha256", OTHER, files.small, "sd-scripts").verdict == "differs"


def test_other_trainers_are_held_to_the_specification(files: Files) -> None:
    for trainer in (None, "musubi-tuner"):
        assert judge("modelspec.hash_sha256", OTHER, files.turned, trainer).verdict == "differs"


def test_a_model_hash_is_not_excused_by_the_trainer(files: Files) -> None:
    assert judge("sshs_model_hash", OTHER, files.turned, "OneTrainer").verdict == "differs"


@pytest.mark.parametrize("value", ["likely", "other", "0badf00d", "e3b0c442", "abc", EMPTY, OTHER])
def test_stored_digests_give_the_verdicts_of_a_file_just_hashed(files: Files, value: str) -> None:
    for file in files:
        hashes = file.hashes
        named = {"likely": hashes.sshs_legacy_hash, "other": hashes.sshs_legacy_other}
        metadata = dict.fromkeys((rule.key for rule in RULES), named.get(value, value) or "none")
        kinds = ("sha256", "data_sha256", "sshs_legacy_hash", "sshs_legacy_other")
        digests = {kind: found for kind in kinds if (found := getattr(hashes, kind))}
        claims = read_claims(metadata, file.header, "OneTrainer")
        assert judge_claims(claims, digests) == check_claims(metadata, hashes, file.header, "OneTrainer")


def test_without_the_hash_of_the_other_padding_a_claim_that_needs_it_keeps_its_verdict() -> None:
    digests = {"sha256": OTHER, "data_sha256": OTHER, "sshs_legacy_hash": "11111111"}
    before = [
        Claim("sshs_model_hash", "22222222", None, "match"),
        Claim("sshs_legacy_hash", "22222222", "22222222", "match"),
    ]

    def judged(name: str, digits: str) -> Claim:
        return judge_claims([HeaderClaim(name, digits, digits)], digests, before)[0]

    assert judged("sshs_legacy_hash", "22222222") == before[1]
    assert judged("sshs_legacy_hash", "33333333") == Claim("sshs_legacy_hash", "33333333", None, "unchecked")
    assert judged("sshs_legacy_hash", "11111111").verdict == "match"
    assert judged("sshs_legacy_hash", "e3b0c442").verdict == "hash_of_nothing"
    assert judged("sshs_model_hash", "22222222").verdict == "differs"


def test_all_claims_of_a_file_that_differ_are_one_problem(files: Files) -> None:
    metadata = {"sshs_model_hash": OTHER, "sshs_legacy_hash": "0badf00d", "modelspec.hash_sha256": "?"}
    claims = check_claims(metadata, files.ordered.hashes, files.ordered.header, None)
    (note,) = claim_problems(claims)
    assert f"sshs_model_hash is {OTHER}, but it is {data_hash(files.ordered)}; sshs_legacy_hash" in note.text
    assert claim_problems(claims[2:]) == []
