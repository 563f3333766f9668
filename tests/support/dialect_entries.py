"""Entries as the dialects of other tools get them, named by their paths."""

from __future__ import annotations

from typing import Any

from registry.shown import Entry, Shown

SHA256 = "1a" * 32
DATA_SHA256 = "2b" * 32
BLAKE3 = "3c" * 32


def entry(path: str = "hat.safetensors", **members: Any) -> Entry:
    """Return a file; what is said of its weights may be given as members of `Shown` in `shown`."""
    name, _, ext = path.rpartition("/")[2].rpartition(".")
    shown = {"name": name, **members.pop("shown", {})}
    given: dict[str, Any] = {
        "lora_id": 1,
        "file_id": 1,
        "root": 0,
        "size": 1000,
        "modified": 1_700_000_000_500,
        "added": 1_690_000_000_000,
        "kind": "lora",
        "architecture": "sdxl",
        "adapter": "lora",
        **members,
    }
    return Entry(path=path, name=name, ext=f".{ext}", shown=Shown(**shown), **given)


def hashed(path: str = "hat.safetensors", **members: Any) -> Entry:
    """Return a file whose hashes are known."""
    hashes = {"sha256": SHA256, "data_sha256": DATA_SHA256, "blake3": BLAKE3}
    return entry(path, hashes=hashes, **members)
