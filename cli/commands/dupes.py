"""`loras dupes`: what is there in more than one copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, say, size, table

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.catalog.copies import Link
    from registry.catalog.dedupe import DuplicateGroup

ORDER: Final = 70
app = typer.Typer()
_PAGE: Final = 1000
_TITLES: Final = {
    "same_bytes": "Equal files: one copy of each group is enough",
    "same_weights": "The same weights under other headers: the metadata differ",
    "same_tensors": "The same tensors in another order",
}
_COLUMNS: Final = (
    Column("GROUP", number=True),
    Column("ID", number=True),
    Column("SIZE", number=True),
    Column("ROOT"),
    Column("PATH"),
    Column("HASH"),
    Column("LINK"),
)


@app.command()
@verb
def dupes(context: typer.Context) -> None:
    """Find files that are there more than once; nothing is deleted.

    Equal files, files with the same weights under other headers, and files with the same tensors in another
    order are told apart. Hard links and symlinks to one file are one copy, not two: beside other copies they
    are listed behind the file they lead to. The first of a group is one to keep. Only hashed files can be
    compared.

    Examples:
      loras dupes
      loras dupes --json
    """
    with opened(context) as registry:
        found = {kind: _groups(registry, kind) for kind in _TITLES}
    saved = {kind: sum(group.reclaimable for group in groups) for kind, groups in found.items()}
    if given(context).json:
        emit_json({kind: {"groups": groups, "reclaimable": saved[kind]} for kind, groups in found.items()})
        return
    for kind, groups in found.items():
        if groups:
            say(f"{_TITLES[kind]} (groups: {len(groups)}, to save: {size(saved[kind])})")
            table(_COLUMNS, _rows(groups))
            say()
    if any(group.links for groups in found.values() for group in groups):
        hint(
            "What has a LINK is no copy: a symlink is nothing without its file, and the others are that file."
        )
    if not any(found.values()):
        say("No file is there twice.")


def _groups(registry: Registry, kind: str) -> list[DuplicateGroup]:
    from registry.catalog.dedupe import duplicates

    groups: list[DuplicateGroup] = []
    with registry.catalog.read() as conn:
        while page := duplicates(
            conn, kind, registry.machine_id, limit=_PAGE, after=groups[-1].value if groups else ""
        ):
            groups += page
    return groups


def _rows(groups: list[DuplicateGroup]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for number, group in enumerate(groups, 1):
        links = {link.id: link for link in group.links}
        rows += [
            (
                number,
                file.id,
                size(file.size),
                file.root,
                file.path,
                group.value[:12],
                _link(links.get(file.id)),
            )
            for file in group.files
        ]
    return rows


def _link(link: Link | None) -> str:
    if link is None:
        return ""
    if link.symlink:
        return "symlink" if link.file_id is None else f"symlink to {link.file_id}"
    return f"same file as {link.file_id}"
