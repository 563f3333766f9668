"""What every child process does first that works in the background of another."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from typing import Final

_NICENESS: Final = 10
_THREADS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What keeps libraries from calculating on all processors at once; they look when they are loaded."""


def become_child(*, one_thread: bool = True) -> None:
    """Leave the processor to those who answer, leave Ctrl-C to the parent, and end when the parent is gone.

    With `one_thread` libraries calculate on one processor. Garbage is looked for seldom: children make many
    objects that all go at once, and hardly any cycles.
    """
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    for name in _THREADS if one_thread else ():
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    # A parent that was killed cannot say so.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
