"""The list of loras as the dialects of other tools show it: the whole of it, or what a picker asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Query

from registry.api.context import context_of
from registry.api.prepared import Draft, Key
from registry.api.profiles import UNNAMED, limits_of, placed_roots, profile_of
from registry.api.shelf import shelf_of
from registry.catalog.changes import loras_changed_since
from registry.catalog.counting import stamp
from registry.catalog.listing import (
    ListedFile,
    ListedName,
    full_metadata,
    last_of_shared_names,
    listed_files,
    listed_names,
    listed_of_loras,
    mounted_roots,
)
from registry.catalog.showing import known_of
from registry.toolpaths import DIALECTS, SLASH
from registry.wire.a1111 import (
    LISTED_EXTENSIONS,
    NO_METADATA,
    Item,
    arrange,
    join_path,
    metadata_json,
    name_of,
)
from registry.wire.gzip_segments import Fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from starlette.requests import Request

    from registry.api.context import Context
    from registry.wire import Route

DIALECT = "a1111"

_SEGMENT = 100
_LONGEST_SEGMENT = 400
# A header may have megabytes of covers, and those of a segment are held at once.
_COVERED = 2
_LONGEST_COVERED = 4
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Picked:
    """What of the list is asked for, beyond what the tool itself knows to ask."""

    q: Annotated[str | None, Query(max_length=4000, description="a query as `/api/v1/search` takes it")] = (
        None
    )
    limit: Annotated[int | None, Query(ge=1, le=10_000, description="so many entries at most")] = None
    since: Annotated[
        int | None, Query(ge=0, lt=2**63, description="only what changed after this generation")
    ] = None

    @property
    def asked(self) -> bool:
        """Whether anything less than the whole list is asked for."""
        return (self.q, self.limit, self.since) != (None, None, None)


class Part(NamedTuple):
    """Some entries of the list, as the segments of its body, and the generation that they are of.

    A segment is read when it is asked for, while the connection is open. `everything` says that the answer to
    what changed since a generation is the whole list: too much changed, or nobody knows any more.
    """

    segments: Iterator[Iterable[Fragment | bytes]]
    generation: int
    everything: bool


class Sight(NamedTuple):
    """What of the list a request sees, and how.

    `order` has the files that it is told of with their places, or is `None` for all of them as they are.
    `path` gives the whole path of what lies in a root. With `covers` those are sent of the loras whose level
    `shows` lets pass.
    """

    context: Context
    order: Mapping[int, int] | None
    path: Callable[[int, str], str]
    covers: bool
    shows: Callable[[int | None], bool]


def sight_of(request: Request, conn: Connection, *, covers: bool) -> Sight:
    """Return what a request sees; raises as `profile_of` does."""
    context, profile = context_of(request), profile_of(request, DIALECT, conn=conn)
    limits = limits_of(request, conn=conn)
    if profile.name == UNNAMED and limits.entries is None:
        mounted = mounted_roots(conn, context.machine_id)

        def path_here(root_id: int, path: str) -> str:
            return join_path(mounted[root_id], path)

        return Sight(context, None, path_here, covers, limits.shows)
    shelf = shelf_of(request, conn, DIALECT)
    profile, files = shelf.profile, shelf.files
    if profile.separator != SLASH:
        key = DIALECTS[DIALECT]
        files = sorted(files, key=lambda one: (one.root, *key(one.path, profile.separator)))
    placed = placed_roots(conn, context.machine_id)
    places = {placed[label].id: place for place, label in enumerate(profile.roots) if label in placed}

    def path_there(root_id: int, path: str) -> str:
        return profile.whole(places[root_id], path)

    order = {one.file_id: number for number, one in enumerate(files)}
    return Sight(context, order, path_there, covers, limits.shows)


def search_of(request: Request, picked: Picked) -> list[int] | None:
    """Return the loras that the search finds, if one is asked for; it reads the catalog by itself."""
    return None if picked.q is None else context_of(request).searching.all_ids(picked.q, _MOST)


def pick(conn: Connection, sight: Sight, route: Route, picked: Picked, loras: Sequence[int] | None) -> Part:
    """Return entries of the list, each as it stands there, in its order or in that of `loras` found."""
    generation = stamp(conn).generation
    changed = None if picked.since is None else loras_changed_since(conn, picked.since, limit=_MOST)
    if loras is not None:
        place = {lora_id: number for number, lora_id in enumerate(loras)}
        wanted = [lora_id for lora_id in loras if changed is None or lora_id in changed]
        kept = _of_loras(conn, sight, wanted)
        kept.sort(key=lambda file: place[file.lora_id])
    elif changed is not None:
        kept = _of_loras(conn, sight, sorted(changed))
    else:
        kept = list(islice(_shown(conn, sight), picked.limit))
    kept = kept[: picked.limit]
    everything = picked.since is not None and changed is None
    return Part(_bodies(conn, sight, route, kept), generation, everything)


def _bodies(
    conn: Connection, sight: Sight, route: Route, files: Sequence[ListedName]
) -> Iterator[Iterable[Fragment | bytes]]:
    """Yield the body of a list of these files in segments."""
    length = _LONGEST_COVERED if sight.covers else _SEGMENT
    yield [route.around[0]]
    for start in range(0, len(files), length):
        if start:
            yield [b","]
        yield route.encode(_items(conn, sight, files[start : start + length]))
    yield [route.around[1]]


def write_list(  # noqa: PLR0913 - all that a list is of
    conn: Connection, sight: Sight, route: Route, name: str, draft: Draft, *, index: int
) -> Key:
    """Write the whole list as one gzip member and return what it is of, under a name."""
    key = Key(name, *stamp(conn), index)
    changed = _changed_since(conn, draft)
    first, last = route.around
    draft.add([first])
    between: list[bytes] = []
    for segment in _segments(conn, sight):
        draft.add(between)
        between = [b","]
        signature = b"".join(file.file_id.to_bytes(8, "big") for file in segment)
        untouched = changed is not None and changed.isdisjoint(file.lora_id for file in segment)
        if not (untouched and draft.take_over(signature)):
            draft.add(route.encode(_items(conn, sight, segment)), signature)
    draft.add([last])
    return key


def _changed_since(conn: Connection, draft: Draft) -> set[int] | None:
    """Return which loras changed since the answer before was made; `None` if that is not known."""
    if draft.older is None:
        return None
    return loras_changed_since(conn, draft.older.key.generation, draft.older.key.at)


def _segments(conn: Connection, sight: Sight) -> Iterator[list[ListedName]]:
    """Yield the files of the list in short runs.

    Where one ends depends on the files in it alone, so that a file more or less leaves the other runs as they
    were.
    """
    usual, longest = (_COVERED, _LONGEST_COVERED) if sight.covers else (_SEGMENT, _LONGEST_SEGMENT)
    segment: list[ListedName] = []
    for file in _shown(conn, sight):
        segment.append(file)
        if file.file_id % usual == 0 or len(segment) >= longest:
            yield segment
            segment = []
    if segment:
        yield segment


def _shown(conn: Connection, sight: Sight) -> Iterator[ListedName]:
    """Yield all files of the list in its order."""
    names: Iterable[tuple[str, ListedName]] = listed_names(conn, LISTED_EXTENSIONS)
    if sight.order is None:
        winners = last_of_shared_names(conn, LISTED_EXTENSIONS)
    else:
        order = sight.order
        names = [pair for pair in names if pair[1].file_id in order]
        names.sort(key=lambda pair: order[pair[1].file_id])
        winners = dict(names)
    for _, file in arrange(names, winners):
        yield file


def _of_loras(conn: Connection, sight: Sight, lora_ids: Sequence[int]) -> list[ListedName]:
    """Return the files of these loras that the list shows, in its order."""
    if sight.order is None:
        return listed_of_loras(conn, LISTED_EXTENSIONS, lora_ids)
    wanted = set(lora_ids)
    return [file for file in _shown(conn, sight) if file.lora_id in wanted]


def _items(conn: Connection, sight: Sight, files: Sequence[ListedName]) -> Iterator[Item[Fragment | bytes]]:
    whole = _with_covers(conn, sight, files) if sight.covers else {}
    for file in listed_files(conn, [one.file_id for one in files]):
        name = name_of(file.path.rpartition("/")[2])
        metadata = metadata_json(whole[file.id], keep_covers=True) if file.id in whole else _stored(file)
        alias = name if file.alias is None else file.alias
        yield Item(name, alias, sight.path(file.root_id, file.path), metadata)


def _with_covers(conn: Connection, sight: Sight, files: Sequence[ListedName]) -> dict[int, dict[str, str]]:
    """Return all metadata of those files whose covers may be sent."""
    words = sight.context.searching.place.words
    known = known_of(conn, [file.lora_id for file in files], words=words)
    shown = {lora_id for lora_id, one in known.items() if sight.shows(one.shown.nsfw_level)}
    return dict(full_metadata(conn, [file.file_id for file in files if file.lora_id in shown]))


def _stored(file: ListedFile) -> Fragment | bytes:
    if file.deflate is None or file.crc is None or file.size is None:
        return NO_METADATA
    return Fragment(file.deflate, file.crc, file.size)
