"""Whatever happens to a library: after a scan and hashing the catalog says what is on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.hashing.reader import hash_file
from tests.support.shelf import lora, open_shelf

if TYPE_CHECKING:
    from tests.support.shelf import Shelf

NAMES = [f"{folder}{name}.safetensors" for folder in ("", "d/", "d/e/", "d-e/") for name in ("a", "b")]
names = st.sampled_from(NAMES)
seeds = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("write"), names, seeds),
    st.tuples(st.just("header"), names, seeds),
    st.tuples(st.just("move"), names, names),
    st.tuples(st.just("copy"), names, names),
    st.tuples(st.just("link"), names, names),
    st.tuples(st.just("delete"), names, seeds),
    st.tuples(st.just("truncate"), names, seeds),
    st.tuples(st.just("scan"), names, seeds),
    st.tuples(st.just("hash"), names, seeds),
)


class Disk:
    """Does the steps; each change of bytes gets a time of its own, as a slow clock could deny."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_700_000_000

    def stamp(self, path: Path) -> None:
        """Let time go by."""
        self.now += 10
        os.utime(path, (self.now, self.now))

    def do(self, kind: str, first: str, second: object) -> None:
        """Do one step, if it can be done."""
        path = self.folder / first
        other = self.folder / str(second)
        if kind == "write":
            path.unlink(missing_ok=True)
            self.stamp(lora(path, int(str(second))))
        elif path.exists() and kind == "header":
            path.unlink()
            self.stamp(lora(path, int(str(second)), note=f"note {self.now}"))
        elif path.exists() and kind == "move" and path != other:
            other.parent.mkdir(parents=True, exist_ok=True)
            path.replace(other)
        elif path.exists() and kind == "copy" and path != other:
            other.parent.mkdir(parents=True, exist_ok=True)
            other.unlink(missing_ok=True)
            other.write_bytes(path.read_bytes())
            self.stamp(other)
        elif path.exists() and kind == "link" and path != other:
            other.parent.mkdir(parents=True, exist_ok=True)
            other.unlink(missing_ok=True)
            other.hardlink_to(path)
        elif path.exists() and kind == "truncate":
            path.write_bytes(path.read_bytes()[:-7])
            self.stamp(path)
        elif kind == "delete":
            path.unlink(missing_ok=True)


def identities(folder: Path) -> dict[str, str]:
    """Return what each file on disk is, by its bytes alone."""
    found = {}
    for path in folder.rglob("*.safetensors"):
        hashed = hash_file(path)
        name = path.relative_to(folder).as_posix()
        weights = hashed.hashes.data_sha256 if hashed.header.verdict.accepted else None
        found[name] = f"data:{weights}" if weights else f"file:{hashed.hashes.sha256}"
    return found


def check(shelf: Shelf) -> None:
    """Compare the catalog with the disk, and with itself."""
    files = shelf.files()
    present = {path: row for path, row in files.items() if row["state"] == "present"}
    assert {path: row["identity"] for path, row in present.items()} == identities(shelf.folder)
    assert {row["hash_state"] for row in present.values()} <= {"done"}
    assert {row["state"] for path, row in files.items() if path not in present} <= {"missing", "unreachable"}
    for key, row in shelf.loras().items():
        mine = [one for one in files.values() if one["lora_id"] == key]
        assert row["files"] == len(mine)
        assert row["files_present"] == sum(one["state"] == "present" for one in mine)
        assert row["replaces_id"] != key
        assert not row["identity"].startswith("new:") or mine
    digests = shelf.query(
        "SELECT path, value FROM digest JOIN file ON file.id = file_id WHERE kind = 'sha256'"
    )
    stored = {row["path"]: row["value"] for row in digests}
    for path in present:
        assert stored[path] == hash_file(shelf.folder / path).hashes.sha256


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=12))
def test_the_catalog_follows_the_disk(todo: list[tuple[str, str, object]]) -> None:
    with tempfile.TemporaryDirectory() as place, open_shelf(Path(place)) as shelf:
        disk = Disk(shelf.folder)
        for kind, first, second in todo:
            if kind == "scan":
                shelf.scan()
            elif kind == "hash":
                shelf.hash()
            else:
                disk.do(kind, first, second)
        shelf.scan()
        shelf.hash()
        # What changed between a scan and hashing is taken up by the next scan.
        shelf.scan()
        shelf.hash()
        check(shelf)
