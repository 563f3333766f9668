"""Thousands of files that come, move and go at once while the registry is served."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog.engine import Catalog
from tests.support.files import header_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(__file__).resolve().parents[2]
FILES = 5000
FOLDERS = 5
LIMIT = 120.0


@contextmanager
def served(folder: Path, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a folder in a process of its own until the end of the block."""
    program = [sys.executable, "-m", "cli", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "LORAS_DATA_DIR": str(data), "LORAS_WORKERS": "1"}
    process = subprocess.Popen(
        program, cwd=HOUSE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(process: subprocess.Popen[bytes], catalog: Catalog, wanted: dict[str, int]) -> None:
    """Wait until so many files of each folder are present and no others."""
    deadline = time.monotonic() + LIMIT
    found: dict[str, int] = {}
    while found != wanted:
        assert process.poll() is None
        assert time.monotonic() < deadline, found
        with catalog.read() as conn:
            query = "SELECT folder, count(*) FROM file WHERE state = 'present' GROUP BY folder"
            found = {str(row[0]): int(row[1]) for row in conn.exec_driver_sql(query)}
        time.sleep(0.05)


def test_five_thousand_files_dropped_at_once_are_listed_moved_and_missed(tmp_path: Path) -> None:
    folder, data = tmp_path / "loras", tmp_path / "data"
    folder.mkdir()
    (folder / "first.safetensors").write_bytes(header_bytes({}, {"n": "first"}))
    with served(folder, data) as process:
        deadline = time.monotonic() + LIMIT
        while not any("url" in json.loads(place.read_text()) for place in data.glob("serving-*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        catalog = Catalog(f"sqlite:///{(data / 'catalog.sqlite3').as_posix()}")
        wanted = {"": 1}
        wait_for(process, catalog, wanted)
        for number in range(FILES):
            place = folder / f"d{number % FOLDERS}"
            place.mkdir(exist_ok=True)
            (place / f"{number:04}.safetensors").write_bytes(header_bytes({}, {"n": str(number)}))
        wanted |= {f"d{number}": FILES // FOLDERS for number in range(FOLDERS)}
        wait_for(process, catalog, wanted)
        with catalog.read() as conn:
            before = set(conn.exec_driver_sql("SELECT id FROM file").scalars())

        (folder / "d0").rename(folder / "e0")
        (folder / "d1").rename(tmp_path / "away")
        wanted["e0"] = wanted.pop("d0")
        lost = wanted.pop("d1")
        wait_for(process, catalog, wanted)
        shutil.copytree(tmp_path / "away", folder / "d1")
        wait_for(process, catalog, {**wanted, "d1": lost})

        with catalog.read() as conn:
            assert set(conn.exec_driver_sql("SELECT id FROM file").scalars()) == before
            assert conn.exec_driver_sql("SELECT count(*) FROM problem").scalar_one() == 0
        catalog.close()
    assert process.returncode in {0, -signal.SIGTERM}
