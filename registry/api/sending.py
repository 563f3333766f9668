"""The answer that is a part of an open file, read piece by piece while the client takes it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from registry.errors import UnreadableFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

    from registry.ingest.sending import OpenFile

PIECE = 1 << 20

log = logging.getLogger(__name__)


class FileBody(StreamingResponse):
    """Sends a part of an open file and closes it, whatever becomes of the client.

    If the file changes meanwhile, the answer stays shorter than its `content-length` and the connection ends,
    so that no client takes a mixture of two states for the file.
    """

    def __init__(self, opened: OpenFile, part: range, status: int, headers: Mapping[str, str]) -> None:
        self._opened = opened
        super().__init__(self._pieces(part), status, headers)

    async def _pieces(self, part: range) -> AsyncIterator[bytes]:
        for start in range(part.start, part.stop, PIECE):
            size = min(PIECE, part.stop - start)
            yield await run_in_threadpool(self._opened.read, size, start)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        except UnreadableFile as error:
            # Left unfinished: the server closes the connection of an answer that is.
            log.warning("an answer was cut short: %r", str(error))
        finally:
            self._opened.close()
