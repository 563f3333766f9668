"""A program of the user's that draws, asked over HTTP: its answers are looked at, its refusals told on."""

from __future__ import annotations

import base64
import re
import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson

from registry.errors import (
    AnswerTooLarge,
    BadRequest,
    NoBase,
    NotFound,
    Offline,
    OutboundError,
    RefusedAddress,
    RegistryError,
)
from registry.formats.packing import pack_json
from registry.formats.values import OddValueError, json_value
from registry.net import Asked, Purpose
from registry.render.batch import CANCELLED, MEMORY, Answer, Made
from registry.render.pngs import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from registry.net import Door, Reply
    from registry.render.batch import Batch, CellAsk
    from registry.work.lines import Line

MOST: Final = 32 << 20
SILENT_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 10.0
_LONGEST: Final = 300
_DEEP: Final = 6
_MEMORY: Final = re.compile(r"OutOfMemory|CUDA out of memory", re.IGNORECASE)
# In this order: what went wrong, then where. Of A1111, FastAPI and ComfyUI.
_SAID: Final = ("error", "message", "msg", "detail", "details", "errors", "exception_message", "node_errors")


_AWAY: Final = frozenset({429, 502, 503, 504})
"""What is answered for a program that is away or has too much to do."""


class ToolRefused(OutboundError):
    """A program did not do what it was asked to; the message is its own, `answered` its status."""

    slug = "tool-refused"

    def __init__(self, message: str, answered: int, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.answered = answered


class BadAnswer(OutboundError):
    """A program answered with something that cannot be used."""

    slug = "bad-answer"


class LoraNotThere(NotFound):
    """A program does not have a lora, or cannot be told which one is meant."""

    slug = "lora-not-there"


def drawing_with(url: str) -> Purpose:
    """Return the purpose of talking to a program that draws; BadRequest for what is no address."""
    return Purpose("drawing", "pictures of your loras", frozenset({_host(url)}))


class Tool:
    """A program at an address; may be used by several threads.

    `patient` is a door that waits for as long as one picture takes, `door` is for all other questions. `auth`
    is `user:password`. BadRequest for an address or an `auth` that cannot be used.
    """

    def __init__(
        self, door: Door, url: str, name: str, *, auth: str | None = None, patient: Door | None = None
    ) -> None:
        self.name, self.url = name, url.rstrip("/")
        self._door, self._patient = door, patient or door
        self._purpose = drawing_with(url)
        self._headers = {"accept": "application/json"}
        if auth is not None:
            if ":" not in auth:
                raise BadRequest("access to a program that draws is told as user:password")
            self._headers["authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"

    def ask(
        self, method: str, path: str, body: object = None, *, most: int = MOST, patient: bool = False
    ) -> object:
        """Return the JSON of an answer, `None` for an empty one.

        Raises ToolRefused for an answer that says no, BadAnswer for one that is no JSON, and OutboundError
        where none comes.
        """
        headers = {} if body is None else {"content-type": "application/json"}
        content = None if body is None else pack_json(body)
        asked = Asked(method, f"{self.url}{path}", content, self._headers | headers, most=most)
        reply = self._reply(asked, self._patient if patient else self._door)
        return self._json(reply) if reply.body.strip() else None

    def fetch(self, path: str, most: int) -> bytes:
        """Return the bytes of an answer; raises what `ask` does."""
        asked = Asked("GET", f"{self.url}{path}", None, self._headers, most=most)
        return self._reply(asked, self._door).body

    def upload(self, path: str, fields: Mapping[str, str], name: str, png: bytes) -> object:
        """Send a form with a picture in its field `image`; returns and raises what `ask` does."""
        boundary = uuid.uuid4().hex
        parts = [(f'name="{field}"', value.encode()) for field, value in fields.items()]
        parts.append((f'name="image"; filename="{name}"\r\nContent-Type: image/png', png))
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
            for head, value in parts
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        content = body + f"--{boundary}--\r\n".encode()
        asked = Asked("POST", f"{self.url}{path}", content, self._headers | headers, most=MOST)
        return self._json(self._reply(asked, self._door))

    def picture(self, data: bytes) -> bytes:
        """Return what was sent if it is a whole PNG; raises BadAnswer."""
        fault = fault_of(data)
        if fault is not None:
            raise BadAnswer(f"what {self.name} sent {fault}", remedy="pictures are taken as PNG")
        return data

    def silent(self) -> Answer:
        """Return the answer to a batch while nobody is there."""
        return Answer(busy=f"{self.name} is not answering at {self.url}", seconds=SILENT_SECONDS)

    def busy(self) -> Answer:
        """Return the answer to a batch while the user's own pictures are drawn."""
        return Answer(busy=f"{self.name} at {self.url} is drawing something else", seconds=BUSY_SECONDS)

    def _json(self, reply: Reply) -> object:
        try:
            return _parsed(reply.body)
        except OddValueError as error:
            path = urlsplit(reply.url).path
            raise BadAnswer(f"{self.name} answers {path} with something that is no JSON") from error

    def _reply(self, asked: Asked, door: Door) -> Reply:
        try:
            reply = door.ask(self._purpose, asked)
        except (AnswerTooLarge, RefusedAddress) as error:
            raise BadAnswer(f"{self.name}: {error}", remedy=error.remedy) from error
        if reply.status in {401, 403}:
            raise ToolRefused(
                f"{self.name} refuses access ({reply.status})",
                reply.status,
                remedy="look at the user and password in its settings",
            )
        if not 200 <= reply.status < 300:
            raise ToolRefused(f"{self.name}: {_why(reply)}", reply.status)
        return reply


def answered(tool: Tool, batch: Batch, begin: Callable[[], Answer]) -> Answer:
    """Return what `begin` does, or why no picture of the batch could be begun; raises Offline."""
    try:
        return begin()
    except Offline:
        raise
    except (NoBase, BadRequest) as error:
        return Answer(tuple(failed(cell, error) for cell in batch.cells))
    except (ToolRefused, BadAnswer) as error:
        # It is starting, behind a proxy that waits for it, or none at all: no picture is to blame.
        said = f"{error}; {error.remedy}" if error.remedy else str(error)
        place = "" if tool.url in said else f" ({tool.url})"
        return Answer(busy=said + place, seconds=SILENT_SECONDS)
    except OutboundError:
        return tool.silent()


def each_cell(batch: Batch, line: Line, draw: Callable[[int, CellAsk], Made]) -> Answer:
    """Return what `draw` makes of each place and cell; one that fails fails alone.

    Once nobody answers any more nothing is said of that one and the rest: they are tried another time.
    """
    return Answer(tuple(_drawn(batch, line, draw)))


def _drawn(batch: Batch, line: Line, draw: Callable[[int, CellAsk], Made]) -> Iterator[Made]:
    for place, cell in enumerate(batch.cells):
        line.step(place * batch.steps, len(batch.cells) * batch.steps)
        if place in line.dropped():
            yield Made(cell.key, problem=CANCELLED)
        else:
            try:
                yield draw(place, cell)
            except (ToolRefused, BadAnswer, NotFound, BadRequest) as error:
                if isinstance(error, ToolRefused) and error.answered in _AWAY:
                    return
                yield failed(cell, error)
            except OutboundError:
                return
    line.step(len(batch.cells) * batch.steps, len(batch.cells) * batch.steps)


def failed(cell: CellAsk, error: RegistryError) -> Made:
    """Return what an error makes of a cell."""
    text = f"{error}; {error.remedy}" if error.remedy else str(error)
    memory = isinstance(error, ToolRefused) and _MEMORY.search(text)
    return Made(cell.key, problem=MEMORY if memory else error.slug, text=text)


def refusal(told: object) -> str:
    """Return what an answer of a program says went wrong: one line of plain text, `""` for nothing."""
    parts = dict.fromkeys(part for part in _sentences(told, _DEEP) if part)
    return ": ".join(parts)[:_LONGEST]


def _sentences(told: object, depth: int) -> Iterator[str]:
    if isinstance(told, str):
        yield " ".join("".join(char if char.isprintable() else " " for char in told[:_LONGEST]).split())
    elif isinstance(told, list) and depth:
        for each in told[:3]:
            yield from _sentences(each, depth - 1)
    elif isinstance(told, dict) and depth:
        known = [told[name] for name in _SAID if name in told]
        # Errors of ComfyUI's nodes stand under the numbers of the nodes.
        for each in known or list(told.values())[:3]:
            yield from _sentences(each, depth - 1)


def _why(reply: Reply) -> str:
    try:
        said = refusal(_parsed(reply.body))
    except OddValueError:
        said = ""
    return said or f"it answered {reply.status} and does not say why"


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_value(body.decode("utf-8", "replace"))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise BadRequest(f"that is no web address ({error})") from error
    if parts.username is not None or parts.password is not None:
        raise BadRequest("an address holds no password", remedy="tell user:password beside it")
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise BadRequest("a program that draws is at an address like http://127.0.0.1:7860")
    return host
