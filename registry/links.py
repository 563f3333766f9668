"""Which version of a service a lora is, with all that is known of it: pure values that cross rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from registry.told import RemoteModel, RemoteVersion  # noqa: TC001 - the document of the API is made from it

CIVITAI: Final = "civitai"
LINKED: Final = "linked"
UNLINKED: Final = "unlinked"


@dataclass(frozen=True, slots=True)
class LinkedVersion:
    """A version and when it was fetched; `gone_at` is since when it is no longer there.

    Times are milliseconds since the epoch. `source` is the service that sent it.
    """

    told: RemoteVersion
    fetched_at: int
    gone_at: int | None = None
    source: str = CIVITAI


@dataclass(frozen=True, slots=True)
class LinkedModel:
    """A model and when it was fetched; `gone_at` is since when it is no longer there."""

    told: RemoteModel
    fetched_at: int
    gone_at: int | None = None
    source: str = CIVITAI


@dataclass(frozen=True, slots=True)
class Update:
    """A version of the same model for the same base that appeared later.

    `early_until` is when everybody may have it, `have` whether a file of it is in the catalog.
    """

    version_id: int
    name: str | None
    published_at: int
    early_until: int | None
    have: bool


@dataclass(frozen=True, slots=True)
class Link:
    """What a service knows of a file: `versions` that have it, the one that appeared first in front.

    `state` is one of `registry.asked`, or `linked` and `unlinked` where the user said so; `by` is the kind of
    hash that found it. `error` is why asking failed the last time. `version_id` and `model_id` are those of a
    version that the user chose, also before anything else is known of it.
    """

    state: str
    by: str | None = None
    asked_at: int | None = None
    gone_at: int | None = None
    error: str | None = None
    versions: tuple[LinkedVersion, ...] = ()
    model: LinkedModel | None = None
    updates: tuple[Update, ...] = ()
    version_id: int | None = None
    model_id: int | None = None

    @property
    def version(self) -> LinkedVersion | None:
        """The version that is shown."""
        return self.versions[0] if self.versions else None
