"""`loras inspect`: all about some files, without a catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, verb
from cli.output import emit_json, flush, say

if TYPE_CHECKING:
    from cli.progress import Bar

ORDER: Final = 50
app = typer.Typer()


@app.command()
@verb
def inspect(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files to look at.")],
    *,
    no_hash: Annotated[
        bool,
        typer.Option("--no-hash", help="Read the header only; hashes stay unknown and claims unchecked."),
    ] = False,
) -> None:
    """Say everything about some files; no catalog is needed.

    Header, training, trigger words, what it is and why, hashes, and whether the hashes that the header claims
    are right. A file that cannot be read does not keep the others from being shown.

    Examples:
      loras inspect some.safetensors
      loras inspect --no-hash --json *.safetensors
    """
    from cli.describe import describe_file
    from cli.progress import bars
    from registry.errors import UnreadableFile
    from registry.ingest.inspecting import unreadable

    documents: list[dict[str, object]] = []
    failed: UnreadableFile | None = None
    json = given(context).json
    with bars(counting="bytes") as shown:
        bar = shown.add("reading")
        for path in files:
            try:
                documents.append(_inspect(path, bar, hashes=not no_hash))
            except UnreadableFile as error:
                failed = failed or error
                documents.append(unreadable(path, error))
    if json:
        emit_json(documents)
    else:
        for place, document in enumerate(documents):
            if place:
                say()
            describe_file(document)
    if failed is not None:
        flush()
        raise failed


def _inspect(path: str, bar: Bar, *, hashes: bool) -> dict[str, object]:
    from cli.progress import size_of
    from registry.ingest.inspecting import inspect_file

    if not hashes:
        return inspect_file(path, hashes=False)
    bar.move(0, size_of(path), path)
    return inspect_file(path, progress=bar.move)
