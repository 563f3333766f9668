"""A SQLite catalog of the loras of `bench.search_library`, with rows as a scan and hashing write them.

The rows are inserted in bulk: no file is read, and no header is parsed. Their packed metadata are of the
usual length, so that a row takes its usual room, but cannot be unpacked.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from bench.search_library import ROOTS, digests, record, tag_places, vocabulary
from registry.catalog import tables
from registry.catalog.engine import Catalog
from registry.catalog.filerows import path_columns
from registry.catalog.keys import fold
from registry.catalog.migrate import ensure_schema
from registry.catalog.roots import add_root, seen_machine
from registry.catalog.searching import search_records
from registry.catalog.tags import pack_tags
from registry.formats.packing import pack_json
from registry.ingest.derive import DERIVED_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from registry.catalog.engine import Unit
    from registry.views import SearchFile, SearchRecord

MACHINE: Final = "elsewhere"
"""Scans the roots of this catalog, so that a server on this machine leaves them alone."""
SAMPLES: Final = 50
_BATCH: Final = 2000
_SHOWN_TAGS: Final = 50
_FILLER: Final = random.Random(0).randbytes(1 << 16)
_EVIDENCE: Final = [
    "264 modules with lora factors",
    "576 of 576 denoiser tensors have module names of sd15, sd2, sdxl, such as up_blocks_#_proj_in",
    "text encoder te (clip) of width 768 belongs to sd15",
]
_TABLES = tables.TABLES
TAG, HEADER, LORA, FILE, DIGEST, COMPANION = (
    _TABLES[name] for name in ("tag", "header", "lora", "file", "digest", "companion")
)
_HEADER: Final = dict.fromkeys(column.name for column in HEADER.columns)


def url(path: Path) -> str:
    """Return the URL of a catalog file."""
    return f"sqlite:///{path.as_posix()}"


def catalog_of(path: Path, loras: int) -> Catalog:
    """Return the catalog in a file, made first if it is not there or of another generator."""
    if path.exists():
        catalog = Catalog(url(path))
        ensure_schema(catalog, backups=None, allow_upgrade=True)
        if _holds(catalog, loras):
            return catalog
        catalog.close()
        for each in path.parent.glob(path.name + "*"):
            each.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    catalog = Catalog(url(path))
    fill(catalog, loras)
    if not _holds(catalog, loras):
        raise SystemExit("the catalog does not give back what was put into it")
    return catalog


def _holds(catalog: Catalog, loras: int) -> bool:
    """Whether the catalog gives a sample of the records just as they were made, and no more records."""
    numbers = [1 + number * (loras - 1) // SAMPLES for number in range(SAMPLES + 1)]
    with catalog.read() as conn:
        last = conn.exec_driver_sql("SELECT max(id) FROM lora").scalar()
        return last == loras and search_records(conn, numbers) == [record(number) for number in numbers]


def fill(catalog: Catalog, loras: int) -> None:
    """Make the schema and insert the rows of the loras from 1 on."""
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    with catalog.write() as unit:
        seen_machine(unit, MACHINE, MACHINE)
        for number in range(ROOTS):
            add_root(unit, MACHINE, f"/bench/root_{number}", label=f"root {number}")
        unit.insert(TAG, [{"id": place, "name": tag} for place, tag in enumerate(vocabulary(), 1)])
    for first in range(1, loras + 1, _BATCH):
        with catalog.write() as unit:
            _insert(unit, range(first, min(first + _BATCH, loras + 1)))


def _insert(unit: Unit, numbers: range) -> None:
    records = [record(number) for number in numbers]
    unit.insert(HEADER, [_header(one) for one in records])
    unit.insert(LORA, [_lora(one) for one in records])
    files = [(_file_id(one, place), one, file) for one in records for place, file in enumerate(one.files)]
    unit.insert(FILE, [_file(file_id, one, file) for file_id, one, file in files])
    unit.insert(
        DIGEST,
        [
            {"file_id": file_id, "kind": kind, "value": value}
            for file_id, one, _ in files
            for kind, value in digests(one.id).items()
        ],
    )
    unit.insert(
        COMPANION,
        [
            {"file_id": file_id, "name": name, "name_raw": name.encode(), "kind": kind, "family": "a1111"}
            for file_id, _, file in files
            for kind in file.companions
            for name in (f"{file.name}.{kind}",)
        ],
    )


def _file_id(one: SearchRecord, place: int) -> int:
    return 2 * one.id + place - 1


def _filler(length: int, number: int) -> bytes:
    start = number * 7919 % (len(_FILLER) // 2)
    return _FILLER[start : start + length]


def _header(one: SearchRecord) -> dict[str, object]:
    tags = [(place + 1, count) for place, count in tag_places(one.id)]
    # As much as zlib leaves of the metadata of a kohya LoRA with so many tags and such a description.
    length = 1200 + 7 * len(tags) + len(one.description or "") // 2
    top = one.tags[0][1]
    words = {
        "claimed": [{"word": word, "source": "modelspec.trigger_phrase"} for word in one.claimed],
        "folders": [{"word": word, "source": f"ss_dataset_dirs: 10_{word}"} for word in one.datasets],
        "tags": [{"tag": tag, "count": count, "share": count / top} for tag, count in one.tags[:_SHOWN_TAGS]],
    }
    identification = {"kind": one.kind, "targets": one.targets, "evidence": _EVIDENCE, "ambiguous_with": []}
    return {
        **_HEADER,
        **one.header,
        "id": one.id,
        "digest": one.id.to_bytes(32, "big"),
        "derived_version": DERIVED_VERSION,
        "length": 115_000,
        "tensors": 792,
        "metadata_packed": _filler(length, one.id),
        "a1111": _filler(length, -one.id),
        "a1111_crc": 0,
        "a1111_size": 2 * length,
        "alias": one.header["output_name"],
        "kind": one.kind,
        "identification": pack_json(identification),
        "triggers": pack_json(words),
        "tags": pack_tags(tags),
        "tag_count": len(tags),
        "notes": b"[]",
        "description": one.description,
    }


def _lora(one: SearchRecord) -> dict[str, object]:
    data = digests(one.id).get("data_sha256")
    return {
        "id": one.id,
        "identity": f"data:{data}" if data else f"new:{_file_id(one, 0)}",
        "kind": one.kind,
        "header_id": one.id,
        "primary_file_id": _file_id(one, 0),
        "files": len(one.files),
        "files_present": sum(file.state == "present" for file in one.files),
        "name": one.name,
        "name_key": fold(one.name),
        "size": one.size,
        "mtime_ns": one.date * 1_000_000,
        "first_seen": one.added,
    }


def _file(file_id: int, one: SearchRecord, file: SearchFile) -> dict[str, object]:
    return {
        "id": file_id,
        "root_id": file.root_id,
        **path_columns(file.path.encode()),
        "device": 1,
        "inode": file_id,
        "nlink": 1,
        "size": one.size,
        "mtime_ns": one.date * 1_000_000,
        "placeholder": 0,
        "state": file.state,
        "state_since": one.added,
        "first_seen": one.added + file_id % 2,
        "derived_version": DERIVED_VERSION,
        "quick_key": file_id.to_bytes(16, "big"),
        "tail": one.id.to_bytes(16, "big"),
        "data_size": one.size - 115_000,
        "header_id": one.id,
        "lora_id": one.id,
        "hash_state": "done" if file.hashed else "pending",
        "hash_priority": 0,
        "hashed_at": one.added if file.hashed else None,
        "verified": int(file.hashed),
        "claims": pack_json([{"verdict": verdict} for verdict in file.verdicts]),
    }
