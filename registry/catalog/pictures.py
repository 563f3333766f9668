"""Which pictures a lora has, where they are from, and which of them stands for it.

In this order: what the user chose, what the user gave, what lies beside its files by the rank of its name,
what is inside headers, what Civitai shows, what was drawn here. Of loras that were merged all pictures are
there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.catalog.picture_rows import (
    BESIDE,
    CIVITAI,
    HEADER,
    PICTURE,
    PICTURE_OF,
    REDIRECT,
    RENDER,
    USER,
    owners_of,
)
from registry.catalog.reading import file_place
from registry.catalog.showing import known_of
from registry.formats import nsfw
from registry.formats.packing import unpack_json
from registry.wire.companions import PREVIEW, pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.showing import Known
    from registry.formats.nsfw import Words
    from registry.told import RemoteImage

_TABLES = tables.TABLES
FILE, LORA, COMPANION, ROOT, DRAWN = (
    _TABLES[name] for name in ("file", "lora", "companion", "root", "drawn")
)
_TOLD = ("weight", "seed", "base", "steps", "sampler", "cfg")
_MOST_DRAWN = 500
"""Pictures of which it is told how they were drawn: nobody looks at more of one lora at once."""
# So many loras are asked for their level where a picture of several has none of its own.
_MOST_OWNERS = 50


class Cover(NamedTuple):
    """The picture that stands for a lora: its key, its level, and where it is from.

    `source` is `user`, `file`, `header`, `civitai` or `render`.
    """

    key: str
    level: int | None
    source: str


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture of a lora; one that is not kept here has no `key`.

    `source` is as of a cover, `name` the file beside the model or the address, `level` one of Civitai's bits,
    of the lora where nobody tells that of the picture. `width` and `height` in pixels. `thumbnail` and
    `original` say what is kept of it, `meta` is generation data as Civitai sent it, `drawn` with what one
    was drawn here, of the first ones.
    """

    key: str | None
    source: str
    name: str | None
    level: int | None
    media_type: str | None
    width: int | None
    height: int | None
    video: bool
    thumbnail: bool
    original: bool
    meta: dict[str, object] = field(default_factory=dict)
    drawn: dict[str, object] = field(default_factory=dict)


class KeptOf(NamedTuple):
    """A picture that is kept, and the highest level of all that it is of."""

    media_type: str
    level: int | None


def cover_of(conn: Connection, known: Mapping[int, Known], limit: int | None = None) -> dict[int, Cover]:
    """Return the covers of loras, of which `known` tells what is shown; those without any are left out.

    It is the first of their pictures whose level is at most `limit`, and the first of all where none is.
    """
    covers: dict[int, Cover] = {}
    for lora_id, ties in _ties(conn, known).items():
        shown = [tie for tie in ties if tie.thumbnail]
        fit = (tie for tie in shown if limit is None or tie.level is None or tie.level <= limit)
        first = next(fit, shown[0] if shown else None)
        if first is not None:
            covers[lora_id] = Cover(first.key, first.level, first.source)
    return covers


def pictures_of(conn: Connection, lora_id: int, known: Known) -> list[PictureView]:
    """Return the pictures of a lora in their order, then what Civitai shows and is not kept here."""
    ties = _ties(conn, {lora_id: known}).get(lora_id, [])
    told = {image.url: image for image in _images(known)}
    specs = [tie.spec for tie in ties if tie.spec is not None]
    drawn = _drawn(conn, specs[:_MOST_DRAWN])
    views = [_view(tie, told.get(tie.address or ""), drawn.get(tie.spec or "")) for tie in ties]
    there = {tie.address for tie in ties}
    return views + [_absent(image, known) for image in told.values() if image.url not in there]


def picture_of_key(conn: Connection, key: str, words: Words | None = None) -> KeptOf | None:
    """Return what is known of a picture that is of something, `None` of all others.

    Without `words` no level of a lora is estimated.
    """
    query = (
        select(PICTURE.c.media_type, PICTURE_OF.c.kind, PICTURE_OF.c.of_id, PICTURE_OF.c.nsfw_level)
        .join(PICTURE, PICTURE.c.key == PICTURE_OF.c.key)
        .where(PICTURE_OF.c.key == key)
    )
    rows = conn.execute(query).all()
    if not rows:
        return None
    level = nsfw.highest_of(row.nsfw_level for row in rows)
    if level is None:
        owners = sorted(owners_of(conn, [(row.kind, row.of_id) for row in rows]))[:_MOST_OWNERS]
        shown = known_of(conn, owners, words=words).values()
        level = nsfw.highest_of(one.shown.nsfw_level for one in shown)
    return KeptOf(rows[0].media_type, level)


