"""The list of jobs and the page of one, without any script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.jobs import add_line, beat_job, finish_job, start_job
from registry.catalog.pieces import DONE, FAILED, NewJob, NewPiece, Share, end_piece, queue_job, settle, take
from registry.catalog.tokens import TokenScope, create_token
from registry.formats.nsfw import R
from tests.support.documents import Document, document
from tests.support.easel import Easel
from tests.support.known_loras import id_of
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    from tests.support.catalogs import Builder

HOSTILE = "\"'><script>alert(1)</script>{{ 7*7 }}"
SHARE = Share("render", "m")


@pytest.fixture
def ink(builder: Builder) -> int:
    builder.file(builder.root("/models"), "ink.safetensors")
    builder.write()
    builder.hash("ink", "ab" * 32, "cd" * 32)
    return id_of(builder, "ink")


def drawing(builder: Builder, lora_id: int, pieces: int = 3) -> int:
    """Queue a job of some pictures, of which the first is drawn and the second failed."""
    spec = {"lora": lora_id, "spec": {"seed": 1, "weight": 0.5, "prompt": "ink"}}
    asked = [NewPiece(f"{number:032}", "a", spec) for number in range(pieces)]
    with builder.catalog.write(actor=f"mia {HOSTILE}") as unit:
        job_id = queue_job(unit, NewJob("render", "k", asked, f"pictures of {HOSTILE}", machine="m"))
        take(unit, SHARE, 2, "m:1:x", "b")
        end_piece(unit, (job_id, 0), "b", DONE)
        end_piece(unit, (job_id, 1), "b", FAILED, slug="no-base", error=f"there is none of {HOSTILE}")
        add_line(unit, job_id, f"piece 1 failed: {HOSTILE}")
    return job_id


def scans(builder: Builder, number: int) -> list[int]:
    with builder.catalog.write() as unit:
        found = [
            start_job(unit, "scan", str(place), "m:1:x", called=f"the scan of {place}")
            for place in range(number)
        ]
        for job_id in found:
            finish_job(unit, job_id, "done", result={"files": 5})
    return found


def page_of(service: Service, path: str = "/jobs", **asked: Any) -> Document:
    return document(service.ask("GET", path, **asked))


def polled(page: Document) -> str:
    return next(str(one["hx-get"]) for one in page.all("div") if "jobs" in (one.get("hx-get") or ""))


def linked(page: Document) -> list[int]:
    return [int(url.removeprefix("/jobs/")) for url in page.links if url.startswith("/jobs/")]


def test_where_nothing_was_done_the_list_says_so(service: Service) -> None:
    page = page_of(service)
    assert "Nothing goes on." in page.text
    assert not page.all("table")


def test_the_list_has_what_goes_on_first_and_moves(service: Service, builder: Builder, ink: int) -> None:
    job_id = drawing(builder, ink)
    done = scans(builder, 2)
    page = page_of(service)
    assert linked(page) == [job_id, *reversed(done)]
    assert f"Pictures of {HOSTILE} running 2 of 3 mia {HOSTILE}" in page.text
    assert "The scan of 1 files 5 done 0" in page.text
    assert page.all("progress") == [{"aria-label": f"Job {job_id}", "max": "3", "value": "2"}]
    watched = polled(page)
    assert {"hx-trigger": "every 2s", "hx-select": "#jobs"}.items() <= page.all("div")[-1].items()
    waits = service.ask("GET", watched)
    assert (waits.status_code, waits.content, waits.headers["cache-control"]) == (204, b"", "no-store")
    (new,) = scans(builder, 1)
    moved = document(service.ask("GET", watched))
    assert linked(moved) == [job_id, new, *reversed(done)]
    assert "Look again" in moved.text


def test_older_jobs_are_a_page_away(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        old = start_job(unit, "hash", "old", "m:1:x")
    ended = scans(builder, 60)[::-1]
    first = page_of(service)
    assert linked(first) == [old, *ended[:50]]
    assert "Newest jobs" not in first.text
    older = f"/jobs?before={ended[49]}"
    assert older in first.links
    rest = page_of(service, older)
    assert linked(rest) == ended[50:]
    assert not [one for one in rest.all("div") if "jobs" in (one.get("hx-get") or "")]
    assert "Newest jobs" in rest.text
    assert "Older jobs" not in rest.text
    (level,) = (fields for url, fields in rest.forms if url == "/level")
    assert level["to"] == older


def test_of_many_that_wait_the_one_that_runs_is_listed(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        job = NewJob("render", "k", [NewPiece("a" * 32, "a", {})], "a picture", machine="m")
        waiting = [queue_job(unit, job) for _ in range(60)]
        running = start_job(unit, "hash", "old", "m:1:x")
    page = page_of(service)
    assert linked(page)[:50] == [running, *waiting[:49]]
    assert "More wait behind them." in page.text


@pytest.mark.parametrize(
    "asked", ["before=x", "before=", "before=-1", f"before={'9' * 40}", "seen=x", "forgotten=x"]
)
def test_odd_addresses_of_the_list_break_nothing(service: Service, builder: Builder, asked: str) -> None:
    (job_id,) = scans(builder, 1)
    page = page_of(service, f"/jobs?{asked}")
    assert linked(page) == [job_id]
    assert "is forgotten" not in page.text
    assert linked(page_of(service, "/jobs?before=0")) == []


def test_one_job_is_shown_with_its_pieces_failures_loras_and_lines(
    service: Service, builder: Builder, ink: int
) -> None:
    job_id = drawing(builder, ink)
    page = page_of(service, f"/jobs/{job_id}")
    assert "1 done, 1 failed, 1 waiting" in page.text
    assert f"What failed ink , weight 0.5, seed 1 there is none of {HOSTILE}" in page.text
    assert f"UTC piece 1 failed: {HOSTILE}" in page.text
    assert page.links.count(f"/loras/{ink}") == 2
    assert page.form(f"/jobs/{job_id}/cancel") == {}
    watched = polled(page)
    assert service.ask("GET", watched).status_code == 204
    with builder.catalog.write() as unit:
        (piece,) = take(unit, SHARE, 5, "m:1:x", "c")
        end_piece(unit, (job_id, piece.place), "c", DONE)
        settle(unit, SHARE)
    done = document(service.ask("GET", watched))
    assert "2 done, 1 failed" in done.text
    assert "what came of it" not in done.text
    assert not [one for one in done.all("div") if "jobs" in (one.get("hx-get") or "")]
    assert done.form(f"/jobs/{job_id}/retry") == {}
    assert done.form(f"/jobs/{job_id}/forget") == {}


def test_of_much_that_failed_the_first_is_told(service: Service, builder: Builder, ink: int) -> None:
    spec = {"lora": ink, "spec": {"seed": 1}}
    with builder.catalog.write() as unit:
        asked = [NewPiece(f"{number:032}", "a", spec) for number in range(250)]
        job_id = queue_job(unit, NewJob("render", "k", asked, "many", machine="m"))
        for piece in take(unit, SHARE, 250, "m:1:x", "b")[225:]:
            end_piece(unit, (job_id, piece.place), "b", FAILED, error=f"number {piece.place}")
    page = page_of(service, f"/jobs/{job_id}")
    assert [f"number {place} " in f"{page.text} " for place in (225, 244, 245)] == [True, True, False]
    assert "and 5 more" in page.text
    assert "in the first 200 pieces" in page.text


def test_a_job_without_pieces_is_shown_too(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        running = start_job(unit, "sync", "1", "m:1:x")
        beat_job(unit, running, 5, None)
        failed = start_job(unit, "scan", "2", "m:1:x")
        finish_job(unit, failed, "failed", error=f"no folder {HOSTILE}")
    page = page_of(service, f"/jobs/{running}")
    assert "Sync with Civitai running" in page.text
    assert [one for one in page.all("progress") if one["aria-label"] == f"Job {running}"] == [
        {"aria-label": f"Job {running}"}
    ]
    page = page_of(service, f"/jobs/{failed}")
    assert f"error No folder {HOSTILE}." in page.text
    assert "error" not in page_of(service).text.split("failed")[0]


@pytest.mark.parametrize("given", ["999", "x", "-1", "1.5", "9" * 40, "%D9%A1", "%22%3E%3Cscript%3E"])
def test_what_is_no_job_is_not_found(service: Service, given: str) -> None:
    page = document(service.ask("GET", f"/jobs/{given}"), 404)
    assert "There is no" in page.text
    for action in ("cancel", "retry", "forget"):
        document(service.ask("POST", f"/jobs/{given}/{action}", data={}), 404)


def test_who_may_only_read_sees_jobs_and_is_offered_nothing(
    service: Service, builder: Builder, ink: int
) -> None:
    job_id = drawing(builder, ink)
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", service.token("friend", "read"))}
    assert linked(page_of(service, **asked)) == [job_id]
    page = page_of(service, f"/jobs/{job_id}", **asked)
    assert f"there is none of {HOSTILE}" in page.text
    assert [url for url, _ in page.forms] == ["/", "/level"]


def test_who_is_not_told_of_all_loras_is_not_told_what_jobs_are_about(
    service: Service, builder: Builder, ink: int
) -> None:
    job_id = drawing(builder, ink)
    with builder.catalog.write() as unit:
        secret = create_token(unit, "guest", "write", scope=TokenScope(nsfw_entries=R))
        failed = start_job(unit, "scan", "2", "m:1:x", called=f"the scan of {HOSTILE}")
        finish_job(unit, failed, "failed", error=HOSTILE, result={"of": HOSTILE})
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", secret)}
    for path in ("/jobs", f"/jobs/{job_id}", f"/jobs/{failed}"):
        page = page_of(service, path, **asked)
        assert "mia" in page.text or path.endswith(str(failed))
        assert f"/loras/{ink}" not in page.links
        for told in (
            "pictures of",
            "the scan of",
            "there is none",
            "piece 1",
            "What failed",
            "What happened",
            "weight",
        ):
            assert told not in page.text, path
        assert page.text.count(HOSTILE) == page.text.count(f"mia {HOSTILE}")
    page = page_of(service, f"/jobs/{job_id}", **asked)
    assert "Drawing running" in page.text
    assert "1 done, 1 failed, 1 waiting" in page.text
    assert page.form(f"/jobs/{job_id}/cancel") == {}


def test_nobody_without_a_token_sees_jobs(service: Service) -> None:
    for path in ("/jobs", "/jobs/1"):
        assert service.ask("GET", path, peer=REMOTE).status_code == 401


def test_every_page_leads_to_the_jobs_and_keeps_the_tool_before_them(
    builder: Builder, ink: int, tmp_path: Any
) -> None:
    roots = [root.label for root in builder.roots()]
    tools = {"webui": {"dialect": "a1111", "roots": roots, "prefix": dict.fromkeys(roots, "/x")}}
    job_id = drawing(builder, ink)
    with Service(builder, tmp_path, lambda: 0.0, tools=tools).open() as service:
        service.actions.going_on = {"scans": [{"label": "nas", "files": 1, "new": 0, "expected": None}]}
        page = page_of(service, f"/t/webui/jobs/{job_id}")
        assert page.links.count("/t/webui/jobs") == 4
        assert polled(page).startswith(f"/t/webui/jobs/{job_id}?seen=")
        assert page.form(f"/t/webui/jobs/{job_id}/cancel") == {}
        assert f"/t/webui/jobs/{job_id}" in page_of(service, "/t/webui/jobs").links
        assert polled(page_of(service, "/t/webui/jobs")).startswith("/t/webui/jobs?seen=")
        sent = service.ask("POST", f"/t/webui/jobs/{job_id}/cancel", data={})
        assert sent.headers["location"] == f"/t/webui/jobs/{job_id}?did=cancel"
        progress = document(service.ask("GET", "/t/webui/progress"))
        assert progress.links == ["/t/webui/jobs"]


def test_the_notice_of_a_drawing_leads_to_its_job(service: Service, ink: int) -> None:
    easel = Easel(service, draws=False)
    location = service.ask("POST", f"/loras/{ink}/draw", data={}).headers["location"]
    (job_id,) = easel.jobs
    assert f"/jobs/{job_id}" in page_of(service, location).links
    easel.draw()
    assert f"/jobs/{job_id}" in page_of(service, location).links
    page = page_of(service, f"/jobs/{job_id}")
    assert "1 done" in page.text
    assert f"/loras/{ink}" in page.links
    assert [one for one in page.all("img") if "/api/v1/pictures/" in str(one["src"])]
