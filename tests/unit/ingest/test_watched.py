"""A look at a file that may still be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from registry.ingest.watched import look

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_fits_when_its_size_can_hold_the_header_it_announces(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for content, fits in [
        (b"", False),
        (b"\2\0\0", False),
        (b"\2" + bytes(7), False),
        (b"\2" + bytes(7) + b"{}", True),
    ]:
        path.write_bytes(content)
        seen = look(str(path))
        assert seen is not None
        assert seen == (len(content), path.stat().st_mtime_ns, fits)


def test_a_file_without_such_a_header_always_fits(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"PK")
    seen = look(str(tmp_path / "a.pt"))
    assert seen is not None
    assert seen.fits


def test_a_path_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert look(str(tmp_path / "missing" / "a.sft")) is None


@pytest.mark.skipif(os.name == "nt", reason="no pipes among files")
def test_a_pipe_is_looked_at_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sft")
    seen = look(str(tmp_path / "pipe.sft"))
    assert seen is not None
    assert seen.fits
