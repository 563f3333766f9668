"""Signed links: what one signature permits, and that nothing else passes for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.api.signing import Signed, check, find_signature, sign
from registry.errors import Forbidden

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
PATH = "/api/v1/loras/hash:abc/file"
NOW = 1_800_000_000


def judge(query: str, path: str = PATH, now: int = NOW, key: bytes | None = KEY) -> None:
    found = find_signature(query)
    assert found is not None
    check(key, path, found, now)


def test_a_link_works_until_its_end() -> None:
    query = sign(KEY, PATH, NOW + 60)
    judge(query)
    judge(query, now=NOW + 59)
    for late in (60, 61, 10**9):
        with pytest.raises(Forbidden, match=r"ended at 2027-01-15 08:01:00 UTC"):
            judge(query, now=NOW + late)


def test_other_parameters_beside_the_signature_do_not_matter() -> None:
    judge(f"type=Model&{sign(KEY, PATH, NOW + 60)}&format=SafeTensor")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (PATH + "/", KEY),
        (PATH.upper(), KEY),
        ("/api/v1/loras/hash:abd/file", KEY),
        (f"\n{PATH}", KEY),
        (PATH, OTHER_KEY),
        (PATH, None),
    ],
)
def test_a_link_is_for_one_path_of_one_catalog(path: str, key: bytes | None) -> None:
    with pytest.raises(Forbidden, match="not made here"):
        judge(sign(KEY, PATH, NOW + 60), path, key=key)


@pytest.mark.parametrize(
    "query",
    [
        "signature=",
        "signature=x",
        "until=1800000060&signature=",
        "until=1800000060&signature=\u0131",
        "until=&signature={}",
        "until=1800000061&signature={}",
        "until=-1&signature={}",
        "until=1800000060.0&signature={}",
        "until=١٨٠٠٠٠٠٠٦٠&signature={}",
        "until=1800000060&until=1800000060&signature={}",
        "until=1800000060&signature={}&signature={}",
        "until=999999999999999999999999&signature={}",
        "&".join(["a=1"] * 100) + "&until=1800000060&signature={}",
    ],
)
def test_a_link_that_was_changed_is_refused(query: str) -> None:
    signature = sign(KEY, PATH, NOW + 60).rpartition("=")[2]
    with pytest.raises(Forbidden, match="not made here"):
        judge(query.replace("{}", signature))


def test_a_time_and_a_path_cannot_be_shifted_into_each_other() -> None:
    assert sign(KEY, "2\nx", 1).rpartition("=")[2] != sign(KEY, "x", 12).rpartition("=")[2]


@pytest.mark.parametrize("query", ["", "a=1", "q=signature%3D5", "until=5", "xsignature=5"])
def test_a_query_that_claims_nothing_is_left_alone(query: str) -> None:
    assert find_signature(query) is None


@given(st.text(), st.text(), st.text())
def test_nothing_that_a_stranger_sends_is_believed_or_breaks_it(
    query: str, path: str, signature: str
) -> None:
    found = find_signature(query)
    for signed in (found, Signed(str(NOW + 5), signature)):
        if signed is not None:
            with pytest.raises(Forbidden):
                check(KEY, path, signed, NOW)
