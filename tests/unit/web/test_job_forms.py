"""The forms on the page of a job: stopping it, doing it again, forgetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.jobs import find_job_by_key, finish_job, get_job, start_job
from registry.catalog.pieces import (
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
from tests.support.documents import Document, document
from tests.support.serving import REMOTE, Service

if TYPE_CHECKING:
    import httpx

    from registry.views import JobView
    from tests.support.catalogs import Builder

SHARE = Share("render", "m")
ACTIONS = ("cancel", "retry", "forget")


def queued(builder: Builder) -> int:
    with builder.catalog.write(actor="mia") as unit:
        pieces = [NewPiece(f"{number:032}", "a", {}) for number in range(3)]
        return queue_job(unit, NewJob("render", "k", pieces, "3 pictures of ink", machine="m"))


def failed(builder: Builder) -> int:
    job_id = queued(builder)
    with builder.catalog.write() as unit:
        for piece in take(unit, SHARE, 3, "m:1:x", "b"):
            end_piece(unit, (job_id, piece.place), "b", FAILED, error="no room")
        settle(unit, SHARE)
    return job_id


def job(builder: Builder, job_id: int) -> JobView:
    with builder.catalog.read() as conn:
        return get_job(conn, job_id)


def send(service: Service, job_id: int, action: str, **asked: Any) -> httpx.Response:
    return service.ask("POST", f"/jobs/{job_id}/{action}", data={}, **asked)


def followed(service: Service, answer: httpx.Response) -> Document:
    assert answer.status_code == 303, answer.text
    return document(service.ask("GET", answer.headers["location"]))


def test_what_runs_is_asked_to_stop(service: Service, builder: Builder) -> None:
    job_id = queued(builder)
    with builder.catalog.write() as unit:
        take(unit, SHARE, 1, "m:1:x", "b")
    assert "It stops within a step of drawing." in document(service.ask("GET", f"/jobs/{job_id}")).text
    page = followed(service, send(service, job_id, "cancel"))
    assert "It was asked to stop." in page.text
    with builder.catalog.write() as unit:
        drop_pieces(unit, SHARE)
        settle(unit, SHARE)
    assert job(builder, job_id).state == "cancelled"


def test_what_was_not_begun_ends_at_once_is_done_again_and_forgotten(
    service: Service, builder: Builder
) -> None:
    job_id = queued(builder)
    page = followed(service, send(service, job_id, "cancel"))
    assert "cancelled" in page.text
    assert page.form(f"/jobs/{job_id}/retry") == {}
    page = followed(service, send(service, job_id, "retry"))
    assert "It waits to be done again." in page.text
    assert job(builder, job_id).state == "queued"
    send(service, job_id, "cancel")
    page = followed(service, send(service, job_id, "forget"))
    assert f"Job {job_id} is forgotten." in page.text
    with builder.catalog.read() as conn:
        assert find_job_by_key(conn, "render", "k") is None
    document(send(service, job_id, "forget"), 404)


def test_what_failed_is_done_again(service: Service, builder: Builder) -> None:
    job_id = failed(builder)
    page = followed(service, send(service, job_id, "retry"))
    assert "3 waiting" in page.text


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [
        ("retry", 409, "is not finished. Wait for it, or cancel it first."),
        ("forget", 409, "is not finished."),
    ],
)
def test_what_goes_on_is_neither_repeated_nor_forgotten(
    service: Service, builder: Builder, action: str, status: int, told: str
) -> None:
    job_id = queued(builder)
    page = document(send(service, job_id, action), status)
    assert f"Job {job_id} {told}" in page.text
    assert {"role": "alert"}.items() <= page.all("section")[0].items()
    assert job(builder, job_id).state == "queued"


def test_what_has_ended_is_not_stopped_and_what_has_no_pieces_not_repeated(
    service: Service, builder: Builder
) -> None:
    with builder.catalog.write() as unit:
        job_id = start_job(unit, "scan", "1", "m:1:x")
        finish_job(unit, job_id, "failed", error="no room")
    page = document(send(service, job_id, "cancel"), 409)
    assert f"No job {job_id} is running." in page.text
    page = document(send(service, job_id, "retry"), 400)
    assert f"Job {job_id} has nothing that could be done again." in page.text
    assert [url for url, _ in page.forms if url.startswith("/jobs/")] == [f"/jobs/{job_id}/forget"]


@pytest.mark.parametrize("action", ACTIONS)
def test_who_may_only_read_changes_nothing(service: Service, builder: Builder, action: str) -> None:
    job_id = queued(builder) if action == "cancel" else failed(builder)
    state = job(builder, job_id).state
    asked: dict[str, Any] = {"peer": REMOTE, "auth": ("x", service.token("friend", "read"))}
    page = document(send(service, job_id, action, **asked), 403)
    assert "needs the role write" in page.text
    assert send(service, job_id, action, peer=REMOTE).status_code == 401
    assert job(builder, job_id).state == state


@pytest.mark.parametrize("headers", [{"origin": "https://example.com"}, {"sec-fetch-site": "cross-site"}])
@pytest.mark.parametrize("action", ACTIONS)
def test_forms_of_other_sites_change_nothing(
    service: Service, builder: Builder, action: str, headers: dict[str, str]
) -> None:
    job_id = queued(builder)
    assert send(service, job_id, action, headers=headers).status_code == 403
    assert job(builder, job_id).state == "queued"


@pytest.mark.parametrize("action", ACTIONS)
def test_links_do_nothing(service: Service, builder: Builder, action: str) -> None:
    job_id = queued(builder)
    assert service.ask("GET", f"/jobs/{job_id}/{action}").status_code == 405
    assert job(builder, job_id).state == "queued"
