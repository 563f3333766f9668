"""A folder of real files and an open registry on it: what the tests of scanning and hashing start from."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.app import Reading, open_registry
from registry.catalog.problems import list_problems
from registry.config import load_settings
from registry.hashing.reader import hash_file
from registry.ingest.applying import apply_actions
from registry.ingest.derive import read_unless_known
from tests.support.files import write_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.app import Registry
    from registry.hashing.reader import HashedFile, QuickHead
    from registry.ingest.scanning import ScanCounts
    from registry.ingest.settle import Action
    from registry.views import RootView


def lora(path: Path, seed: int = 0, *, size: int = 64, note: str = "") -> Path:
    """Write a small LoRA whose weights follow from `seed`; its header tells `note`. Return `path`."""
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    return write_safetensors(
        path,
        {
            f"{name}.lora_down.weight": ("F16", (4, size), seed * 2 + 1),
            f"{name}.lora_up.weight": ("F16", (size, 4), seed * 2 + 2),
        },
        {"ss_network_module": "networks.lora", "ss_training_comment": note},
    )


@dataclass
class Counting:
    """Reads and hashes files as the product does, and remembers which."""

    looked: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    hashed: list[str] = field(default_factory=list)
    derived_version: int = 1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, path: str, known: bytes | None) -> QuickHead | None:
        """Read a header, and the end of the file unless the header is known."""
        found = read_unless_known(path, known)
        with self._lock:
            self.looked.append(Path(path).name)
            if found is not None:
                self.read.append(Path(path).name)
        return found

    def hash(self, path: str, **options: Any) -> HashedFile:
        """Hash a file."""
        found = hash_file(path, **options)
        with self._lock:
            self.hashed.append(Path(path).name)
        return found

    def reading(self) -> Reading:
        """Return what a registry takes."""
        return Reading(self.look, self.hash, self.derived_version)

    def clear(self) -> None:
        """Forget what was read."""
        self.looked.clear()
        self.read.clear()
        self.hashed.clear()


@dataclass
class Shelf:
    """An open registry and its first root."""

    registry: Registry
    root: RootView
    counting: Counting

    @property
    def folder(self) -> Path:
        """The folder of the root."""
        return Path(self.root.path or "")

    def add(self, folder: Path, **options: Any) -> RootView:
        """Make a folder a root."""
        return self.registry.add_root(str(folder), **options)

    def scan(self, root: RootView | None = None) -> ScanCounts:
        """Scan the root, or another one."""
        return self.registry.scan((root or self.root).id)

    def hash(self) -> int:
        """Hash all that is pending."""
        return self.registry.hash_all()

    def apply(self, *actions: Action) -> tuple[ScanCounts, list[bytes]]:
        """Do what a watcher would ask for."""
        registry = self.registry
        engine = registry.engine(lambda: False, lambda _counts: None)
        return apply_actions(engine, registry.root(self.root.id), registry.roots(), list(actions))

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Ask the database."""
        with self.registry.catalog.read() as conn:
            return [dict(row._mapping) for row in conn.exec_driver_sql(statement)]

    def files(self) -> dict[str, dict[str, Any]]:
        """Return the file rows with their loras' identities, by root label and path."""
        rows = self.query(
            "SELECT file.*, lora.identity, lora.replaces_id, root.label FROM file "
            "JOIN lora ON lora.id = file.lora_id JOIN root ON root.id = file.root_id ORDER BY file.id"
        )
        return {
            row["path"] if row["root_id"] == self.root.id else f"{row['label']}:{row['path']}": row
            for row in rows
        }

    def states(self) -> dict[str, str]:
        """Return the state of each file."""
        return {path: row["state"] for path, row in self.files().items()}

    def loras(self) -> dict[int, dict[str, Any]]:
        """Return the loras."""
        return {row["id"]: row for row in self.query("SELECT * FROM lora ORDER BY id")}

    def problems(self) -> set[tuple[str, str]]:
        """Return (slug, path) of all problems."""
        with self.registry.catalog.read() as conn:
            return {(one.slug, one.path or "") for one in list_problems(conn, limit=10_000)}


@contextmanager
def open_shelf(
    place: Path,
    *,
    counting: Counting | None = None,
    workers: int = 0,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Iterator[Shelf]:
    """Open the registry of `place` with the root `place/loras`, which is made if it is not there.

    `options` are those of the root.
    """
    counting = counting or Counting()
    folder = place / "loras"
    folder.mkdir(exist_ok=True)
    loaded = load_settings(data_dir=place / "data", workers=workers, hash_readers=2, **(settings or {}))
    with open_registry(loaded, reading=counting.reading()) as registry:
        yield Shelf(registry, registry.add_root(str(folder), **options), counting)


def renew_inode(path: Path) -> None:
    """Give a file another inode and nothing else."""
    found = path.stat()
    other = path.with_name(path.name + ".copy")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


def later(path: Path, seconds: int = 5) -> None:
    """Let a file look as if it was written some seconds later."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 1_000_000_000))
