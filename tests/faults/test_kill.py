"""A scan with hashing that is killed again and again ends like one that nobody disturbed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from registry.catalog.engine import Catalog
from tests.support.shelf import lora

KILLS = 20
FILES = 240
HOUSE = Path(__file__).resolve().parents[2]
ORPHANS = (
    "SELECT id FROM file WHERE lora_id NOT IN (SELECT id FROM lora)",
    "SELECT id FROM file WHERE header_id IS NOT NULL AND header_id NOT IN (SELECT id FROM header)",
    "SELECT id FROM lora WHERE id NOT IN (SELECT lora_id FROM file)",
    "SELECT id FROM lora WHERE primary_file_id NOT IN (SELECT id FROM file)",
    "SELECT id FROM header WHERE id NOT IN (SELECT header_id FROM file WHERE header_id IS NOT NULL)",
    "SELECT file_id FROM digest WHERE file_id NOT IN (SELECT id FROM file)",
    "SELECT file_id FROM companion WHERE file_id NOT IN (SELECT id FROM file)",
    "SELECT id FROM problem WHERE file_id IS NOT NULL AND file_id NOT IN (SELECT id FROM file)",
    "SELECT old_id FROM lora_redirect WHERE new_id NOT IN (SELECT id FROM lora)",
    "SELECT id FROM job WHERE state = 'running'",
)


def fill(folder: Path) -> None:
    """Write files of varied sizes: copies, companions and damaged ones among them."""
    rng = random.Random(4)
    for number in range(FILES):
        seed = number // 2 if number % 10 == 0 else number + FILES
        path = folder / f"set {number % 7}" / f"{number:03}.safetensors"
        lora(path, seed, size=rng.choice((64, 1000, 20_000, 100_000)), note=str(number % 50))
        if number % 15 == 0:
            path.with_suffix(".png").write_bytes(b"p")
        if number % 40 == 0:
            path.write_bytes(path.read_bytes()[:-1])


def start(data: Path, folder: Path, audit: Path) -> subprocess.Popen[bytes]:
    """Start a scan with hashing in a process of its own."""
    program = [sys.executable, "-m", "tests.support.scanner", str(data), str(folder), str(audit)]
    return subprocess.Popen(program, cwd=HOUSE, stdout=subprocess.DEVNULL)


def content(data: Path) -> dict[str, list[Any]]:
    """Return what a catalog says, without ids, sequence numbers and times."""
    queries = {
        "files": "SELECT f.path, f.size, f.mtime_ns, f.state, f.quick_key, f.tail, f.data_size, f.cause, "
        "f.hash_state, f.verified, f.claims, f.derived_version, l.identity, l.kind, l.files, l.name, "
        "l.files_present, l.replaces_id, h.digest, h.architecture, h.metadata_packed FROM file f "
        "JOIN lora l ON l.id = f.lora_id LEFT JOIN header h ON h.id = f.header_id ORDER BY f.path",
        "digests": "SELECT path, kind, value FROM digest JOIN file ON file.id = file_id ORDER BY 1, 2",
        "companions": "SELECT path, c.name FROM companion c JOIN file f ON f.id = file_id ORDER BY 1, 2",
        "problems": "SELECT path, slug, text, stage FROM problem ORDER BY 1, 2",
        "loras": "SELECT identity, name, size FROM lora ORDER BY 1",
        "redirects": "SELECT count(*) FROM lora_redirect",
    }
    catalog = Catalog(f"sqlite:///{(data / 'catalog.sqlite3').as_posix()}")
    try:
        with catalog.read() as conn:
            orphans = {query: conn.exec_driver_sql(query).all() for query in ORPHANS}
            assert not any(orphans.values()), orphans
            return {name: list(conn.exec_driver_sql(query)) for name, query in queries.items()}
    finally:
        catalog.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_twenty_kills_change_nothing_but_ids_and_times(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    fill(folder)
    began = time.monotonic()
    assert start(tmp_path / "calm", folder, tmp_path / "calm.txt").wait(60) == 0
    undisturbed = time.monotonic() - began

    rng = random.Random(9)
    data, audit = tmp_path / "data", tmp_path / "audit.txt"
    killed = 0
    for _ in range(KILLS):
        process = start(data, folder, audit)
        try:
            # The first third of the time goes by until Python has loaded everything.
            process.wait(undisturbed * rng.uniform(0.2, 0.9))
            # There is less left to do each time, and the machine may have been busier before.
            undisturbed *= 0.8
        except subprocess.TimeoutExpired:
            children = psutil.Process(process.pid).children()
            process.kill()
            process.wait()
            killed += 1
            # Nobody is left behind: children see that their parent is gone.
            assert not psutil.wait_procs(children, 10)[1]
    assert start(data, folder, audit).wait(60) == 0

    assert killed >= KILLS // 4
    assert content(data) == content(tmp_path / "calm")
    hashed = Counter(audit.read_text(encoding="utf-8").splitlines())
    assert len(hashed) == FILES
    assert max(hashed.values()) <= 2
