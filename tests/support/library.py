"""A catalog that is told what a scan meets and what hashing finds, without any file on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.changes import changes_since, generation
from registry.catalog.hashing import record_hashes
from registry.catalog.ingesting import Observation, Recorded, record_files
from registry.catalog.reading import lora_views
from registry.catalog.roots import add_root, get_root, seen_machine
from registry.catalog.tags import TagIds
from registry.formats.safetensors import parse
from registry.hashing.claims import claim_problems, judge_claims
from registry.ingest.derive import header_facts
from registry.views import FileFacts, FileSeen, FileStat, HeaderFacts, LoraView, Note
from tests.support.files import header_bytes, kohya_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from registry.catalog.changes import Changed
    from registry.catalog.engine import Catalog
    from registry.views import CompanionSeen

MACHINE = "m1"
FILE = tables.TABLES["file"]
START = 1_700_000_000_000


@dataclass
class Clock:
    """A clock that only goes when it is told to."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def tick(self, milliseconds: int = 1000) -> None:
        """Let time pass."""
        self.now += milliseconds


@dataclass(frozen=True)
class Model:
    """A model file: equal `weights` make equal data sections, `metadata` the rest of the header."""

    path: str = "a.safetensors"
    weights: str = "w"
    metadata: Mapping[str, str] = field(default_factory=dict)
    inode: int = 0
    device: int = 1
    nlink: int = 1
    mtime_ns: int = 1_600_000_000_000_000_000
    data_size: int = 4096
    readable: bool = True
    placeholder: bool = False
    problems: tuple[Note, ...] = ()
    companions: tuple[CompanionSeen, ...] | None = ()

    def but(self, **changes: object) -> Model:
        """Return the file with something changed."""
        return replace(self, **changes)  # type: ignore[arg-type] # the field names are the test's own

    @property
    def header(self) -> bytes:
        """The bytes of the header, or of all that there is."""
        return header_bytes(kohya_tensors(modules=1), self.metadata) if self.readable else b"<html>"

    @property
    def stat(self) -> FileStat:
        """What stat says."""
        inode = self.inode or int.from_bytes(_digest("inode", self.path)[:4], "big")
        return FileStat(len(self.header) + self.data_size, self.mtime_ns, self.device, inode, self.nlink)

    @property
    def seen(self) -> FileSeen:
        """What a walk says."""
        raw = self.path.encode("utf-8", "surrogateescape")
        return FileSeen(raw, self.stat, self.companions, self.placeholder)

    @property
    def facts(self) -> FileFacts:
        """What the header phase says."""
        key = _digest("key", str(self.stat.size), self.header.hex(), self.weights)[:16]
        if not self.readable:
            return FileFacts(self.stat, quick_key=key, cause="html", problems=self.problems)
        return FileFacts(
            self.stat,
            header=_facts(self.header, self.stat.size),
            quick_key=key,
            tail=_digest("tail", self.weights)[:16],
            data_size=self.data_size,
            problems=self.problems,
        )

    @property
    def digests(self) -> dict[str, str]:
        """What hashing says."""
        whole = _digest("whole", self.header.hex(), self.weights).hex()
        found = {
            "sha256": whole,
            "autov1": _digest("autov1", whole).hex()[:8],
            "blake3": _digest("blake3", whole).hex(),
            "crc32": _digest("crc32", whole).hex()[:8],
        }
        if self.readable:
            found["data_sha256"] = _digest("data", self.weights).hex()
            found["tensor_hash"] = _digest("tensors", *sorted(self.weights)).hex()
            found["sshs_legacy_hash"] = _digest("legacy", whole).hex()[:8]
            found["sshs_legacy_other"] = _digest("other legacy", whole).hex()[:8]
        return found

    @property
    def identity(self) -> str:
        """What names the weights."""
        return f"data:{self.digests['data_sha256']}" if self.readable else f"file:{self.digests['sha256']}"


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


_HEADERS: dict[tuple[bytes, int], HeaderFacts] = {}


def _facts(raw: bytes, size: int) -> HeaderFacts:
    known = _HEADERS.get((raw, size))
    if known is None:
        known = _HEADERS[raw, size] = header_facts(raw, parse(raw, size))
    return known


@dataclass
class Library:
    """A catalog with one root that is scanned and hashed by hand."""

    catalog: Catalog
    root_id: int
    tags: TagIds = field(default_factory=TagIds)

    def scan(self, *models: Model, version: int = 1) -> Recorded:
        """Record files that were read."""
        return self.record(*(Observation(model.seen, model.facts) for model in models), version=version)

    def record(self, *batch: Observation, version: int = 1, root_id: int | None = None) -> Recorded:
        """Record a batch."""
        with self.catalog.read() as conn:
            root = get_root(conn, root_id or self.root_id, MACHINE)
        with self.catalog.write() as unit:
            return record_files(unit, self.tags, root, batch, version)

    def hash(self, *models: Model, problems: Sequence[Note] = ()) -> None:
        """Record the hashes of files."""
        with self.catalog.write() as unit:
            for model in models:
                file_id, header = self.row(model.path).id, model.facts.header
                claims = judge_claims(header.claims if header else (), model.digests)
                told = [*claim_problems(claims), *problems]
                assert record_hashes(unit, file_id, model.stat, model.identity, model.digests, claims, told)

    def row(self, path: str) -> Row[tuple[object, ...]]:
        """Return the row of a file."""
        with self.catalog.read() as conn:
            raw = path.encode("utf-8", "surrogateescape")
            return conn.execute(select(FILE).where(FILE.c.path_raw == raw)).one()

    def lora(self, path: str) -> LoraView:
        """Return the lora of a file."""
        return self.loras(int(self.row(path).lora_id))[0]

    def loras(self, *lora_ids: int) -> list[LoraView]:
        """Return loras by id."""
        with self.catalog.read() as conn:
            return lora_views(conn, lora_ids, MACHINE)

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self.catalog.read() as conn:
            return len(conn.execute(select(tables.TABLES[table])).all())

    def generation(self) -> int:
        """Return the generation."""
        with self.catalog.read() as conn:
            return generation(conn)

    def changes(self, since: int = 0) -> list[Changed]:
        """Return what changed since a generation."""
        with self.catalog.read() as conn:
            found = changes_since(conn, since)
        assert found is not None
        return found


def open_library(catalog: Catalog, path: str = "/models") -> Library:
    """Return a catalog with one machine and one root."""
    with catalog.write() as unit:
        seen_machine(unit, MACHINE, "here")
        root_id, _ = add_root(unit, MACHINE, path)
    return Library(catalog, root_id)
