"""The pages over HTTP: what they hold, what they never hold, and that they work without any script."""

from __future__ import annotations

import json
import re
from html import unescape
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from registry.web.results import SORTS
from registry.web.words import visible
from tests.support.documents import CSP, Document, document
from tests.support.files import kohya_metadata
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    SCRIPT,
    "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "a\u202eb\u2066c",
    "盲盒",
    "half \ud83d and \x00",
)


@pytest.fixture
def get(service: Service) -> Callable[..., Document]:
    return lambda path, status=200: document(service.ask("GET", path), status)


@pytest.fixture
def filled(builder: Builder, service: Service) -> Builder:
    """A catalog of 60 loras in two roots; one has two files, one is damaged."""
    loras, nas = builder.root("/models/loras"), builder.root("/models/nas")
    for number in range(57):
        builder.file(loras, f"style/style_{number:02d}.safetensors")
    tags = json.dumps({"4_cats": {"long hair": 9, "猫": 4}})
    cats = {
        **kohya_metadata(tags=5, name="cats"),
        "ss_tag_frequency": tags,
        "modelspec.trigger_phrase": "sks cat",
    }
    builder.file(loras, "DetailTweaker_v2.safetensors", cats)
    builder.file(nas, "backup/DetailTweaker.safetensors", cats)
    builder.file(nas, "half.safetensors", cause="truncated-data")
    builder.write()
    builder.hash("DetailTweaker_v2", "a" * 64, "b" * 64)
    builder.hash("DetailTweaker", "c" * 64, "b" * 64)
    service.catch_up()
    return builder


@pytest.mark.usefixtures("filled")
def test_the_first_page_lists_what_is_there(get: Callable[..., Document]) -> None:
    page = get("/")
    assert "59 loras" in page.text
    assert "Everything, by first seen, newest first" in page.text
    assert len([link for link in page.links if link.startswith("/loras/")]) == 50
    assert "2 copies" in page.text
    assert "damaged" in page.text
    assert page.all("input")[0]["name"] == "q"
    assert page.all("form")[0]["action"] == "/"


@pytest.mark.usefixtures("filled")
def test_pages_follow_each_other_and_have_every_lora_once(get: Callable[..., Document]) -> None:
    for query in ("/", "/?q=style", "/?sort=name", "/?q=size%3A%3E0&sort=-size"):
        seen: list[str] = []
        path: str | None = query
        while path is not None:
            page = get(path)
            seen += [link for link in page.links if link.startswith("/loras/")]
            path = next((str(one["href"]) for one in page.all("a") if one.get("rel") == "next"), None)
        total = re.search(r"(\d+) loras", page.text)
        assert total is not None
        assert len(seen) == len(set(seen)) == int(total[1]) > 50


@pytest.mark.usefixtures("filled")
def test_every_facet_link_finds_as_many_as_it_says_and_leads_back(service: Service) -> None:
    link = re.compile(
        r'<a href="([^"]+)"( class="on"[^>]*)?>\s*<span class="label">.*?<span class="count">(\d+)', re.DOTALL
    )
    total = re.compile(r'<p class="count">(\d+) lora')

    def facets(path: str) -> tuple[int, dict[str, tuple[bool, int]]]:
        text = service.ask("GET", path).text
        count = total.search(text)
        assert count is not None
        return int(count[1]), {
            unescape(found[1]): (bool(found[2]), int(found[3])) for found in link.finditer(text)
        }

    all_of_them, offered = facets("/")
    assert len(offered) > 10
    for url, (active, count) in offered.items():
        assert not active
        found, narrowed = facets(url)
        assert found == count, url
        if found < all_of_them:
            assert ("/", (True, count)) in narrowed.items(), url


@pytest.mark.usefixtures("filled")
def test_what_was_understood_ignored_and_meant_is_told(get: Callable[..., Document]) -> None:
    page = get("/?q=detail+rank:abc+arch:sd15")
    assert "Stable Diffusion 1.x loras matching “detail”, best matches first" in page.text
    assert "“rank:abc” was ignored" in page.text
    nothing = get("/?q=tweakr")
    assert "0 loras" in nothing.text
    assert "Nothing is like that." in nothing.text
    assert "Did you mean tweaker ?" in nothing.text
    assert "/?q=tweaker" in nothing.links
    assert "1 lora" in get("/?q=tweaker").text


@pytest.mark.usefixtures("filled")
def test_the_sort_that_was_chosen_stays_chosen(get: Callable[..., Document]) -> None:
    page = get("/?q=style&sort=-size")
    (chosen,) = [
        one["value"] for one in page.all("option") if "selected" in one and one["value"] in dict(SORTS)
    ]
    assert chosen == "-size"
    assert page.all("select")[-1]["form"] == page.all("form")[0]["id"]
    assert all("sort=-size" in link for link in page.links if link.startswith("/?q=style%20"))


