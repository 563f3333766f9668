"""Carries batches out on a Dask cluster that somebody else started, one at a time for each of its workers.

Whoever reaches a scheduler of Dask runs code on it, on its workers and on those who read their answers, so
that it is reached with certificates, or within this machine.
"""

from __future__ import annotations

import importlib
import ipaddress
import logging
import threading
import uuid
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from registry.errors import BadRequest, OutboundError
from registry.work.cluster_line import TOPIC, dropped_name, key_of, library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from registry.work.executors import Handed

log = logging.getLogger(__name__)
FUNCTION: Final = "registry.render.remote:draw"
_SECONDS: Final = 5.0
"""How long is waited for a scheduler to answer."""
_FETCH_SECONDS: Final = 120.0
_WORKERS: Final = "all"
"""The topic of a scheduler under which it tells which worker went, and what that was at."""
_STOPPED: Final = "it was stopped"


def seats(
    address: str, certificates: str = "", function: str = FUNCTION, *, seconds: float = _SECONDS
) -> list[Cluster]:
    """Return one who carries batches out for each worker that a cluster has now, and at least one.

    `certificates` are the files `ca.pem,cert.pem,key.pem`, `function` is `module:name` of what takes a spec
    and returns an answer on the workers. `seconds` are how long the scheduler is waited for. Raises
    BadRequest for an address that is not to be used, CannotDraw without the library.
    """
    scheduler = Scheduler(address, certificates, seconds)
    number = scheduler.count()
    return [Cluster(scheduler, function) for _ in range(max(1, number))]


class Scheduler:
    """The connection to a scheduler, held while one of those who use it is at work; for one thread.

    Raises what `seats` does.
    """

    def __init__(self, address: str, certificates: str = "", seconds: float = _SECONDS) -> None:
        _check_address(address)
        self.address = address
        self._certificates = _certificates(certificates, wanted=address.startswith("tls:"))
        self._seconds = seconds
        self._dask = library()
        self._client: Any = None
        self._channel = ""
        self._users: set[int] = set()
        self._batches: dict[str, _Batch] = {}
        self._dropped: dict[str, list[int]] = {}

    def count(self) -> int:
        """Return how many workers there are, none where the scheduler does not answer."""
        try:
            return len(self._opened().nthreads())
        except (OSError, OutboundError) as error:
            log.warning("%s", error)
            return 0
        finally:
            self._close_unused()

    def submit(self, user: int, function: Callable[[str], str], spec: str) -> _Batch:
        """Hand out a batch for a user; OutboundError where there is no scheduler or no worker just now."""
        try:
            client = self._opened()
            # Said again each time: a scheduler that was started anew knows nothing of it.
            client.subscribe_topic(TOPIC, self._heard)
            client.subscribe_topic(_WORKERS, self._heard_of_workers)
            self._tell_dropped()
            workers = client.nthreads()
        except OSError as error:
            raise self._gone(error) from error
        if not workers:
            raise OutboundError(
                f"no worker is at the Dask scheduler {self.address}", remedy="start one: `dask worker`"
            )
        key = key_of(self._channel, uuid.uuid4().hex)
        batch = _Batch(self, key)
        self._batches[key] = batch
        self._users.add(user)
        batch.wait_for(client.submit(function, spec, key=key, pure=False, retries=0))
        return batch

    def drop(self, key: str, place: int) -> None:
        """Say that nobody wants a piece of a batch any more."""
        if key not in self._batches:
            return
        self._dropped.setdefault(key, []).append(place)
        if self._client is None or self._client.status != "running":
            return
        try:
            self._tell_dropped()
        except OSError as error:
            log.warning("the Dask scheduler could not be told of a cancelled picture: %s", error)

    def ended(self, key: str) -> None:
        """Forget a batch that has ended."""
        self._batches.pop(key, None)
        self._dropped.pop(key, None)

    def leave(self, user: int) -> None:
        """Say that a user has nothing to do any more."""
        self._users.discard(user)
        self._close_unused()

    def _opened(self) -> Any:
        if self._client is not None and self._client.status == "running":
            return self._client
        self._close()
        try:
            self._client = self._dask.Client(
                self.address,
                security=self._security(),
                timeout=self._seconds,
                set_as_default=False,
                name="loras",
            )
        except (OSError, ImportError) as error:
            # The library's word for versions that do not fit.
            raise self._gone(error) from error
        self._channel = uuid.uuid4().hex
        return self._client

    def _security(self) -> Any:
        if self._certificates is None:
            return None
        ca, cert, key = (str(path) for path in self._certificates)
        return self._dask.Security(
            tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True
        )

    def _tell_dropped(self) -> None:
        name = dropped_name(self._channel)
        self._dask.Variable(name, client=self._client).set(dict(self._dropped), timeout=self._seconds)

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        batch = self._batches.get(str(message.get("key")))
        if batch is not None:
            batch.steps = int(message["done"]), int(message["total"])

    def _heard_of_workers(self, event: tuple[float, Mapping[str, Any]]) -> None:
        message = event[1]
        if message.get("action") == "remove-worker":
            for key in message.get("processing-tasks", ()):
                batch = self._batches.get(key)
                if batch is not None:
                    batch.lose("a Dask worker stopped")

    def _gone(self, error: Exception) -> OutboundError:
        said = str(error).partition("\n")[0] or type(error).__name__
        return OutboundError(f"the Dask scheduler {self.address} does not answer ({said})")

    def _close_unused(self) -> None:
        if not self._users:
            self._close()

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if client.status == "running":
            self._dask.Variable(dropped_name(self._channel), client=client).delete()
        client.close(timeout=self._seconds)


