"""What somebody does on the pages of jobs, and from a search to a drawing of all that it finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.catalog.jobs import add_line
from registry.drawings import Plan
from tests.support.browsing import follow
from tests.support.easel import Easel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Open = Callable[..., Page]

HOSTILE = "\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def easel(builder: Builder, service: Service) -> Iterator[Easel]:
    """A program that draws two loras, one of which has an odd name."""
    root = builder.root("/models/loras")
    for number, name in enumerate(("ink", HOSTILE)):
        builder.file(root, f"{name}.safetensors")
        builder.write()
        builder.hash(name, f"{number}a" * 32, f"{number}b" * 32)
    service.catch_up()
    easel = Easel(service, draws=False)
    state = service.app.state
    state.context = replace(state.context, plan_render=lambda asking: Plan(len(asking.loras), 0, 5.0, (), 0))
    yield easel
    service.studio.close()


def found(page: Page, url: str, query: str) -> None:
    page.goto(url)
    page.locator("#q").fill(query)
    page.locator("#q").press("Enter")
    page.wait_for_url("**/?q=*")
    page.locator("summary", has_text="Draw these").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_all_that_a_search_finds_is_drawn_after_a_look_at_the_plan(
    open_page: Open, url: str, easel: Easel, *, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    found(page, url, "name:*")
    page.get_by_label("Drafts").check()
    follow(page, page.get_by_role("button", name="See what that would be"))
    assert "2 pictures would be drawn." in page.locator("main").inner_text()
    assert easel.asked == []
    follow(page, page.get_by_role("button", name="Start"))
    (job_id,) = easel.jobs
    assert page.url == f"{url}/jobs/{job_id}"
    assert easel.asked[0].draft
    assert page.locator("h1 .badge").inner_text() == "queued"
    assert sorted(page.locator(".kin bdi").all_inner_texts()) == sorted(["ink", HOSTILE])
    easel.draw()
    if not scripts:
        follow(page, page.get_by_role("link", name="Look again"))
    page.locator("h1 .badge", has_text="done").wait_for()
    page.locator(".kin img").nth(1).wait_for()
    follow(page, page.get_by_role("link", name="ink", exact=True))
    assert page.locator(".strip img").count() == 1


def test_a_query_that_is_not_clear_is_told_and_corrected(open_page: Open, url: str, easel: Easel) -> None:
    page = open_page()
    found(page, url, "name:*")
    page.get_by_label("Until").fill("07:00")
    page.get_by_label("Only those").uncheck()
    follow(page, page.get_by_role("button", name="See what that would be"))
    assert "What is not drawn by" in page.locator("main").inner_text()
    page.locator("summary", has_text="Ask for something else").click()
    assert page.get_by_label("Until").input_value() == "07:00"
    assert not page.get_by_label("Only those").is_checked()
    found(page, url, "name:* rank:blue")
    follow(page, page.get_by_role("button", name="See what that would be"))
    alert = page.get_by_role("alert").inner_text()
    assert alert.startswith("Nothing is drawn: the query is not clear: “rank:blue” was ignored")
    assert page.get_by_role("button", name="Start").count() == 0
    assert page.locator("#q").input_value() == "name:* rank:blue"
    assert easel.asked == []


def test_the_list_moves_by_itself_and_keeps_the_focus(
    open_page: Open, url: str, easel: Easel, service: Service
) -> None:
    page = open_page()
    page.goto(f"{url}/jobs")
    assert "Nothing goes on." in page.locator("main").inner_text()
    found(page, url, "name:*")
    follow(page, page.get_by_role("button", name="See what that would be"))
    follow(page, page.get_by_role("button", name="Start"))
    page.goto(f"{url}/jobs")
    (job_id,) = easel.jobs
    link = page.locator(f"#job-{job_id}")
    link.focus()
    easel.draw(1)
    page.locator(".done", has_text="1 of 2").wait_for()
    assert link.evaluate("link => link === document.activeElement")
    easel.draw()
    page.locator("h2", has_text="Ended").wait_for()
    assert "Going on" not in page.locator("main").inner_text()
    with service.builder.catalog.write() as unit:
        add_line(unit, job_id, f"it went well {HOSTILE}")
    follow(page, page.locator(f"#job-{job_id}"))
    assert f"it went well {HOSTILE}" in page.locator(".log").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_job_is_stopped_done_again_and_forgotten(
    open_page: Open, url: str, easel: Easel, *, scripts: bool
) -> None:
    page = open_page(java_script_enabled=scripts)
    found(page, url, "name:*")
    follow(page, page.get_by_role("button", name="See what that would be"))
    follow(page, page.get_by_role("button", name="Start"))
    follow(page, page.get_by_role("button", name="Cancel"))
    assert "It was asked to stop." in page.get_by_role("status").inner_text()
    assert page.locator("h1 .badge").inner_text() == "cancelled"
    follow(page, page.get_by_role("button", name="Do it again"))
    assert page.locator("h1 .badge").inner_text() == "queued"
    easel.draw()
    page.goto(f"{url}/jobs")
    follow(page, page.locator(f"#job-{easel.jobs[0]}"))
    follow(page, page.get_by_role("button", name="Forget"))
    assert f"Job {easel.jobs[0]} is forgotten." in page.get_by_role("status").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/jobs", "/jobs/1"])
def test_nothing_is_wider_than_the_screen(
    open_page: Open, url: str, easel: Easel, width: int, path: str
) -> None:
    page = open_page()
    found(page, url, "name:*")
    follow(page, page.get_by_role("button", name="See what that would be"))
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    follow(page, page.get_by_role("button", name="Start"))
    assert easel.jobs == [1]
    page.goto(url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    footer, header = page.locator(".foot a"), page.locator(".top .to")
    assert (footer.is_visible(), header.is_visible()) == (width == 390, width == 1280)
