"""A process that hands out doublings to a Dask cluster until it is killed, and what the workers do for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog.alone import alone
from registry.catalog.engine import Catalog
from registry.work.cluster import seats
from registry.work.cluster_line import TaskLine
from registry.work.dispatcher import Dispatcher
from tests.support.work_cluster import FOLDER
from tests.support.work_doubling import LIMIT, Doubling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.views import PieceView
    from registry.work.dispatcher import Received

GATE = "gate"
OPEN = "open"
"""The file in the folder of the cluster with which all gates are open."""
_ROOT = Path(__file__).parents[2]
_PROGRAM = f"import sys; from {__name__} import _hand_out; _hand_out(*sys.argv[1:])"


def double(spec: str) -> str:
    """Double the numbers of a batch; `gate` waits until it is open, and nothing is done that nobody wants."""
    folder = Path(os.environ[FOLDER])
    told, answers = json.loads(spec), {}
    with TaskLine() as line:
        for place, (key, number) in enumerate(told):
            if number == GATE:
                (folder / f"{key}.begun").touch()
                while not (folder / OPEN).exists() and place not in line.dropped():
                    time.sleep(0.01)
            if place in line.dropped():
                (folder / f"{key}.left").touch()
                continue
            with (folder / "done").open("a", encoding="ascii") as notes:
                notes.write(f"{key}\n")
            answers[key] = 2 * number
    return json.dumps(answers)


class Kept(Doubling):
    """What came of it lies in a file, where the next one finds it; `deadly` kills its process once it is."""

    def __init__(self, file: Path, *, deadly: bool = False) -> None:
        super().__init__()
        self._file = file
        self._deadly = deadly
        file.touch()
        self.found = dict.fromkeys(file.read_text(encoding="ascii").split(), 0)

    def receive(self, answer: str, taken: Sequence[PieceView], seconds: float | None) -> Received:
        """Keep what came."""
        with self._file.open("a", encoding="ascii") as kept:
            kept.writelines(f"{key}\n" for key in json.loads(answer))
        if self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().receive(answer, taken, seconds)


def dispatcher(catalog: Catalog, address: str, file: Path, *, deadly: bool = False) -> Dispatcher:
    """Return one that hands out to each worker of a cluster, and keeps in a file what comes."""
    workers = seats(address, function=f"{__name__}:double")
    trade = Kept(file, deadly=deadly)
    return Dispatcher(catalog, trade, workers, "m", partial(alone, catalog, "double"), back_off=(0.0,))


@contextmanager
def handing_out(
    url: str, address: str, file: Path, *, deadly: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Hand out in a process of its own, which is killed at the end of the block if it still runs."""
    told = (url, address, str(file), *(["deadly"] if deadly else []))
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *told], cwd=_ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(LIMIT)


def _hand_out(url: str, address: str, file: str, deadly: str = "") -> None:
    handing = dispatcher(Catalog(url), address, Path(file), deadly=bool(deadly))
    handing.run_when_free(lambda: False)
