"""Which version of the program this is."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """Return the installed version, `0` in a checkout that was never installed."""
    try:
        return metadata.version("lora-registry")
    except metadata.PackageNotFoundError:
        return "0"