def test_an_empty_catalog_says_how_to_fill_it(service: Service, get: Callable[..., Document]) -> None:
    service.catch_up()
    assert "Nothing is in the catalog yet" in get("/").text


def test_a_page_without_an_index_waits_by_itself(service: Service, get: Callable[..., Document]) -> None:
    page = get("/?q=cats", 503)
    assert {"http-equiv": "refresh", "content": "3"} in page.all("meta")
    assert "One moment" in page.text
    assert page.all("input")[0]["value"] == "cats"
    assert service.ask("GET", "/").headers["retry-after"] == "3"
    assert service.ask("GET", "/suggest?q=ca").text.strip() == ""


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("path", "status", "said", "link"),
    [
        ("/?q=x&cursor=nonsense", 400, "That is no place in this list.", "/?q=x"),
        ("/?q=x&cursor=WzEsMl0", 400, "That is no place in this list.", "/?q=x"),
        ("/?sort=nothing", 400, "There is no sort 'nothing'.", "/"),
        ("/loras/999999", 404, "There is no lora 999999.", "/"),
        ("/loras/0", 404, "There is no lora 0.", "/"),
        ("/loras/name", 404, "There is no such lora.", "/"),
        (f"/loras/{'9' * 60}", 404, "There is no such lora.", "/"),
        (f"/loras/{SCRIPT.replace('/', '')}", 404, "There is no such lora.", "/"),
    ],
)
def test_what_goes_wrong_is_said_on_a_page(
    get: Callable[..., Document], path: str, status: int, said: str, link: str
) -> None:
    page = get(path, status)
    assert said in page.text
    assert link in page.links


def test_a_lora_has_a_page_of_everything(filled: Builder, get: Callable[..., Document]) -> None:
    page = get("/?q=name:DetailTweaker_v2")
    path = next(link for link in page.links if link.startswith("/loras/"))
    text = get(path).text
    for wanted in (
        "DetailTweaker_v2",
        "backup/DetailTweaker.safetensors",
        "data:" + "b" * 64,
        "a" * 64,
        "c" * 64,
        "modules with lora factors",
        "claimed by modelspec.trigger_phrase sks cat",
        "long hair",
        "猫",
        "network dim",
        "verified",
        "2 copies",
        "ss_tag_frequency",
    ):
        assert wanted in text, wanted


