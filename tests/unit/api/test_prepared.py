"""Answers kept in temporary files: made once, shared, closed when the last reader left."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from registry.api.prepared import BLOCK, KEPT, Draft, Key, Prepared, PreparedAnswers
from registry.errors import CatalogFull
from registry.wire.gzip_segments import compress_fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BODY = bytes(range(256)) * 5000


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[PreparedAnswers]:
    made = PreparedAnswers(tmp_path)
    yield made
    made.close()


def key(generation: int, route: str = "/list") -> Key:
    return Key(route, generation, 0)


def building(of: Key, log: list[Key]) -> Callable[[Draft], Key]:
    def build(draft: Draft) -> Key:
        log.append(of)
        draft.add([BODY])
        return of

    return build


def test_an_answer_is_made_once_for_each_generation(answers: PreparedAnswers) -> None:
    log: list[Key] = []
    for generation in (1, 1, 2, 2):
        answers.get(key(generation), building(key(generation), log)).leave()
    assert log == [key(1), key(2)]


def test_several_readers_get_the_whole_of_one_file(answers: PreparedAnswers) -> None:
    log: list[Key] = []
    first, second = (answers.get(key(1), building(key(1), log)) for _ in range(2))
    assert first is second
    pairs = list(zip(first.blocks(), second.blocks(), strict=True))
    assert len(pairs) > 1
    assert gzip.decompress(b"".join(one for one, _ in pairs)) == BODY
    assert [one for one, _ in pairs] == [two for _, two in pairs]
    plain = list(first.plain_blocks())
    assert b"".join(plain) == BODY
    assert max(map(len, plain)) <= BLOCK
    first.leave()
    second.leave()


def test_a_reader_keeps_an_older_answer_to_its_end(answers: PreparedAnswers) -> None:
    log: list[Key] = []
    old = answers.get(key(1), building(key(1), log))
    blocks = old.blocks()
    begun = next(blocks)
    answers.get(key(2), building(key(2), log)).leave()
    assert gzip.decompress(begun + b"".join(blocks)) == BODY
    old.leave()
    with pytest.raises(ValueError, match="closed"):
        list(old.blocks())


def test_an_answer_for_one_is_made_segment_by_segment_and_closed_by_its_reader(
    answers: PreparedAnswers,
) -> None:
    log: list[Key] = []
    for body in (b"short", BODY * 3):

        def build(draft: Draft, body: bytes = body) -> Key:
            for start in range(0, len(body), 1000):
                draft.add([compress_fragment(body[start : start + 1000])])
            return key(7)

        one = answers.once(build)
        assert gzip.decompress(b"".join(one.blocks())) == b"".join(one.plain_blocks()) == body
        assert sum(map(len, one.blocks())) == one.size
        one.leave()
        with pytest.raises(ValueError, match="closed"):
            list(one.blocks())
    # Nothing of it is kept.
    answers.get(key(7), building(key(7), log)).leave()
    assert log == [key(7)]


def test_only_a_few_answers_are_kept(answers: PreparedAnswers) -> None:
    log: list[Key] = []
    made: list[Prepared] = []
    for index in range(KEPT + 1):
        made.append(answers.get(key(1, f"/{index}"), building(key(1, f"/{index}"), log)))
        made[-1].leave()
    with pytest.raises(ValueError, match="closed"):
        list(made[0].blocks())
    assert list(made[1].blocks())


def test_of_many_who_ask_at_once_one_makes_it(answers: PreparedAnswers) -> None:
    log: list[Key] = []

    def ask() -> None:
        answers.get(key(1), building(key(1), log)).leave()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == [key(1)]


def test_segments_are_taken_over_from_the_answer_before(answers: PreparedAnswers) -> None:
    taken: list[bool] = []

    def build(generation: int, *segments: bytes) -> Callable[[Draft], Key]:
        def filled(draft: Draft) -> Key:
            for name in segments:
                taken.append(draft.take_over(name))
                if not taken[-1]:
                    draft.add([compress_fragment(name * 1000), b"%d" % generation], name)
            return key(generation)

        return filled

    def whole(made: Prepared) -> bytes:
        body = gzip.decompress(b"".join(made.blocks()))
        made.leave()
        return body

    assert whole(answers.get(key(1), build(1, b"a", b"b"))) == b"a" * 1000 + b"1" + b"b" * 1000 + b"1"
    second = answers.get(key(2), build(2, b"b", b"c", b"a"))
    assert whole(second) == b"b" * 1000 + b"1" + b"c" * 1000 + b"2" + b"a" * 1000 + b"1"
    assert taken == [False, False, True, False, True]


def test_an_answer_that_fails_leaves_nothing_and_can_be_made_again(
    answers: PreparedAnswers, tmp_path: Path
) -> None:
    def failing(draft: Draft) -> Key:
        draft.add([b"begun"])
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        answers.get(key(1), failing)
    assert list(tmp_path.iterdir()) == []
    answers.get(key(1), building(key(1), [])).leave()


def test_a_full_disk_is_named(answers: PreparedAnswers) -> None:
    def failing(_: Draft) -> Key:
        raise OSError(28, "No space left on device")

    with pytest.raises(CatalogFull, match="No space left"):
        answers.get(key(1), failing)


def test_an_answer_of_another_index_takes_the_place_of_the_one_before(answers: PreparedAnswers) -> None:
    log: list[Key] = []
    keys = [Key("/list", 1, 0, indexed) for indexed in range(KEPT + 2)]
    other = answers.get(key(1, "/other"), building(key(1, "/other"), log))
    made = [answers.get(one, building(one, log)) for one in keys]
    for each in (other, *made):
        each.leave()
    assert log == [key(1, "/other"), *keys]
    with pytest.raises(ValueError, match="closed"):
        list(made[-2].blocks())
    assert list(made[-1].blocks())
    assert list(other.blocks())


def test_nothing_is_remembered_of_answers_that_nobody_waits_for(answers: PreparedAnswers) -> None:
    def within(draft: Draft) -> Key:
        assert answers.wanted == ["/0"]
        draft.add([BODY])
        return key(1, "/0")

    def failing(_: Draft) -> Key:
        raise RuntimeError("no more")

    answers.get(key(1, "/0"), within).leave()
    with pytest.raises(RuntimeError, match="no more"):
        answers.get(key(1, "/1"), failing)
    assert answers.wanted == []
