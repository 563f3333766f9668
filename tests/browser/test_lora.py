"""What somebody does on the page of a lora: noting, rating, choosing a level, copying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browsing import follow
from tests.support.known_loras import id_of, note, told_by_civitai

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Open = Callable[..., Page]


@pytest.fixture
def ink(builder: Builder, service: Service) -> str:
    """The path of a lora that Civitai knows, with a picture of the level PG and one of X."""
    builder.file(builder.root("/models/loras"), "ink.safetensors")
    builder.write()
    told_by_civitai(builder, service, "ink")
    service.studio.close()
    service.catch_up()
    return f"/loras/{id_of(builder, 'ink')}"


def edit(page: Page) -> None:
    page.locator("summary", has_text="Edit your notes").click()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_noting_saves_without_leaving_the_page_and_undoes(open_page: Open, url: str, ink: str) -> None:
    page = open_page()
    page.goto(url + ink)
    edit(page)
    page.get_by_label("Note", exact=True).fill("first\nsecond")
    page.get_by_role("textbox", name="Trigger words").fill("ink wash, sumi-e")
    page.get_by_label("Favourite", exact=True).check()
    page.get_by_label("Base model", exact=True).select_option("sdxl")
    save(page)
    page.get_by_role("status").get_by_text("Saved.").wait_for()
    assert page.url == url + ink
    assert page.locator(".mine p.text").inner_text() == "first\nsecond"
    assert page.get_by_role("button", name="♥ Favourite").is_visible()
    corrected = page.locator(".facts div", has_text="corrected by you")
    assert corrected.locator("dd bdi").inner_text() == "Stable Diffusion XL"
    page.reload()
    assert page.locator(".mine p.text").inner_text() == "first\nsecond"
    page.get_by_role("button", name="♥ Favourite").click()
    page.get_by_role("button", name="♡ Favourite").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="♥ Favourite").wait_for()


def test_two_who_edit_at_once_see_both_versions(open_page: Open, url: str, ink: str) -> None:
    first, second = open_page(), open_page()
    for page, text in ((first, "hers"), (second, "his")):
        page.goto(url + ink)
        edit(page)
        page.get_by_label("Note", exact=True).fill(text)
    save(first)
    first.get_by_text("Saved.").wait_for()
    save(second)
    alert = second.get_by_role("alert")
    alert.wait_for()
    assert alert.locator("tbody tr").inner_text().split("\t") == ["Note", "hers", "his"]
    assert second.get_by_label("Note", exact=True).input_value() == "his"
    save(second)
    second.get_by_role("status").get_by_text("Saved.").wait_for()
    assert second.locator(".mine p.text").inner_text() == "his"


def test_stars_are_given_with_the_keyboard(open_page: Open, url: str, ink: str) -> None:
    page = open_page()
    page.goto(url + ink)
    page.locator("summary", has_text="Edit your notes").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    group = page.get_by_role("group", name="Rating")
    assert group.get_by_role("radio", name="no rating").evaluate("one => one === document.activeElement")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert group.get_by_role("radio", name="3 stars").is_checked()
    page.keyboard.press("Enter")
    page.get_by_role("img", name="rated 3 of 5").wait_for()


def test_raising_the_level_shows_what_was_hidden_and_lowering_hides_it(
    open_page: Open, url: str, ink: str
) -> None:
    page = open_page()
    page.goto(url + ink)
    strip, level = page.locator(".strip img"), page.get_by_label("Pictures up to")
    assert strip.count() == 1
    assert page.get_by_text("1 hidden by level").is_visible()
    assert page.get_by_text("not everybody wants to read").count() == 0
    level.select_option("X")
    page.get_by_text("not everybody wants to read").wait_for()
    assert strip.count() == 2
    assert strip.last.evaluate(
        "image => image.complete && image.naturalWidth > 0 || image.decode().then(() => 1)"
    )
    assert page.url == url + ink
    page.goto(f"{url}/?view=grid")
    assert level.input_value() == "x"
    with page.expect_navigation(url="**/?view=grid"):  # to the address it is at already
        level.select_option("PG")
    page.goto(url + ink)
    assert strip.count() == 1


def test_trigger_words_and_prompts_are_copied(open_page: Open, url: str, ink: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(url + ink)
    for name, text in (
        ("Copy these trigger words", "ink wash, sumi-e"),
        ("Copy the prompt", "ink wash, a heron between reeds, <lora:ink:0.8>"),
    ):
        page.get_by_role("button", name=name).first.click()
        page.get_by_text("Copied").first.wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == text


def test_all_of_it_works_without_scripts(open_page: Open, url: str, ink: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(url + ink)
    assert page.get_by_role("button", name="Copy these trigger words").count() == 0
    edit(page)
    page.get_by_label("Note", exact=True).fill("typed\nby hand")
    page.locator("label", has_text="4 stars").click()
    page.get_by_label("Weight", exact=True).fill("0,7")
    follow(page, page.get_by_role("button", name="Save", exact=True))
    assert page.get_by_role("status").get_by_text("Saved.").is_visible()
    assert page.get_by_role("img", name="rated 4 of 5").is_visible()
    assert page.locator(".mine p.text").inner_text() == "typed\nby hand"
    edit(page)
    page.get_by_label("Weight", exact=True).fill("heavy")
    follow(page, page.get_by_role("button", name="Save", exact=True))
    assert "not a number from -10 to 10" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Weight", exact=True).input_value() == "heavy"
    page.goto(url + ink)
    page.get_by_label("Pictures up to").select_option("X")
    follow(page, page.get_by_role("button", name="Show"))
    assert page.url == url + ink
    assert page.locator(".strip img").count() == 2
    follow(page, page.get_by_role("button", name="Make it the cover").last)
    assert page.get_by_role("button", name="Cover ✓").is_visible()


def test_the_grid_shows_covers_and_keeps_its_view(
    open_page: Open, url: str, ink: str, builder: Builder, service: Service
) -> None:
    note(builder, "ink", favorite=True, rating=5)
    service.catch_up()
    page = open_page()
    page.goto(url)
    assert page.locator(".list .thumb img").evaluate("image => image.clientWidth") == 44
    page.get_by_role("link", name="Grid").click()
    page.wait_for_url("**/?view=grid")
    page.locator("#q").fill("ink")
    page.locator("#q").press("Enter")
    page.wait_for_url("**/?q=ink&view=grid")
    card = page.locator(".grid li")
    assert card.get_by_role("img", name="rated 5 of 5").is_visible()
    box = card.locator(".cover").bounding_box()
    assert box is not None
    assert abs(box["height"] / box["width"] - 4 / 3) < 0.02
    card.get_by_role("link").click()
    page.wait_for_url(f"**{ink}")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_width_makes_anybody_scroll_sideways(open_page: Open, url: str, ink: str, width: int) -> None:
    page = open_page()
    page.set_viewport_size({"width": width, "height": 800})
    for path in (ink, "/?view=grid"):
        page.goto(url + path)
        if path == ink:
            edit(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, path)
