"""The pages in a real browser: Debian's Chromium, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.support.catalogs import open_builder
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

    from tests.support.catalogs import Builder

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 30_000


def _absent(reason: str) -> NoReturn:
    if os.environ.get("LORAS_TEST_REQUIRE_CHROMIUM") == "1":
        pytest.fail(f"Chromium and Playwright are required here: {reason}")
    pytest.skip(reason)


# Not for longer than a module: while Playwright drives, its event loop counts as running in this thread, and
# tests of others could have none of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it its tests skip, or fail where LORAS_TEST_REQUIRE_CHROMIUM is 1."""
    try:
        playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    except pytest.skip.Exception as missing:
        _absent(str(missing))
    chromium = shutil.which("chromium")
    if chromium is None:
        _absent("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages; what the browser refuses, and any script that fails or speaks up, fails the test."""
    contexts, complaints = [], []

    def listen(message: ConsoleMessage) -> None:
        # Answers that are errors are wanted by tests; what they say is seen by them.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def refuse(dialog: Dialog) -> None:
        complaints.append(dialog.message)
        dialog.dismiss()

    def open_page(**options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", refuse)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Service:
    """The application over the catalog as the test fills it; no index is made before `catch_up`."""
    return Service(builder, tmp_path, lambda: 0.0)


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    """Where the application is served."""
    with service.listening() as served:
        yield served
