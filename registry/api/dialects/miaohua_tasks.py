"""Drawing as SenseTime Miaohua does it: tasks, submitted and asked for, with the token in each body."""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from registry.api.access import actor_of, needs, principal_of
from registry.api.context import context_of
from registry.api.dialects.answers import Dialect, JsonBody, sent
from registry.api.dialects.drawing import Drawn, Links, drawn_of, queue
from registry.api.dialects.miaohua_asking import asking_of
from registry.api.dialects.starts import key_at
from registry.api.problems import Problem, Refused
from registry.api.tokens import principal_of_secret
from registry.catalog.jobs import find_job_by_key
from registry.catalog.pieces import FAILED
from registry.errors import NotFound
from registry.render.trade import RENDER
from registry.wire import miaohua, miaohua_drawing, miaohua_drawn
from registry.wire.miaohua_drawing import Asked, Task
from registry.wire.miaohua_drawn import Picture, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from registry.errors import RegistryError
    from registry.views import JobView

router = APIRouter(prefix="/api/v1b")
_ADMIN: Final = "admin"
_NO_SEED: Final = -1
_CANCELLED: Final = "cancelled"


async def _submitted(request: Request, body: JsonBody) -> Task:
    return await run_in_threadpool(_read, request, body)


def _read(request: Request, body: object) -> Task:
    task = miaohua_drawing.read_task(
        body, draw=secrets.randbelow, uploaded=lambda address: key_at(request, address) is not None
    )
    _know(request, task.token)
    return task


async def _one(request: Request, body: JsonBody) -> Asked:
    asked = miaohua_drawing.read_task_result(body)
    await run_in_threadpool(_know, request, asked.token)
    return asked


async def _some(request: Request, body: JsonBody) -> Asked:
    asked = miaohua_drawing.read_task_results(body)
    await run_in_threadpool(_know, request, asked.token)
    return asked


async def _nothing(request: Request, body: JsonBody) -> None:
    await run_in_threadpool(_know, request, miaohua.read_query(body).token)


def _know(request: Request, token: str) -> None:
    # Whoever has said so in a header or in the address is not asked again.
    if token and request.scope["state"]["token"] is None:
        principal_of_secret(request, token)


# Read before the role is asked for: the token is in there.
_SUBMITTED: Final = Depends(_submitted)
_ONE: Final = Depends(_one)
_SOME: Final = Depends(_some)
_NOTHING: Final = Depends(_nothing)
Submitted = Annotated[Task, _SUBMITTED]
One = Annotated[Asked, _ONE]
Some = Annotated[Asked, _SOME]


@router.post("/task_submit", dependencies=[_SUBMITTED, needs("write")])
def task_submit(request: Request, task: Submitted) -> Response:
    """Queue a drawing and answer with the id by which it is asked for."""
    job = queue(request, asking_of(request, task))
    return sent(request, miaohua_drawn.submitted(_id_of(job)))


@router.post("/task_result", dependencies=[_ONE, needs("read")])
def task_result(request: Request, asked: One) -> Response:
    """Tell how a task of whoever asks stands, and what was drawn once it is done."""
    (found,) = _results(request, asked.task_ids)
    if found is None:
        raise NotFound("there is no such task")
    return sent(request, miaohua_drawn.task_result(found))


@router.post("/task_results", dependencies=[_SOME, needs("read")])
def task_results(request: Request, asked: Some) -> Response:
    """Tell how several tasks stand, in their order; of those that are not there just that."""
    context, state = context_of(request), request.scope["state"]
    caller = state["caller"].key if state["token"] is None else f"token {state['token'].id}"
    wait = context.results_pace.wait(caller, context.catalog.clock())
    if wait:
        text = "results of several tasks are asked for six times a second at most"
        raise Refused(Problem(429, "slow-down", text, "wait a little", headers=(("retry-after", "1"),)))
    found = _results(request, asked.task_ids)
    told = [
        each or Result(task_id, done=True, seed=_NO_SEED, error="there is no such task")
        for task_id, each in zip(asked.task_ids, found, strict=True)
    ]
    return sent(request, miaohua_drawn.task_results(told))


@router.post("/cn/artist", dependencies=[_NOTHING, needs("read")])
def artist_controls(request: Request) -> Response:
    """List the ControlNets: there are none."""
    return sent(request, miaohua_drawn.controls())


@router.post("/cn/opensource", dependencies=[_NOTHING, needs("read")])
def open_controls(request: Request) -> Response:
    """List the ControlNets: there are none."""
    return sent(request, miaohua_drawn.controls())


def _id_of(job: JobView) -> str:
    """Return the id of a task, which is as hard to guess as the key of its job."""
    return str(uuid.UUID(hex=job.key))


def _results(request: Request, task_ids: Sequence[str]) -> list[Result | None]:
    """Return how tasks stand; `None` for one that is not there, or is somebody else's."""
    links = Links(request)
    with context_of(request).catalog.read() as conn:
        return [_result(request, conn, task_id, links) for task_id in task_ids]


def _result(request: Request, conn: Connection, task_id: str, links: Links) -> Result | None:
    try:
        key = uuid.UUID(task_id).hex
    except ValueError:
        return None
    job = find_job_by_key(conn, RENDER, key)
    own = job is not None and (job.actor == actor_of(request) or principal_of(request).role == _ADMIN)
    if job is None or not own:
        return None
    pictures = drawn_of(conn, job.id)
    done = job.finished_at is not None
    kept = [each.picture for each in pictures if each.picture is not None]
    shown = [key for key in kept if links.shows(conn, key)]
    hidden = "hidden by level" if len(shown) < len(kept) else ""
    return Result(
        task_id=task_id,
        done=done,
        seed=pictures[0].spec.seed if pictures else _NO_SEED,
        pictures=[_picture(links, key) for key in shown] if done else [],
        from_image=any(each.spec.start is not None for each in pictures),
        error=(_error(job, pictures) or hidden) if done else "",
    )


def _picture(links: Links, key: str) -> Picture:
    small = links.thumbnail(key)
    return Picture(large=links.original(key), middle=small, small=small)


def _error(job: JobView, pictures: Sequence[Drawn]) -> str:
    """Return why a task that is done lacks pictures; nothing where it has all."""
    failed = [each.error or job.error or "nobody knows why" for each in pictures if each.state == FAILED]
    if failed:
        return f"{len(failed)} of {len(pictures)} pictures could not be drawn: {failed[0]}"
    return "it was stopped" if job.state == _CANCELLED else ""


def _failure(error: RegistryError) -> tuple[int, object]:
    return 200, miaohua.failed(error)


_PATHS: Final = [route.path for route in router.routes if isinstance(route, APIRoute)]
DIALECT: Final = Dialect(router, _failure, frozenset(_PATHS))
