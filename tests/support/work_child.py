"""What a child process does in tests of handing out: doubles numbers, and what else a number says."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.work.lines import Line

DEADLY, SLOW = "deadly", "slow"
_folder: Path | None = None


def start(options: str) -> None:
    """Take the folder in which is noted what was done."""
    global _folder  # noqa: PLW0603 - what a process has for all its batches
    _folder = Path(json.loads(options)["folder"])


def draw(spec: str, line: Line) -> str:
    """Double the numbers of a batch; `deadly` ends the process, `slow` waits until nobody wants it."""
    told = json.loads(spec)
    answers = {}
    with (_folder or Path()).joinpath("done").open("a", encoding="ascii") as notes:
        for place, (key, number) in enumerate(told):
            line.step(place, len(told))
            if number == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == SLOW:
                partial = (_folder or Path()).joinpath("partial")
                partial.write_text(str(os.getpid()), encoding="ascii")
                partial.replace(partial.with_name("slow"))
                while place not in line.dropped():
                    time.sleep(0.01)
                continue
            answers[key] = 2 * number
            notes.write(f"{key}\n")
    return json.dumps(answers)
