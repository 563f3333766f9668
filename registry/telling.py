"""Webhooks of an open registry put together: whoever is to hear of the end of a job is told."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from registry.errors import RegistryError
from registry.net import Door
from registry.work.webhooks import Messenger, purpose

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.config import Settings
    from registry.net import Purpose

log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 10.0


class Telling:
    """Tells webhooks while the program serves; without a key to sign with nobody is told anything."""

    def __init__(self, registry: Registry) -> None:
        settings = registry.settings
        secret = settings.webhook_secret
        self._stopping = threading.Event()
        self._door = Door(
            offline=settings.offline,
            proxy=settings.proxy,
            own_hosts=settings.webhook_hosts,
            seconds=_ANSWER_SECONDS,
        )
        self._messenger = (
            None if secret is None else Messenger(registry.catalog, self._door, secret.get_secret_value())
        )
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        if self._messenger is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop telling; who was not told yet is told the next time."""
        self._stopping.set()
        if self._thread.is_alive():
            # Whoever it asks just now may take longer: the next start tells them again.
            self._thread.join(_ANSWER_SECONDS)
        self._door.close()

    def _run(self) -> None:
        while self._messenger is not None and not self._stopping.wait(_LOOK_SECONDS):
            try:
                self._messenger.send_due()
            except RegistryError as error:
                log.warning("webhooks wait: %s", error)
            except Exception:  # the edge of a thread that has to go on
                log.exception("webhooks wait")


def purposes(settings: Settings) -> list[Purpose]:
    """Return the purpose for which hosts of webhooks are contacted, if any can be."""
    if settings.webhook_secret is None:
        return []
    return [purpose({"(hosts that jobs name)", *settings.webhook_hosts})]
