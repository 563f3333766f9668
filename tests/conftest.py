"""Fixtures shared by all tests."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
from pathlib import Path

import pytest


def _stay_at_home(event: str, arguments: tuple[object, ...]) -> None:
    """Let no test reach another machine: only addresses of this one are connected to."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
        return
    try:
        found = ipaddress.ip_address(address[0].partition("%")[0])
    except ValueError:
        return
    if not (found.is_loopback or found.is_unspecified):
        raise AssertionError(f"a test connects to {found}, which is not this machine")


def pytest_configure() -> None:
    """Keep tests at home, and hear Ctrl-C even where a shell started them in the background, deaf to it."""
    sys.addaudithook(_stay_at_home)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real-world test data, `LORAS_TEST_DATA` or `shared/data` beside the checkout."""
    named = os.environ.get("LORAS_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip(f"real-world test data is absent: {folder}")
    return folder
