"""What goes wrong with the answers of a service: a fault is given a question and sends what it likes.

Statuses and bodies are those of civitai/civitai src/server/utils/endpoint-helpers.ts, and of the shield
before it.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from starlette.types import Receive, Send

Fault: TypeAlias = "Callable[[Exchange], Awaitable[None]]"

JSON: Final = "application/json; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
_CHUNK: Final = 1 << 20


class Answer(NamedTuple):
    """An answer that is sent whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Exchange:
    """A question: `honest` works out the right answer, `released` is set when stalled answers may go on."""

    honest: Callable[[], Awaitable[Answer]]
    receive: Receive
    send: Send
    released: asyncio.Event

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        coded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": coded})

    async def go_on(self, body: bytes) -> None:
        """Send some of the body."""
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """Send the end of the body."""
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, answer: Answer) -> None:
        """Send an answer."""
        await self.begin(answer.status, {**answer.headers, "content-length": str(len(answer.body))})
        await self.go_on(answer.body)
        await self.end()

    async def stream(self, headers: Mapping[str, str], chunks: Iterable[bytes]) -> None:
        """Send a body whose length nobody is told, for as long as the client listens."""
        await self.begin(200, headers)
        gone = asyncio.ensure_future(self.hung_up())
        for chunk in chunks:
            await self.go_on(chunk)
            await asyncio.sleep(0)
            if gone.done():
                break
        gone.cancel()
        await self.end()

    async def hung_up(self) -> None:
        """Return when the client has closed the connection."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


def answering(status: int, body: object = b"", kind: str = JSON, **headers: str) -> Fault:
    """Answer with a status; a body that is not bytes is sent as JSON, `_` in names of headers as `-`."""
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(exchange: Exchange) -> None:
        await exchange.whole(Answer(status, sent, {"content-type": kind, **named}))

    return fault


def too_fast(retry_after: str | None = None) -> Fault:
    """Answer that there are too many questions, and perhaps when to ask again."""
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return answering(429, {"error": "Too many requests"}, **headers)


def redirected(url: str, status: int = 302) -> Fault:
    """Send the client to another address."""
    return answering(status, b"", Location=url)


FAILED: Final = answering(500, {"message": "An unexpected error occurred", "error": "..."})
OVERLOADED: Final = answering(503, {"error": "Server busy, please retry shortly."}, Retry_After="2")
UNAVAILABLE: Final = answering(503, b"<!DOCTYPE html><h1>Service unavailable</h1>", HTML)
CHALLENGE: Final = answering(
    403, b"<!DOCTYPE html><title>Just a moment...</title>", HTML, cf_mitigated="challenge"
)


def cut_short(share: float = 0.5) -> Fault:
    """Send the beginning of the right body as if it were all."""

    async def fault(exchange: Exchange) -> None:
        right = await exchange.honest()
        await exchange.whole(right._replace(body=right.body[: int(len(right.body) * share)]))

    return fault


def broken_off(share: float = 0.5) -> Fault:
    """Send the beginning of the right answer and close the connection."""

    async def fault(exchange: Exchange) -> None:
        right = await exchange.honest()
        await exchange.begin(right.status, {**right.headers, "content-length": str(len(right.body))})
        await exchange.go_on(right.body[: int(len(right.body) * share)])
        # The server closes the connection of an application that returns too early.

    return fault


def stalled(share: float = 0.0) -> Fault:
    """Send the beginning of the right answer, and the rest once the test lets go or the client hangs up."""

    async def fault(exchange: Exchange) -> None:
        right = await exchange.honest()
        cut = int(len(right.body) * share)
        if share:
            await exchange.begin(right.status, {**right.headers, "content-length": str(len(right.body))})
            await exchange.go_on(right.body[:cut])
        waiting = [asyncio.ensure_future(one) for one in (exchange.hung_up(), exchange.released.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        if share:
            await exchange.go_on(right.body[cut:])
            await exchange.end()
        else:
            await exchange.whole(right)

    return fault


def endless(size: int = 2 << 30, *, squeezed: bool = False) -> Fault:
    """Send JSON of so many bytes, MiB for MiB; `squeezed` by gzip to a thousandth."""

    async def fault(exchange: Exchange) -> None:
        coding = {"content-encoding": "gzip"} if squeezed else {}
        await exchange.stream(
            {"content-type": JSON, **coding}, _squeezed(size) if squeezed else _spaces(size)
        )

    return fault


def overrunning(size: int = 2 << 30) -> Fault:
    """Send the right body squeezed by gzip, and then so many bytes that belong to nothing."""

    async def fault(exchange: Exchange) -> None:
        right = await exchange.honest()
        headers = {"content-type": JSON, "content-encoding": "gzip"}
        await exchange.stream(headers, chain([gzip.compress(right.body)], _spaces(size)))

    return fault


def changed(change: Callable[[Any], object]) -> Fault:
    """Change the JSON of the right answer, if there is one."""

    async def fault(exchange: Exchange) -> None:
        right = await exchange.honest()
        body = orjson.dumps(change(orjson.loads(right.body))) if right.status == 200 else right.body
        await exchange.whole(right._replace(body=body))

    return fault


def twice(items: list[Any]) -> object:
    """Say everything again."""
    return items + items


def with_gaps(items: list[Any]) -> object:
    """Say null before and after everything."""
    return [None, *(one for item in items for one in (item, None))]


def backwards(items: list[Any]) -> object:
    """Say the last first."""
    return items[::-1]


def downloads_at(origin: str) -> Callable[[Any], object]:
    """Say that all files lie at another origin."""
    return lambda answer: _each(answer, "downloadUrl", lambda url: re.sub(r"^https?://[^/]+", origin, url))


def without_hashes(answer: object) -> object:
    """Say no hash of any file, as while it is being scanned."""
    return _each(answer, "hashes", lambda _hashes: {})


def other_hashes(answer: object) -> object:
    """Say hashes of other files."""
    return _each(answer, "hashes", lambda hashes: {kind: digest[::-1] for kind, digest in hashes.items()})


def null_counters(answer: object) -> object:
    """Say null for all that is counted."""
    return _each(answer, "stats", dict.fromkeys)


def without_creator(answer: dict[str, Any]) -> object:
    """Say nothing of who made it."""
    return {name: value for name, value in answer.items() if name != "creator"}


def _each(value: object, name: str, change: Callable[[Any], object]) -> object:
    if isinstance(value, list):
        return [_each(item, name, change) for item in value]
    if isinstance(value, dict):
        return {
            key: change(item) if key == name else _each(item, name, change) for key, item in value.items()
        }
    return value


def _spaces(size: int) -> Iterator[bytes]:
    chunk = b" " * _CHUNK
    for sent in range(0, size - 2, _CHUNK):
        yield chunk[: size - 2 - sent]
    yield b"[]"


def _squeezed(size: int) -> Iterator[bytes]:
    """Give a gzip stream whose parts are squeezed once and sent again and again."""
    parts: dict[int, bytes] = {}
    summed = 0
    # RFC 1952, 2.3: a member without name and time, then deflate, then CRC-32 and size.
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    for chunk in _spaces(size):
        if len(chunk) not in parts or chunk == b"[]":
            squeeze = zlib.compressobj(9, wbits=-15)
            parts[len(chunk)] = squeeze.compress(chunk) + squeeze.flush(zlib.Z_FULL_FLUSH)
        summed = zlib.crc32(chunk, summed)
        yield parts[len(chunk)]
    yield (
        zlib.compressobj(wbits=-15).flush()
        + summed.to_bytes(4, "little")
        + (size % (1 << 32)).to_bytes(4, "little")
    )
