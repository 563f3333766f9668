"""The child process that decodes pictures, limited in memory and time, and replaced where it dies."""

from __future__ import annotations

import math
import multiprocessing
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final

from registry.child import become_child
from registry.errors import BadPicture, Cancelled, RegistryError
from registry.pictures.answers import MAX_ANSWER, picture_of
from registry.pictures.picture import DEFAULTS
from registry.pictures.sniff import sniff

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from registry.pictures.picture import Limits, Picture
    from registry.pictures.sniff import Kind

# By name, so that Pillow is loaded in the child only.
_PILLOW: Final = "registry.pictures.decoding:answer"
_STARTS: Final = 3
_START_SECONDS: Final = 60.0
_READY: Final = b"ready"
_BEGUN: Final = b"begun"
_WORD: Final = 16


class Decoder:
    """Decodes images in one child process that starts with the first one and stays; close it in the end.

    May be used by several threads, which wait for each other. A child that dies of an image, takes too long
    or talks nonsense is replaced. `work` names a function (`module:name`) that the child calls with the bytes
    and the limits.
    """

    def __init__(self, limits: Limits = DEFAULTS, work: str = _PILLOW) -> None:
        self.limits = limits
        self._work = work
        self._child: _Child | None = None
        self._closed = False
        self._lock = threading.Lock()

    def decode(self, data: bytes) -> Picture:
        """Return the type, size and thumbnail of an image.

        Raises BadPicture for what is none, is damaged or takes more than the limits, Cancelled once it is
        closed, RegistryError where one process after the other ends before it can look at anything.
        """
        kind = decodable(data, self.limits)
        with self._lock:
            for _ in range(_STARTS):
                with suppress(_NotBegunError):
                    return self._asked(kind, data)
        raise RegistryError(
            "the processes that decode pictures end before they have begun",
            remedy="look at what they say, and whether this machine is short of memory",
        )

    def close(self) -> None:
        """Stop the child process; who waits for an image is told that it was cancelled."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        with self._lock:
            self._end()

    def _asked(self, kind: Kind, data: bytes) -> Picture:
        whole = False
        try:
            self._unless_closed()
            self._child = child = self._child or _Child(self._work, self.limits)
            self._unless_closed()
            said = child.ask(data)
            whole = True
        except _DiedError as error:
            self._unless_closed()
            raise BadPicture(f"the {kind.name} picture {error}") from None
        finally:
            # Also after Ctrl-C: the answer to this image must not be taken for the next one's.
            if not whole:
                self._end()
        try:
            return picture_of(kind, said, self.limits.pixels)
        except ValueError:
            self._end()
            raise BadPicture(f"the {kind.name} picture led its decoder astray") from None

    def _unless_closed(self) -> None:
        if self._closed:
            raise Cancelled("the decoding of pictures was stopped")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


def decodable(data: bytes, limits: Limits) -> Kind:
    """Return the type of an image that is small enough to be decoded; raises BadPicture for all else."""
    kind = sniff(data)
    if kind is None:
        raise BadPicture("it is no picture" if data else "it is empty")
    if kind.pillow is None:
        raise BadPicture(f"{kind.name} is not decoded")
    if len(data) > limits.size:
        raise BadPicture(f"the {kind.name} picture has {len(data):,} bytes, more than {limits.size:,}")
    return kind


class _NotBegunError(Exception):
    """The child was gone before it had looked at the image."""


class _DiedError(Exception):
    """The child ended over the image; the text completes "the picture ..."."""


class _Child:
    """One process that decodes; raises `_NotBegunError` if it does not come up."""

    def __init__(self, work: str, limits: Limits) -> None:
        self._seconds = limits.seconds
        # Spawned, not forked: this process has threads and open databases.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work, limits), daemon=True)
        try:
            with _deaf_to_interrupts():
                self._process.start()
        except OSError as error:
            self._pipe.close()
            raise _NotBegunError from error
        finally:
            theirs.close()
        try:
            with self._killed_after(_START_SECONDS):
                self._pipe.recv_bytes(_WORD)
        except (EOFError, OSError) as error:
            self.end()
            raise _NotBegunError from error
        except BaseException:
            self.end()
            raise

    def ask(self, data: bytes) -> bytes:
        """Return the answer; raises `_NotBegunError` and `_DiedError`."""
        begun = False
        with self._killed_after(self._seconds) as late:
            try:
                self._pipe.send_bytes(data)
                self._pipe.recv_bytes(_WORD)
                begun = True
                return self._pipe.recv_bytes(MAX_ANSWER)
            except (EOFError, OSError):
                if not begun:
                    raise _NotBegunError from None
                if late.is_set():
                    raise _DiedError(f"took more than {self._seconds:g} seconds to decode") from None
                raise _DiedError(
                    "ended the process that decoded it; it may be hostile, or the machine short of memory"
                ) from None

    def kill(self) -> None:
        """End the process, whoever waits for it; what it holds stays until `end`."""
        # The other thread may have ended it meanwhile.
        with suppress(ValueError):
            self._process.kill()

    def end(self) -> None:
        """End the process and give back what it took here."""
        self._pipe.close()
        self._process.kill()
        self._process.join()
        # Somebody else may have asked the system how it ended: it then counts as running for ever.
        with suppress(ValueError):
            self._process.close()

    @contextmanager
    def _killed_after(self, seconds: float) -> Iterator[threading.Event]:
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
            timer.join()


def _serve(pipe: Connection, work: str, limits: Limits) -> None:
    """Answer until nobody asks any more."""
    become_child()
    answer: Callable[[bytes, Limits], bytes] = resolve_name(work)
    _limit_memory(limits.memory)
    # Who asked may be gone at any time.
    with suppress(EOFError, BrokenPipeError):
        pipe.send_bytes(_READY)
        while True:
            data = pipe.recv_bytes(limits.size)
            pipe.send_bytes(_BEGUN)
            _limit_time(limits.seconds)
            pipe.send_bytes(answer(data, limits))


if sys.platform == "win32":

    def _limit_memory(most: int) -> None: ...

    def _limit_time(seconds: float) -> None: ...

else:

    def _limit_memory(most: int) -> None:
        for kind, limit in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
            # Some systems have no such limit, and none goes above what there is.
            with suppress(OSError, ValueError):
                resource.setrlimit(kind, (limit, limit))

    def _limit_time(seconds: float) -> None:
        # For what the parent cannot do once it was killed itself.
        most = math.ceil(time.process_time() + seconds) + 1
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Have a process that starts meanwhile hold Ctrl-C back until `become_child` has it ignore that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
