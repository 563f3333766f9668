"""Pictures beside files and inside headers: looked at once, and kept as thumbnails.

Goes on where it stopped: what was looked at is known by its size and time, headers by the last one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.catalog.picture_due import (
    PreviewSeen,
    count_previews,
    forget_gone_previews,
    headers_after,
    headers_looked_up_to,
    note_headers,
    previews_after,
    settle_problems,
)
from registry.catalog.picture_rows import BESIDE, HEADER, Looked, Tie, write_looked
from registry.errors import BadPicture, Cancelled, UnreadableFile
from registry.formats.covers import embedded
from registry.hashing.opening import bounded_time
from registry.ingest.paths import absolute, long_path
from registry.ingest.platforms import is_placeholder
from registry.pictures.reading import read_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.catalog.engine import Catalog
    from registry.pictures.studio import Studio
    from registry.views import RootView

_PAGE: Final = 500
_AT_ONCE: Final = 20
"""Pictures that are looked at before what came of them is stored."""
_HEADERS: Final = 50


@dataclass(slots=True)
class PictureCounts:
    """How many pictures were met, of these new or changed ones kept, and bad ones; `total` are expected."""

    met: int = 0
    kept: int = 0
    bad: int = 0
    total: int | None = None


class Gallery(NamedTuple):
    """What looking at pictures works with; `report` gets the counts so far, `cancelled` is asked often."""

    catalog: Catalog
    studio: Studio
    machine_id: str
    report: Callable[[PictureCounts], None] = lambda _counts: None
    cancelled: Callable[[], bool] = lambda: False


class _Place(NamedTuple):
    """A root: where it lies, and the folders into which links may lead."""

    path: str
    within: tuple[str, ...] | None


def look_at_pictures(
    gallery: Gallery, roots: Sequence[RootView], others: Sequence[RootView], *, new: bool = False
) -> PictureCounts:
    """Look at the pictures of `roots` that nobody looked at as they are now; only at `new` ones if asked.

    `others` are all roots, into which links may lead. Raises Cancelled, PicturesFull, and RegistryError where
    pictures cannot be kept at all; what was stored until then stays.
    """
    folders = tuple({os.path.realpath(long_path(root.path)) for root in others if root.path is not None})
    places = {
        root.id: _Place(root.path, None if root.follow_out else folders)
        for root in roots
        if root.path is not None
    }
    counts = PictureCounts()
    if not new:
        with gallery.catalog.read() as conn:
            counts.total = count_previews(conn, list(places))
    with gallery.catalog.write() as unit:
        gallery.studio.store.remove(forget_gone_previews(unit))
    for some in _parts(gallery, places, counts, new=new):
        looked = [_looked_beside(gallery, places[one.root_id], one) for one in some]
        _keep(gallery, looked, counts)
    _look_into_headers(gallery, counts)
    gallery.report(counts)
    return counts


def _parts(
    gallery: Gallery, places: dict[int, _Place], counts: PictureCounts, *, new: bool
) -> Iterator[list[PreviewSeen]]:
    """Yield a few previews at a time that are not as they were when they were looked at."""
    due: list[PreviewSeen] = []
    after = (0, b"")
    while True:
        with gallery.catalog.read() as conn:
            page = previews_after(conn, list(places), after, _PAGE, new=new)
        if not page:
            break
        for seen in page:
            counts.met += 1
            if (changed := _due(gallery, places[seen.root_id], seen)) is not None:
                due.append(changed)
            if len(due) == _AT_ONCE:
                yield due
                due = []
        after = page[-1].file_id, page[-1].name_raw
        _ask(gallery, counts)
    if due:
        yield due


def _path(place: _Place, seen: PreviewSeen) -> str:
    folder = seen.rel.rpartition(b"/")[0]
    return long_path(absolute(place.path, folder + b"/" + seen.name_raw if folder else seen.name_raw))


def _due(gallery: Gallery, place: _Place, seen: PreviewSeen) -> PreviewSeen | None:
    """Return a preview as it is now, `None` if it is as it was, gone, or in a cloud."""
    try:
        found = os.stat(_path(place, seen))  # noqa: PTH116 - the path may hold bytes that are no text
    except OSError:
        # The next scan notices.
        return None
    if is_placeholder(found):
        return None
    size, mtime_ns = found.st_size, bounded_time(found.st_mtime_ns)
    if (seen.size, seen.mtime_ns) == (size, mtime_ns) and not _missing(gallery.studio, seen):
        return None
    return seen._replace(size=size, mtime_ns=mtime_ns)


def _missing(studio: Studio, seen: PreviewSeen) -> bool:
    """Whether a thumbnail should be there and is not, or can be made now."""
    if seen.key is None:
        return False
    return studio.ffmpeg is not None if seen.thumbnail is None else not studio.store.has(seen.key)


def _looked_beside(gallery: Gallery, place: _Place, seen: PreviewSeen) -> Looked:
    tie = seen.tie._replace(size=seen.size, mtime_ns=seen.mtime_ns)
    try:
        return Looked(
            tie, gallery.studio.keep(read_picture(_path(place, seen), gallery.studio.most, place.within))
        )
    except BadPicture as error:
        return Looked(tie, None, str(error))
    except UnreadableFile as error:
        # Without a stamp it is tried again.
        return Looked(tie._replace(size=None, mtime_ns=None), None, str(error))


def _look_into_headers(gallery: Gallery, counts: PictureCounts) -> None:
    with gallery.catalog.read() as conn:
        after = headers_looked_up_to(conn, gallery.machine_id)
    while True:
        with gallery.catalog.read() as conn:
            page = headers_after(conn, after, _HEADERS)
        if not page:
            return
        for header_id, metadata in page:
            looked = [
                _looked_inside(gallery, Tie(HEADER, header_id, str(place).encode(), place), cover)
                for place, cover in enumerate(embedded(metadata))
            ]
            _keep(gallery, looked, counts)
        after = page[-1][0]
        with gallery.catalog.write() as unit:
            note_headers(unit, gallery.machine_id, after)


def _looked_inside(gallery: Gallery, tie: Tie, data: bytes) -> Looked:
    try:
        return Looked(tie, gallery.studio.keep(data))
    except BadPicture as error:
        return Looked(tie, None, str(error))


def _keep(gallery: Gallery, looked: Sequence[Looked], counts: PictureCounts) -> None:
    if looked:
        with gallery.catalog.write() as unit:
            unused = write_looked(unit, looked)
            beside, inside = (_owners(looked, kind) for kind in (BESIDE, HEADER))
            settle_problems(unit, beside, inside)
            gallery.studio.store.remove(unused)
    counts.kept += sum(one.kept is not None for one in looked)
    counts.bad += sum(one.kept is None for one in looked)
    _ask(gallery, counts)


def _owners(looked: Sequence[Looked], kind: str) -> list[int]:
    return [one.tie.of_id for one in looked if one.tie.kind == kind]


def _ask(gallery: Gallery, counts: PictureCounts) -> None:
    gallery.report(counts)
    if gallery.cancelled():
        raise Cancelled("looking at pictures was stopped", remedy="it goes on the next time")
