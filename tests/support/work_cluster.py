"""A Dask cluster in processes of its own, and what its workers do in tests: double numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.work.cluster_line import TaskLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FUNCTION = f"{__name__}:double"
FOLDER = "LORAS_TEST_FOLDER"
SLOW = "slow"
_ROOT = Path(__file__).parents[2]
_LIMIT = 30.0
_GRACE = 2.0


def double(spec: str) -> str:
    """Double the numbers of a batch; `slow` waits until nobody wants it."""
    told = json.loads(spec)
    answers = {}
    folder = Path(os.environ[FOLDER])
    with TaskLine() as line, (folder / "done").open("a", encoding="ascii") as notes:
        for place, (key, number) in enumerate(told):
            line.step(place, len(told))
            if str(number).startswith(SLOW):
                partial = folder / f"{key}.{os.getpid()}.partial"
                partial.write_text(str(os.getpid()), encoding="ascii")
                partial.replace(folder / f"{key}.slow")
                while place not in line.dropped():
                    time.sleep(0.01)
                (folder / f"{key}.left").touch()
                continue
            answers[key] = 2 * number
            notes.write(f"{key}\n")
    return json.dumps(answers)


class Processes:
    """The processes of a cluster; `address` is that of its scheduler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self._port = 0
        self._running: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None

    def start_scheduler(self) -> None:
        """Start a scheduler, at the address of the one before if there was one."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self._scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard",
            "--scheduler-file", str(file),
        )  # fmt: skip
        _until_there(file, self._scheduler)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]
        self._port = int(self.address.rpartition(":")[2])

    def kill_scheduler(self) -> None:
        """Kill the scheduler."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait(_LIMIT)

    def start_workers(self, number: int) -> None:
        """Start workers, each a process that its nanny starts again when it is killed."""
        self._start(
            "worker", self.address, "--host", "127.0.0.1", "--nworkers", str(number), "--nthreads", "1",
            "--no-dashboard", "--local-directory", str(self.folder), "--death-timeout", "30",
        )  # fmt: skip

    def stop(self) -> None:
        """End all processes."""
        running = [process for process in self._running if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                # One whose scheduler is gone tries to take leave of it. Its worker ends with it.
                process.kill()
                process.wait(_LIMIT)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), FOLDER: str(self.folder)}
        command: Sequence[str] = (sys.executable, "-m", "dask", *arguments)
        with (self.folder / "log").open("ab") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=self.folder)
        self._running.append(process)
        return process


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Processes]:
    """Run a scheduler and so many workers for the length of the block."""
    found = Processes(folder)
    try:
        found.start_scheduler()
        found.start_workers(workers)
        yield found
    finally:
        found.stop()


def _until_there(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline, again = time.monotonic() + _LIMIT, threading.Event()
    while not file.is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        again.wait(0.02)
