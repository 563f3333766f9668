"""When something is asked (again): by what came of it, how often, how long ago and how young it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.asked import AMBIGUOUS, FAILED, FOUND, GONE, MATCHED, NOT_FOUND, STATES, UNMATCHED, Asked
from registry.civitai.policy import DAY, FORCED, JUST_NOW, NEVER, RETRY, STALE, UNFINISHED, due, model_due

NOW = 1_800_000_000_000


def ago(days: float, state: str = FOUND, tries: int = 1, published: float | None = None) -> Asked:
    at = None if published is None else NOW - int(published * DAY)
    return Asked(state, NOW - int(days * DAY), tries, published_at=at)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (None, NEVER),
        (ago(0, FAILED), RETRY),
        (ago(0.5, MATCHED), UNFINISHED),
        (ago(0.5, UNMATCHED), UNFINISHED),
        (ago(1, MATCHED), STALE),
        (ago(0.9, published=3), None),
        (ago(1, published=3), STALE),
        (ago(6.9, published=90), None),
        (ago(7, published=90), STALE),
        (ago(29.9, published=400), None),
        (ago(30, published=400), STALE),
        (ago(29.9), None),
        (ago(30, AMBIGUOUS), STALE),
        (ago(0.9, NOT_FOUND), None),
        (ago(1, NOT_FOUND), RETRY),
        (ago(2.9, NOT_FOUND, tries=2), None),
        (ago(3, NOT_FOUND, tries=2), RETRY),
        (ago(80, NOT_FOUND, tries=50), None),
        (ago(81, NOT_FOUND, tries=50), RETRY),
        (ago(6.9, GONE), None),
        (ago(7, GONE), RETRY),
        (ago(90, GONE, tries=9), RETRY),
    ],
)
def test_what_is_due_and_why(asked: Asked | None, reason: str | None) -> None:
    assert due(asked, NOW) == reason


def test_everything_means_all_but_what_was_asked_just_now() -> None:
    assert due(ago(0.1), NOW, everything=True) == FORCED
    assert due(Asked(FOUND, NOW - JUST_NOW + 1), NOW, everything=True) is None
    assert due(None, NOW, everything=True) == NEVER


@given(
    st.sampled_from(STATES), st.integers(0, 10**6), st.integers(-(10**12), 10**13), st.none() | st.integers()
)
def test_nothing_is_put_off_for_ever(state: str, tries: int, age: int, published: int | None) -> None:
    asked = Asked(state, NOW - age, tries, published_at=published)
    assert due(asked, NOW + 100 * DAY + abs(age)) is not None
    if due(asked, NOW) is not None:
        assert due(asked, NOW + DAY) is not None


@pytest.mark.parametrize(
    ("days", "newest", "gone", "wanted"),
    [
        (None, None, False, True),
        (0.5, 2, False, False),
        (1, 2, False, True),
        (29, None, False, False),
        (30, None, False, True),
        (29, 2, True, False),
        (30, 2, True, True),
    ],
)
def test_models_are_fetched_again_by_the_age_of_their_newest_version(
    days: float | None,
    newest: float | None,
    gone: bool,  # noqa: FBT001 - parameters of the test
    wanted: bool,  # noqa: FBT001
) -> None:
    checked = None if days is None else NOW - int(days * DAY)
    published = None if newest is None else NOW - int(newest * DAY)
    assert model_due(checked, published, NOW, gone=gone) is wanted
