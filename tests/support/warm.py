"""Runs the command line program in forks of one process that has loaded it: loading takes most of a start.

What a fork does is what a start does, from the arguments to the end of the interpreter; only what the
interpreter itself reads when it starts (`PYTHON...`, the locale) is that of the first process.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
_READ_AT_START = ("PYTHON", "LC_", "LANG")

_PROGRAM = """
import io, json, os, sys, time
from cli.main import run
from cli.program import program
import registry.app, registry.exports, registry.fingerprinting, registry.rendering, registry.searching
import registry.syncing
program()

def told_by(line):
    told = json.loads(line)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, told["out"]), (2, told["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.stdin = open(0, closefd=False)
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), "utf-8")
    errors = open(2, "wb", closefd=False)
    sys.stderr = io.TextIOWrapper(errors, "utf-8", "backslashreplace", line_buffering=True)
    sys.argv = ["loras", *(os.fsdecode(bytes.fromhex(each)) for each in told["arguments"])]
    time.tzset()

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        told_by(line)
        break
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\\n")
    sys.stdout.flush()
else:
    sys.exit()
run()
"""


class Warm(NamedTuple):
    """The process that was started, and forks itself for each run."""

    process: subprocess.Popen[str]

    def run(
        self,
        arguments: Sequence[str | bytes],
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[Path, Path],
        seconds: float,
    ) -> int:
        """Run to the end with standard output and error in files, and return the code.

        Raises TimeoutError after so many seconds.
        """
        out, err = map(str, streams)
        told = {
            "arguments": [os.fsencode(each).hex() for each in arguments],
            "environment": dict(environment),
            "folder": str(folder),
            "out": out,
            "err": err,
        }
        given, answers = self.process.stdin, self.process.stdout
        assert given is not None
        assert answers is not None
        given.write(f"{json.dumps(told)}\n")
        given.flush()
        if not select.select([answers], [], [], seconds)[0]:
            os.killpg(self.process.pid, signal.SIGKILL)
            warm.cache_clear()
            raise TimeoutError(f"{arguments} did not end within {seconds} s")
        return int(answers.readline())


def suits(more: Mapping[str, str] | None) -> bool:
    """Whether a run with these additions to the environment may be a fork."""
    return hasattr(os, "fork") and not any(name.startswith(_READ_AT_START) for name in more or ())


@cache
def warm() -> Warm:
    """Return the process of this one, started with the first call; it ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,
        text=True,
        start_new_session=True,
    )
    atexit.register(process.kill)
    return Warm(process)
