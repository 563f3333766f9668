"""What reading a sidecar tells of its bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from registry.ingest.sidecar_reading import Asked, read_one
from registry.wire.sidecars import MAX_SIDECAR

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("data", [b'{"notes": "mine"}', b"no JSON", b""])
def test_the_sha256_is_that_of_all_bytes_whatever_they_are(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    answer = read_one(Asked(str(path), "user_json"))
    assert answer is not None
    assert answer.sha256 == hashlib.sha256(data).digest()


def test_what_was_not_read_whole_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b" " * (MAX_SIDECAR + 1))
    large, folder = (read_one(Asked(str(one), "user_json")) for one in (path, tmp_path))
    assert large is not None
    assert folder is not None
    assert (large.sha256, folder.sha256) == (None, None)
