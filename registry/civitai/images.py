"""The last stage of a run: example pictures of versions that the service itself answered with are fetched.

Only from hosts of the service, never from an address that a sidecar names. All levels are fetched: what is
shown is for the limit of each viewer. Whatever fails is tried again later and is no outcome of a file.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from registry.catalog.choices import askable_choices
from registry.catalog.lookups import hash_page
from registry.catalog.picture_rows import CIVITAI, Looked, Tie, ties_of, write_looked, write_said
from registry.catalog.remote import images_of, images_of_versions
from registry.civitai.asking import Asker, Refused, Said, Service, is_passing
from registry.civitai.policy import image_due
from registry.civitai.run import PATIENCE, SOURCE
from registry.civitai.several import Failed, one_by_one
from registry.errors import AnswerTooLarge, BadPicture, Cancelled, RefusedAddress, RegistryError
from registry.formats.nsfw import PG13, highest
from registry.net import Asked, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Row

    from registry.catalog.engine import Catalog
    from registry.civitai.asking import Waiting
    from registry.civitai.run import Desk, Wish
    from registry.net import Door, Reply
    from registry.pictures.studio import Studio
    from registry.told import RemoteImage

log = logging.getLogger(__name__)
NONE: Final = "none"
FIRST: Final = "first"
ALL: Final = "all"
MODES: Final = (NONE, FIRST, ALL)
HOSTS: Final = frozenset({"image.civitai.com", ".civitai.com"})
MOST_BYTES: Final = 24 << 20
"""Of one picture; four are fetched at a time."""
WIDTH: Final = 450
AVERAGE_REDUCED: Final = 60_000
"""Bytes of a picture that was asked for in the width of a thumbnail; an estimate, nothing measured."""
AVERAGE_ORIGINAL: Final = 2_000_000
"""Bytes of a picture as it was uploaded; an estimate, nothing measured."""
_ATTEMPTS: Final = 3
_FILES_AT_ONCE: Final = 100
_LONGEST_URL: Final = 1000
# As the service writes them: `.../<uuid>/width=450/<id>.jpeg`, `.../<uuid>/original=true/<id>.jpeg`.
_TRANSFORMED: Final = re.compile(r"/(?:width=[0-9]{1,5}|original=true)/(?=[^/]+\Z)", re.ASCII)


def image_purpose(url: str, civitai_url: str) -> Purpose:
    """Return the purpose of fetching pictures; a mirror at `url` that is not `civitai_url` sends them too."""
    own = set() if url == civitai_url else {urlsplit(url).hostname or ""}
    return Purpose("pictures of Civitai", "examples of what your files make", HOSTS | own)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pictures of a version are wanted: the first, or all up to `most`.

    Beside the first also the first whose level is at most `limit`, so that there is one for everybody. Videos
    only where somebody can look into them; `originals` are asked for as they were uploaded.
    """

    purpose: Purpose
    mode: str = FIRST
    most: int = 10
    limit: int = PG13
    videos: bool = False
    originals: bool = False


class Due(NamedTuple):
    """A picture to fetch, what it is of, and the address to ask for."""

    tie: Tie
    address: str


class Page(NamedTuple):
    """Pictures that are due, and known ones whose level or place is another one now."""

    due: list[Due]
    moved: list[Tie]


