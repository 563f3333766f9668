"""`loras dupes`: files that are there more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, say, size, table

if TYPE_CHECKING:
    from registry.app import Registry
    from registry.catalog.dedupe import DuplicateGroup

ORDER: Final = 70
app = typer.Typer()
_PAGE: Final = 1000
_TITLES: Final = {
    "same_bytes": "Equal files: all but one of each group can go",
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
)


@app.command()
@verb
def dupes(context: typer.Context) -> None:
    """Find files that are there more than once; nothing is deleted.

    Equal files, files with the same weights under other headers, and files with the same tensors in another
    order are told apart. Hard links to one file take no space twice and count as nothing to save. Only hashed
    files can be compared.

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
    return [
        (number, file.id, size(file.size), file.root, file.path, group.value[:12])
        for number, group in enumerate(groups, 1)
        for file in group.files
    ]
