"""Runs the real command line program in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.warm import suits, warm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120


class Outcome(NamedTuple):
    """What a run of the program left behind; the streams are decoded from UTF-8."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the one document on standard output of a run that went well."""
        assert self.code == 0, self.err
        return json.loads(self.out)


def command_of(*arguments: str | bytes) -> list[str | bytes]:
    """Return the command line of the program."""
    return [sys.executable, "-m", "cli", *arguments]


def environment_of(data: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which the program keeps its catalog in `data` and knows no other settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LORAS_")}
    own = {"LORAS_DATA_DIR": str(data), "LORAS_CONFIG": str(data / "none.toml"), "PYTHONPATH": str(ROOT)}
    return {**kept, **own, "PYTHONIOENCODING": "utf-8", "LORAS_WORKERS": "1", **(more or {})}


def run(
    data: Path,
    arguments: Sequence[str | bytes],
    more: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
) -> Outcome:
    """Run the program to its end, in the folder that `data` lies in or another one."""
    environment, where = environment_of(data, more), folder or data.parent
    if suits(more):
        with tempfile.TemporaryDirectory() as place:
            out, err = (Path(place) / name for name in ("out", "err"))
            code = warm().run(arguments, environment, where, (out, err), _SECONDS)
            return Outcome(code, out.read_bytes().decode(), err.read_bytes().decode())
    done = subprocess.run(
        command_of(*arguments),
        env=environment,
        cwd=where,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


# Starting the program takes longer than what it does in most tests.
_DRIVER = """
import io, json, os, sys
from cli.program import main
ours = sys.stdout
answers = []
for arguments in json.load(sys.stdin):
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
    sys.stdout, sys.stderr = streams
    code = main([os.fsdecode(bytes.fromhex(argument)) for argument in arguments])
    for stream in streams:
        stream.flush()
    answers.append([code, *(stream.buffer.getvalue().decode() for stream in streams)])
json.dump(answers, ours)
"""


def run_all(
    data: Path, *lines: Sequence[str | bytes], more: Mapping[str, str] | None = None
) -> list[Outcome]:
    """Run several command lines one after the other in one process, with `more` in its environment."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps([[os.fsencode(argument).hex() for argument in line] for line in lines]).encode(),
        env=environment_of(data, more),
        cwd=data.parent,
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(*answer) for answer in json.loads(done.stdout)]
