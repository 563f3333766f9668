"""What a browser needs of a test to be deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def follow(page: Page, control: Locator) -> None:
    """Click a link or a button and wait until the page that it leads to is loaded."""
    with page.expect_navigation():
        control.click()
