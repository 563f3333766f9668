"""Run jobs whose rows say who holds them and how far they are; knows no kind of job.

A row that says `running` while its process is gone is taken over by the next one who wants the same; the work
itself must be able to go on from what the catalog holds.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from registry.catalog import jobs
from registry.errors import BadRequest, Cancelled, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.catalog.engine import Catalog

log = logging.getLogger(__name__)
BEAT_SECONDS = 1.0
# Process ids are used again, in a container by each start of it.
_THIS_START = uuid.uuid4().hex[:8]


class JobContext:
    """What a job works with: it reports how far it is and asks whether to stop."""

    def __init__(self, job_id: int, kind: str, key: str, spec: object, stopping: threading.Event) -> None:
        self.job_id = job_id
        self.kind = kind
        self.key = key
        self.spec = spec
        self.done = 0
        self.total: int | None = None
        self._stopping = stopping
        self._cancel = threading.Event()

    def report(self, done: int, total: int | None = None) -> None:
        """Say how far the job is; cheap, the row is written once a second."""
        self.done = done
        self.total = total

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._cancel.set()

    def cancelled(self) -> bool:
        """Whether somebody asked the job, or the whole program, to stop."""
        return self._cancel.is_set() or self._stopping.is_set()


class _End(NamedTuple):
    """How a job ended."""

    state: str
    result: object = None
    failure: BaseException | None = None

    @property
    def error(self) -> str | None:
        """What its row says about a failure."""
        if self.state != "failed" or self.failure is None:
            return None
        return str(self.failure) or type(self.failure).__name__


class Jobs:
    """Starts jobs of registered kinds, each in its own thread; at most one of a kind and key at a time."""

    def __init__(self, catalog: Catalog, machine_id: str) -> None:
        self._catalog = catalog
        self._kinds: dict[str, Callable[[JobContext], object]] = {}
        self._called: dict[str, Callable[[str], str]] = {}
        self._stopping = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self._contexts: dict[int, JobContext] = {}
        # Ends that could not be stored, because the database was away just then.
        self._unstored: dict[int, tuple[JobContext, _End]] = {}
        self._lock = threading.Lock()
        self._prefix = f"{machine_id}:{os.getpid()}:"
        self.owner = self._prefix + _THIS_START

    def register(
        self, kind: str, body: Callable[[JobContext], object], called: Callable[[str], str] | None = None
    ) -> None:
        """Say what a kind of job does; `body` returns a JSON-able result, `called(key)` a name for people."""
        self._kinds[kind] = body
        self._called[kind] = called or (lambda key: f"{kind} {key}")

    def start(self, kind: str, key: str, spec: object = None, *, actor: str | None = None) -> int:
        """Start a job in the background and return its id; Conflict names who holds the same already."""
        return self.start_all(kind, [key], spec, actor=actor)[0]

    def start_all(
        self, kind: str, keys: Sequence[str], spec: object = None, *, actor: str | None = None
    ) -> list[int]:
        """Start a job for each of the keys, or none of them where one raises Conflict; return their ids."""
        contexts = self._begin(kind, keys, spec, actor)
        for context in contexts:
            name = f"{kind} {context.key}"
            thread = threading.Thread(target=self._carry_out, args=(context,), name=name, daemon=True)
            with self._lock:
                self._threads[context.job_id] = thread
            thread.start()
        return [context.job_id for context in contexts]

    def run(self, kind: str, key: str, spec: object = None, *, actor: str | None = None) -> object:
        """Run a job in this thread and return its result; its errors are raised."""
        (context,) = self._begin(kind, [key], spec, actor)
        end = self._carry_out(context)
        if end.failure is not None:
            raise end.failure
        return end.result

    def live(self) -> list[JobContext]:
        """Return the jobs that this process runs now."""
        with self._lock:
            return list(self._contexts.values())

    def stop(self, timeout: float = 20.0) -> None:
        """Ask all jobs of this process to stop and wait for them."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _begin(self, kind: str, keys: Sequence[str], spec: object, actor: str | None) -> list[JobContext]:
        if kind not in self._kinds:
            raise BadRequest(f"there is no kind of job called {kind!r}")
        if self._stopping.is_set():
            raise Cancelled("the program is about to end")
        with self._lock:
            unstored = list(self._unstored.values())
        for context, end in unstored:
            self._store(context, end)
        names = [self._called[kind](key) for key in keys]
        with self._catalog.write(actor=actor) as unit:
            ids = [
                jobs.start_job(unit, kind, key, self.owner, spec=spec, called=name, alive=self._is_alive)
                for key, name in zip(keys, names, strict=True)
            ]
        contexts = [
            JobContext(job_id, kind, key, spec, self._stopping) for job_id, key in zip(ids, keys, strict=True)
        ]
        with self._lock:
            self._contexts |= {context.job_id: context for context in contexts}
        return contexts

    def _carry_out(self, context: JobContext) -> _End:
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(context, ended), name="heartbeat", daemon=True)
        beat.start()
        try:
            end = self._body(context)
        finally:
            ended.set()
            beat.join()
        try:
            self._store(context, end)
        except RegistryError as error:
            log.warning("the end of job %d could not be stored: %s", context.job_id, error)
            with self._lock:
                self._unstored[context.job_id] = (context, end)
        finally:
            with self._lock:
                self._contexts.pop(context.job_id, None)
                self._threads.pop(context.job_id, None)
        return end

    def _body(self, context: JobContext) -> _End:
        try:
            return _End("done", self._kinds[context.kind](context))
        except Cancelled as error:
            return _End("cancelled", failure=error)
        except RegistryError as error:
            log.warning("%s %s failed: %s", context.kind, context.key, error)
            return _End("failed", failure=error)
        except Exception as error:  # the edge where jobs end: the row and the log say what happened
            log.exception("%s %s failed", context.kind, context.key)
            return _End("failed", failure=error)
        except BaseException as error:  # noqa: BLE001 - Ctrl-C: the row must not stay `running`; `run` raises it
            return _End("cancelled", failure=error)

    def _store(self, context: JobContext, end: _End) -> None:
        with self._catalog.write() as unit:
            jobs.beat_job(unit, context.job_id, context.done, context.total)
            jobs.finish_job(unit, context.job_id, end.state, result=end.result, error=end.error)
        with self._lock:
            self._unstored.pop(context.job_id, None)

    def _beat(self, context: JobContext, ended: threading.Event) -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                with self._catalog.write() as unit:
                    if jobs.beat_job(unit, context.job_id, context.done, context.total):
                        context.cancel()
            except RegistryError as error:
                log.warning("the progress of job %d could not be stored: %s", context.job_id, error)

    def _is_alive(self, owner: str | None) -> bool:
        """Whether the process that holds a job still runs; of other machines only the heartbeat tells."""
        known = owner or ""
        if known == self.owner:
            return True
        if known.startswith(self._prefix):
            return False
        machine, _, rest = known.partition(":")
        pid = rest.partition(":")[0]
        if machine != self._prefix.partition(":")[0] or not pid.isdecimal() or sys.platform == "win32":
            return True
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True
