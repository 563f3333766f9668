"""`loras roots`: the folders that the catalog covers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, say, table

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.views import RootView

ORDER: Final = 80
app = typer.Typer(name="roots", help="Folders that the catalog covers: add, list, remove, relocate.")
_COLUMNS: Final = (
    Column("ID", number=True),
    Column("LABEL"),
    Column("STATE"),
    Column("FILES", number=True),
    Column("MACHINE"),
    Column("FLAGS"),
    Column("PATH"),
)
_FLAGS: Final = ("writable", "private", "follow_out", "pickles")
_ROOT: Final = typer.Argument(
    metavar="ID", help="The id, label or path of a root, as `loras roots list` shows them."
)


@app.command("add")
@verb
def add(
    context: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The folder; a root already there gets the options.")
    ],
    *,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What to call it (default: its name).")
    ] = None,
    private: Annotated[
        bool | None, typer.Option("--private/--no-private", help="Keep it out of what others are shown.")
    ] = None,
    writable: Annotated[
        bool | None,
        typer.Option("--writable/--no-writable", help="Allow files beside the models to be written."),
    ] = None,
    poll: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Look for changes at intervals: auto (on network mounts), always, never."
        ),
    ] = None,
    pickles: Annotated[
        bool | None,
        typer.Option(
            "--pickles/--no-pickles", help="List .pt, .ckpt and .bin too; they are hashed, never opened."
        ),
    ] = None,
    follow_out: Annotated[
        bool | None,
        typer.Option("--follow-out/--no-follow-out", help="Follow links that lead out of all roots."),
    ] = None,
    header_readers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Files whose headers are read at once (default 8).")
    ] = None,
    hash_readers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Files hashed at once (default: 1 on shares and spinning disks)."),
    ] = None,
) -> None:
    """Add a folder as a root, or change the options of one; `loras scan` then reads it.

    Examples:
      loras roots add /mnt/nas/loras --label NAS --hash-readers 1
      loras roots add ~/old --pickles
    """
    options: dict[str, Any] = {
        "label": label,
        "private": private,
        "writable": writable,
        "poll": poll,
        "pickles": pickles,
        "follow_out": follow_out,
        "header_readers": header_readers,
        "hash_readers": hash_readers,
    }
    with opened(context) as registry:
        root = registry.add_root(
            path, **{name: value for name, value in options.items() if value is not None}
        )
        (root,) = registry.counted([root])
    if given(context).json:
        emit_json(root)
    else:
        say(f"root {root.id}: {root.path}")


@app.command("list")
@verb
def list_(context: typer.Context) -> None:
    """List the roots.

    Examples:
      loras roots list
      loras roots list --json
    """
    with opened(context) as registry:
        roots = registry.counted(registry.roots())
    if given(context).json:
        emit_json({"items": roots})
    else:
        table(_COLUMNS, map(_row, roots))


@app.command("remove")
@verb
def remove(context: typer.Context, root: Annotated[str, _ROOT]) -> None:
    """Take a root out of the catalog; no file is touched, and what was noted of its loras stays.

    Examples:
      loras roots remove 2
      loras roots remove /mnt/nas/loras
    """
    with opened(context) as registry:
        found = _find(registry, root)
        registry.remove_root(found.id)
    if given(context).json:
        emit_json({"removed": found.id})
    else:
        say(f"root {found.id} was removed: {found.path or found.label}")


@app.command("relocate")
@verb
def relocate(
    context: typer.Context,
    root: Annotated[str, _ROOT],
    path: Annotated[str, typer.Argument(metavar="NEWPATH", help="The folder where its files are now.")],
) -> None:
    """Tell where a root is now, for example after a drive got another name; scan it next.

    Files with the same relative path, size and time keep everything and are hashed again when idle.

    Examples:
      loras roots relocate 2 /mnt/newdisk/loras && loras scan
    """
    with opened(context) as registry:
        found = _find(registry, root)
        registry.relocate_root(found.id, path)
        (moved,) = registry.counted([registry.root(found.id)])
    if given(context).json:
        emit_json(moved)
    else:
        say(f"root {moved.id} is now {moved.path}; `loras scan` looks at it")


def _find(registry: Registry, reference: str) -> RootView:
    from registry.errors import Ambiguous, NotFound
    from registry.ingest.paths import canonical_root, same_path

    roots = registry.roots()
    if reference.isdecimal():
        return registry.root(int(reference))
    found = [
        root for root in roots if root.path is not None and same_path(root.path, canonical_root(reference))
    ]
    found = found or [root for root in roots if root.label == reference]
    if not found:
        raise NotFound(f"there is no root {reference[:200]!r}", remedy="`loras roots list` shows them")
    if len(found) > 1:
        candidates = [{"id": root.id, "label": root.label, "path": root.path} for root in found]
        raise Ambiguous(
            f"{len(found)} roots are called {reference[:200]!r}", candidates, remedy="use one of the ids"
        )
    return found[0]


def _row(root: RootView) -> tuple[object, ...]:
    flags = [name.replace("_", "-") for name in _FLAGS if getattr(root, name)]
    flags += [f"poll {root.poll}"] if root.poll != "auto" else []
    return (
        root.id,
        root.label,
        root.state,
        root.files,
        root.machine,
        ", ".join(flags),
        root.path or "(elsewhere)",
    )
