"""What somebody does on the search page, with a mouse, with a keyboard, without scripts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.browsing import follow
from tests.support.files import kohya_metadata
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.catalogs import Builder

    Open = Callable[..., Page]

HOSTILE = "\"'><img src=x onerror=alert(1)> <script>alert(2)</script> javascript:alert(3) \u202e 盲盒"


@pytest.fixture
def filled(builder: Builder, service: Service) -> Builder:
    """A catalog of 60 loras, of which 20 have the tag `long hair`, and one hostile one."""
    loras, nas = builder.root("/models/loras"), builder.root("/models/nas")
    for number in range(60):
        tags = {"long hair": 9, "sky": 4} if number % 3 == 0 else {"sea": 5}
        more = {"ss_tag_frequency": json.dumps({"4_x": tags})}
        metadata = kohya_metadata(seed=number, tags=3, name=f"style {number}") | more
        builder.file(nas if number % 2 else loras, f"sets/style_{number:02d}.safetensors", metadata)
    hostile = {
        "modelspec.title": HOSTILE,
        "modelspec.trigger_phrase": HOSTILE,
        "ss_training_comment": HOSTILE,
        "ss_tag_frequency": json.dumps({f"3_{HOSTILE}": {HOSTILE: 5}}),
        HOSTILE: HOSTILE,
    }
    builder.file(loras, f"{HOSTILE.replace('/', '_')}.safetensors", kohya_metadata(name="hostile") | hostile)
    builder.write()
    service.catch_up()
    return builder


def total(page: Page) -> int:
    found = re.search(r"(\d+) loras?", page.locator(".head .count").inner_text())
    assert found is not None
    return int(found[1])


def query(page: Page) -> str:
    return page.locator("#q").input_value()


@pytest.mark.usefixtures("filled")
def test_typing_suggests_and_the_keyboard_chooses(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(url)
    box, suggestions = page.get_by_role("combobox", name="Search the catalog"), page.locator("#suggestions")
    assert box.get_attribute("aria-expanded") == "false"
    box.press_sequentially("lon")
    suggestions.get_by_role("option", name="long hair").wait_for()
    assert box.get_attribute("aria-expanded") == "true"
    box.press("ArrowUp")
    last = suggestions.get_by_role("option").last
    assert last.get_attribute("aria-selected") == "true"
    assert box.get_attribute("aria-activedescendant") == last.get_attribute("id")
    box.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") is None
    while suggestions.locator("[aria-selected=true]").filter(has_text="long hair").count() == 0:
        box.press("ArrowDown")
    box.press("Enter")
    assert query(page) == 'tag:"long hair" '
    assert suggestions.is_hidden()
    box.press("Enter")
    page.wait_for_url("**/?q=*")
    assert total(page) == 20
    assert page.url.partition("?")[2] == "q=tag%3A%22long+hair%22+"


@pytest.mark.usefixtures("filled")
def test_a_field_goes_on_with_its_values_and_a_click_chooses(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(url)
    box, options = page.locator("#q"), page.locator("#suggestions [role=option]")
    box.press_sequentially("style -roo")
    options.filter(has_text="root:").first.click()
    assert query(page) == "style -root:"
    options.filter(has_text="nas").click()
    assert query(page) == "style -root:nas "
    assert box.evaluate("box => box === document.activeElement")
    box.press("Enter")
    page.wait_for_url("**/?q=*")
    assert total(page) == 30


@pytest.mark.usefixtures("filled")
def test_suggestions_go_away_when_nobody_wants_them(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(url)
    box, suggestions = page.locator("#q"), page.locator("#suggestions")
    box.press_sequentially("sk")
    suggestions.wait_for(state="visible")
    box.press("Escape")
    assert suggestions.is_hidden()
    assert query(page) == "sk"
    box.press("ArrowDown")
    assert suggestions.is_visible()
    box.press("Tab")
    assert suggestions.is_hidden()
    box.focus()
    with page.expect_response("**/suggest?*"):
        box.press("End")
        box.press_sequentially("qqq")
    suggestions.wait_for(state="hidden")


@pytest.mark.usefixtures("filled")
def test_a_facet_changes_the_address_and_the_back_button_leads_back(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(f"{url}/?q=style")
    assert total(page) == 60
    page.get_by_role("link", name="long hair").click()
    page.wait_for_url("**/?q=style%20tag%3A%22long%20hair%22")
    assert (total(page), query(page)) == (20, 'style tag:"long hair"')
    page.go_back()
    assert (total(page), query(page)) == (60, "style")
    page.go_forward()
    assert total(page) == 20
    page.get_by_role("link", name="take this filter away").click()
    page.wait_for_url("**/?q=style")
    assert total(page) == 60


@pytest.mark.usefixtures("filled")
def test_choosing_a_sort_keeps_the_query_and_the_address_short(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(url)
    page.get_by_label("Sort by").select_option("name, Z to A")
    page.wait_for_url("**/?sort=-name")
    assert page.locator(".list .name a").first.inner_text() == "style_59"
    page.locator("#q").fill("style")
    page.locator("#q").press("Enter")
    page.wait_for_url("**/?q=style&sort=-name")
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**&cursor=*")
    assert page.locator(".list tbody tr").count() == 10
    page.get_by_role("link", name="First page").click()
    page.wait_for_url("**/?q=style&sort=-name")


@pytest.mark.usefixtures("filled")
def test_everything_works_without_scripts(open_page: Open, url: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(url)
    page.get_by_label("Search the catalog").fill("style")
    page.get_by_label("Sort by").select_option("name, A to Z")
    follow(page, page.get_by_role("button", name="Search"))
    assert page.url == f"{url}/?q=style&sort=name"
    follow(page, page.get_by_role("link", name="long hair"))
    assert total(page) == 20
    page.locator("summary", has_text="Root").click()
    follow(page, page.get_by_role("link", name="nas"))
    assert total(page) == 10
    follow(page, page.locator(".list .name a").first)
    assert page.locator("h1").inner_text() == "style_03"
    page.locator("summary", has_text="entries of metadata").click()
    assert page.locator(".metadata dt", has_text="ss_tag_frequency").is_visible()


@pytest.mark.usefixtures("filled")
def test_text_of_strangers_runs_nowhere(open_page: Open, url: str) -> None:
    page = open_page()
    page.goto(f"{url}/?q=alert")
    page.locator("#q").fill("")
    page.locator("#q").press_sequentially("tag:img")
    page.wait_for_timeout(500)
    follow(page, page.locator(".list .name a"))
    assert page.locator("h1").inner_text().startswith("\"'><img src=x onerror=alert(1)> <script>")
    assert "\\u202e 盲盒" in page.locator("h1").inner_text()
    assert page.locator("main img, main script").count() == 0
    page.locator("summary", has_text="entries of metadata").click()
    follow(page, page.locator(".words a").first)
    assert total(page) == 1


def test_a_page_waits_for_the_index_by_itself(
    builder: Builder, service: Service, open_page: Open, url: str
) -> None:
    builder.file(builder.root("/models"), "one.safetensors")
    builder.write()
    page = open_page()
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == 503
    assert page.locator("h1").inner_text() == "One moment"
    service.catch_up()
    page.get_by_role("link", name="one").wait_for()


@pytest.mark.usefixtures("filled")
def test_progress_appears_moves_and_goes_away(service: Service, open_page: Open, url: str) -> None:
    scan: dict[str, object] = {"label": "nas", "files": 20, "new": 1, "changed": 0, "expected": 80}
    service.actions.going_on["scans"] = [scan]
    page = open_page()
    page.goto(url)
    bar = page.get_by_role("progressbar", name="Scanning nas")
    assert bar.evaluate("bar => bar.position") == 0.25
    scan["files"] = 60
    page.get_by_text("60 of 80 files").wait_for()
    assert bar.evaluate("bar => bar.position") == 0.75
    service.actions.going_on.clear()
    bar.wait_for(state="detached")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_no_width_makes_anybody_scroll_sideways(open_page: Open, url: str, width: int) -> None:
    page = open_page()
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/?q=alert", "/?q=nothing-is-like-that", "/loras/1", "/loras/61", "/loras/0"):
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, path)
    page.goto(url)
    facet = page.get_by_role("link", name="long hair")
    if width < 960:
        assert facet.is_hidden()
        page.locator("summary", has_text="Filters").click()
    assert facet.is_visible()


def test_a_browser_can_log_in(builder: Builder, tmp_path: Path, open_page: Open) -> None:
    builder.file(builder.root("/models"), "one.safetensors")
    builder.write()
    service = Service(builder, tmp_path, lambda: 0.0, require_token=True)
    service.catch_up()
    secret = service.token("me", "read")
    with service.listening() as url:
        # As Chromium does once somebody has typed a name and the token.
        page = open_page(http_credentials={"username": "anybody", "password": secret})
        page.goto(url)
        page.get_by_role("link", name="one").wait_for()
        page.locator("#q").press_sequentially("on")
        page.locator("#suggestions [role=option]").first.wait_for()
