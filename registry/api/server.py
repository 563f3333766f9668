"""The web server for our application: it believes no proxy by itself and can stop with streams open."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from registry.api.feed import Feed

_STOP_SECONDS = 10
_SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """A uvicorn server of an application made by `create_app`; streams of events end when it stops.

    `options` are those of `uvicorn.Config`.
    """

    def __init__(self, app: FastAPI, feed: Feed, **options: Any) -> None:
        # Forwarded headers are judged in `registry.api.callers`, where they cannot make a stranger local.
        ours = {"proxy_headers": False, "server_header": False, "timeout_graceful_shutdown": _STOP_SECONDS}
        super().__init__(uvicorn.Config(app, **{**ours, **options}))
        self._feed = feed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets=sockets)
        # What was loaded by now stays; looking for cycles in all of it again and again slows long lists down.
        gc.collect()
        gc.freeze()
        # Threads that ingest and hash give way sooner to one that answers.
        sys.setswitchinterval(_SWITCH_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let running requests finish, then stop."""
        self._feed.close()
        await super().shutdown(sockets)