_TIES: Select[Any] = select(
    PICTURE_OF.c.kind,
    PICTURE_OF.c.of_id,
    PICTURE_OF.c.name,
    PICTURE_OF.c.place,
    PICTURE_OF.c.at,
    PICTURE_OF.c.key,
    PICTURE_OF.c.nsfw_level,
    PICTURE.c.media_type,
    PICTURE.c.width,
    PICTURE.c.height,
    PICTURE.c.thumbnail,
    PICTURE.c.original,
).join(PICTURE, PICTURE.c.key == PICTURE_OF.c.key)


class _Tied(NamedTuple):
    order: tuple[Any, ...]
    key: str
    source: str
    name: str | None
    level: int | None
    media_type: str
    width: int | None
    height: int | None
    thumbnail: bool
    original: bool
    address: str | None
    spec: str | None


def _ties(conn: Connection, known: Mapping[int, Known]) -> dict[int, list[_Tied]]:
    """Return the pictures of loras that are kept, in their order, each once."""
    files = _files(conn, known)
    previews = _previews(conn, [row.id for some in files.values() for row in some])
    versions = {lora_id: _version(one) for lora_id, one in known.items()}
    merged = _merged(conn, list(known))
    rows = {
        BESIDE: _rows(conn, BESIDE, [row.id for some in files.values() for row in some]),
        HEADER: _rows(conn, HEADER, [row.header_id for some in files.values() for row in some]),
        CIVITAI: _rows(conn, CIVITAI, versions.values()),
        USER: _rows(conn, USER, [old for some in merged.values() for old in some]),
        RENDER: _rows(conn, RENDER, [old for some in merged.values() for old in some]),
    }
    found: dict[int, list[_Tied]] = {}
    for lora_id, one in known.items():
        ties = [_tied((1, -row.at), row, None) for old in merged[lora_id] for row in rows[USER].get(old, ())]
        for place, file in enumerate(files.get(lora_id, ())):
            ranks = _ranks(file.path_raw, previews.get(file.id, ()))
            ties += [
                _tied((2, place, ranks.index(name)), row, name)
                for row in rows[BESIDE].get(file.id, ())
                if (name := os.fsdecode(row.name)) in ranks
            ]
            ties += [_tied((3, place, row.place), row, None) for row in rows[HEADER].get(file.header_id, ())]
        civitai = rows[CIVITAI].get(versions[lora_id] or 0, ())
        ties += [_tied((4, row.place), row, bytes(row.name).decode("utf-8", "replace")) for row in civitai]
        ties += [
            _tied((5, row.place, -row.at), row, None)
            for old in merged[lora_id]
            for row in rows[RENDER].get(old, ())
        ]
        found[lora_id] = _arranged(ties, one)
    return found


def _arranged(ties: Iterable[_Tied], known: Known) -> list[_Tied]:
    """Put pictures into their order, with the level of the lora where they have none of their own."""
    chosen = None if known.curation is None else known.curation.cover
    ordered = sorted(ties, key=lambda tie: (tie.key != chosen, tie.order, tie.key))
    # The same picture from two places has the level that either of them tells.
    levels: dict[str, int] = {}
    for tie in ordered:
        if tie.level is not None:
            levels[tie.key] = max(tie.level, levels.get(tie.key, 0))
    first = {tie.key: tie for tie in reversed(ordered)}
    addresses = {tie.key: tie.address for tie in ordered if tie.address is not None}
    specs = {tie.key: tie.spec for tie in ordered if tie.spec is not None}
    whole = known.shown.nsfw_level
    return [
        tie._replace(
            level=levels.get(tie.key, whole), address=addresses.get(tie.key), spec=specs.get(tie.key)
        )
        for tie in ordered
        if first[tie.key] is tie
    ]


def _tied(order: tuple[Any, ...], row: Row[Any], name: str | None) -> _Tied:
    return _Tied(
        order,
        row.key,
        row.kind,
        name,
        nsfw.highest(row.nsfw_level),
        row.media_type,
        row.width,
        row.height,
        row.thumbnail is not None,
        bool(row.original),
        name if row.kind == CIVITAI else None,
        bytes(row.name).decode("ascii", "replace") if row.kind == RENDER else None,
    )