class Cluster:
    """Carries out one batch at a time on whichever worker of a cluster is free.

    Where a worker goes away in the middle of a batch it gives BrokenProcessPool, where the scheduler does,
    OutboundError; the next batch connects anew, and waits by raising OutboundError.
    """

    def __init__(self, scheduler: Scheduler, function: str = FUNCTION) -> None:
        self._scheduler = scheduler
        module, _, name = function.partition(":")
        # By name, so that the workers load it from what is installed there.
        self._function: Callable[[str], str] = getattr(importlib.import_module(module), name)
        self._batch: _Batch | None = None

    def begin(self, spec: str) -> Handed:
        """Hand out a batch; OutboundError where the cluster cannot take it just now."""
        self._batch = self._scheduler.submit(id(self), self._function, spec)
        return self._batch

    def rest(self) -> None:
        """Let go of the connection; the workers belong to whoever started them."""
        self._scheduler.leave(id(self))

    def close(self) -> None:
        """Give up the batch at once; its worker ends it within a step."""
        if self._batch is not None:
            self._batch.lose(_STOPPED)
            self._batch.join()
        self.rest()


class _Batch:
    """A batch at a cluster: `future` is its end, as that of a batch anywhere else."""

    future: Future[str]

    def __init__(self, scheduler: Scheduler, key: str) -> None:
        self.steps = (0, 0)
        self._scheduler = scheduler
        self._key = key
        self._ended = threading.Event()
        self._lost: str | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="dask")

    def wait_for(self, task: Any) -> None:
        """Take what the library gave for the batch; `future` is there from now on."""
        task.add_done_callback(lambda _task: self._ended.set())
        self.future = self._pool.submit(self._answer, task)
        self._pool.shutdown(wait=False)

    def progress(self) -> tuple[int, int]:
        """Return how many steps of how many are done."""
        return self.steps

    def drop(self, place: int) -> None:
        """Say that nobody wants the piece at a place of the batch any more."""
        self._scheduler.drop(self._key, place)

    def lose(self, why: str) -> None:
        """End the batch without an answer; may be called from any thread."""
        self._lost = why
        self._ended.set()

    def join(self) -> None:
        """Wait until the batch has ended."""
        self._pool.shutdown(wait=True)

    def _answer(self, task: Any) -> str:
        """Return the answer, in the one thread that may wait for it."""
        self._ended.wait()
        try:
            if self._lost is not None:
                # The library would begin it again on another worker.
                _cancel(task)
                raise BrokenProcessPool(self._lost)
            answer: str = task.result(timeout=_FETCH_SECONDS)
        except CancelledError as error:
            raise OutboundError("the connection to the Dask scheduler was lost") from error
        finally:
            self._scheduler.ended(self._key)
        return answer


def _cancel(task: Any) -> None:
    try:
        task.cancel(reason="nobody waits for it")
    except OSError as error:
        log.info("a batch could not be cancelled: %s", error)


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or parts.scheme not in {"tls", "tcp"}:
        raise BadRequest(
            f"{address!r} is no address of a Dask scheduler", remedy="it looks like tls://host:8786"
        )
    if parts.scheme == "tcp" and not _is_loopback(host):
        raise BadRequest(
            f"the Dask scheduler at {host} would be reached without encryption: whoever reaches it runs "
            "code on it and here",
            remedy="use tls:// with certificates (dask_certificates), or a scheduler on this machine",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificates(text: str, *, wanted: bool) -> tuple[Path, ...] | None:
    if not wanted:
        return None
    paths = tuple(Path(part.strip()).expanduser() for part in text.split(",") if part.strip())
    if len(paths) != 3:
        raise BadRequest(
            "tls:// needs three files",
            remedy="set dask_certificates (LORAS_DASK_CERTIFICATES) to `ca.pem,cert.pem,key.pem`",
        )
    for path in paths:
        if not path.is_file():
            raise BadRequest(f"there is no certificate or key at {path}", remedy="see dask_certificates")
    return paths
