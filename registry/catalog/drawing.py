"""What pictures of loras depend on, which base models are at hand, and which pictures were drawn."""

from __future__ import annotations

import os
from heapq import nlargest
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, select

from registry.catalog import tables
from registry.catalog.changes import get_setting, set_setting
from registry.catalog.corrections import ARCHITECTURE, BASE_MODEL, KIND
from registry.catalog.digests import stored_digests
from registry.catalog.keys import in_chunks
from registry.catalog.picture_rows import PICTURE_OF, RENDER, Looked, Tie, ties_of, write_looked
from registry.catalog.reading import file_place
from registry.catalog.roots import list_roots
from registry.catalog.showing import known_of
from registry.catalog.tag_lists import TagNames, tags_of
from registry.formats.packing import pack_json
from registry.formats.showing import limited
from registry.views import Drawable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.catalog.engine import Unit
    from registry.catalog.showing import Known
    from registry.views import PictureKept

_TABLES = tables.TABLES
FILE, LORA, HEADER, DIGEST, DRAWN = (_TABLES[name] for name in ("file", "lora", "header", "digest", "drawn"))
_SPEED = "render_seconds_a_step"
_LOWEST = 1
_TAGS, _EXAMPLES = 32, 8
"""So many say what a lora shows; of tens of thousands all would not fit into memory."""

_LORAS: Select[Any] = select(
    LORA.c.id,
    LORA.c.identity,
    LORA.c.name,
    LORA.c.primary_file_id,
    KIND.label("kind"),
    ARCHITECTURE.label("architecture"),
    BASE_MODEL.label("base_model"),
    HEADER.c.rank,
    HEADER.c.epoch,
    HEADER.c.tags,
    HEADER.c.num_train_images,
    HEADER.c.bucket_width,
    HEADER.c.bucket_height,
    HEADER.c.resolution_width,
    HEADER.c.resolution_height,
    HEADER.c.sd_model_hash,
    HEADER.c.new_sd_model_hash,
).select_from(LORA.outerjoin(HEADER, HEADER.c.id == LORA.c.header_id))


def drawables(conn: Connection, lora_ids: Sequence[int], machine_id: str) -> list[Drawable]:
    """Return what pictures of these loras depend on, in this order; those that are not there are left out."""
    found: dict[int, Drawable] = {}
    roots = {root.id for root in list_roots(conn, machine_id) if root.path is not None}
    names = TagNames()
    for part in in_chunks(list(dict.fromkeys(lora_ids))):
        rows = conn.execute(_LORAS.where(LORA.c.id.in_(part))).all()
        files = _files(conn, rows, roots)
        known = known_of(conn, [row.id for row in rows], names=names)
        tags = tags_of(conn, [row.tags or b"" for row in rows], names)
        digests = stored_digests(conn, [file.id for file in files.values()])
        for row, tagged in zip(rows, tags, strict=True):
            file = files.get(row.id)
            whole = digests.get(file.id, {}).get("sha256") if file is not None else None
            found[row.id] = _drawable(row, file, known[row.id], tagged, whole)
    return [found[lora_id] for lora_id in lora_ids if lora_id in found]


def _drawable(
    row: Row[Any], file: Row[Any] | None, known: Known, tags: Sequence[tuple[str, int]], whole: str | None
) -> Drawable:
    path = "" if file is None else os.fsdecode(file.path_raw)
    stem = path.rpartition("/")[2].rpartition(".")[0] or row.name
    images = max(row.num_train_images or 0, max((count for _, count in tags), default=0))
    shown = known.shown
    # A picture of the lora has its level, and so must what is drawn by the prompt of an example.
    most = shown.nsfw_level or _LOWEST
    mild = limited(shown, lambda level: level is None or level <= most)
    examples = (image.meta.get("prompt") for image in mild.images)
    data = row.identity.removeprefix("data:") if row.identity.startswith("data:") else None
    return Drawable(
        id=row.id,
        name=stem,
        kind=row.kind,
        architecture=row.architecture or "none",
        base_model=row.base_model,
        data_sha256=data,
        root_id=None if file is None else file.root_id,
        path=path,
        size=0 if file is None else file.size,
        sha256=whole,
        rank=row.rank or 0,
        triggers=tuple(", ".join(group) for group in shown.triggers),
        examples=tuple(islice((text for text in examples if isinstance(text, str)), _EXAMPLES)),
        tags=tuple((name, count / images) for name, count in nlargest(_TAGS, tags, key=itemgetter(1))),
        bucket=_pair(row.bucket_width, row.bucket_height),
        resolution=_pair(row.resolution_width, row.resolution_height),
        weight=shown.weight,
        epoch=row.epoch,
        base_hashes=tuple(
            each.lower() for each in (row.new_sd_model_hash, row.sd_model_hash) if each is not None
        ),
    )


def _pair(width: int | None, height: int | None) -> tuple[int, int] | None:
    return (width, height) if width and height else None


