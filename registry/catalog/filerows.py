"""How a file met on disk becomes the columns of its row and of its provisional lora."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from registry.catalog.keys import fold
from registry.formats.packing import clean_text
from registry.wire.a1111 import hidden_directory
from registry.wire.natural import sort_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.catalog.headers import StoredHeader
    from registry.views import FileFacts, FileSeen

NO_HEADER_KIND = "other"


def stat_columns(seen: FileSeen) -> dict[str, object]:
    """Return what `stat` says."""
    stat = seen.stat
    return {
        "device": stat.device,
        "inode": stat.inode,
        "nlink": stat.nlink,
        "size": stat.size,
        "mtime_ns": stat.mtime_ns,
        "placeholder": int(seen.placeholder),
    }


def path_columns(rel: bytes) -> dict[str, object]:
    """Return a relative path as bytes, as text fit for showing, and as the keys it is sorted and found by."""
    path = clean_text(rel.decode("utf-8", "surrogateescape"))
    folder, base = posixpath.split(path)
    name, ext = posixpath.splitext(base)
    return {
        "path_raw": rel,
        "path": path,
        "folder": folder,
        "name": name,
        "name_key": fold(name),
        "ext": ext.lower(),
        "a1111_key": sort_key(folder, base),
        "hidden": int(hidden_directory("/" + folder)),
    }


def facts_columns(facts: FileFacts, headers: Mapping[bytes, StoredHeader]) -> dict[str, object]:
    """Return what the header phase found out."""
    return {
        "header_id": headers[facts.header.digest].id if facts.header else None,
        "quick_key": facts.quick_key,
        "tail": facts.tail,
        "data_size": facts.data_size,
        "cause": facts.cause,
    }


def kind_of(facts: FileFacts | None, headers: Mapping[bytes, StoredHeader]) -> str:
    """Return what the weights of a file are."""
    return headers[facts.header.digest].kind if facts and facts.header else NO_HEADER_KIND


def hash_state(seen: FileSeen) -> str:
    """Return whether a file waits to be hashed: what a cloud would have to fetch does not, unasked."""
    return "skipped" if seen.placeholder else "pending"


def lora_columns(identity: str, file_id: int, name: str, seen: FileSeen, now: int) -> dict[str, object]:
    """Return a new lora of one file."""
    return {
        "identity": identity,
        "primary_file_id": file_id,
        "files": 1,
        "files_present": 1,
        "name": name,
        "name_key": fold(name),
        "size": seen.stat.size,
        "mtime_ns": seen.stat.mtime_ns,
        "first_seen": now,
    }
