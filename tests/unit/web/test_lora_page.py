"""The page of a lora of which much is known, up to the level of whoever looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.api.profiles import RAISED
from registry.catalog.tokens import TokenScope, create_token
from registry.formats.nsfw import PG, XXX, R
from registry.web.sources import LEVEL_COOKIE
from tests.support.documents import document
from tests.support.known_loras import ambiguous, id_of, note, told_by_civitai
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.catalogs import Builder
    from tests.support.documents import Document

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }}"


@pytest.fixture
def ink(builder: Builder, service: Service) -> int:
    """A lora that Civitai knows, with pictures of the levels PG, XXX and R, and one that nobody knows."""
    root = builder.root("/models/loras")
    builder.file(root, "ink.safetensors")
    builder.file(root, "bare.safetensors")
    builder.write()
    told_by_civitai(builder, service, "ink", images=(PG, XXX, R))
    service.catch_up()
    return id_of(builder, "ink")


@pytest.fixture
def get(service: Service) -> Callable[..., Document]:
    return lambda path, status=200, **more: document(service.ask("GET", path, **more), status)


def pictures(page: Document) -> list[str]:
    return [str(one["src"]) for one in page.all("img") if "/pictures/" in str(one["src"])]


def test_what_civitai_knows_is_told_with_who_says_so(ink: int, get: Callable[..., Document]) -> None:
    page = get(f"/loras/{ink}")
    for text in (
        "Ink wash 水墨", "konan", "ink wash, sumi-e", "images may be sold", "XXX", "Second training .",
        "Strokes of ink on wet paper.", "v9 ↗", "early access until 2099-01-01", "Civitai, fetched",
        "Civitai says SDXL 1.0, which is Stable Diffusion XL; its tensors are those of Stable Diffusion 1.x.",
    ):  # fmt: skip
        assert text.replace(" ↗", "") in page.text, text
    assert "https://civitai.com/models/45?modelVersionId=123" in page.links
    assert "https://example.com/notes" in page.links
    assert "/?q=creator%3Akonan" in page.links
    assert "alert" not in page.text


def test_pictures_and_prompts_above_the_limit_are_not_sent_at_all(
    ink: int, service: Service, get: Callable[..., Document]
) -> None:
    page = get(f"/loras/{ink}")
    shown = set(pictures(page))
    assert len(shown) == 1
    assert "2 hidden by level." in page.text
    assert "a heron between reeds" in page.text
    assert "1 more on Civitai" not in page.text
    everything = service.get(f"/api/v1/loras/{ink}/pictures?nsfw=xxx")["items"]
    hidden = [one["key"] for one in everything if f"/api/v1/pictures/{one['key']}" not in shown]
    body = service.ask("GET", f"/loras/{ink}").text
    assert len(hidden) == 2
    assert not any(key in body for key in hidden)
    assert service.ask("GET", shown.pop()).status_code == 200
    assert service.ask("GET", f"/api/v1/pictures/{hidden[0]}").status_code == 403


def test_the_choice_of_a_level_is_kept_in_a_cookie_and_leads_back(
    ink: int, service: Service, get: Callable[..., Document]
) -> None:
    assert LEVEL_COOKIE == RAISED
    before = get(f"/loras/{ink}")
    assert before.form("/level") == {"to": f"/loras/{ink}", "level": "pg13"}
    answer = service.ask("POST", "/level", data={"to": f"/loras/{ink}", "level": "xxx"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/loras/{ink}")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("nsfw=xxx;")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
    raised = get(f"/loras/{ink}", headers={"cookie": "nsfw=xxx"})
    assert len(set(pictures(raised))) == 3
    assert "hidden by level" not in raised.text
    assert raised.form("/level")["level"] == "xxx"
    lowered = get(f"/loras/{ink}", headers={"cookie": "nsfw=pg"})
    assert lowered.form("/level")["level"] == "pg"


@pytest.mark.parametrize(
    ("to", "leads"),
    [
        ("/?q=ink&view=grid", "/?q=ink&view=grid"),
        ("//example.com", "/"),
        ("/\\example.com", "/"),
        ("https://example.com", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_the_way_back_never_leads_elsewhere(service: Service, to: str, leads: str) -> None:
    answer = service.ask("POST", "/level", data={"to": to, "level": "r"})
    assert (answer.status_code, answer.headers["location"]) == (303, leads)


@pytest.mark.parametrize("level", ["blocked", "", "everything", "X", "32"])
def test_levels_that_are_none_are_refused(service: Service, level: str) -> None:
    page = document(service.ask("POST", "/level", data={"to": "/", "level": level}), 400)
    assert "There is no such level to choose." in page.text


def test_a_token_offers_no_level_above_its_own(ink: int, service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "child", "read", TokenScope(nsfw_pictures=PG))
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", secret)}
    page = document(service.ask("GET", f"/loras/{ink}", headers={"cookie": "nsfw=xxx"}, **asked))
    assert [one["value"] for one in page.all("option")] == ["pg"]
    assert len(set(pictures(page))) == 1
    refused = service.ask("POST", "/level", data={"to": "/", "level": "r"}, **asked)
    assert refused.status_code == 400
    assert "set-cookie" not in refused.headers


def test_lists_show_covers_within_the_limit_and_count_the_others(
    ink: int, service: Service, builder: Builder, get: Callable[..., Document]
) -> None:
    note(builder, "ink", favorite=True, rating=4, nsfw="x")
    service.catch_up()
    for path in ("/", "/?view=grid"):
        page = get(path)
        assert len(pictures(page)) == 1
        assert all(one["alt"] == "" for one in page.all("img"))
        assert {"role": "img", "aria-label": "rated 4 of 5", "class": "stars"} in page.all("span")
        assert {"role": "img", "aria-label": "favourite", "class": "fav"} in page.all("span")
        assert "hidden by level" not in page.text
    with_level = document(service.ask("GET", "/?view=grid", headers={"cookie": "nsfw=pg"}))
    assert with_level.form("/level")["to"] == "/?view=grid"


def test_a_cover_above_the_limit_is_only_counted(
    builder: Builder, service: Service, get: Callable[..., Document]
) -> None:
    builder.file(builder.root("/models"), "one.safetensors")
    builder.write()
    told_by_civitai(builder, service, "one", images=(XXX,))
    service.catch_up()
    page = get("/")
    assert pictures(page) == []
    assert "1 picture hidden by level" in page.text
    assert "hidden by level" in get("/?view=grid").text


def test_of_loras_above_the_limit_only_their_number_is_told(builder: Builder, tmp_path: Path) -> None:
    root = builder.root("/models")
    for name in ("seen", "secret", "unknown"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    note(builder, "seen", nsfw="pg")
    note(builder, "secret", nsfw="x")
    with Service(builder, tmp_path, lambda: 0.0, nsfw_entries="r").open() as service:
        service.catch_up()
        for path in ("/", "/?q=kind:lora", "/?view=grid"):
            page = document(service.ask("GET", path))
            assert "2 loras" in page.text
            assert "1 lora hidden by level" in page.text
            assert "secret" not in page.text
        assert "Nothing is like that." in document(service.ask("GET", "/?q=secret")).text
        assert "secret" not in service.ask("GET", "/suggest?q=sec").text
        assert "secret" not in service.ask("GET", "/suggest?q=name:sec").text
        path = f"/loras/{id_of(builder, 'secret')}"
        assert "Hidden by level." in document(service.ask("GET", path), 403).text
        written = service.ask("POST", path, data={"revision": "1", "note": "x"})
        assert (written.status_code, "secret" in written.text) == (403, False)
        assert document(service.ask("GET", f"/loras/{id_of(builder, 'seen')}")).text


def test_several_versions_are_told_with_a_way_to_choose(
    builder: Builder, service: Service, get: Callable[..., Document]
) -> None:
    builder.file(builder.root("/models"), "two.safetensors")
    builder.write()
    ambiguous(builder, service, "two")
    path = f"/loras/{id_of(builder, 'two')}"
    page = get(path)
    assert "Several versions on Civitai have this very file" in page.text
    assert page.text.count("It is this one") == 2
    form = page.form(path, "civitai")
    options = [one["value"] for one in page.all("option")]
    assert {"700,45", "701,45", "none"} <= set(options)
    chosen = service.ask("POST", path, data={"revision": form["revision"], "civitai": "701,45"})
    assert chosen.status_code == 303
    after = get(chosen.headers["location"])
    assert "Several versions" not in after.text
    assert "https://civitai.com/models/45?modelVersionId=701" in after.links


def test_corrections_stand_beside_what_was_identified(
    ink: int, builder: Builder, get: Callable[..., Document]
) -> None:
    note(builder, "ink", architecture="flux1", adapter="lokr")
    text = get(f"/loras/{ink}").text
    assert "FLUX.1 corrected by you; identified as Stable Diffusion 1.x" in text
    assert "LoKr corrected by you; identified as an adapter, LoRA" in text


def test_strangers_write_text_and_nothing_else(
    builder: Builder, service: Service, get: Callable[..., Document]
) -> None:
    builder.file(builder.root("/models"), "bad.safetensors")
    builder.write()
    told_by_civitai(
        builder, service, "bad", trainedWords=[HOSTILE], description=f"<p>{HOSTILE}</p>", baseModel=HOSTILE
    )
    every = {"note": HOSTILE, "tags": [HOSTILE], "triggers": [[HOSTILE]], "display_name": HOSTILE,
             "negative": HOSTILE, "base_model": HOSTILE[:100], "cover": HOSTILE}  # fmt: skip
    note(builder, "bad", actor=HOSTILE, **every)
    service.catch_up()
    for path in (f"/loras/{id_of(builder, 'bad')}", "/", "/?view=grid"):
        page = get(path)
        assert not {"b", "script"} & {tag for tag, one in page.elements if not one.get("src")}
        assert all(str(one["src"]).startswith("/") for one in page.all("img"))
        assert "{{ 7*7 }}" in page.text


def test_links_keep_the_tool_that_stands_in_the_address(builder: Builder, tmp_path: Path) -> None:
    builder.file(builder.root("/models", label="main"), "ink.safetensors")
    builder.write()
    tools = {"webui": {"dialect": "a1111", "roots": ["main"], "prefix": {"main": "/x"}, "nsfw_pictures": "r"}}
    with Service(builder, tmp_path, lambda: 0.0, tools=tools).open() as service:
        told_by_civitai(builder, service, "ink", images=(PG,))
        service.catch_up()
        lora = f"/loras/{id_of(builder, 'ink')}"
        for path in ("/", "/?view=grid", lora, "/loras/999", "/progress"):
            page = document(service.ask("GET", f"/t/webui{path}"), 404 if path == "/loras/999" else 200)
            for tag, one in page.elements:
                for name in ("href", "src", "action", "hx-get", "hx-post"):
                    value = one.get(name) or "/t/webui/"
                    assert value.startswith(("/t/webui/", "#", "https://")), (path, tag, name, value)
        page = document(service.ask("GET", f"/t/webui{lora}"))
        assert service.ask("GET", pictures(page)[0]).status_code == 200
        assert [one["value"] for one in page.all("option")][:3] == ["pg", "pg13", "r"]
        assert page.form("/t/webui/level")["to"] == lora
        back = service.ask("POST", "/t/webui/level", data={"to": lora, "level": "r"})
        assert back.headers["location"] == f"/t/webui{lora}"
        saved = service.ask("POST", f"/t/webui{lora}", data={"revision": "0", "note": "x"})
        assert saved.headers["location"].startswith(f"/t/webui{lora}?saved=")
        assert service.ask("GET", f"/t/webui/loras/0{lora[7:]}").headers["location"] == f"/t/webui{lora}"


def test_no_page_is_shown_where_the_token_stands_in_the_address(ink: int, service: Service) -> None:
    secret = service.token("friend", "write")
    for method, path in (
        ("GET", "/"),
        ("GET", f"/loras/{ink}"),
        ("POST", f"/loras/{ink}"),
        ("GET", "/suggest"),
    ):
        answer = service.ask(method, f"/k/{secret}{path}", peer=REMOTE)
        page = document(answer, 403)
        assert "Pages are not shown where the token stands in the address." in page.text
        assert secret not in answer.text
    assert service.ask("GET", "/", peer=REMOTE, auth=("x", secret)).status_code == 200


def test_readers_see_everything_and_no_form(ink: int, service: Service, builder: Builder) -> None:
    note(builder, "ink", note="a note of mine", favorite=True, rating=2)
    secret = service.token("friend", "read")
    page = document(service.ask("GET", f"/loras/{ink}", peer=REMOTE, auth=("x", secret)))
    assert "a note of mine" in page.text
    assert "Favourite" in page.text
    assert [url for url, _ in page.forms] == ["/", "/level"]


def test_every_field_of_the_form_has_a_label(ink: int, get: Callable[..., Document]) -> None:
    page = get(f"/loras/{ink}")
    labels = {one.get("for") for one in page.all("label")}
    typed = [one for one in page.all("input") if one.get("type") != "hidden"]
    fields = [*typed, *page.all("select"), *page.all("textarea")]
    assert {one["id"] for one in fields} <= labels
    described = {one["aria-describedby"] for one in fields if one.get("aria-describedby")}
    assert described <= {one.get("id") for one in page.all("span")}
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert len(page.all("h1")) == 1
    assert all(one.get("alt") or one.get("alt") == "" for one in page.all("img"))


def test_a_page_is_another_one_once_something_was_noted(ink: int, service: Service, builder: Builder) -> None:
    etag = service.ask("GET", f"/loras/{ink}").headers["etag"]
    unchanged = {"if-none-match": etag}
    assert service.ask("GET", f"/loras/{ink}", headers=unchanged).status_code == 304
    assert service.ask("GET", f"/loras/{ink}", headers={**unchanged, "cookie": "nsfw=r"}).status_code == 200
    note(builder, "ink", rating=1)
    assert service.ask("GET", f"/loras/{ink}", headers=unchanged).status_code == 200


def test_pictures_and_prompts_in_a_header_above_the_limit_are_not_sent(
    builder: Builder, service: Service
) -> None:
    metadata = {
        "ss_steps": "5",
        "Prompt": "a secret prompt",
        "workflow": '{"1": "a secret workflow"}',
        "other": "data:image/png;base64,c2VjcmV0",
    }
    builder.file(builder.root("/models"), "own.safetensors", metadata)
    builder.write()
    note(builder, "own", nsfw="xxx")
    service.catch_up()
    path = f"/loras/{id_of(builder, 'own')}"
    hidden = service.ask("GET", path)
    assert hidden.status_code == 200
    assert "ss_steps" in hidden.text
    assert not any(secret in hidden.text for secret in ("a secret", "data:image", "c2VjcmV0"))
    shown = service.ask("GET", path, headers={"cookie": "nsfw=xxx"}).text
    assert all(told in shown for told in ("a secret prompt", "a secret workflow", "c2VjcmV0"))
