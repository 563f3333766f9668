"""Reading loras: keyset pages, single ones, and the rows that lists of other tools are made of."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import and_, exists, func, select, tuple_

from registry.catalog import corrections, tables
from registry.catalog.digests import stored_digests
from registry.catalog.keys import in_chunks
from registry.errors import BadRequest
from registry.formats.packing import clean_text, unpack_json
from registry.views import FileView, LoraView, Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

_TABLES = tables.TABLES
LORA, HEADER, FILE, COMPANION, ROOT, MOUNT = (
    _TABLES[name] for name in ("lora", "header", "file", "companion", "root", "mount")
)

# Sort name -> column of `lora`; every sort is made total by the id.
SORTS = {
    "name": LORA.c.name_key,
    "size": LORA.c.size,
    "date": LORA.c.mtime_ns,
    "added": LORA.c.first_seen,
    "id": LORA.c.id,
}
# Filter name -> what it equals: a column of `header`, or what the user corrected it to.
HEADER_FILTERS = {
    "architecture": corrections.ARCHITECTURE,
    "base_model": corrections.BASE_MODEL,
    "adapter": corrections.ADAPTER,
    "trainer": HEADER.c.trainer,
}
STATES = ("present", "missing", "all")
TRAINING = (
    "base_model_version",
    "sd_model_name",
    "sd_model_hash",
    "new_sd_model_hash",
    "network_module",
    "network_dim",
    "network_alpha",
    "optimizer",
    "learning_rate",
    "unet_lr",
    "text_encoder_lr",
    "lr_scheduler",
    "epoch",
    "num_epochs",
    "steps",
    "max_train_steps",
    "seed",
    "session_id",
    "num_train_images",
    "num_reg_images",
    "repeats",
    "batch_size",
    "resolution_width",
    "resolution_height",
    "bucket_width",
    "bucket_height",
    "clip_skip",
    "noise_offset",
    "min_snr_gamma",
    "mixed_precision",
    "started_at",
    "finished_at",
    "comment",
)
IDENTIFIED = (
    "architecture",
    "base_model",
    "adapter",
    "rank",
    "alpha",
    "precision",
    "key_layout",
    "trainer",
    "title",
    "output_name",
)
"""What a header was found to be, by name."""


def list_loras(  # noqa: PLR0913 - what a list can be asked for, all named
    conn: Connection,
    *,
    machine_id: str,
    sort: str = "name",
    descending: bool = False,
    after: tuple[object, int] | None = None,
    skip: int = 0,
    limit: int = 50,
    state: str = "present",
    filters: Mapping[str, str] | None = None,
) -> Page:
    """Return one keyset page of loras; `filters` are equalities on kind, root and columns of headers.

    It begins `skip` loras behind `after`.

    Raises BadRequest for a sort, state or filter that does not exist, and for an `after` of another sort.
    """
    if sort not in SORTS:
        raise BadRequest(f"there is no sort {sort!r}", remedy=f"sorts are {', '.join(SORTS)}")
    column = SORTS[sort]
    where = _where(state, filters or {})
    keys = select(LORA.c.id, column.label("value")).where(*where)
    counted = select(func.count()).select_from(LORA).where(*where)
    if filters and filters.keys() & HEADER_FILTERS.keys():
        keys = keys.outerjoin(HEADER, HEADER.c.id == LORA.c.header_id)
        counted = counted.outerjoin(HEADER, HEADER.c.id == LORA.c.header_id)
    if after is not None:
        # Compared as a row, so that the database seeks to the place instead of walking there.
        row, place = tuple_(column, LORA.c.id), tuple_(*_place(sort, after))
        keys = keys.where(row < place if descending else row > place)
    order = (column.desc(), LORA.c.id.desc()) if descending else (column, LORA.c.id)
    found = conn.execute(keys.order_by(*order).offset(skip).limit(limit + 1)).all()
    shown = found[:limit]
    more = (shown[-1].value, shown[-1].id) if len(found) > limit else None
    items = lora_views(conn, [row.id for row in shown], machine_id)
    return Page(items, more, conn.execute(counted).scalar_one())


def place_of(conn: Connection, sort: str, lora_id: int) -> tuple[object, int]:
    """Return where a lora, which is there, stands in a list, as `after` of `list_loras` takes it."""
    return conn.execute(select(SORTS[sort]).where(LORA.c.id == lora_id)).scalar_one(), lora_id


def _place(sort: str, after: tuple[object, int]) -> tuple[object, int]:
    """Return where a page begins; anything a database could not compare is refused."""
    value, last = after
    if isinstance(value, str) == (sort == "name") and isinstance(value, str | int) and isinstance(last, int):
        texts = isinstance(value, str)
        if (texts or abs(int(value)) < 1 << 63) and abs(last) < 1 << 63:
            return clean_text(str(value)) if texts else value, last
    raise BadRequest("that is no place in this list", remedy="start again from its beginning")


def _root_id(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise BadRequest(f"{value[:80]!r} is not the id of a root", remedy="`loras roots list` shows them")
    return int(value)


def _where(state: str, filters: Mapping[str, str]) -> list[Any]:
    if state not in STATES:
        raise BadRequest(f"there is no state {state!r}", remedy=f"states are {', '.join(STATES)}")
    where: list[Any] = []
    if state == "present":
        where.append(LORA.c.files_present > 0)
    elif state == "missing":
        where.append(LORA.c.files_present == 0)
    for name, value in filters.items():
        if name == "kind":
            where.append(clean_text(value) == corrections.KIND)
        elif name in HEADER_FILTERS:
            where.append(HEADER_FILTERS[name] == clean_text(value))
        elif name == "root":
            where.append(exists().where(FILE.c.lora_id == LORA.c.id, FILE.c.root_id == _root_id(value)))
        else:
            raise BadRequest(
                f"there is no filter {name!r}", remedy=f"filters are kind, root, {', '.join(HEADER_FILTERS)}"
            )
    return where


def lora_views(conn: Connection, lora_ids: Sequence[int], machine_id: str) -> list[LoraView]:
    """Return the loras with these ids in this order; ids that do not exist are left out."""
    found: dict[int, LoraView] = {}
    for part in in_chunks(lora_ids):
        columns = [HEADER.c[name] for name in (*IDENTIFIED, *TRAINING)]
        query = (
            select(LORA, *columns)
            .outerjoin(HEADER, HEADER.c.id == LORA.c.header_id)
            .where(LORA.c.id.in_(part))
        )
        rows = conn.execute(query).all()
        files = file_views(conn, FILE.c.lora_id, part, machine_id)
        for row in rows:
            found[row.id] = _lora_view(row, files.get(row.id, []))
    return [found[lora_id] for lora_id in lora_ids if lora_id in found]


def _lora_view(row: Row[Any], files: list[FileView]) -> LoraView:
    files = sorted(files, key=partial(file_place, row.primary_file_id))
    known = {name: getattr(row, name) for name in IDENTIFIED}
    known["architecture"] = known["architecture"] or "unknown"
    known["adapter"] = known["adapter"] or "unknown"
    if row.header_id is None:
        known.update(architecture="none", adapter="none")
    corrected = corrections.corrections(row)
    shown = corrections.corrected({"kind": row.kind, **known}, corrected)
    state = "present" if row.files_present else (files[0].state if files else "gone")
    identity = str(row.identity)
    return LoraView(
        id=row.id,
        identity=identity,
        name=row.name,
        size=row.size,
        date=row.mtime_ns // 1_000_000,
        first_seen=row.first_seen,
        state=state,
        verified=any(file.verified for file in files),
        **shown,
        data_sha256=identity.removeprefix("data:") if identity.startswith("data:") else None,
        replaces=row.replaces_id,
        roots=list(dict.fromkeys(file.root for file in files)),
        folders=list(dict.fromkeys(file.folder for file in files)),
        training={name: value for name in TRAINING if (value := getattr(row, name)) is not None},
        files=files,
        corrected=list(corrected),
    )


def file_place(primary: int | None, file: Any) -> tuple[bool, bool, int, str]:
    """Return the place of a file (a row or a view) among those of its lora; the primary one is first."""
    return file.id != primary, file.state != "present", file.first_seen, file.path


def file_views(
    conn: Connection, column: Any, values: Sequence[int], machine_id: str
) -> dict[int, list[FileView]]:
    """Return files grouped by `column` (`file.lora_id` or `file.id`), with hashes, claims and companions."""
    query = (
        select(FILE, ROOT.c.label, MOUNT.c.path_raw.label("mount"))
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .outerjoin(MOUNT, and_(MOUNT.c.root_id == FILE.c.root_id, MOUNT.c.machine_id == machine_id))
        .where(column.in_(values))
    )
    rows = conn.execute(query).all()
    ids = [row.id for row in rows]
    hashes = stored_digests(conn, ids)
    companions: dict[int, list[dict[str, str]]] = {}
    for part in in_chunks(ids):
        beside = select(COMPANION).where(COMPANION.c.file_id.in_(part)).order_by(COMPANION.c.name)
        for row in conn.execute(beside):
            entry = {"name": row.name, "kind": row.kind, "family": row.family}
            companions.setdefault(row.file_id, []).append(entry)
    grouped: dict[int, list[FileView]] = {}
    for row in rows:
        view = _file_view(row, hashes.get(row.id, {}), companions.get(row.id, []))
        grouped.setdefault(getattr(row, column.name), []).append(view)
    return grouped


def _file_view(row: Row[Any], hashes: dict[str, str], companions: list[dict[str, str]]) -> FileView:
    return FileView(
        id=row.id,
        root_id=row.root_id,
        root=row.label,
        path=row.path,
        folder=row.folder,
        name=row.name,
        location=None if row.mount is None else display_location(row.mount, row.path),
        size=row.size,
        mtime_ns=row.mtime_ns,
        state=row.state,
        state_since=row.state_since,
        first_seen=row.first_seen,
        verified=bool(row.verified),
        hash_state=row.hash_state,
        cause=row.cause,
        hashes=_shown(hashes),
        claims=cast("list[dict[str, object]]", unpack_json(row.claims)) if row.claims else [],
        companions=companions,
    )


def display_location(mount: bytes, path: str) -> str:
    """Return where a file lies on this machine, fit for showing."""
    base = os.fsdecode(mount).encode("utf-8", "replace").decode()
    return base.rstrip(os.sep) + os.sep + path.replace("/", os.sep)


def _shown(hashes: Mapping[str, str]) -> dict[str, str]:
    """Add the names under which prefixes of stored hashes are known, AutoV2 and AutoV3.

    The legacy hash with the other padding only serves to judge claims and to be found by.
    """
    out = {kind: value for kind, value in hashes.items() if kind != "sshs_legacy_other"}
    if "sha256" in out:
        out["autov2"] = out["sha256"][:10]
    if "data_sha256" in out:
        out["autov3"] = out["data_sha256"][:12]
    return out
