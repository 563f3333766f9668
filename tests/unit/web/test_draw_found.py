"""The form on the search page that asks for pictures of all that was found, without any script."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.tokens import TokenScope, create_token
from registry.drawings import NEXT, Left, Plan
from registry.errors import BadRequest, CannotDraw, IndexDamaged, NoBase
from registry.formats.nsfw import R
from registry.search.chosen import choose
from tests.support.documents import Document, document
from tests.support.easel import Easel
from tests.support.known_loras import id_of
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.drawings import Asking
    from tests.support.catalogs import Builder

HOSTILE = "\"'><script>alert(1)</script>{{ 7*7 }}"


class Planner:
    """Plans as a renderer does; `refusal` is why it does not."""

    def __init__(self) -> None:
        self.asked: list[Asking] = []
        self.refusal: Exception | None = None
        self.plan = Plan(
            1234, 56, 7200.0, (Left(3, f"odd {HOSTILE}", "no-base", f"no base for {HOSTILE}"),), 3
        )

    def __call__(self, asking: Asking) -> Plan:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asking)
        return self.plan


@pytest.fixture
def two(builder: Builder, service: Service) -> tuple[int, int]:
    root = builder.root("/models")
    for name in ("one", "two"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    for number, name in enumerate(("one", "two")):
        builder.hash(name, f"{number}a" * 32, f"{number}b" * 32)
    service.catch_up()
    return id_of(builder, "one"), id_of(builder, "two")


@pytest.fixture
def easel(service: Service) -> Easel:
    return Easel(service, draws=False)


@pytest.fixture
def planner(service: Service, easel: Easel) -> Planner:
    """A program that plans and finds as the real one does: what is not clear is refused."""
    planner = Planner()
    state, searching = service.app.state, service.app.state.context.searching

    def find(query: str) -> list[int]:
        return choose(searching, query, 1000)

    state.context = replace(easel.service.app.state.context, plan_render=planner, find=find)
    return planner


def page_of(service: Service, query: str = "", **asked: Any) -> Document:
    return document(service.ask("GET", "/", params={"q": query}, **asked))


def send(service: Service, status: int = 200, **fields: str) -> Document:
    form = page_of(service).form("/draw")
    return document(service.ask("POST", "/draw", data={**form, **fields}), status)


def test_the_form_is_of_the_query_and_of_what_has_no_picture(service: Service, two: tuple[int, int]) -> None:
    assert len(two) == 2
    query = f"one OR {HOSTILE} OR two"
    page = page_of(service, query)
    assert page.form("/draw") == {"q": query, "missing": "yes", "draft": "", "until": ""}
    assert not next(one for one in page.all("details") if one.get("id") == "draw-found").keys() & {"open"}
    assert "Draw these" not in page_of(service, "nothing-is-called-so").text


def test_first_a_plan_is_told_then_it_is_started(
    service: Service, two: tuple[int, int], easel: Easel, planner: Planner
) -> None:
    page = send(service, q="one OR two", draft="yes")
    assert easel.asked == []
    (asked,) = planner.asked
    assert (sorted(asked.loras), asked.draft, asked.priority, asked.ends_at) == (
        sorted(two),
        True,
        NEXT,
        None,
    )
    assert "1,178 pictures would be drawn. 56 more are there already. That takes about 2 h." in page.text
    assert f"3 loras left out odd {HOSTILE} : no base for {HOSTILE} and 2 more" in page.text
    assert "/loras/3" in page.links
    assert "/?q=one%20OR%20two" in page.links
    form = page.form("/draw", "confirmed")
    assert form == {"q": "one OR two", "missing": "yes", "draft": "yes", "until": "", "confirmed": "yes"}
    answer = service.ask("POST", "/draw", data=form)
    assert answer.status_code == 303
    assert easel.asked == [asked]
    assert answer.headers["location"] == f"/jobs/{easel.jobs[0]}"
    assert "queued" in document(service.ask("GET", answer.headers["location"])).text


def test_what_has_a_picture_is_left_out_if_that_is_wanted(
    service: Service, two: tuple[int, int], easel: Easel, planner: Planner
) -> None:
    one, other = two
    assert service.ask("POST", f"/loras/{one}/draw", data={}).status_code == 303
    easel.draw()
    service.catch_up()
    send(service, q="")
    assert planner.asked[-1].loras == (other,)
    send(service, q="name:*", missing="")
    assert sorted(planner.asked[-1].loras) == sorted(two)
    page = send(service, 400, q="one")
    assert "Nothing is drawn: it finds no lora without a picture." in page.text


def test_where_all_is_there_already_there_is_nothing_to_start(
    service: Service, two: tuple[int, int], planner: Planner
) -> None:
    planner.plan = Plan(2, 2, 0.0, (), 0)
    page = send(service, q="name:*")
    assert len(planner.asked[0].loras) == len(two)
    assert "Nothing would be drawn: 2 pictures are there already." in page.text
    assert [list(fields) for url, fields in page.forms if url == "/draw"] == [
        ["q", "missing", "draft", "until"]
    ]


def test_a_time_to_end_is_kept_until_the_start(
    service: Service, two: tuple[int, int], easel: Easel, planner: Planner
) -> None:
    page = send(service, q="one", until="07:00")
    assert "What is not drawn by " in page.text
    form = page.form("/draw", "confirmed")
    assert form["until"] == "07:00"
    assert service.ask("POST", "/draw", data=form).status_code == 303
    (asked,), (planned,) = easel.asked, planner.asked
    assert asked.ends_at == planned.ends_at
    assert asked.loras == two[:1]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"q": "one rank:blue"}, "the query is not clear: “rank:blue” was ignored"),
        ({"q": "one saved:none"}, "the query is not clear"),
        ({"q": "", "missing": ""}, "the query asks for nothing; `name:*` finds everything."),
        ({"q": "nothing-like-it"}, "no lora without a picture"),
        ({"q": "one", "until": "soon"}, "'soon' is no time of day"),
        ({"q": f"rank:{HOSTILE} one"}, "the query is not clear"),
        ({"q": "x" * 5000}, "at most 4,000 characters"),
    ],
)
@pytest.mark.parametrize("confirmed", ["", "yes"])
def test_what_is_not_clear_draws_nothing_and_says_why(  # noqa: PLR0917 - what is asked, of whom
    service: Service,
    two: tuple[int, int],
    easel: Easel,
    planner: Planner,
    fields: dict[str, str],
    told: str,
    confirmed: str,
) -> None:
    assert two
    page = send(service, 400, **fields, confirmed=confirmed)
    assert "Nothing is drawn: " in page.text
    assert told in page.text
    assert {"role": "alert"}.items() <= page.all("section")[0].items()
    assert "Start" not in page.text
    assert page.form("/draw")["q"] == fields["q"][:4000]
    assert (easel.asked, planner.asked) == ([], [])


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (CannotDraw("drawing needs torch", remedy="pip install 'lora-registry[render]'"), 409),
        (NoBase(f"no base model for {HOSTILE} is known (and 3 more)"), 409),
        (BadRequest("these are more than 100,000 pictures", remedy="ask for fewer"), 400),
        (IndexDamaged("the search index is being made"), 503),
    ],
)
@pytest.mark.parametrize("confirmed", ["", "yes"])
def test_where_nothing_can_be_drawn_the_page_says_so(  # noqa: PLR0917 - what is asked, of whom
    service: Service,
    two: tuple[int, int],
    easel: Easel,
    planner: Planner,
    refusal: Exception,
    status: int,
    confirmed: str,
) -> None:
    assert two
    planner.refusal = easel.refusal = refusal
    page = send(service, status, q="one", draft="yes", confirmed=confirmed)
    remedy = getattr(refusal, "remedy", "")
    assert f"Nothing is drawn: {refusal}{'; ' * bool(remedy)}{remedy}." in page.text
    assert page.form("/draw") == {"q": "one", "missing": "yes", "draft": "yes", "until": ""}
    assert next(one for one in page.all("details") if one.get("id") == "draw-found").keys() >= {"open"}


def test_who_may_only_read_is_shown_no_form_and_draws_nothing(
    service: Service, two: tuple[int, int], easel: Easel, planner: Planner
) -> None:
    assert two
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", service.token("friend", "read"))}
    assert "Draw these" not in page_of(service, **asked).text
    for confirmed in ("", "yes"):
        data = {"q": "one", "confirmed": confirmed}
        refused = document(service.ask("POST", "/draw", data=data, **asked), 403)
        assert "needs the role write" in refused.text
    assert service.ask("POST", "/draw", data={"q": "one"}, peer=REMOTE).status_code == 401
    assert (easel.asked, planner.asked) == ([], [])


def test_who_is_not_told_of_all_loras_draws_none(
    service: Service, two: tuple[int, int], easel: Easel, planner: Planner, builder: Builder
) -> None:
    assert two
    with builder.catalog.write() as unit:
        secret = create_token(unit, "guest", "write", scope=TokenScope(nsfw_entries=R))
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", secret)}
    assert "Draw these" not in page_of(service, **asked).text
    for confirmed in ("", "yes"):
        data = {"q": "one", "confirmed": confirmed}
        refused = document(service.ask("POST", "/draw", data=data, **asked), 403)
        assert "Pictures are drawn for those who are told of all loras." in refused.text
    assert (easel.asked, planner.asked) == ([], [])


@pytest.mark.parametrize("headers", [{"origin": "https://example.com"}, {"sec-fetch-site": "cross-site"}])
def test_forms_of_other_sites_draw_nothing(
    service: Service, easel: Easel, planner: Planner, headers: dict[str, str]
) -> None:
    data = {"q": "name:*", "confirmed": "yes"}
    assert service.ask("POST", "/draw", headers=headers, data=data).status_code == 403
    assert (easel.asked, planner.asked) == ([], [])


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a%d=1" % n for n in range(500)), b"{}", b""])
def test_bodies_that_are_no_form_draw_nothing(
    service: Service, easel: Easel, planner: Planner, body: bytes
) -> None:
    service.catch_up()
    assert service.ask("POST", "/draw", content=body).status_code == 400
    assert (easel.asked, planner.asked) == ([], [])


def test_addresses_keep_the_tool_before_them(builder: Builder, tmp_path: Path) -> None:
    root = builder.root("/models")
    for name in ("one", "two"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    roots = [root.label for root in builder.roots()]
    tools = {"webui": {"dialect": "a1111", "roots": roots, "prefix": dict.fromkeys(roots, "/x")}}
    for service in opened(builder, tmp_path, tools):
        service.catch_up()
        page = document(service.ask("GET", "/t/webui/?q=one%20OR%20two"))
        data = page.form("/t/webui/draw")
        plan = document(service.ask("POST", "/t/webui/draw", data=data))
        assert "/t/webui/?q=one%20OR%20two" in plan.links
        answer = service.ask("POST", "/t/webui/draw", data=plan.form("/t/webui/draw", "confirmed"))
        assert answer.headers["location"] == "/t/webui/jobs/13"


def opened(builder: Builder, tmp_path: Path, tools: dict[str, Any]) -> Iterator[Service]:
    with Service(builder, tmp_path, lambda: 0.0, tools=tools).open() as service:
        yield service
