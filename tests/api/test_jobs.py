"""Jobs and the drawing of pictures, over HTTP."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from registry.catalog.jobs import add_line, beat_job, finish_job, get_job, start_job
from registry.catalog.pieces import (
    DONE,
    FAILED,
    NewJob,
    NewPiece,
    Share,
    drop_pieces,
    end_piece,
    queue_job,
    settle,
    take,
)
from registry.catalog.tokens import TokenScope, create_token
from registry.drawings import Asking
from registry.formats import nsfw
from tests.support.known_loras import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

JOBS = "/api/v1/jobs"
RENDERS = "/api/v1/renders"
SHARE = Share("render", "m")


@pytest.fixture(autouse=True)
def _library(builder: Builder) -> None:
    root = builder.root("/models/loras")
    for name in ("ink", "other"):
        builder.file(root, f"{name}.safetensors")
    builder.write()


def drawing(builder: Builder) -> int:
    """Queue a job of three pictures, of which one is drawn and one failed."""
    spec = {"lora": 4, "spec": {"seed": 1, "prompt": "ink"}}
    pieces = [NewPiece(f"{number}" * 32, "a", spec) for number in range(3)]
    with builder.catalog.write(actor="mia") as unit:
        job_id = queue_job(unit, NewJob("render", "k", pieces, "3 pictures of ink", machine="m"))
        take(unit, SHARE, 2, "m:1:x", "b")
        end_piece(unit, (job_id, 0), "b", DONE, slug="flat")
        end_piece(unit, (job_id, 1), "b", FAILED, slug="no-base", error="there is none")
        add_line(unit, job_id, "piece 1 failed: there is none")
    return job_id


def test_a_job_is_told_with_its_pieces_and_lines(service: Service, builder: Builder) -> None:
    job_id = drawing(builder)
    found = service.get(f"{JOBS}/{job_id}")
    assert found["pieces"] == {"done": 1, "failed": 1, "waiting": 1}
    assert [line["text"] for line in found["lines"]] == ["piece 1 failed: there is none"]
    job = found["job"]
    assert (job["state"], job["called"], job["actor"]) == ("running", "3 pictures of ink", "mia")
    first = service.get(f"{JOBS}/{job_id}/pieces?limit=2")
    assert [(each["state"], each["slug"]) for each in first["items"]] == [
        ("done", "flat"),
        ("failed", "no-base"),
    ]
    assert (first["items"][0]["lora"], first["items"][0]["spec"]["prompt"]) == (4, "ink")
    rest = service.get(f"{JOBS}/{job_id}/pieces?limit=2&after={first['after']}")
    assert ([each["place"] for each in rest["items"]], rest["after"]) == ([2], None)
    assert [each["id"] for each in service.get(f"{JOBS}?kind=render")["items"]] == [job_id]
    assert service.get(f"{JOBS}?kind=scan")["items"] == []
    for path in ("99", "99/pieces"):
        assert service.ask("GET", f"{JOBS}/{path}").status_code == 404


def test_a_job_is_cancelled_done_again_and_forgotten(service: Service, builder: Builder) -> None:
    job_id = drawing(builder)
    assert service.ask("DELETE", f"{JOBS}/{job_id}").status_code == 409
    assert service.ask("POST", f"{JOBS}/{job_id}/retry").status_code == 409
    assert service.ask("POST", f"{JOBS}/{job_id}/cancel").status_code == 204
    with builder.catalog.write() as unit:
        assert get_job(unit.conn, job_id).state == "running"
        drop_pieces(unit, SHARE)
        assert settle(unit, SHARE) == [job_id]
    assert service.ask("POST", f"{JOBS}/{job_id}/retry").status_code == 202
    with builder.catalog.read() as conn:
        assert get_job(conn, job_id).state == "queued"
    # Nobody had begun with it again, so that it ends at once.
    assert service.ask("POST", f"{JOBS}/{job_id}/cancel").status_code == 204
    assert service.get(f"{JOBS}/{job_id}")["job"]["state"] == "cancelled"
    assert service.ask("DELETE", f"{JOBS}/{job_id}").status_code == 204
    assert service.ask("GET", f"{JOBS}/{job_id}").status_code == 404


def test_whoever_is_not_told_of_all_is_not_told_what_jobs_are_about(
    service: Service, builder: Builder
) -> None:
    job_id = drawing(builder)
    with builder.catalog.write() as unit:
        secret = create_token(unit, "guest", "write", TokenScope(nsfw_entries=nsfw.LEVELS["pg"]))
    auth = {"authorization": f"Bearer {secret}"}
    found = json.loads(service.ask("GET", f"{JOBS}/{job_id}", headers=auth).content)
    assert (found["job"]["called"], found["lines"]) == (None, [])
    assert service.ask("GET", f"{JOBS}/{job_id}/pieces", headers=auth).status_code == 403
    assert service.ask("POST", RENDERS, headers=auth, json={"query": ""}).status_code == 403


def test_drawing_is_asked_for_by_ids_by_a_query_or_of_the_base_alone(
    service: Service, builder: Builder
) -> None:
    ink = id_of(builder, "ink")
    service.catch_up()
    body = {"ids": [ink, ink], "weights": [0, 1], "seeds": [1, 2], "width": 512, "height": 768, "priority": 3}
    answer = service.ask("POST", RENDERS, json=body)
    assert (answer.status_code, answer.json()["job"]) == (202, 13)
    assert answer.json()["plan"]["left"][0]["slug"] == "no-base"
    asked = service.actions.asked[0][1]
    assert asked == Asking(loras=(ink,), weights=(0.0, 1.0), seeds=(1, 2), size=(512, 768), priority=3)
    dry = service.ask("POST", RENDERS, json={"query": "ink", "dry_run": True, "house": True})
    assert (dry.status_code, dry.json()["pictures"], dry.json()["seconds"]) == (200, 1, 12.5)
    assert service.actions.asked[-1][1] == Asking(loras=(ink,), house=True)
    service.ask("POST", RENDERS, json={"prompt": "a cat"})
    assert service.actions.asked[-1][1] == Asking(prompt="a cat")


def test_a_job_of_any_kind_is_started_in_one_place(service: Service, builder: Builder) -> None:
    ink = id_of(builder, "ink")
    wishes = {
        "scan": {"roots": [3]},
        "sync": {"query": "ink"},
        "fingerprint": {},
        "export": {"query": "", "to": ["a1111"]},
        "render": {"ids": [ink]},
    }
    for kind, spec in wishes.items():
        answer = service.ask("POST", JOBS, json={"kind": kind, "spec": spec})
        assert answer.status_code == 202, answer.text
    asked = [each[0] for each in service.actions.asked if each[0] != "plan_render"]
    assert asked == ["scan", "sync", "measure", "export", "render"]
    for wrong in ({"kind": "dance"}, {"kind": "render"}, {"kind": "scan", "spec": {"odd": 1}}, {}):
        assert service.ask("POST", JOBS, json=wrong).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"query": "nothing-like-it"},
        {"ids": []},
        {"query": "ink", "ids": [1]},
        {"ids": [1], "width": 512},
        {"ids": [1], "steps": 0},
        {"ids": [1], "seeds": [-1]},
        {"ids": [1], "colour": "red"},
        # Only names of the settings: a path would tell what there is on this machine.
        {"ids": [1], "base": "/etc/passwd"},
        {"ids": [1], "cfg": 1e9},
    ],
)
def test_what_cannot_be_drawn_is_refused(service: Service, body: dict[str, Any]) -> None:
    service.catch_up()
    answer = service.ask("POST", RENDERS, json=body)
    assert answer.status_code == 400
    assert service.actions.asked == []


def test_how_far_jobs_are_is_told_as_it_happens(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        start_job(unit, "scan", "old", "m:1:x")
    with service.listening() as url, following(f"{url}/api/v1/events") as events:
        assert next(events)["state"] == "running"
        with builder.catalog.write() as unit:
            job_id = start_job(unit, "scan", "new", "m:1:x")
        assert next(events) == {"id": job_id, "kind": "scan", "state": "running", "done": 0, "total": None}
        with builder.catalog.write() as unit:
            beat_job(unit, job_id, 5, 9)
        assert next(events) == {"id": job_id, "kind": "scan", "state": "running", "done": 5, "total": 9}


def test_an_old_job_that_goes_on_is_told_of_behind_many_that_have_ended(
    service: Service, builder: Builder
) -> None:
    with builder.catalog.write() as unit:
        old = start_job(unit, "scan", "old", "m:1:x")
        for number in range(100):
            finish_job(unit, start_job(unit, "scan", str(number), "m:1:x"), "done")
    with service.listening() as url, following(f"{url}/api/v1/events") as events:
        assert next(events)["id"] == old
        with builder.catalog.write() as unit:
            short = start_job(unit, "scan", "short", "m:1:x")
            finish_job(unit, short, "done")
        assert next(events) == {"id": short, "kind": "scan", "state": "done", "done": 0, "total": None}
        with builder.catalog.write() as unit:
            finish_job(unit, old, "failed", error="too old")
        assert next(events) == {"id": old, "kind": "scan", "state": "failed", "done": 0, "total": None}


@contextmanager
def following(url: str) -> Iterator[Iterator[dict[str, Any]]]:
    with httpx.stream("GET", url, timeout=10) as answer:
        yield of_jobs(answer.iter_lines())


def of_jobs(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Give the data of events that are about jobs."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: ") and name == "job":
            yield json.loads(line.removeprefix("data: "))