def _files(conn: Connection, rows: Sequence[Row[Any]], roots: set[int]) -> dict[int, Row[Any]]:
    """Return the file of each lora that this machine can read, the primary one if it is one of them."""
    primary = {row.id: row.primary_file_id for row in rows}
    query: Select[Any] = select(
        FILE.c.id,
        FILE.c.lora_id,
        FILE.c.root_id,
        FILE.c.path,
        FILE.c.path_raw,
        FILE.c.size,
        FILE.c.state,
        FILE.c.first_seen,
    ).where(FILE.c.state == "present", FILE.c.root_id.in_(roots), FILE.c.lora_id.in_(list(primary)))
    found: dict[int, Row[Any]] = {}
    for row in conn.execute(query):
        before = found.get(row.lora_id)
        place = file_place(primary[row.lora_id], row)
        if before is None or place < file_place(primary[row.lora_id], before):
            found[row.lora_id] = row
    return found


class BaseFile(NamedTuple):
    """A file of a base model that this machine can read, and its hash."""

    root_id: int
    path: str
    sha256: str


def base_files(conn: Connection, hashes: Iterable[str], machine_id: str) -> dict[str, BaseFile]:
    """Return the base models of the catalog that have these hashes: SHA-256, or the old one of 8 digits."""
    wanted = sorted({each for each in hashes if len(each) in {8, 64}})
    roots = [root.id for root in list_roots(conn, machine_id) if root.path is not None]
    found: dict[str, BaseFile] = {}
    whole = DIGEST.alias("whole")
    for part in in_chunks(wanted):
        query = (
            select(DIGEST.c.value, FILE.c.root_id, FILE.c.path_raw, whole.c.value.label("sha256"))
            .join(FILE, FILE.c.id == DIGEST.c.file_id)
            .join(LORA, LORA.c.id == FILE.c.lora_id)
            .join(whole, and_(whole.c.file_id == FILE.c.id, whole.c.kind == "sha256"))
            .where(
                DIGEST.c.kind.in_(("sha256", "autov1")),
                DIGEST.c.value.in_(part),
                KIND == "checkpoint",
                FILE.c.state == "present",
                FILE.c.root_id.in_(roots),
            )
            .order_by(FILE.c.id.desc())
        )
        for row in conn.execute(query):
            found[row.value] = BaseFile(row.root_id, os.fsdecode(row.path_raw), row.sha256)
    return found


class DrawnPicture(NamedTuple):
    """A picture that was drawn: its key in the store, and what is odd about it."""

    picture: str
    slug: str | None


def drawn(conn: Connection, keys: Iterable[str]) -> dict[str, DrawnPicture]:
    """Return the pictures of these specs that there are, by the keys of the specs."""
    found: dict[str, DrawnPicture] = {}
    for part in in_chunks(sorted(set(keys))):
        query = select(DRAWN.c.key, DRAWN.c.picture, DRAWN.c.slug).where(DRAWN.c.key.in_(part))
        found.update((row.key, DrawnPicture(row.picture, row.slug)) for row in conn.execute(query))
    return found


class NewDrawn(NamedTuple):
    """A picture that was drawn of a lora (0 = of the base model alone); `place` orders those of one lora."""

    key: str
    lora_id: int
    spec: Mapping[str, object]
    kept: PictureKept
    slug: str | None = None
    place: int = 0


def put_drawn(unit: Unit, made: Sequence[NewDrawn]) -> list[str]:
    """Store pictures under the keys of their specs, as pictures of their loras.

    Return the keys of pictures that are of nothing any more: their files can go.
    """
    for part in in_chunks([each.key for each in made]):
        unit.conn.execute(delete(DRAWN).where(DRAWN.c.key.in_(part)))
    rows = [
        {
            "key": each.key,
            "picture": each.kept.key,
            "spec": pack_json(each.spec),
            "slug": each.slug,
            "drawn_at": unit.now,
        }
        for each in made
    ]
    unit.insert(DRAWN, rows)
    ties = [Tie(RENDER, each.lora_id, each.key.encode(), each.place) for each in made]
    unused = write_looked(unit, [Looked(tie, each.kept) for tie, each in zip(ties, made, strict=True)])
    for lora_id in sorted({each.lora_id for each in made if each.lora_id}):
        # What is searched of it is other now: it has a picture.
        unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    return unused


class Owned(NamedTuple):
    """A picture that is there, by the key of its spec, and the lora that it is of."""

    key: str
    picture: str
    lora_id: int
    place: int


def tie_drawn(unit: Unit, owned: Sequence[Owned]) -> None:
    """Make pictures that are there those of their loras, where they are not yet."""
    for lora_id in sorted({each.lora_id for each in owned}):
        known = ties_of(unit.conn, RENDER, [lora_id]).get(lora_id, {})
        fresh = {each.key.encode(): each for each in owned if each.lora_id == lora_id}
        rows = [
            {
                "kind": RENDER,
                "of_id": lora_id,
                "name": name,
                "place": each.place,
                "key": each.picture,
                "at": unit.now,
                "tries": 0,
            }
            for name, each in fresh.items()
            if name not in known
        ]
        unit.insert(PICTURE_OF, rows)
        if rows:
            unit.changed("picture", lora_id, "changed")
            unit.changed("lora", lora_id, "changed", lora_id=lora_id)


def step_seconds(conn: Connection, renderer: str) -> float | None:
    """Return how long a renderer takes for one step of a picture of 512 x 512, `None` if nobody knows yet."""
    known = get_setting(conn, f"{_SPEED}:{renderer}")
    return None if known is None else float(known)


def put_step_seconds(unit: Unit, renderer: str, seconds: float) -> None:
    """Note how long a renderer takes for one step of a picture of 512 x 512."""
    set_setting(unit, f"{_SPEED}:{renderer}", f"{seconds:.6g}")
