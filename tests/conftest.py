"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real-world test data, `LORAS_TEST_DATA` or `shared/data` beside the checkout."""
    named = os.environ.get("LORAS_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip(f"real-world test data is absent: {folder}")
    return folder
