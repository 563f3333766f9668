"""What somebody does on the page of a lora: noting, rating, choosing a level, copying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from registry.catalog.fingerprints import keep_fingerprint
from registry.errors import CannotDraw, UnsupportedArchitecture
from registry.lora.fingerprint import VERSION
from registry.lora.sketch import SIZE
from registry.measured import Measured, MeasuredBlock
from tests.support.browsing import follow
from tests.support.easel import Easel
from tests.support.known_loras import id_of, note, told_by_civitai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture
def bare(builder: Builder, service: Service) -> Iterator[str]:
    """The path of a lora that has no picture and can be drawn."""
    builder.file(builder.root("/models/loras"), "bare.safetensors")
    builder.write()
    builder.hash("bare", "ab" * 32, "cd" * 32)
    yield f"/loras/{id_of(builder, 'bare')}"
    service.studio.close()


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
            draw(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, path)


def draw(page: Page, **typed: str) -> None:
    page.locator("summary", has_text="Draw it").click()
    for label, text in typed.items():
        page.get_by_label(label, exact=True).fill(text)


def test_pictures_come_while_somebody_waits_and_what_is_typed_elsewhere_stays(
    open_page: Open, url: str, bare: str, service: Service
) -> None:
    easel = Easel(service, draws=False)
    page = open_page()
    page.goto(url + bare)
    draw(page, Weights="0.5, 1", Size="64x64")
    page.get_by_role("button", name="Draw", exact=True).click()
    status = page.get_by_role("status")
    status.get_by_text("2 pictures are being drawn.").wait_for()
    assert page.url == url + bare
    assert not page.get_by_role("link", name="Look again").is_visible()
    edit(page)
    page.get_by_label("Note", exact=True).fill("half a thou")
    strip = page.locator(".strip img")
    easel.draw(1)
    status.get_by_text("1 of 2 pictures is drawn.").wait_for()
    assert strip.count() == 1
    easel.draw()
    status.get_by_text("2 pictures were drawn.").wait_for()
    assert strip.count() == 2
    assert strip.last.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    assert page.get_by_label("Note", exact=True).input_value() == "half a thou"
    assert page.get_by_label("Note", exact=True).evaluate("one => one === document.activeElement")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (UnsupportedArchitecture("bare is for wan, which is not drawn here"), "bare is for wan"),
        (CannotDraw("drawing needs torch", remedy="pip install it"), "drawing needs torch; pip install it."),
    ],
)
def test_why_nothing_is_drawn_is_said_above_what_was_typed(
    open_page: Open, url: str, bare: str, service: Service, *, refusal: Exception, said: str
) -> None:
    Easel(service, refusal=refusal)
    page = open_page()
    page.goto(url + bare)
    draw(page, Prompt="a heron", Seeds="7")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_role("alert").get_by_text(said).wait_for()
    assert page.get_by_label("Prompt", exact=True).input_value() == "a heron"
    assert page.get_by_label("Seeds", exact=True).is_visible()


def test_drawing_works_without_scripts(open_page: Open, url: str, bare: str, service: Service) -> None:
    easel = Easel(service, draws=False)
    page = open_page(java_script_enabled=False)
    page.goto(url + bare)
    draw(page, Size="large")
    follow(page, page.get_by_role("button", name="Draw", exact=True))
    assert "'large' is no size" in page.get_by_role("alert").inner_text()
    page.get_by_label("Size", exact=True).fill("64x64")
    follow(page, page.get_by_role("button", name="Draw", exact=True))
    assert "1 picture is being drawn." in page.get_by_role("status").inner_text()
    easel.draw()
    follow(page, page.get_by_role("link", name="Look again"))
    assert "1 picture was drawn." in page.get_by_role("status").inner_text()
    assert page.locator(".strip img").count() == 1


def test_what_is_most_like_a_lora_is_fetched_once_it_is_seen(
    open_page: Open, url: str, ink: str, builder: Builder
) -> None:
    builder.file(builder.root("/models/loras"), "ink_again.safetensors")
    builder.write()
    sketch = (np.ones(SIZE) / np.sqrt(SIZE)).astype("<f2").tobytes()
    blocks = (MeasuredBlock("unet", "mid_block", 4, 2.0),)
    measured = Measured("change", ("ok",), 4, 2.0, 0.0, 0.5, 3.0, blocks, VERSION, 0)
    for name in ("ink", "ink_again"):
        with builder.catalog.write() as unit:
            assert keep_fingerprint(unit, id_of(builder, name), measured, sketch)
    page = open_page()
    page.goto(url + ink)
    page.locator("#relatives").scroll_into_view_if_needed()
    again = page.locator(".kin li", has_text="ink_again")
    assert "same weights" in again.inner_text()
    follow(page, again.get_by_role("link"))
    assert page.url == f"{url}/loras/{id_of(builder, 'ink_again')}"
    plain = open_page(java_script_enabled=False)
    plain.goto(url + ink)
    follow(plain, plain.get_by_role("link", name="Show them"))
    assert plain.locator(".kin li", has_text="ink_again").is_visible()
