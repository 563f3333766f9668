"""The child processes of the header phase, with real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from registry.errors import Cancelled, ReaderFailed
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


def program(folder: Path, at_start: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose children do something while they start, and which then looks at one file."""
    script = folder / "program.py"
    script.write_text(
        "import os, signal\n"
        "if __name__ == '__mp_main__':\n"
        f"    {at_start}\n"
        "from registry.errors import RegistryError\n"
        "from registry.ingest.derive import Task\n"
        "from registry.ingest.workers import Deriver\n"
        "if __name__ == '__main__':\n"
        "    deriver = Deriver(1)\n"
        "    try:\n"
        f"        tasks = [Task(0, {str(lora(folder / 'a.safetensors', 1))!r})]\n"
        "        for _ in range(3):\n"
        "            (answer,) = deriver.answers(deriver.submit(tasks, 1))\n"
        "            print(answer.problem or answer.facts.cause)\n"
        "    except RegistryError as error:\n"
        "        print(error, '|', error.remedy)\n"
        "    deriver.close()\n",
        encoding="utf-8",
    )
    return subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="there the console tells everybody")
def test_children_that_are_just_starting_leave_ctrl_c_to_the_parent(tmp_path: Path) -> None:
    done = program(tmp_path, "os.kill(os.getpid(), signal.SIGINT)")
    assert (done.stdout, done.stderr) == ("None\n" * 3, "")


def test_children_that_cannot_start_are_given_up_and_no_file_is_blamed(tmp_path: Path) -> None:
    done = program(tmp_path, "os.write(2, b'started\\n'); os._exit(3)")
    assert done.stdout.startswith("the processes that read headers end before they have begun | ")
    assert "set workers to 0" in done.stdout
    assert 3 <= done.stderr.count("started") <= 6


def test_without_workers_the_calling_thread_does_it(tmp_path: Path) -> None:
    deriver = Deriver(0)
    pending = deriver.submit(tasks_of(tmp_path, "a", "b"), 4)
    assert pending.done()
    assert [answer.key for answer in deriver.answers(pending)] == [0, 1]


def dies_at_nine(number: int) -> int:
    if number == 9:
        os._exit(9)
    return number * 2


def test_of_suspects_only_what_kills_a_process_of_its_own_is_blamed() -> None:
    deriver = Deriver(1)
    before = set(psutil.Process().children())

    answers = deriver.alone(dies_at_nine, [1, 9, 2])

    assert [isinstance(answer, ReaderFailed) or answer for answer in answers] == [2, True, 4]
    assert not [
        child
        for child in set(psutil.Process().children()) - before
        if "multiprocessing.spawn" in " ".join(_command(child))
    ]
    deriver.close()


def test_suspects_wait_for_nobody_who_cancelled_or_closed() -> None:
    deriver = Deriver(1)
    with pytest.raises(Cancelled):
        deriver.alone(dies_at_nine, [1], lambda: True)
    deriver.close()
    with pytest.raises(Cancelled):
        deriver.alone(dies_at_nine, [1])


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
