"""`loras jobs`: what is done in the background: listed, shown, stopped, done again, forgotten."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, pairs, say, table

if TYPE_CHECKING:
    from registry.views import JobView

ORDER: Final = 105
app = typer.Typer(name="jobs", help="What is done in the background: list, show, cancel, retry, forget.")
_COLUMNS: Final = (
    Column("ID", number=True), Column("STATE"), Column("DONE", number=True), Column("OF", number=True),
    Column("STARTED"), Column("WHAT"),
)  # fmt: skip
_ID: Final = typer.Argument(metavar="ID", min=0, max=2**63 - 1, help="The number of the job.")


@app.command("list")
@verb
def list_(
    context: typer.Context,
    *,
    live: Annotated[bool, typer.Option("--live", help="Only those that are not finished.")] = False,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only of one kind: render, scan, hash, sync ..."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest.")] = 30,
) -> None:
    """List the newest jobs.

    Examples:
      loras jobs list --live
      loras jobs list --kind render
    """
    from registry.catalog.jobs import list_jobs

    with opened(context) as registry, registry.catalog.read() as conn:
        jobs = list_jobs(conn, live=live, kind=kind, limit=limit)
    if given(context).json:
        emit_json([asdict(job) for job in jobs])
        return
    table(_COLUMNS, [_row(job) for job in jobs])


@app.command("show")
@verb
def show(context: typer.Context, job_id: Annotated[int, _ID]) -> None:
    """Show one job: how its pieces ended, and what happened during it.

    Examples:
      loras jobs show 12
    """
    from registry.catalog.jobs import get_job, lines_of
    from registry.catalog.pieces import FAILED, counts, pieces_of

    with opened(context) as registry, registry.catalog.read() as conn:
        job = get_job(conn, job_id)
        states = counts(conn, [job_id]).get(job_id, {})
        lines = lines_of(conn, job_id)
        failed = [piece for piece in pieces_of(conn, job_id) if piece.state == FAILED]
    if given(context).json:
        emit_json({**asdict(job), "pieces": states, "lines": [asdict(line) for line in lines]})
        return
    done = f"{job.done:,}" if job.total is None else f"{job.done:,} of {job.total:,}"
    rows = [
        ("what", job.called or f"{job.kind} {job.key}"),
        ("state", job.state),
        ("done", done),
        ("pieces", ", ".join(f"{number:,} {state}" for state, number in states.items())),
        ("asked for", _time(job.created_at)),
        ("begun", _time(job.started_at)),
        ("ended", _time(job.finished_at)),
        ("by", job.actor),
        ("error", job.error),
    ]
    pairs(rows, under=f"job {job.id}")
    for piece in failed[:20]:
        say(f"  piece {piece.place} failed: {piece.error or piece.slug}")
    for line in lines:
        say(f"  {_time(line.at)}  {line.text}")


@app.command("cancel")
@verb
def cancel(context: typer.Context, job_id: Annotated[int, _ID]) -> None:
    """Ask a job to stop; what it did stays.

    Examples:
      loras jobs cancel 12
    """
    from registry.catalog.pieces import stop_job

    with opened(context) as registry, registry.catalog.write(actor="cli") as unit:
        stop_job(unit, job_id)
    _done(context, job_id, "was asked to stop")


@app.command("retry")
@verb
def retry(context: typer.Context, job_id: Annotated[int, _ID]) -> None:
    """Do again what failed, was cancelled or had no time left, the next time that something is drawn.

    Examples:
      loras jobs retry 12
    """
    from registry.catalog.pieces import retry_job

    with opened(context) as registry, registry.catalog.write(actor="cli") as unit:
        number = retry_job(unit, job_id)
    _done(context, job_id, f"has {number:,} to do again")
    hint("`loras serve` does it, or the next `loras render`")


@app.command("forget")
@verb
def forget(context: typer.Context, job_id: Annotated[int, _ID]) -> None:
    """Forget a job that has ended; what it brought about stays.

    Examples:
      loras jobs forget 12
    """
    from registry.catalog.jobs import delete_job

    with opened(context) as registry, registry.catalog.write(actor="cli") as unit:
        delete_job(unit, job_id)
    _done(context, job_id, "is forgotten")


def _done(context: typer.Context, job_id: int, text: str) -> None:
    if given(context).json:
        emit_json({"job": job_id})
        return
    say(f"job {job_id} {text}")


def _row(job: JobView) -> tuple[object, ...]:
    started = _time(job.started_at or job.created_at)
    return job.id, job.state, job.done, job.total, started, job.called or f"{job.kind} {job.key}"


def _time(at: int | None) -> str:
    if at is None:
        return ""
    return dt.datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
