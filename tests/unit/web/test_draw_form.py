"""The form on the page of a lora that asks for pictures, without any script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.jobs import delete_job
from registry.catalog.pieces import stop_job
from registry.catalog.tokens import TokenScope, create_token
from registry.drawings import FIRST
from registry.errors import BadRequest, CannotDraw, NoBase, UnsupportedArchitecture
from registry.formats.nsfw import R
from tests.support.documents import Document, document
from tests.support.easel import Easel
from tests.support.known_loras import id_of
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.catalogs import Builder

HOSTILE = "\"'><script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Iterator[Service]:
    bases = {"sd15": "/models/sd15", "pony": "/models/<b>pony"}
    with Service(builder, tmp_path, lambda: 0.0, bases=bases).open() as opened:
        yield opened


@pytest.fixture
def one(builder: Builder) -> int:
    root = builder.root("/models")
    builder.file(root, "one.safetensors")
    builder.file(root, "two.safetensors")
    builder.write()
    for number, name in enumerate(("one", "two")):
        builder.hash(name, f"{number}a" * 32, f"{number}b" * 32)
    return id_of(builder, "one")


@pytest.fixture
def easel(service: Service) -> Easel:
    return Easel(service, draws=False)


def page_of(service: Service, lora_id: int) -> Document:
    return document(service.ask("GET", f"/loras/{lora_id}"))


def send(service: Service, lora_id: int, **fields: str) -> httpx.Response:
    form = page_of(service, lora_id).form(f"/loras/{lora_id}/draw")
    return service.ask("POST", f"/loras/{lora_id}/draw", data={**form, **fields})


def followed(service: Service, answer: httpx.Response) -> Document:
    assert answer.status_code == 303, answer.text
    return document(service.ask("GET", answer.headers["location"]))


def drawn(page: Document) -> list[str]:
    return [str(one["src"]) for one in page.all("img") if "/pictures/" in str(one["src"])]


def polled(page: Document) -> str:
    return next(str(one["hx-get"]) for one in page.all("p") if one.get("hx-get"))


def test_pictures_are_asked_for_watched_and_shown(one: int, service: Service, easel: Easel) -> None:
    answer = send(service, one, weights="0.5, 1", seeds="1 2", size="64x64", prompt="a heron")
    page = followed(service, answer)
    (asked,) = easel.asked
    assert (asked.loras, asked.weights, asked.seeds) == ((one,), (0.5, 1.0), (1, 2))
    assert (asked.prompt, asked.size, asked.priority) == ("a heron", (64, 64), FIRST)
    assert "4 pictures are being drawn." in page.text
    assert "There are none yet." in page.text
    assert answer.headers["location"] in page.links
    watched = polled(page)
    waits = service.ask("GET", watched)
    assert (waits.status_code, waits.content, waits.headers["cache-control"]) == (204, b"", "no-store")
    easel.draw(1)
    some = document(service.ask("GET", watched))
    assert "1 of 4 pictures is drawn." in some.text
    assert len(drawn(some)) == 1
    easel.draw()
    done = document(service.ask("GET", polled(some)))
    assert "4 pictures were drawn." in done.text
    assert len(drawn(done)) == 4
    assert not [each for each in done.all("p") if each.get("hx-get")]
    assert "Look again" not in done.text


def test_a_page_that_watches_asks_soon_what_is_going_on(one: int, service: Service, easel: Easel) -> None:
    def polls(page: Document) -> str | None:
        return next(each["hx-trigger"] for each in page.all("div") if each.get("id") == "progress")

    assert polls(page_of(service, one)) == "every 15s"
    page = followed(service, send(service, one))
    assert polls(page) == "every 2s"
    easel.draw()


def test_why_pictures_failed_is_said(one: int, service: Service, easel: Easel) -> None:
    easel.error = f"no room for {HOSTILE}"
    answer = send(service, one, seeds="1 2")
    easel.draw()
    page = followed(service, answer)
    assert f"No picture was drawn. 2 pictures failed. No room for {HOSTILE}." in page.text
    assert {"role": "alert"}.items() <= page.all("section")[0].items()


def test_why_a_picture_that_was_drawn_is_not_shown_is_said(one: int, service: Service, easel: Easel) -> None:
    easel.slug, easel.error = "no-effect", f"nothing of {HOSTILE} shows"
    answer = send(service, one)
    easel.draw()
    page = followed(service, answer)
    assert f"1 picture was drawn. 1 picture is not shown. Nothing of {HOSTILE} shows." in page.text


def test_what_was_there_before_is_counted_apart(one: int, service: Service, easel: Easel) -> None:
    answer = send(service, one, seeds="1 2 3", size="64x64")
    easel.draw()
    there = answer.headers["location"].replace("there=0", "there=2")
    page = document(service.ask("GET", there))
    assert "1 picture was drawn. 2 more were there already." in page.text
    every = document(service.ask("GET", answer.headers["location"].replace("there=0", "there=99")))
    assert "These 3 pictures are there already." in every.text


def test_a_drawing_that_was_stopped_is_told(one: int, service: Service, easel: Easel) -> None:
    answer = send(service, one)
    with service.builder.catalog.write() as unit:
        stop_job(unit, easel.jobs[0])
    assert "No picture was drawn." in followed(service, answer).text


def test_an_address_tells_of_no_other_job(one: int, service: Service, easel: Easel, builder: Builder) -> None:
    answer = send(service, one)
    easel.draw()
    two = id_of(builder, "two")
    (job,) = easel.jobs
    paths = [f"/loras/{two}?drawing={job}"]
    given = ("999", "-1", "", "x", "9" * 40, "\u0661", HOSTILE)
    paths += [f"/loras/{one}?drawing={httpx_quoted(text)}&there=1" for text in given]
    for path in paths:
        page = document(service.ask("GET", path))
        assert "drawn." not in page.text
        assert "already" not in page.text
    odd = document(service.ask("GET", f"/loras/{one}?drawing={job}&there=x&seen={httpx_quoted(HOSTILE)}"))
    assert "1 picture was drawn." in odd.text
    with builder.catalog.write() as unit:
        delete_job(unit, job)
    assert "drawn." not in followed(service, answer).text


def httpx_quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (CannotDraw("drawing needs torch", remedy="pip install 'lora-registry[render]'"), 409),
        (NoBase(f"no base model for {HOSTILE} is known; name one in the settings"), 409),
        (UnsupportedArchitecture("one is for wan, which is not drawn here"), 422),
        (BadRequest("one is no adapter but of the kind vae"), 400),
    ],
)
def test_where_nothing_can_be_drawn_the_page_says_so_and_keeps_what_was_typed(
    one: int, service: Service, easel: Easel, refusal: Exception, status: int
) -> None:
    easel.refusal = refusal
    page = document(
        send(service, one, weights="0.5", prompt=f"line\n{HOSTILE}", draft="yes", base="pony"), status
    )
    remedy = getattr(refusal, "remedy", "")
    assert f"Nothing is drawn: {refusal}{'; ' * bool(remedy)}{remedy}." in page.text
    form = page.form(f"/loras/{one}/draw")
    assert form == {"weights": "0.5", "prompt": f"line\n{HOSTILE}", "draft": "yes", "house": "", "size": "",
                    "seeds": "1234", "steps": "20", "base": "pony"}  # fmt: skip
    assert next(each for each in page.all("details") if each.get("id") == "draw").keys() >= {"open"}
    assert not next(each for each in page.all("details") if each.get("id") == "edit").keys() & {"open"}


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"weights": HOSTILE}, "weights are numbers with commas between them"),
        ({"seeds": "\u202e"}, "seeds are whole numbers"),
        ({"size": "big"}, "'big' is no size; for example 512x768."),
        ({"steps": "all"}, "steps are 1 to 200, not 'all'"),
        ({"base": "/etc/passwd"}, "there is no base model called '/etc/passwd'"),
        ({"prompt": "\x00"}, "without control characters"),
    ],
)
def test_bad_input_starts_nothing_and_stays_as_it_was_typed(
    one: int, service: Service, easel: Easel, typed: dict[str, str], told: str
) -> None:
    page = document(send(service, one, **typed), 400)
    assert told in page.text
    assert easel.asked == []
    if "base" not in typed:
        assert typed.items() <= page.form(f"/loras/{one}/draw").items()


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(500)), b"{}", b""])
def test_bodies_that_are_no_form_break_nothing(one: int, service: Service, easel: Easel, body: bytes) -> None:
    answer = service.ask("POST", f"/loras/{one}/draw", content=body)
    assert answer.status_code in {303, 400}
    assert all(asked.loras == (one,) for asked in easel.asked)


def test_of_one_base_model_there_is_no_choice(one: int, builder: Builder, tmp_path: Path) -> None:
    with Service(builder, tmp_path, lambda: 0.0, bases={"sd15": "/x"}).open() as service:
        form = page_of(service, one).form(f"/loras/{one}/draw")
        assert "base" not in form
        assert form["seeds"] == "1234"


def test_who_may_only_read_is_shown_no_form_and_draws_nothing(
    one: int, service: Service, easel: Easel
) -> None:
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", service.token("friend", "read"))}
    page = document(service.ask("GET", f"/loras/{one}", **asked))
    assert "Draw it" not in page.text
    refused = service.ask("POST", f"/loras/{one}/draw", data={"seeds": "1"}, **asked)
    assert "needs the role write" in document(refused, 403).text
    assert easel.asked == []
    location = send(service, one).headers["location"]
    assert "being drawn" not in document(service.ask("GET", location, **asked)).text
    writer: dict[str, Any] = {"peer": REMOTE, "auth": ("x", service.token("anna", "write"))}
    assert service.ask("POST", f"/loras/{one}/draw", data={}, **writer).status_code == 303
    with service.builder.catalog.read() as conn:
        actors = conn.exec_driver_sql("SELECT actor FROM job ORDER BY id").scalars().all()
    assert actors == [None, "anna"]


def test_who_is_not_told_of_all_loras_draws_none(
    one: int, service: Service, easel: Easel, builder: Builder
) -> None:
    with builder.catalog.write() as unit:
        secret = create_token(unit, "guest", "write", scope=TokenScope(nsfw_entries=R))
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", secret)}
    page = document(service.ask("GET", f"/loras/{one}", **asked))
    assert "Draw it" not in page.text
    assert "Edit your notes" in page.text
    refused = document(service.ask("POST", f"/loras/{one}/draw", data={}, **asked), 403)
    assert "Pictures are drawn for those who are told of all loras." in refused.text
    assert easel.asked == []


@pytest.mark.parametrize("headers", [{"origin": "https://example.com"}, {"sec-fetch-site": "cross-site"}])
def test_forms_of_other_sites_draw_nothing(
    one: int, service: Service, easel: Easel, headers: dict[str, str]
) -> None:
    assert service.ask("POST", f"/loras/{one}/draw", headers=headers, data={}).status_code == 403
    assert easel.asked == []


@pytest.mark.parametrize("given", ["999", "x", "9" * 40])
def test_of_what_is_not_there_nothing_is_drawn(service: Service, easel: Easel, given: str) -> None:
    document(service.ask("POST", f"/loras/{given}/draw", data={}), 404)
    assert easel.asked == []


def test_addresses_of_a_drawing_keep_the_tool_before_them(builder: Builder, one: int, tmp_path: Path) -> None:
    roots = [root.label for root in builder.roots()]
    tools = {"webui": {"dialect": "a1111", "roots": roots, "prefix": dict.fromkeys(roots, "/x")}}
    with Service(builder, tmp_path, lambda: 0.0, tools=tools).open() as service:
        easel = Easel(service, draws=False)
        answer = service.ask("POST", f"/t/webui/loras/{one}/draw", data={})
        assert answer.headers["location"].startswith(f"/t/webui/loras/{one}?drawing=")
        page = document(service.ask("GET", answer.headers["location"]))
        assert polled(page).startswith(f"/t/webui/loras/{one}?drawing=")
        assert page.form(f"/t/webui/loras/{one}/draw")
        easel.draw()
