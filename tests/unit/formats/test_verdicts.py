"""A sidecar is of a file if a hash that tells files apart says so."""

from __future__ import annotations

from itertools import product

import pytest

from registry.formats.verdicts import verdict

SHA256, DATA, BLAKE3 = "ab" * 32, "cd" * 32, "ef" * 32
KNOWN = {SHA256, DATA, BLAKE3, "12345678", "deadbeef"}
RIGHT = {"sha256": SHA256, "blake3": BLAKE3, "autov3": DATA[:12], "autov2": SHA256[:10]}
WRONG = {kind: "0" * len(digest) for kind, digest in RIGHT.items()}
WEAK: tuple[dict[str, str], ...] = (
    {},
    {"autov1": "12345678", "crc32": "deadbeef"},
    {"autov1": "00000001", "crc32": "00000001"},
)


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("said", list(product("-rw", repeat=len(RIGHT))))
def test_any_strong_hash_that_fits_decides(
    said: tuple[str, ...], weak: dict[str, str], *, hashed: bool
) -> None:
    claimed = weak | {
        kind: RIGHT[kind] if how == "r" else WRONG[kind]
        for kind, how in zip(RIGHT, said, strict=True)
        if how != "-"
    }
    if set(said) == {"-"}:
        expected = "unsaid"
    elif "r" in said:
        expected = "match"
    else:
        expected = "differs" if hashed else "unchecked"
    assert verdict([claimed] if claimed else [], KNOWN, hashed=hashed) == expected


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("kinds", list(product([None, "r", "w", "weak"], repeat=3)))
def test_any_of_several_files_may_be_the_one(kinds: tuple[str | None, ...], *, hashed: bool) -> None:
    mappings = {"r": {"autov3": DATA[:12]}, "w": {"sha256": "0" * 64}, "weak": {"crc32": "deadbeef"}}
    claimed = [mappings[kind] for kind in kinds if kind is not None]
    if "r" in kinds:
        expected = "match"
    elif "w" in kinds:
        expected = "differs" if hashed else "unchecked"
    else:
        expected = "unsaid"
    assert verdict(claimed, KNOWN, hashed=hashed) == expected


def test_a_file_whose_header_was_rewritten_is_still_the_one() -> None:
    assert verdict([{"sha256": "0" * 64, "autov3": DATA[:12]}], KNOWN, hashed=True) == "match"


def test_a_file_with_one_digest_so_far_may_match_by_it() -> None:
    assert verdict([{"sha256": SHA256}], [SHA256], hashed=False) == "match"
    assert verdict([{"blake3": BLAKE3}], [SHA256], hashed=False) == "unchecked"
    assert verdict([{"sha256": SHA256}], [], hashed=False) == "unchecked"


def test_the_case_of_a_claim_is_of_no_matter() -> None:
    assert verdict([{"autov2": SHA256[:10].upper()}], KNOWN, hashed=True) == "match"


@pytest.mark.parametrize("digits", ["", "a", "abababab"])
def test_what_is_too_short_for_a_hash_is_none(digits: str) -> None:
    assert verdict([{"sha256": digits}], KNOWN, hashed=True) == "unsaid"


def test_a_hash_within_a_digest_is_not_its_beginning() -> None:
    assert verdict([{"autov2": SHA256[1:11]}], KNOWN, hashed=True) == "differs"
