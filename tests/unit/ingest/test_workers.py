"""The child processes of the header phase, with real ones."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from registry.errors import Cancelled
from registry.ingest.derive import Task, read_unless_known
from registry.ingest.workers import Deriver
from tests.support.shelf import lora

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.hashing.reader import QuickHead


def dies_on_deadly_files(path: str, known: bytes | None) -> QuickHead | None:
    """Read like the product, but end the process at files that are called deadly."""
    if "deadly" in path:
        os._exit(9)
    return read_unless_known(path, known)


def waits_for_a_file(path: str, known: bytes | None) -> QuickHead | None:
    """Read like the product, once there is a file called `go` beside."""
    while not Path(path).with_name("go").exists():
        time.sleep(0.01)
    return read_unless_known(path, known)


@pytest.fixture
def deadly() -> Iterator[Deriver]:
    deriver = Deriver(2, dies_on_deadly_files)
    yield deriver
    deriver.close()


def tasks_of(folder: Path, *names: str) -> list[Task]:
    return [Task(key, str(lora(folder / f"{name}.safetensors", key))) for key, name in enumerate(names)]


def test_a_file_that_kills_its_reader_is_the_only_one_to_suffer(tmp_path: Path, deadly: Deriver) -> None:
    tasks = tasks_of(tmp_path, "a", "b", "deadly", "c", "d")

    answers = deadly.answers(deadly.submit(tasks, 2))

    assert [answer.key for answer in answers] == [0, 1, 2, 3, 4]
    assert [answer.problem.slug for answer in answers if answer.problem] == ["reader-died"]
    assert [answer.key for answer in answers if answer.facts is None] == [2]


def test_chunks_that_died_with_another_ones_reader_are_not_blamed(tmp_path: Path, deadly: Deriver) -> None:
    chunks = [
        tasks_of(tmp_path / "1", "deadly"),
        tasks_of(tmp_path / "2", "a"),
        tasks_of(tmp_path / "3", "b"),
    ]

    pending = [deadly.submit(chunk, 1) for chunk in chunks]
    answers = [deadly.answers(one)[0] for one in pending]

    assert [answer.problem is not None for answer in answers] == [True, False, False]
    assert deadly.answers(deadly.submit(chunks[1], 1))[0].facts is not None


def test_waiting_for_answers_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    deriver = Deriver(1, waits_for_a_file)
    pending = deriver.submit(tasks_of(tmp_path, "a"), 1)

    with pytest.raises(Cancelled):
        deriver.answers(pending, lambda: True)

    (tmp_path / "go").touch()
    assert deriver.answers(pending)[0].facts is not None
    deriver.close()


def test_after_it_is_closed_nothing_is_started(tmp_path: Path) -> None:
    deriver = Deriver(1)
    tasks = tasks_of(tmp_path, "a")
    assert deriver.answers(deriver.submit(tasks, 1))[0].facts is not None
    children = psutil.Process().children()
    deriver.close()

    with pytest.raises(Cancelled):
        deriver.submit(tasks, 1)
    assert not [child for child in children if "multiprocessing.spawn" in " ".join(_command(child))]


def test_without_workers_the_calling_thread_does_it(tmp_path: Path) -> None:
    deriver = Deriver(0)
    pending = deriver.submit(tasks_of(tmp_path, "a", "b"), 4)
    assert pending.done()
    assert [answer.key for answer in deriver.answers(pending)] == [0, 1]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
