"""Other people's mathematics of adapters, which only tests use."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def oracle(name: str) -> ModuleType:
    """Return a module, or skip the tests that need it; where it is required, fail."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return _absent(f"{name} is not installed: {error}")


def _absent(reason: str) -> NoReturn:
    if os.environ.get("LORAS_TEST_REQUIRE_TORCH") == "1":
        pytest.fail(f"torch and the oracles are required here: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
