"""A catalog with loras in it, made through the same functions as a scan's, without any file on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.catalog.engine import Catalog
from registry.catalog.hashing import record_hashes
from registry.catalog.ingesting import Observation, record_files
from registry.catalog.lookup import resolve
from registry.catalog.migrate import ensure_schema
from registry.catalog.roots import add_root, get_root, list_roots, seen_machine
from registry.catalog.tags import TagIds
from registry.formats.safetensors import parse
from registry.ingest.derive import DERIVED_VERSION, header_facts
from registry.views import FileFacts, FileSeen, FileStat, Note, RootView
from tests.support.files import frame, kohya_metadata, kohya_tensors, tensor_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MACHINE = "m1"
DATA_SIZE = 4096


@dataclass
class Builder:
    """An open catalog with one machine; `file` lines files up, `write` stores them as one scan would."""

    catalog: Catalog
    tags: TagIds = field(default_factory=TagIds)
    waiting: dict[int, list[Observation]] = field(default_factory=dict)
    count: int = 0

    def root(self, path: str, **options: object) -> int:
        """Add a root and return its id."""
        with self.catalog.write() as unit:
            return add_root(unit, MACHINE, path, **options)[0]

    def file(
        self,
        root_id: int,
        path: str,
        metadata: Mapping[str, str] | None = None,
        *,
        modules: int = 3,
        cause: str | None = None,
        opened: bool = True,
    ) -> None:
        """Line up one file; without `metadata` it has those of a kohya LoRA of its own."""
        self.count += 1
        number = self.count
        if metadata is None:
            metadata = kohya_metadata(seed=number, tags=5, name=path.rpartition("/")[2].partition(".")[0])
        # Escaped, so that metadata may hold what UTF-8 cannot.
        entries = tensor_entries(kohya_tensors(modules=modules))
        raw = frame('{"__metadata__":' + json.dumps(dict(metadata)) + "," + entries + "}")
        size = len(raw) + DATA_SIZE
        stat = FileStat(size, 1_700_000_000_000_000_000 + number * 1_000_000, 1, 1000 + number, 1)
        facts = FileFacts(
            stat,
            header=header_facts(raw, parse(raw, size)) if opened else None,
            quick_key=number.to_bytes(16, "big"),
            tail=number.to_bytes(16, "big"),
            data_size=DATA_SIZE,
            cause=cause,
            problems=() if cause is None else (Note(cause, "the file is damaged"),),
        )
        seen = FileSeen(path.encode(), stat, ())
        self.waiting.setdefault(root_id, []).append(Observation(seen, facts))

    def write(self) -> None:
        """Store the files that were lined up."""
        for root_id, observations in self.waiting.items():
            with self.catalog.read() as conn:
                root = get_root(conn, root_id, MACHINE)
            with self.catalog.write() as unit:
                record_files(unit, self.tags, root, observations, DERIVED_VERSION)
        self.waiting.clear()

    def hash(self, reference: str, sha256: str, data_sha256: str, problems: Iterable[Note] = ()) -> None:
        """Store the hashes of the first file of a lora."""
        with self.catalog.write() as unit:
            lora_id = resolve(unit.conn, reference, MACHINE)
            pending = "SELECT id, size, mtime_ns FROM file WHERE hash_state = 'pending' AND lora_id = "
            row = unit.conn.exec_driver_sql(f"{pending}{lora_id} ORDER BY id").first()
            assert row is not None
            digests = {"sha256": sha256, "data_sha256": data_sha256}
            stat = FileStat(row.size, row.mtime_ns, 1, 1, 1)
            assert record_hashes(unit, row.id, stat, f"data:{data_sha256}", digests, [], list(problems))

    def roots(self) -> list[RootView]:
        """Return the roots."""
        with self.catalog.read() as conn:
            return list_roots(conn, MACHINE)


def open_builder(folder: Path) -> Builder:
    """Return a builder of a new SQLite catalog in a folder."""
    catalog = Catalog(f"sqlite:///{(folder / 'catalog.sqlite3').as_posix()}")
    ensure_schema(catalog, backups=None, allow_upgrade=False)
    with catalog.write() as unit:
        seen_machine(unit, MACHINE, "here")
    return Builder(catalog)
