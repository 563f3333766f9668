"""The hashing of pending files, in a real catalog."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.hashing import want_hashes
from registry.errors import Cancelled, UnreadableFile
from registry.hashing.reader import hash_file
from registry.ingest.hashqueue import HashQueue
from registry.ingest.hashreaders import Rules
from tests.support.shelf import later, lora

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.hashing.reader import HashedFile
    from tests.support.shelf import Shelf


def queue_of(
    shelf: Shelf,
    hasher: Callable[..., HashedFile],
    told: list[bytes] | None = None,
    **rules: Any,
) -> HashQueue:
    """Return a queue with one reader that works without limits, if nothing else is said."""
    plain: dict[str, Any] = {
        "readers": 1,
        "root_readers": lambda _root: 4,
        "throttle": lambda _count, _stopped: None,
    }
    registry = shelf.registry
    return HashQueue(
        registry.catalog,
        registry.machine_id,
        registry.mounted_roots,
        Rules(**{**plain, **rules}),
        changed=lambda _root_id, rel: None if told is None else told.append(rel),
        hasher=hasher,
    )


def never() -> bool:
    return False


def test_small_files_come_first_and_wanted_ones_before_them(shelf: Shelf) -> None:
    for number, size in enumerate((64, 512, 256, 128)):
        lora(shelf.folder / f"{size}.safetensors", number, size=size)
    shelf.scan()
    with shelf.registry.catalog.write() as unit:
        want_hashes(unit, shelf.files()["256.safetensors"]["lora_id"])

    assert queue_of(shelf, shelf.counting.hash).run(never) == 4

    assert shelf.counting.hashed == [f"{size}.safetensors" for size in (256, 64, 128, 512)]


def test_what_is_wanted_while_others_are_hashed_comes_next(shelf: Shelf) -> None:
    for number, size in enumerate((64, 128, 256, 512)):
        lora(shelf.folder / f"{size}.safetensors", number, size=size)
    shelf.scan()
    queue: HashQueue

    def want_the_biggest(path: str, **options: Any) -> HashedFile:
        if Path(path).name == "64.safetensors":
            with shelf.registry.catalog.write() as unit:
                want_hashes(unit, shelf.files()["512.safetensors"]["lora_id"])
            queue.wake()
        return shelf.counting.hash(path, **options)

    queue = queue_of(shelf, want_the_biggest)
    queue.run(never)

    assert shelf.counting.hashed[:2] == ["64.safetensors", "512.safetensors"]


def test_while_headers_are_read_only_wanted_files_are_hashed(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    with shelf.registry.catalog.write() as unit:
        want_hashes(unit, shelf.files()["b.safetensors"]["lora_id"])

    queue_of(shelf, shelf.counting.hash, wanted_only=lambda: True).run(never)

    assert shelf.counting.hashed == ["b.safetensors"]


def test_a_root_never_has_more_readers_than_it_is_given(shelf: Shelf, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for number in range(6):
        lora(shelf.folder / f"a{number}.safetensors", number)
        lora(other / f"b{number}.safetensors", 10 + number)
    second = shelf.add(other)
    shelf.scan()
    shelf.scan(second)
    lock = threading.Lock()
    reading = {"a": 0, "b": 0}
    most = {"a": 0, "b": 0}
    together = threading.Event()

    def watched(path: str, **options: Any) -> HashedFile:
        which = Path(path).name[0]
        with lock:
            reading[which] += 1
            most[which] = max(most[which], reading[which])
            if sum(reading.values()) == 3:
                together.set()
        assert together.wait(20)
        try:
            return hash_file(path, **options)
        finally:
            with lock:
                reading[which] -= 1

    limits = {shelf.root.id: 1, second.id: 2}
    queue = queue_of(shelf, watched, readers=4, root_readers=lambda root: limits[root.id])

    assert queue.run(never) == 12
    assert most == {"a": 1, "b": 2}


def test_a_stopped_queue_keeps_what_is_done_and_goes_on_later(shelf: Shelf) -> None:
    for number in range(5):
        lora(shelf.folder / f"{number}.safetensors", number)
    shelf.scan()
    stop = threading.Event()

    def stop_at_the_second(path: str, **options: Any) -> HashedFile:
        if len(shelf.counting.hashed) == 1:
            stop.set()
        return shelf.counting.hash(path, **options)

    with pytest.raises(Cancelled):
        queue_of(shelf, stop_at_the_second).run(stop.is_set)
    done = [name for name, row in shelf.files().items() if row["hash_state"] == "done"]
    assert done == ["0.safetensors"]

    assert queue_of(shelf, shelf.counting.hash).run(never) == 4
    assert sorted(set(shelf.counting.hashed)) == sorted(shelf.files())


def test_a_file_that_changed_since_the_scan_is_told_of_and_not_hashed(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    later(path)
    told: list[bytes] = []

    assert queue_of(shelf, hash_file, told).run(never) == 0

    assert told == [b"a.safetensors"]
    assert shelf.files()["a.safetensors"]["hash_state"] == "failed"
    assert shelf.problems() == {("file-changed", "a.safetensors")}
    shelf.scan()
    assert shelf.hash() == 1
    assert shelf.problems() == set()


def test_a_file_that_keeps_changing_is_given_up_and_taken_up_by_the_next_scan(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    readings: list[int] = []

    def writes_on(reached: int) -> None:
        readings.append(reached)
        later(path)

    def busy(name: str, **options: Any) -> HashedFile:
        return hash_file(name, **{**options, "progress": writes_on})

    assert queue_of(shelf, busy).run(never) == 0

    assert shelf.problems() == {("file-changed", "a.safetensors")}
    assert len(readings) <= 3
    shelf.scan()
    assert shelf.hash() == 1
    assert shelf.problems() == set()


def test_a_row_that_changed_while_its_file_was_hashed_waits_for_its_turn(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()

    def overtaken(name: str, **options: Any) -> HashedFile:
        found = shelf.counting.hash(name, **options)
        if len(shelf.counting.hashed) == 1:
            lora(path, 2)
            later(path)
            shelf.scan()
        return found

    assert queue_of(shelf, overtaken).run(never) == 1

    assert shelf.counting.hashed == ["a.safetensors"] * 2
    (row,) = shelf.files().values()
    sha256 = hash_file(path).hashes.data_sha256
    assert row["identity"] == f"data:{sha256}"


def test_a_file_that_is_gone_is_no_failure_and_its_root_is_to_be_looked_at(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1).unlink()
    path = lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    path.unlink()
    told: list[bytes] = []

    queue = queue_of(shelf, hash_file, told)
    assert queue.run(never) == 0

    assert told == [b"b.safetensors"]
    assert shelf.files()["b.safetensors"]["hash_state"] == "pending"
    assert shelf.problems() == set()


def test_a_file_that_cannot_be_read_is_a_problem_and_the_others_are_hashed(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()

    def broken(name: str, **options: Any) -> HashedFile:
        if name.endswith("a.safetensors"):
            raise UnreadableFile("cannot read it: Input/output error")
        return hash_file(name, **options)

    queue = queue_of(shelf, broken)
    assert queue.run(never) == 1

    assert queue.progress.failed == 1
    assert shelf.problems() == {("unreadable-file", "a.safetensors")}
    shelf.scan()
    assert shelf.hash() == 1
    assert shelf.problems() == set()


def test_a_mistake_of_ours_at_one_file_is_a_problem_of_that_file(shelf: Shelf) -> None:
    for name in ("a", "b"):
        lora(shelf.folder / f"{name}.safetensors", ord(name))
    shelf.scan()

    def wrong(name: str, **options: Any) -> HashedFile:
        return 1 // 0 if name.endswith("a.safetensors") else hash_file(name, **options)  # type: ignore[return-value]

    assert queue_of(shelf, wrong).run(never) == 1
    assert shelf.problems() == {("reader-failed", "a.safetensors")}
    (told,) = shelf.query("SELECT text FROM problem")
    assert "ZeroDivisionError" in told["text"]


def test_a_paused_queue_waits_and_goes_on(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    asked: list[int] = []

    def allowed() -> bool:
        asked.append(len(shelf.counting.hashed))
        if len(asked) == 2:
            assert queue.progress.state == "paused"
        return len(asked) > 2

    def done() -> bool:
        return bool(shelf.counting.hashed) and queue.progress.files == 0

    queue = queue_of(shelf, shelf.counting.hash, allowed=allowed)
    queue.wake()

    with pytest.raises(Cancelled):
        queue.run(done, wait=True)
    assert shelf.files()["a.safetensors"]["hash_state"] == "done"
    assert asked[:3] == [0, 0, 0]


def test_a_queue_that_need_not_wait_ends_where_hashing_is_no_longer_allowed(shelf: Shelf) -> None:
    for number, size in enumerate((64, 128, 256)):
        lora(shelf.folder / f"{size}.safetensors", number, size=size)
    shelf.scan()
    queue = queue_of(shelf, shelf.counting.hash, allowed=lambda: len(shelf.counting.hashed) < 2)

    assert queue.run(never) == 2
    assert (queue.progress.state, queue.progress.files) == ("paused", 1)
    assert shelf.counting.hashed == ["64.safetensors", "128.safetensors"]
    assert queue_of(shelf, hash_file, allowed=lambda: False).run(never) == 0

    shelf.counting.clear()
    assert queue.run(never) == 1
    assert queue.progress.state == "idle"


def test_progress_ends_with_nothing_left(shelf: Shelf) -> None:
    for number in range(3):
        lora(shelf.folder / f"{number}.safetensors", number)
    shelf.scan()
    queue = queue_of(shelf, hash_file)
    reports: list[int] = []

    queue.run(never, report=lambda: reports.append(queue.progress.done))

    progress = queue.progress
    assert (progress.files, progress.size, progress.done, progress.state) == (0, 0, 3, "idle")
    assert progress.eta is None
    assert reports[-1] == 3


def test_bytes_read_are_counted_against_the_limit(shelf: Shelf) -> None:
    path = lora(shelf.folder / "a.safetensors", 1, size=4096)
    shelf.scan()
    counted: list[int] = []

    queue_of(shelf, hash_file, throttle=lambda count, _stopped: counted.append(count)).run(never)

    assert sum(counted) == path.stat().st_size
