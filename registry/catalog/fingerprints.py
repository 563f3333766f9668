"""Fingerprints: which loras have none yet, keeping them, and their sketches in the order they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import delete, func, or_, select

from registry.catalog import tables
from registry.catalog.keys import in_chunks
from registry.formats.packing import pack_json, unpack_json
from registry.measured import Measured, MeasuredBlock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from registry.catalog.engine import Unit

_TABLES = tables.TABLES
FINGERPRINT, LORA, FILE, ROOT, HEADER = (
    _TABLES[name] for name in ("fingerprint", "lora", "file", "root", "header")
)
_SCALARS: Final = (
    "basis",
    "layers",
    "unet_norm",
    "te_norm",
    "spectral",
    "effective_rank",
    "version",
    "problem",
)


class DueFile(NamedTuple):
    """A file whose weights stand for a lora that has no fingerprint yet; size in bytes."""

    lora_id: int
    root_id: int
    rel: bytes
    size: int
    mtime_ns: int


class Extent(NamedTuple):
    """How many rows a table has, and the highest id."""

    rows: int
    highest: int


class SketchRow(NamedTuple):
    """The sketches of one fingerprint: 16-bit floats of length one, `None` where a part is not changed."""

    id: int
    lora_id: int
    version: int
    unet: bytes | None
    te: bytes | None


class Trait(NamedTuple):
    """What classifying a pair takes of one of the two."""

    name: str
    unet_norm: float
    te_norm: float
    rank: int | None
    precision: str | None


def due(  # noqa: PLR0913 - each narrows what is due, and all are named
    conn: Connection,
    machine_id: str,
    version: int,
    *,
    after: int = 0,
    limit: int = 100,
    among: Collection[int] | None = None,
    anew: bool = False,
) -> list[DueFile]:
    """Return some files of this machine for loras above an id, in ascending order of those, one for each.

    About `limit` of them, and none only if there are no more. Only hashed adapters count, of `among` if it is
    given; with `anew` also those that have a fingerprint.
    """
    found: dict[int, DueFile] = {}
    parts = [None] if among is None else list(in_chunks(sorted(each for each in among if each > after)))
    for part in parts:
        query = _due(machine_id, version, anew=anew).where(LORA.c.id > after).order_by(LORA.c.id, FILE.c.id)
        if part is not None:
            query = query.where(LORA.c.id.in_(part))
        rows = conn.execute(query.limit(2 * limit)).all()
        for row in rows:
            # Several files of one lora come one after the other.
            found.setdefault(row.lora_id, DueFile(*row))
        if len(rows) == 2 * limit or len(found) >= limit:
            break
    return list(found.values())


def count_due(
    conn: Connection,
    machine_id: str,
    version: int,
    among: Collection[int] | None = None,
    *,
    anew: bool = False,
) -> int:
    """Return how many loras of this machine have no fingerprint yet."""
    columns = _due(machine_id, version, anew=anew).with_only_columns(func.count(LORA.c.id.distinct()))
    if among is None:
        return conn.execute(columns).scalar_one()
    return sum(
        conn.execute(columns.where(LORA.c.id.in_(part))).scalar_one() for part in in_chunks(sorted(among))
    )


def _due(machine_id: str, version: int, *, anew: bool) -> Select[Any]:
    query = (
        select(FILE.c.lora_id, FILE.c.root_id, FILE.c.path_raw, FILE.c.size, FILE.c.mtime_ns)
        .select_from(LORA)
        .join(FILE, FILE.c.lora_id == LORA.c.id)
        .join(ROOT, ROOT.c.id == FILE.c.root_id)
        .outerjoin(FINGERPRINT, FINGERPRINT.c.lora_id == LORA.c.id)
        .where(
            LORA.c.kind == "lora",
            LORA.c.identity.startswith("data:"),
            FILE.c.state == "present",
            FILE.c.hash_state == "done",
            ROOT.c.machine_id == machine_id,
            ROOT.c.removed_at.is_(None),
        )
    )
    return query if anew else query.where(_missing(version))


def _missing(version: int) -> ColumnElement[bool]:
    return or_(FINGERPRINT.c.lora_id.is_(None), FINGERPRINT.c.version != version)


def keep_fingerprint(
    unit: Unit, lora_id: int, measured: Measured, unet: bytes | None = None, te: bytes | None = None
) -> bool:
    """Keep the fingerprint of a lora in place of an earlier one; return False if there is no such lora."""
    if unit.conn.execute(select(LORA.c.id).where(LORA.c.id == lora_id)).first() is None:
        return False
    drop_fingerprint(unit, lora_id)
    values = {name: getattr(measured, name) for name in _SCALARS}
    blocks = pack_json([list(block) for block in measured.blocks])
    row = {
        **values,
        "lora_id": lora_id,
        "health": ",".join(measured.health),
        "blocks": blocks,
        "unet": unet,
        "te": te,
        "measured_at": unit.now,
    }
    unit.insert(FINGERPRINT, [row])
    unit.changed("lora", lora_id, "changed", lora_id=lora_id)
    return True


def drop_fingerprint(unit: Unit, lora_id: int) -> None:
    """Forget the fingerprint of a lora, if it has one."""
    unit.conn.execute(delete(FINGERPRINT).where(FINGERPRINT.c.lora_id == lora_id))


def fingerprint_of(conn: Connection, lora_id: int) -> Measured | None:
    """Return the fingerprint of a lora, `None` if it has none yet."""
    row = conn.execute(select(FINGERPRINT).where(FINGERPRINT.c.lora_id == lora_id)).first()
    return None if row is None else _measured(row)


def _measured(row: Row[Any]) -> Measured:
    blocks = unpack_json(row.blocks)
    return Measured(
        row.basis,
        tuple(row.health.split(",")),
        row.layers,
        row.unet_norm,
        row.te_norm,
        row.spectral,
        row.effective_rank,
        tuple(MeasuredBlock(*block) for block in blocks) if isinstance(blocks, list) else (),
        row.version,
        row.measured_at,
        row.problem,
    )


def health_of(conn: Connection, lora_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the health of those loras that have a fingerprint."""
    found: dict[int, tuple[str, ...]] = {}
    for part in in_chunks(lora_ids):
        query = select(FINGERPRINT.c.lora_id, FINGERPRINT.c.health).where(FINGERPRINT.c.lora_id.in_(part))
        found |= {lora_id: tuple(health.split(",")) for lora_id, health in conn.execute(query)}
    return found


