"""Tells the webhooks of jobs that these have ended: signed, and again with back-off where nobody answers."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.catalog import webhooks
from registry.errors import Offline, OutboundError, RefusedAddress
from registry.formats.packing import pack_json
from registry.net import Asked, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.catalog.engine import Catalog
    from registry.catalog.webhooks import Due
    from registry.net import Door

log = logging.getLogger(__name__)
BACK_OFF: Final = (10.0, 60.0, 600.0, 3600.0)
"""Seconds after each failure; the one after the last is for good."""
NAME: Final = "telling webhooks"
_WHY: Final = "jobs have ended that were asked for with an address to be told"
_MOST_AT_ONCE: Final = 10
_MOST_ANSWER: Final = 1 << 20
_LEASE_MS: Final = 15 * 60_000
"""Longer than all of a round can take; what a process did not tell that ended is told after it."""


def purpose(hosts: Iterable[str]) -> Purpose:
    """Return the purpose of telling webhooks at these hosts."""
    return Purpose(NAME, _WHY, frozenset(hosts))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what `X-Loras-Signature` says: HMAC-SHA256 (RFC 2104) over `<timestamp>.<body>`, in hex."""
    return f"sha256={hmac.digest(secret.encode(), timestamp.encode() + b'.' + body, 'sha256').hex()}"


class Messenger:
    """Tells what is due through a door whose own hosts are those that may have private addresses."""

    def __init__(self, catalog: Catalog, door: Door, secret: str) -> None:
        self._catalog = catalog
        self._door = door
        self._secret = secret

    def send_due(self) -> int:
        """Tell the ends of jobs that are due, one request each, and return how many were taken.

        While the network is switched off everything waits. Raises CatalogError.
        """
        if self._door.offline:
            return 0
        with self._catalog.read() as conn:
            if not webhooks.any_due(conn, self._catalog.clock()):
                return 0
        with self._catalog.write() as unit:
            found = webhooks.take_due(unit, _MOST_AT_ONCE, _LEASE_MS)
        for due in found:
            self._tell(due)
        return len(found)

    def _tell(self, due: Due) -> None:
        for_good = False
        try:
            said = self._send(due)
        except Offline:
            with self._catalog.write() as unit:
                webhooks.put_off(unit, due)
            return
        except RefusedAddress as error:
            # It leads where nothing of ours may go, the next time too.
            said, for_good = str(error), True
        except OutboundError as error:
            said = str(error)
        with self._catalog.write() as unit:
            if said is None:
                webhooks.told(unit, due)
            elif for_good or due.tries >= len(BACK_OFF):
                log.warning("the webhook of job %d was given up: %s", due.job.id, said)
                webhooks.given_up(unit, due, said)
            else:
                webhooks.again(unit, due, said, int(BACK_OFF[due.tries] * 1000))

    def _send(self, due: Due) -> str | None:
        """Send one message; return what is wrong with the answer, `None` for nothing."""
        host = _host(due.url)
        now = self._catalog.clock()
        body, timestamp = _body(due, now), str(now // 1000)
        headers = {
            "content-type": "application/json",
            "X-Loras-Timestamp": timestamp,
            "X-Loras-Signature": signature(self._secret, timestamp, body),
            "Idempotency-Key": f"job-{due.job.id}-{due.job.state}-{due.attempt}",
        }
        asked = Asked("POST", due.url, content=body, headers=headers, most=_MOST_ANSWER)
        reply = self._door.ask(purpose({host}), asked)
        return None if 200 <= reply.status < 300 else f"{host} answered {reply.status}"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError as error:
        raise RefusedAddress("that is no plain web address") from error


def _body(due: Due, now: int) -> bytes:
    job = due.job
    told = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "called": job.called,
        "done": job.done,
        "total": job.total,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "slug": job.slug,
        "error": job.error,
        "result": job.result,
    }
    return pack_json({"job": told, "sent_at": now})
