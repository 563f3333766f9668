"""How many folders the kernel lets this user watch (Linux; elsewhere there is no such limit)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path
from typing import NamedTuple

_SETTINGS = Path("/proc/sys/fs/inotify")
_IN_DELETE_SELF = 0x400  # inotify(7); the quietest of the events


class InotifyLimits(NamedTuple):
    """The kernel's limits of one user, from inotify(7): folders watched, watchers, events in a queue."""

    watches: int
    instances: int
    queued_events: int


def inotify_limits() -> InotifyLimits | None:
    """Return the limits of this machine, or `None` where there is no inotify."""
    names = ("max_user_watches", "max_user_instances", "max_queued_events")
    try:
        return InotifyLimits(*(int((_SETTINGS / name).read_text(encoding="ascii")) for name in names))
    except (OSError, ValueError):
        return None


def spare_watch(folder: str) -> bool:
    """Whether the kernel would grant one more watch, tried out on `folder`; true where that is unknown.

    Watching a tree gives no error when the limit is met below its top, so somebody has to ask.
    """
    if inotify_limits() is None:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init())
    if descriptor < 0:
        return True
    try:
        granted = int(libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_DELETE_SELF))
        return granted >= 0 or ctypes.get_errno() != errno.ENOSPC
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
