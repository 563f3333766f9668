"""`loras doctor`: what is wrong, with files and with the installation."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import given, settings_of, verb
from cli.output import Column, emit_json, flush, pairs, say, size, table

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.catalog.health import DatabaseHealth
    from registry.config import Settings
    from registry.errors import CatalogError
    from registry.views import ProblemView, RootView

ORDER: Final = 90
app = typer.Typer()
_SHOWN: Final = 50
_PAGE: Final = 1000


@app.command()
@verb
def doctor(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many problems, 0 for all.")] = _SHOWN,
) -> None:
    """Say what is wrong with files, roots and database.

    Also shows the database, its soundness, the data folder, the limits of this machine, and every host that
    may be contacted, for what and when. The exit code is 0 unless the database is broken.

    Examples:
      loras doctor
      loras doctor --json
    """
    from registry.errors import CatalogError

    settings = settings_of(context)
    report: dict[str, Any] = {"installation": _installation(settings), "database": None, "roots": []}
    report.update(watcher=_watcher(), problems={"total": 0, "by_slug": {}, "items": []})
    report["outbound"] = _outbound(settings)
    broken: CatalogError | None = None
    try:
        report["database"] = _database(settings)
        _catalog(settings, report, limit)
    except CatalogError as error:
        broken = error
    if given(context).json:
        emit_json({"ok": broken is None, **report})
    else:
        _print(report)
    if broken is not None:
        flush()
        raise broken


def _installation(settings: Settings) -> dict[str, object]:
    from registry.config import config_file
    from registry.ingest.mounts import filesystem_of, sqlite_safe

    found = filesystem_of(str(settings.data_dir))
    standing = next(
        (place for place in (settings.data_dir, *settings.data_dir.parents) if place.is_dir()), None
    )
    try:
        version = metadata.version("lora-registry")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    return {
        "version": version,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "config": str(config_file()) if config_file().is_file() else None,
        "data_dir": str(settings.data_dir),
        "data_dir_filesystem": found.type,
        "data_dir_safe": sqlite_safe(found),
        "data_dir_free": shutil.disk_usage(standing).free if standing else None,
    }


def _database(settings: Settings) -> DatabaseHealth:
    from registry.app import open_catalog
    from registry.catalog.health import database_health
    from registry.errors import CatalogError

    catalog = open_catalog(settings)
    try:
        health = database_health(catalog)
    finally:
        catalog.close()
    if health.integrity not in {"ok", "unchecked"}:
        raise CatalogError(
            f"the catalog is damaged: {health.integrity}",
            remedy="restore the newest file of its backups folder",
        )
    return health


def _catalog(settings: Settings, report: dict[str, Any], limit: int) -> None:
    from registry.app import open_registry
    from registry.catalog.problems import count_problems

    with open_registry(settings) as registry:
        report["roots"] = [_root(root) for root in registry.roots()]
        with registry.catalog.read() as conn:
            counts = count_problems(conn)
        report["problems"] = {
            "total": sum(counts.values()),
            "by_slug": counts,
            "items": _problems(registry, limit),
        }


def _root(root: RootView) -> dict[str, object]:
    from registry.ingest.limits import spare_watch
    from registry.ingest.mounts import filesystem_of

    facts: dict[str, object] = {"id": root.id, "label": root.label, "path": root.path, "state": root.state}
    if root.path is None:
        return {**facts, "reachable": None, "filesystem": None, "network": None, "watchable": None}
    found = filesystem_of(root.path)
    reachable = Path(root.path).is_dir()
    return {
        **facts,
        "reachable": reachable,
        "filesystem": found.type,
        "network": found.network,
        "watchable": reachable and not found.network and spare_watch(root.path),
    }


def _problems(registry: Registry, limit: int) -> list[ProblemView]:
    from registry.catalog.problems import list_problems

    found: list[ProblemView] = []
    with registry.catalog.read() as conn:
        while page := list_problems(
            conn,
            after=found[-1].id if found else 0,
            limit=min(_PAGE, limit - len(found)) if limit else _PAGE,
        ):
            found += page
            if limit and len(found) >= limit:
                break
    return found


def _outbound(settings: Settings) -> list[dict[str, object]]:
    from registry import rendering, syncing, telling

    hours = f", and every {settings.sync_hours:g} hours while serving" if settings.sync_hours else ""
    never = "never: the network is switched off" if settings.offline else None
    told = [
        *((each, never or f"when a sync is asked for{hours}") for each in syncing.purposes(settings)),
        *((each, "when pictures are drawn") for each in rendering.purposes(settings)),
        *((each, never or "when a job with a webhook ends") for each in telling.purposes(settings)),
    ]
    return [
        {"name": each.name, "why": each.why, "hosts": sorted(each.hosts), "when": when} for each, when in told
    ]


def _watcher() -> dict[str, int] | None:
    from registry.ingest.limits import inotify_limits

    limits = inotify_limits()
    return None if limits is None else limits._asdict()


def _print(report: dict[str, Any]) -> None:
    installation, health, limits = report["installation"], report["database"], report["watcher"]
    free = installation["data_dir_free"]
    pairs(
        [
            (
                "version",
                f"{installation['version']} on Python {installation['python']}, {installation['platform']}",
            ),
            ("settings", installation["config"]),
            ("data folder", f"{installation['data_dir']} ({installation['data_dir_filesystem']})"),
            ("warning", None if installation["data_dir_safe"] else "SQLite is not safe on that file system"),
            ("free there", None if free is None else size(free)),
        ],
        under="installation",
    )
    if health is not None:
        pairs(
            [
                ("kind", health.kind),
                ("where", health.path or health.url),
                ("size", None if health.size is None else size(health.size)),
                ("revision", health.revision),
                ("integrity", health.integrity),
            ],
            under="database",
        )
    if limits is not None:
        pairs(
            [
                ("folders", limits["watches"]),
                ("watchers", limits["instances"]),
                ("events", limits["queued_events"]),
            ],
            under="limits of watching (fs.inotify)",
        )
    say("other machines that may be contacted")
    table(
        [Column("HOSTS"), Column("FOR"), Column("WHY"), Column("WHEN")],
        [(", ".join(each["hosts"]), each["name"], each["why"], each["when"]) for each in report["outbound"]],
    )
    if report["roots"]:
        say("roots")
        columns = ("id", "label", "state", "reachable", "filesystem", "watchable", "path")
        table(
            [Column(name.upper(), number=name == "id") for name in columns],
            [[_word(root[name]) for name in columns] for root in report["roots"]],
        )
    problems = report["problems"]
    pairs(problems["by_slug"].items(), under=f"problems ({problems['total']})")
    if problems["items"]:
        table(
            [Column("PROBLEM"), Column("FILE", number=True), Column("PATH"), Column("WHAT")],
            [(each.slug, each.file_id, each.path, each.text) for each in problems["items"]],
        )


def _word(value: object) -> object:
    return {True: "yes", False: "no", None: ""}.get(value, value) if isinstance(value, bool | None) else value
