"""`loras scan`: bring the catalog up to date with folders, once."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.interrupt import stopping_with
from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.progress import Bar, Bars
    from registry.app import Registry
    from registry.ingest.scanning import ScanCounts
    from registry.views import RootView

ORDER: Final = 10
app = typer.Typer()
_COUNTED: Final = ("files", "new", "changed", "unchanged", "missing", "problems")


@app.command()
@verb
def scan(
    context: typer.Context,
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIR", help="Folders to scan; all roots of this machine if none is named."),
    ] = None,
    *,
    no_hash: Annotated[
        bool, typer.Option("--no-hash", help="Read headers only; `serve` or a later `scan` hashes the files.")
    ] = False,
) -> None:
    """Bring the catalog up to date with folders, then hash what is new.

    A DIR that is not a root yet becomes one. Files are listed as soon as their headers are read. A scan can
    be stopped with Ctrl-C at any time and goes on where it was.

    Examples:
      loras scan ~/models/loras
      loras scan --no-hash /mnt/nas/loras
      loras scan --json
    """
    from cli.progress import bars

    # What fails is raised to us as well.
    logging.getLogger("registry.work.jobs").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with opened(context) as registry, stopping_with(registry.jobs.stop):
        roots = _roots(registry, folders or [])
        with bars() as shown:
            counted = [_scan(registry, root, shown) for root in roots]
        if not no_hash:
            with bars(counting="bytes") as shown:
                _hash(registry, shown)
        rows = _rows(registry, roots, counted)
    seconds = round(time.monotonic() - started, 3)
    if given(context).json:
        totals = {name: sum(row[name] for row in rows) for name in _COUNTED}
        emit_json({"roots": len(roots), **totals, "seconds": seconds})
        return
    _print(roots, rows, seconds)


def _roots(registry: Registry, folders: Sequence[str]) -> list[RootView]:
    from registry.errors import BadRequest

    if folders:
        added = [registry.add_root(folder) for folder in folders]
        return list({root.id: root for root in added}.values())
    roots = registry.mounted_roots()
    if not roots:
        raise BadRequest("there is no root to scan yet", remedy="name a folder: loras scan DIR")
    return roots


def _scan(registry: Registry, root: RootView, shown: Bars) -> ScanCounts:
    from registry.errors import Conflict

    bar = shown.add(root.label)

    def look() -> None:
        progress = registry.scans.get(root.id)
        if progress is not None:
            bar.move(progress.counts.files, progress.expected)

    with shown.polled(look):
        try:
            counts = registry.scan(root.id)
        except Conflict as busy:
            # A serving process begins with a root as soon as it is there.
            hint(f"loras: {busy}; waiting for it")
            counts = registry.scan_when_free(root.id)
    bar.move(counts.files, max(counts.files, 1))
    if counts.unreachable:
        hint(f"loras: {root.label}: {root.path} is gone or empty; its files are kept as unreachable")
    return counts


def _hash(registry: Registry, shown: Bars) -> None:
    from registry.errors import Conflict

    # It may be paused, or its hours may end, while it goes on.
    while not (reason := _why_not_to_hash(registry)):
        try:
            _hash_now(registry, shown)
        except Conflict:
            hint("loras: another process of this machine is hashing already; it will hash these files too")
            return
        if registry.hashing.progress.state != "paused":
            return
    hint(f"loras: {reason}; files are hashed later")


def _hash_now(registry: Registry, shown: Bars) -> None:
    bar: Bar = shown.add("hashing")
    most = 0

    def look() -> None:
        nonlocal most
        progress = registry.hashing.progress
        most = max(most, progress.size)
        bar.move(most - progress.size, most or None, f"hashing, {progress.files} files left")

    with shown.polled(look):
        registry.hash_all()


def _why_not_to_hash(registry: Registry) -> str:
    from registry.config import parse_hours
    from registry.ingest.throttle import within_hours

    hours = registry.settings.hash_hours
    if registry.hashing_paused():
        return "hashing is paused"
    if hours and not within_hours(parse_hours(hours), dt.datetime.now().astimezone().hour):
        return f"hashing is kept to the hours {hours}"
    return ""


def _rows(
    registry: Registry, roots: Sequence[RootView], counted: Sequence[ScanCounts]
) -> list[dict[str, int]]:
    problems = _problems_by_root(registry)
    return [
        {
            "files": counts.files,
            "new": counts.new,
            # Moved and restored files kept what is known of them, but their rows changed.
            "changed": counts.changed + counts.moved + counts.restored,
            "unchanged": counts.unchanged,
            "missing": counts.missing,
            "problems": problems.get(root.id, 0),
        }
        for root, counts in zip(roots, counted, strict=True)
    ]


def _problems_by_root(registry: Registry) -> dict[int, int]:
    from registry.catalog.problems import list_problems

    found: dict[int, int] = {}
    after = 0
    with registry.catalog.read() as conn:
        while page := list_problems(conn, after=after, limit=1000):
            after = page[-1].id
            for problem in page:
                if problem.root_id is not None:
                    found[problem.root_id] = found.get(problem.root_id, 0) + 1
    return found


def _print(roots: Sequence[RootView], rows: Sequence[dict[str, int]], seconds: float) -> None:
    columns = [Column("ROOT"), *(Column(name.upper(), number=True) for name in _COUNTED), Column("FOLDER")]
    table(
        columns,
        [(root.label, *row.values(), root.path) for root, row in zip(roots, rows, strict=True)],
    )
    hint(f"done in {seconds:.1f} s")
    if any(row["problems"] for row in rows):
        hint("`loras doctor` shows the problems")
