"""`loras hash`: every hash of some files, without a catalog."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, verb
from cli.output import emit_json, flush, pairs, say, size

if TYPE_CHECKING:
    from cli.progress import Bar
    from registry.views import Hashes

ORDER: Final = 60
app = typer.Typer()


@app.command("hash")
@verb
def hash_(
    context: typer.Context,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Files to read; their names do not matter.")
    ],
) -> None:
    """Print every hash of some files; no catalog is needed.

    All of them come from reading each file once: SHA-256, AutoV1 to AutoV3, the hashes that kohya's scripts
    write into headers, BLAKE3, CRC32, and a hash of the tensors that does not depend on their order.

    Examples:
      loras hash some.safetensors
      loras hash --json *.safetensors
    """
    from cli.progress import bars
    from registry.errors import UnreadableFile

    documents: list[dict[str, object]] = []
    failed: UnreadableFile | None = None
    json = given(context).json
    with bars(counting="bytes") as shown:
        bar = shown.add("reading")
        for path in files:
            document: dict[str, object] = {"path": path, "size": None, "hashes": None, "problems": []}
            try:
                hashes = _hash(path, bar)
            except UnreadableFile as error:
                failed = failed or error
                document["problems"] = [{"slug": error.slug, "text": str(error)}]
            else:
                document.update(size=hashes.size, hashes=_named(hashes))
            documents.append(document)
    if json:
        emit_json(documents)
    else:
        for document in documents:
            _print(document)
    if failed is not None:
        flush()
        raise failed


def _hash(path: str, bar: Bar) -> Hashes:
    from cli.progress import size_of
    from registry.hashing.reader import hash_file

    bar.move(0, size_of(path), path)
    return hash_file(path, progress=bar.move, threads=os.cpu_count() or 1).hashes


def _named(hashes: Hashes) -> dict[str, str | None]:
    from registry.ingest.inspecting import HASHES

    return {name: getattr(hashes, name) for name in HASHES}


def _print(document: dict[str, object]) -> None:
    hashes = document["hashes"]
    if isinstance(hashes, dict):
        say(f"{document['path']} ({size(int(str(document['size'])))})")
        pairs([(f"  {name}", value) for name, value in hashes.items()])
