"""The sync of an open registry put together; apart from `registry.app`, because few commands need it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from registry.catalog import changes
from registry.catalog.lookups import hashes_of_loras
from registry.civitai import archive, client, images
from registry.civitai.archive import Archive
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.one import ask_for_version
from registry.civitai.planning import Plan, plan
from registry.civitai.run import Desk, Progress, Wish, summary
from registry.civitai.sync import carry_out
from registry.config import ARCHIVE_URL, CIVITAI_URL
from registry.errors import Offline
from registry.formats.nsfw import BLOCKED
from registry.net import Door
from registry.toolpaths import NSFW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.app import Registry
    from registry.config import Settings
    from registry.net import Purpose
    from registry.pictures.studio import Studio
    from registry.work.jobs import JobContext

SYNC: Final = "sync"
KEY: Final = "civitai"
_SYNCED_AT: Final = "synced_at"
_HOUR: Final = 3_600_000
_RETRY: Final = 600_000


@dataclass(frozen=True, slots=True)
class Asking:
    """What a sync was asked for: a query of the search, and whether what is not due is meant too.

    With the number of a `version` that one and its model alone.
    """

    query: str = ""
    everything: bool = False
    version: int | None = None


# What the schedule waits for: a sync of some files is none of all.
_WHOLE: Final = (Asking(), Asking(everything=True))


@dataclass(slots=True)
class Syncing:
    """The sync of one registry; `find` gives the ids of the loras that a query finds."""

    registry: Registry
    find: Callable[[str], Sequence[int]]
    waiting: Waiting = field(default_factory=Waiting)
    progress: Progress | None = None
    tried_at: int = 0

    def __post_init__(self) -> None:
        self.registry.jobs.register(SYNC, self._body, lambda _key: "the sync with Civitai")

    def run(self, asking: Asking, *, actor: str | None = None) -> dict[str, object]:
        """Sync now, in this thread, and return the summary; Conflict names who is at it already."""
        self._require_network()
        result = self.registry.jobs.run(SYNC, KEY, _spec(asking), actor=actor)
        return result if isinstance(result, dict) else {}

    def start(self, asking: Asking, *, actor: str | None = None) -> int:
        """Sync in the background and return the id of the job; Conflict names who is at it already."""
        self._require_network()
        return self.registry.jobs.start(SYNC, KEY, _spec(asking), actor=actor)

    def plan(self, asking: Asking) -> Plan:
        """Return what a sync would ask for, and ask for nothing."""
        settings = self.registry.settings
        choice = None if settings.civitai_images == images.NONE else choice_of(settings, self.registry.studio)
        second = bool(settings.archive_url)
        return plan(self.registry.catalog, self._wish(asking), archive=second, images=choice)

    def start_if_due(self) -> bool:
        """Start a sync if the last one is longer ago than the settings want; return whether it was."""
        hours = self.registry.settings.sync_hours
        if not hours or self.registry.settings.offline:
            return False
        with self.registry.catalog.read() as conn:
            last = int(changes.get_setting(conn, _SYNCED_AT) or 0)
        now = self.registry.catalog.clock()
        # One that failed is not tried again at once.
        if now - last < hours * _HOUR or now - self.tried_at < _RETRY:
            return False
        self.tried_at = now
        self.start(Asking())
        return True

    def told(self) -> dict[str, object]:
        """Tell how far a sync of this process is, as the status has it."""
        progress = self.progress
        if progress is None:
            return {"state": "idle"}
        return {
            "state": "running",
            "stage": progress.stage,
            "done": progress.done,
            "total": progress.total,
            "outcomes": dict(progress.outcomes),
        }

    def _require_network(self) -> None:
        if self.registry.settings.offline:
            raise Offline(
                "the sync with Civitai needs the network, which is switched off",
                remedy="leave out --offline, or unset LORAS_OFFLINE",
            )

    def _wish(self, asking: Asking) -> Wish:
        misses = self.registry.settings.sync_misses
        if not asking.query:
            return Wish(None, asking.everything, misses)
        loras = self.find(asking.query)
        with self.registry.catalog.read() as conn:
            return Wish(hashes_of_loras(conn, loras), asking.everything, misses)

    def _body(self, job: JobContext) -> object:
        asking = _asking(job.spec)
        began = time.monotonic()
        with open_sources(self.registry.settings, job.cancelled, self.waiting) as sources:
            desk = Desk(
                self.registry.catalog,
                sources.civitai,
                archive=sources.archive,
                cancelled=job.cancelled,
                report=lambda progress: job.report(progress.done, progress.total),
            )
            self.progress = desk.progress
            try:
                wish = self._carry_out(desk, asking)
                if sources.pictures is not None:
                    studio = self.registry.studio
                    choice = choice_of(self.registry.settings, studio)
                    images.fetch_images(desk, wish, choice, sources.pictures, studio)
            finally:
                self.progress = None
        if asking in _WHOLE:
            with self.registry.catalog.write() as unit:
                changes.set_setting(unit, _SYNCED_AT, str(unit.now))
        return summary(desk.progress, sources.requests, time.monotonic() - began)

    def _carry_out(self, desk: Desk, asking: Asking) -> Wish:
        """Ask for what was asked for, and return for which files."""
        if asking.version is not None:
            return Wish(ask_for_version(desk, asking.version))
        wish = self._wish(asking)
        carry_out(desk, wish)
        return wish


class Sources(NamedTuple):
    """Who is asked where files come from: Civitai, and an archive if the settings name one.

    `pictures` fetches those of Civitai, if the settings want any.
    """

    civitai: Client
    archive: Archive | None
    pictures: images.Fetcher | None

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.civitai.requests + (0 if self.archive is None else self.archive.requests)


@contextmanager
def open_sources(
    settings: Settings, cancelled: Callable[[], bool], waiting: Waiting | None = None
) -> Iterator[Sources]:
    """Open the door to those whom the settings name, for as long as the block runs."""
    door = open_door(settings)
    token = settings.civitai_token
    try:
        civitai = Client(
            door,
            settings.civitai_url,
            token=None if token is None else token.get_secret_value(),
            waiting=waiting,
            cancelled=cancelled,
        )
        second = settings.archive_url
        wanted = settings.civitai_images != images.NONE
        yield Sources(
            civitai,
            Archive(door, second, waiting=waiting, cancelled=cancelled) if second else None,
            images.Fetcher(door, image_purpose(settings), waiting=waiting, cancelled=cancelled)
            if wanted
            else None,
        )
    finally:
        door.close()


def open_door(settings: Settings) -> Door:
    """Return the door out; hosts that the user named may have private addresses."""
    named = {settings.civitai_url, settings.archive_url} - {CIVITAI_URL, ARCHIVE_URL, ""}
    own = {urlsplit(url).hostname or "" for url in named}
    return Door(offline=settings.offline, proxy=settings.proxy, own_hosts=own)


def purposes(settings: Settings) -> list[Purpose]:
    """Return every purpose for which another machine may be contacted."""
    second = settings.archive_url
    return [
        client.purpose(settings.civitai_url),
        *([image_purpose(settings)] if settings.civitai_images != images.NONE else []),
        *([archive.purpose(second)] if second else []),
    ]


def image_purpose(settings: Settings) -> Purpose:
    """Return the purpose of fetching pictures."""
    return images.image_purpose(settings.civitai_url, CIVITAI_URL)


def choice_of(settings: Settings, studio: Studio) -> images.Choice:
    """Return which pictures the settings want."""
    return images.Choice(
        image_purpose(settings),
        settings.civitai_images,
        settings.civitai_images_most,
        NSFW_LEVELS.get(settings.nsfw_pictures, BLOCKED),
        videos=studio.ffmpeg is not None,
        originals=settings.pictures_originals,
    )


def _spec(asking: Asking) -> dict[str, object]:
    return {"query": asking.query, "everything": asking.everything, "version": asking.version}


def _asking(spec: object) -> Asking:
    said = spec if isinstance(spec, dict) else {}
    version = said.get("version")
    return Asking(
        str(said.get("query") or ""),
        bool(said.get("everything")),
        version if isinstance(version, int) else None,
    )