def _ranks(path: bytes, beside: Sequence[str]) -> list[str]:
    """Return the names of previews of a model, best first."""
    model = os.fsdecode(path.rpartition(b"/")[2])
    return [owned.file_name for owned in pair(beside, [model]).get(model, ()) if owned.kind == PREVIEW]


def _rows(conn: Connection, kind: str, ids: Iterable[int | None]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for part in in_chunks(sorted({key for key in ids if key is not None})):
        for row in conn.execute(_TIES.where(PICTURE_OF.c.kind == kind, PICTURE_OF.c.of_id.in_(part))):
            found.setdefault(row.of_id, []).append(row)
    return found


def _files(conn: Connection, lora_ids: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Return the files of loras in roots of the catalog, the primary one of each first."""
    query: Select[Any] = (
        select(
            FILE.c.id,
            FILE.c.lora_id,
            FILE.c.header_id,
            FILE.c.path,
            FILE.c.path_raw,
            FILE.c.state,
            FILE.c.first_seen,
            LORA.c.primary_file_id,
        )
        .join(LORA, LORA.c.id == FILE.c.lora_id)
        .join(ROOT, and_(ROOT.c.id == FILE.c.root_id, ROOT.c.removed_at.is_(None)))
    )
    found: dict[int, list[Row[Any]]] = {}
    for part in in_chunks(list(lora_ids)):
        for row in conn.execute(query.where(FILE.c.lora_id.in_(part))):
            found.setdefault(row.lora_id, []).append(row)
    for some in found.values():
        some.sort(key=partial(file_place, some[0].primary_file_id))
    return found


def _previews(conn: Connection, file_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for part in in_chunks(file_ids):
        query = select(COMPANION.c.file_id, COMPANION.c.name_raw).where(COMPANION.c.kind == PREVIEW)
        for file_id, raw in conn.execute(query.where(COMPANION.c.file_id.in_(part))):
            found.setdefault(file_id, []).append(os.fsdecode(raw))
    return found


def _merged(conn: Connection, lora_ids: Sequence[int]) -> dict[int, list[int]]:
    """Return each lora with those that were merged into it."""
    found = {lora_id: [lora_id] for lora_id in lora_ids}
    for part in in_chunks(lora_ids):
        query = select(REDIRECT.c.new_id, REDIRECT.c.old_id).where(REDIRECT.c.new_id.in_(part))
        for new, old in conn.execute(query):
            found[new].append(old)
    return found


def _version(known: Known) -> int | None:
    version = None if known.link is None else known.link.version
    return None if version is None else version.told.id


def _images(known: Known) -> Sequence[RemoteImage]:
    version = None if known.link is None else known.link.version
    return () if version is None else version.told.images


def _drawn(conn: Connection, specs: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return how pictures were drawn, by the keys of their specs."""
    found = {}
    for part in in_chunks(specs):
        for key, packed in conn.execute(select(DRAWN.c.key, DRAWN.c.spec).where(DRAWN.c.key.in_(part))):
            spec: Any = unpack_json(packed)
            found[key] = {name: spec[name] for name in _TOLD if name in spec}
    return found


def _view(tie: _Tied, told: RemoteImage | None, drawn: dict[str, object] | None) -> PictureView:
    return PictureView(
        key=tie.key,
        source=tie.source,
        name=tie.name,
        level=tie.level,
        media_type=tie.media_type,
        # What was fetched may be a smaller one.
        width=(told and told.width) or tie.width,
        height=(told and told.height) or tie.height,
        video=tie.media_type.startswith("video/"),
        thumbnail=tie.thumbnail,
        original=tie.original,
        meta={} if told is None else dict(told.meta),
        drawn=drawn or {},
    )


def _absent(image: RemoteImage, known: Known) -> PictureView:
    level = nsfw.highest(image.nsfw_level)
    return PictureView(
        key=None,
        source=CIVITAI,
        name=image.url,
        level=known.shown.nsfw_level if level is None else level,
        media_type=None,
        width=image.width,
        height=image.height,
        video=image.video,
        thumbnail=False,
        original=False,
        meta=dict(image.meta),
    )