def test_a_page_that_did_not_change_is_not_sent_again(filled: Builder, service: Service) -> None:
    path = "/loras/1"
    first = service.ask("GET", path)
    again = service.ask("GET", path, headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == CSP
    filled.hash("style_00", "d" * 64, "e" * 64)
    assert service.ask("GET", path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_an_id_that_was_merged_leads_to_what_it_became(filled: Builder, service: Service) -> None:
    pages = {link for link in document(service.ask("GET", "/?sort=id")).links if link.startswith("/loras/")}
    moved = [
        n
        for n in range(1, 62)
        if f"/loras/{n}" not in pages and service.ask("GET", f"/loras/{n}").status_code == 307
    ]
    assert moved
    target = service.ask("GET", f"/loras/{moved[0]}").headers["location"]
    assert "DetailTweaker" in document(service.ask("GET", target)).text
    assert service.ask("GET", "/loras/01").headers["location"] == "/loras/1"


def test_what_somebody_looks_at_is_hashed_first(filled: Builder, service: Service) -> None:
    service.ask("GET", "/loras/2")
    with filled.catalog.read() as conn:
        rows = conn.exec_driver_sql("SELECT lora_id FROM file WHERE hash_priority > 0").fetchall()
    assert [row[0] for row in rows] == [2]


@pytest.mark.usefixtures("filled")
def test_suggestions_are_a_part_of_a_page(service: Service) -> None:
    answer = service.ask("GET", "/suggest?q=red+lon")
    part = document(answer)
    options = part.all("li")
    assert {"role": "option", "aria-selected": "false"}.items() <= options[0].items()
    assert 'red tag:"long hair" ' in [one["data-query"] for one in options]
    assert service.ask("GET", "/suggest").text.strip() == ""


def test_progress_is_asked_for_more_often_while_something_goes_on(service: Service) -> None:
    quiet = document(service.ask("GET", "/progress"))
    assert quiet.all("div")[0]["hx-trigger"] == "every 15s"
    assert not quiet.all("progress")
    scan = {"label": SCRIPT, "files": 20, "new": 1, "changed": 0, "expected": 80}
    service.actions.going_on["scans"] = [scan]
    busy = document(service.ask("GET", "/progress"))
    assert busy.all("div")[0]["hx-trigger"] == "every 2s"
    assert busy.all("progress") == [{"aria-label": f"Scanning {SCRIPT}", "max": "80", "value": "20"}]
    # The page that waits for the index tells it too.
    assert "20 of 80 files" in document(service.ask("GET", "/"), 503).text


def test_text_of_strangers_is_only_ever_text(builder: Builder, service: Service) -> None:
    root = builder.root("/models/<b>root<b> \u202e")
    for number, text in enumerate(HOSTILE):
        hostile = {
            **kohya_metadata(seed=number, tags=3, name=text),
            "modelspec.title": text,
            "modelspec.trigger_phrase": text,
            "modelspec.description": text,
            "ss_training_comment": text,
            "ss_sd_model_name": text,
            "ss_base_model_version": text,
            "ss_optimizer": text,
            "sshs_model_hash": text,
            "ss_tag_frequency": json.dumps({f"3_{text}": {text: 5}}),
            text: text,
        }
        name = text.replace("\ud83d", "").replace("\x00", "")
        builder.file(root, f"{number}_{name}.safetensors", hostile)
    builder.write()
    service.catch_up()
    front = document(service.ask("GET", "/"))
    for text in (*HOSTILE[1:5], "<b>root<b>"):
        assert visible(text) in front.text
    assert "\u202e" not in front.text + "".join(str(one) for one in front.elements)
    for number, text in enumerate(HOSTILE, start=1):
        page = document(service.ask("GET", f"/loras/{number}"))
        assert not {"img", "b", "script"} & {tag for tag, one in page.elements if not one.get("src")}
        assert "\u202e" not in page.text
        if number != len(HOSTILE):  # what no catalog can store was cleaned before
            assert page.text.count(visible(text)) >= 8, (text, page.text)
    assert "49" not in [word for word in front.text.split() if "{" in word]


@pytest.mark.parametrize("text", [*HOSTILE, "\r\n", "x" * 5000, '"unclosed (', "saved:x", "-", "%"])
def test_a_query_comes_back_as_it_was_typed(builder: Builder, service: Service, text: str) -> None:
    builder.file(builder.root("/models"), "one.safetensors")
    builder.write()
    service.catch_up()
    answer = service.ask("GET", "/", params={"q": text.replace("\ud83d", "")})
    page = document(answer)
    given = page.all("input")[0]["value"]
    assert given == text.replace("\ud83d", "")[:4000]
    part = document(service.ask("GET", "/suggest", params={"q": text.replace("\ud83d", "")}))
    assert {tag for tag, _ in part.elements} <= {"li", "bdi", "span"}


@pytest.mark.parametrize("path", ["/", "/loras/1", "/suggest?q=a", "/progress"])
def test_the_door_is_that_of_the_api(service: Service, path: str) -> None:
    refused = service.ask("GET", path, peer=REMOTE)
    assert refused.status_code == 401
    assert 'Basic realm="' in refused.headers["www-authenticate"]
    secret = service.token("friend", "read")
    served = service.ask("GET", path, peer=REMOTE, auth=("anybody", secret))
    assert served.status_code in {200, 404, 503}
    assert served.headers["content-type"].startswith("text/html")
    assert service.ask("POST", path, auth=("anybody", secret), peer=REMOTE).status_code in {403, 405}
    assert "set-cookie" not in served.headers


def test_static_files_are_kept_for_good(service: Service) -> None:
    page = document(service.ask("GET", "/"), 503)
    urls = {str(one.get("src") or one.get("href")) for one in (*page.all("script"), *page.all("link"))}
    assert len(urls) == 5
    for url in urls:
        answer = service.ask("GET", url)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[url.rpartition(".")[2]]
        assert answer.headers["content-type"].startswith(kind)
        assert service.ask("GET", re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", url)).status_code == 404
    assert service.ask("GET", "/static/../pages.py").status_code == 404
    assert service.ask("GET", "/static/%2e%2e%2fpages.py").status_code == 404


def test_what_is_static_is_small_ours_or_licensed_and_calls_nobody() -> None:
    folder = resources.files("registry.web").joinpath("static")
    assert len(folder.joinpath("site.css").read_bytes()) < 22_000
    assert "Zero-Clause BSD" in folder.joinpath("htmx.LICENSE.txt").read_text(encoding="utf-8")
    for name in ("site.css", "search.js", "lora.js", "icon.svg"):
        text = folder.joinpath(name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]|@import|url\(|eval|innerHTML", text), name


@pytest.mark.usefixtures("filled")
def test_pages_are_compressed_for_those_who_take_that(service: Service) -> None:
    plain = service.raw("/", {"Accept-Encoding": "identity"})
    small = service.raw("/", {"Accept-Encoding": "gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["vary"]
    assert len(small.content) < len(plain.content) / 4


def test_every_form_and_picture_has_a_name(filled: Builder, get: Callable[..., Document]) -> None:
    for path in ("/", "/?q=x", "/loras/1"):
        page = get(path)
        labels = {one.get("for") for one in page.all("label")}
        typed = [one for one in page.all("input") if one.get("type") != "hidden"]
        assert {one["id"] for one in (*typed, *page.all("select"), *page.all("textarea"))} <= labels
        assert all("alt" in one for one in page.all("img"))
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("main")) == len(page.all("h1")) == 1
        ids = [one["id"] for _, one in page.elements if "id" in one]
        assert len(ids) == len(set(ids))