def extent(conn: Connection, after: int = 0) -> Extent:
    """Return how many fingerprints there are above an id, and the highest id of all."""
    count = select(func.count()).select_from(FINGERPRINT)
    if after:
        count = count.where(FINGERPRINT.c.id > after)
    highest = conn.execute(select(func.max(FINGERPRINT.c.id))).scalar()
    return Extent(conn.execute(count).scalar_one(), highest or 0)


def sketches_after(conn: Connection, after: int) -> Iterator[SketchRow]:
    """Yield fingerprints above an id with their sketches, in ascending order."""
    columns = (FINGERPRINT.c[name] for name in SketchRow._fields)
    query = select(*columns).where(FINGERPRINT.c.id > after).order_by(FINGERPRINT.c.id)
    for row in conn.execute(query, execution_options={"yield_per": 1000}):
        yield SketchRow(*row)


def te_sketches(conn: Connection, lora_ids: Sequence[int]) -> dict[int, bytes]:
    """Return the sketches of text encoders of those loras that have one beside that of the denoiser."""
    found: dict[int, bytes] = {}
    for part in in_chunks(lora_ids):
        query = select(FINGERPRINT.c.lora_id, FINGERPRINT.c.te).where(
            FINGERPRINT.c.lora_id.in_(part), FINGERPRINT.c.unet.is_not(None), FINGERPRINT.c.te.is_not(None)
        )
        found |= {row.lora_id: row.te for row in conn.execute(query)}
    return found


def traits_of(conn: Connection, lora_ids: Sequence[int]) -> dict[int, Trait]:
    """Return what classifying takes of loras that have a fingerprint."""
    found: dict[int, Trait] = {}
    for part in in_chunks(lora_ids):
        query = (
            select(
                LORA.c.id,
                LORA.c.name,
                FINGERPRINT.c.unet_norm,
                FINGERPRINT.c.te_norm,
                HEADER.c.rank,
                HEADER.c.precision,
            )
            .join(FINGERPRINT, FINGERPRINT.c.lora_id == LORA.c.id)
            .outerjoin(HEADER, HEADER.c.id == LORA.c.header_id)
            .where(LORA.c.id.in_(part))
        )
        found |= {row[0]: Trait(*row[1:]) for row in conn.execute(query)}
    return found