class Fetcher:
    """Fetches pictures at the pace of the service; may be used by several threads."""

    def __init__(
        self,
        door: Door,
        purpose: Purpose,
        *,
        waiting: Waiting | None = None,
        attempts: int = _ATTEMPTS,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        service = Service("Civitai", "", purpose, "", "")
        self._asker = Asker(door, service, waiting=waiting, attempts=attempts, cancelled=cancelled)

    def get(self, due: Due) -> bytes:
        """Return the bytes at an address; raises OutboundError, Refused where asking again is of no use."""
        found = self._asker.repeat(Asked("GET", due.address, most=MOST_BYTES), _judged, "a picture")
        return found if isinstance(found, bytes) else b""


def fetch_images(desk: Desk, wish: Wish, choice: Choice, fetcher: Fetcher, studio: Studio) -> None:
    """Fetch the pictures that are due and keep them; raises Cancelled.

    Ends with one error where pictures cannot be kept any more, or nobody answers.
    """
    desk.stage("pictures")
    failures = 0
    for page in image_pages(desk.catalog, wish, choice, studio.store.has):
        if page.moved:
            with desk.catalog.write() as unit:
                write_said(unit, page.moved)
        for due, found in one_by_one(fetcher.get, page.due):
            lasting = isinstance(found, Failed) and isinstance(found.error, _LASTING)
            failures = failures + 1 if isinstance(found, Failed) and not lasting else 0
            try:
                looked = _looked(studio, due.tie, found)
            except Cancelled:
                raise
            except RegistryError as error:
                desk.progress.failed(str(error))
                log.warning("pictures: %s; the others are left for a later run", error)
                return
            with desk.catalog.write() as unit:
                studio.store.remove(write_looked(unit, [looked]))
            desk.progress.pictures += looked.kept is not None
            if isinstance(found, Failed) and not lasting:
                desk.progress.failed(f"pictures: {found.error}")
            if failures >= PATIENCE:
                log.warning("pictures: %s; the others are left for a later run", looked.error)
                return
            desk.moved(1)


_LASTING: Final = (Refused, RefusedAddress, AnswerTooLarge)


def image_pages(
    catalog: Catalog, wish: Wish, choice: Choice, has: Callable[[str], bool] = lambda _key: True
) -> Iterator[Page]:
    """Yield what is to be fetched for the files that were wished for; `has` tells whether one is kept.

    Files whose hashes may not leave this machine have none.
    """
    seen: set[int] = set()
    for images in _images(catalog, wish):
        with catalog.read() as conn:
            known = ties_of(conn, CIVITAI, images)
        page, by = Page([], []), _Judging(choice, has, catalog.clock(), wish.everything)
        for version_id in sorted(images.keys() - seen):
            _sort(page, version_id, images[version_id], known.get(version_id, {}), by)
        seen |= images.keys()
        if page.due or page.moved:
            yield page


def _images(catalog: Catalog, wish: Wish) -> Iterator[Mapping[int, Sequence[RemoteImage]]]:
    """Yield the images of versions that have the files, then of those that users chose for them."""
    for some in _hashes(catalog, wish):
        with catalog.read() as conn:
            found = images_of(conn, some, SOURCE)
        yield found
    with catalog.read() as conn:
        chosen = images_of_versions(conn, askable_choices(conn, wish.hashes), SOURCE)
    yield chosen


def _hashes(catalog: Catalog, wish: Wish) -> Iterator[Sequence[str]]:
    if wish.hashes is not None:
        for start in range(0, len(wish.hashes), _FILES_AT_ONCE):
            yield wish.hashes[start : start + _FILES_AT_ONCE]
        return
    after = ""
    while True:
        with catalog.read() as conn:
            page = hash_page(conn, after, _FILES_AT_ONCE)
        if not page:
            return
        yield page
        after = page[-1]


class _Judging(NamedTuple):
    """What tells whether a picture is due."""

    choice: Choice
    has: Callable[[str], bool]
    now: int
    everything: bool


def _sort(
    page: Page, version_id: int, images: Sequence[RemoteImage], known: dict[bytes, Row[Any]], by: _Judging
) -> None:
    """Add to a page what is due or moved of one version."""
    for place, image in wanted_images(images, by.choice):
        tie = Tie(CIVITAI, version_id, image.url.encode(), place, image.nsfw_level)
        row = known.get(tie.name)
        if row is None or _is_due(row, by):
            page.due.append(Due(tie, image.url if by.choice.originals else reduced(image)))
        elif (row.place, row.nsfw_level) != (tie.place, tie.level):
            page.moved.append(tie)


def _is_due(row: Row[Any], by: _Judging) -> bool:
    if row.key is not None:
        return not by.has(row.key)
    return image_due(row.tries, row.at, by.now, everything=by.everything)


def wanted_images(images: Sequence[RemoteImage], choice: Choice) -> list[tuple[int, RemoteImage]]:
    """Return the images that are wanted, each with its place among all of its version."""
    fit = [(place, image) for place, image in enumerate(images) if _may_be_fetched(image, choice)]
    if choice.mode == ALL:
        return fit[: choice.most]
    allowed = (each for each in fit if (level := highest(each[1].nsfw_level)) and level <= choice.limit)
    found = [*fit[:1], *([first] if (first := next(allowed, None)) else [])]
    return list({place: (place, image) for place, image in found}.values())


def reduced(image: RemoteImage) -> str:
    """Return the address of an image in the width of a thumbnail; as it stands where that cannot be asked."""
    return image.url if image.video else _TRANSFORMED.sub(f"/width={WIDTH}/", image.url)


def _may_be_fetched(image: RemoteImage, choice: Choice) -> bool:
    """Whether an image lies with the service, at an address that is kept from others' eyes on the way."""
    if (image.video and not choice.videos) or len(image.url) > _LONGEST_URL or not image.url.isascii():
        return False
    try:
        parts = urlsplit(image.url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not choice.purpose.allows(host):
        return False
    # Who runs a mirror knows how it is reached.
    return parts.scheme == "https" or not Purpose("", "", HOSTS).allows(host)


def _looked(studio: Studio, tie: Tie, found: bytes | Failed) -> Looked:
    if isinstance(found, Failed):
        return Looked(tie, None, str(found.error))
    try:
        return Looked(tie, studio.keep(found))
    except BadPicture as error:
        return Looked(tie, None, str(error))


def _judged(reply: Reply) -> Said | str:
    if reply.status == 200:
        return Said(reply.body)
    if is_passing(reply.status):
        return f"it answered {reply.status}"
    raise Refused(reply.status, f"it answered {reply.status}")
