"""The list of loras as the dialects of other tools show it: the whole of it, or what a picker asks for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Query

from registry.api.prepared import Draft, Key
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
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from registry.api.context import Context
    from registry.wire import Route

_SEGMENT = 100
_LONGEST_SEGMENT = 400
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
    """Some entries of the list, as pieces of its body, and the generation that they are of.

    `everything` says that the answer to what changed since a generation is the whole list: too much changed,
    or nobody knows any more.
    """

    pieces: list[Fragment | bytes]
    generation: int
    everything: bool


def pick(context: Context, route: Route, picked: Picked, *, covers: bool) -> Part:
    """Return entries of the list, each as it stands there, in its order or in that of the search."""
    loras = None if picked.q is None else context.searching.all_ids(picked.q, _MOST)
    with context.catalog.read() as conn:
        generation = stamp(conn).generation
        changed = None if picked.since is None else loras_changed_since(conn, picked.since, limit=_MOST)
        if loras is not None:
            place = {lora_id: number for number, lora_id in enumerate(loras)}
            wanted = [lora_id for lora_id in loras if changed is None or lora_id in changed]
            kept = listed_of_loras(conn, LISTED_EXTENSIONS, wanted)
            kept.sort(key=lambda file: place[file.lora_id])
        elif changed is not None:
            kept = listed_of_loras(conn, LISTED_EXTENSIONS, sorted(changed))
        else:
            kept = list(islice(_shown(conn), picked.limit))
        roots = mounted_roots(conn, context.machine_id)
        ids = [file.file_id for file in kept[: picked.limit]]
        pieces: list[Fragment | bytes] = [route.around[0]]
        for start in range(0, len(ids), _SEGMENT):
            if start:
                pieces.append(b",")
            pieces += route.encode(_items(conn, ids[start : start + _SEGMENT], roots, covers=covers))
        pieces.append(route.around[1])
    return Part(pieces, generation, everything=picked.since is not None and changed is None)


def write_list(context: Context, route: Route, covers: bool, draft: Draft) -> Key:  # noqa: FBT001 - bound by partial
    """Write the whole list as one gzip member and return what it is of."""
    with context.catalog.read() as conn:
        key = Key(f"{route.path} {covers}", *stamp(conn))
        changed = _changed_since(conn, draft)
        roots = mounted_roots(conn, context.machine_id)
        first, last = route.around
        draft.add([first])
        between: list[bytes] = []
        for segment in _segments(conn):
            draft.add(between)
            between = [b","]
            signature = b"".join(file.file_id.to_bytes(8, "big") for file in segment)
            untouched = changed is not None and changed.isdisjoint(file.lora_id for file in segment)
            if not (untouched and draft.take_over(signature)):
                ids = [file.file_id for file in segment]
                draft.add(route.encode(_items(conn, ids, roots, covers=covers)), signature)
        draft.add([last])
    return key


def _changed_since(conn: Connection, draft: Draft) -> set[int] | None:
    """Return which loras changed since the answer before was made; `None` if that is not known."""
    if draft.older is None:
        return None
    return loras_changed_since(conn, draft.older.key.generation, draft.older.key.at)


def _segments(conn: Connection) -> Iterator[list[ListedName]]:
    """Yield the files of the list in short runs.

    Where one ends depends on the files in it alone, so that a file more or less leaves the other runs as they
    were.
    """
    segment: list[ListedName] = []
    for file in _shown(conn):
        segment.append(file)
        if file.file_id % _SEGMENT == 0 or len(segment) >= _LONGEST_SEGMENT:
            yield segment
            segment = []
    if segment:
        yield segment


def _shown(conn: Connection) -> Iterator[ListedName]:
    """Yield all files of the list in its order."""
    names = listed_names(conn, LISTED_EXTENSIONS)
    for _, file in arrange(names, last_of_shared_names(conn, LISTED_EXTENSIONS)):
        yield file


def _items(
    conn: Connection, ids: Sequence[int], roots: Mapping[int, str], *, covers: bool
) -> Iterator[Item[Fragment | bytes]]:
    whole = dict(full_metadata(conn, ids)) if covers else {}
    for file in listed_files(conn, ids):
        name = name_of(file.path.rpartition("/")[2])
        metadata = metadata_json(whole[file.id], keep_covers=True) if file.id in whole else _stored(file)
        alias = name if file.alias is None else file.alias
        yield Item(name, alias, join_path(roots[file.root_id], file.path), metadata)


def _stored(file: ListedFile) -> Fragment | bytes:
    if file.deflate is None or file.crc is None or file.size is None:
        return NO_METADATA
    return Fragment(file.deflate, file.crc, file.size)
