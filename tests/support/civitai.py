"""A Civitai on loopback: answers REST v1 as the service does, and fails as it does when a test says so."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from tests.support.civitai_faults import Answer, Exchange
from tests.support.civitai_library import Library
from tests.support.civitai_routes import app_of, json_or_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tests.support.civitai_faults import Fault


class Asked(NamedTuple):
    """A request that came in; `n` is how many hashes it asks for at once."""

    method: str
    path: str
    n: int


@dataclass
class _Planned:
    path: str
    fault: Fault
    after: int
    times: int | None


class FakeCivitai(Library):
    """The running service: what it knows, what it was asked, and what is to go wrong. For any thread."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._asked: list[Asked] = []
        self._bearers: list[str] = []
        self._planned: list[_Planned] = []
        self._released = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def asked(self) -> list[Asked]:
        """Return the requests that came in until now, those that were failed too."""
        with self._lock:
            return list(self._asked)

    @property
    def bearers(self) -> list[str]:
        """Return the Authorization headers that came in until now."""
        with self._lock:
            return list(self._bearers)

    def fail(self, path: str, fault: Fault, *, times: int | None = 1, after: int = 0) -> None:
        """Let requests go wrong whose path has a pattern of fnmatch: so many, or all, once `after` went well.

        Of several plans for one request the first that is not used up counts.
        """
        with self._lock:
            self._planned.append(_Planned(path, fault, after, times))

    def mend(self) -> None:
        """Forget all that is still to go wrong."""
        with self._lock:
            self._planned.clear()

    def release(self) -> None:
        """Let go of answers that are stalled, now and from now on."""
        with self._lock:
            if self._loop is None:
                self._released.set()
            else:
                self._loop.call_soon_threadsafe(self._released.set)

    def take(self, asked: Asked, bearer: str | None) -> Fault | None:
        """Write a request down and return what is to go wrong with it."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._asked.append(asked)
            if bearer is not None:
                self._bearers.append(bearer)
            for plan in self._planned:
                if plan.times == 0 or not fnmatchcase(asked.path, plan.path):
                    continue
                if plan.after:
                    plan.after -= 1
                    continue
                if plan.times is not None:
                    plan.times -= 1
                return plan.fault
        return None

    @property
    def released(self) -> asyncio.Event:
        """Return what is set once stalled answers may go on."""
        return self._released


@contextmanager
def civitai_server() -> Iterator[FakeCivitai]:
    """Run a fake Civitai on a free port of loopback for the length of the block."""
    # Only of sockets that say they are TCP does asyncio send small parts at once.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        fake = FakeCivitai(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = _Gate(fake, app_of(fake))
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                thread.join(0.01)
            yield fake
        finally:
            fake.release()
            server.should_exit = True
            thread.join(20)
        assert not thread.is_alive()


class _Gate:
    """Writes requests down, and gives those that are to go wrong to their fault instead."""

    def __init__(self, fake: FakeCivitai, app: ASGIApp) -> None:
        self._fake = fake
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        items = json_or_none(body)
        n = len(items) if isinstance(items, list) else 0
        fault = self._fake.take(Asked(scope["method"], scope["path"], n), headers.get("authorization"))
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        async def honest() -> Answer:
            sent: list[Message] = []

            async def keep(message: Message) -> None:
                sent.append(message)

            await self._app(scope, again, keep)
            told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
            return Answer(sent[0]["status"], b"".join(one["body"] for one in sent[1:]), told)

        if fault is None:
            await self._app(scope, again, send)
        else:
            await fault(Exchange(honest, receive, send, self._fake.released))


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
