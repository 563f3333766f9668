"""A server on loopback that stands for one out there: it answers as a test says and remembers questions."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Said(NamedTuple):
    """A request as it came in; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer; `length` is what is claimed of the body, and the connection ends after it."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Outside:
    """The running server: `answers` are given one by one, then what `otherwise` makes of a request."""

    url: str
    asked: list[Said] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    otherwise: Callable[[Said], Answer] = lambda _said: Answer(404)

    def take(self, said: Said) -> Answer:
        """Return the answer to a request."""
        self.asked.append(said)
        return self.answers.popleft() if self.answers else self.otherwise(said)


@contextmanager
def outside() -> Iterator[Outside]:
    """Run a server for the length of the block."""
    running: Outside

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = running.take(Said(self.command, self.path, headers, self.rfile.read(size)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header(
                "Content-Length", str(len(answer.body) if answer.length is None else answer.length)
            )
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.length is not None

        do_GET = do_POST = _any  # noqa: N815 - names that the base class looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        running = Outside(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
