"""`loras show`: all about one lora of the catalog."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import emit_json

ORDER: Final = 40
app = typer.Typer()


@app.command()
@verb
def show(
    context: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="An id (12, id:12), 8 or more digits of a hash, a path or a name."
        ),
    ],
) -> None:
    """Show everything the catalog knows of one lora.

    If several loras answer to REF they are listed, and the exit code is 4.

    Examples:
      loras show 12
      loras show cd3fdc6e
      loras show hash:12345678
      loras show styles/ink.safetensors
      cd ~/models && loras show loras/ink.safetensors
    """
    from cli.describe import describe_lora
    from cli.references import resolve_reference
    from registry.catalog.reading import lora_detail

    with opened(context) as registry, registry.catalog.read() as conn:
        detail = lora_detail(conn, resolve_reference(conn, ref, registry.machine_id), registry.machine_id)
    if given(context).json:
        emit_json(detail)
    else:
        describe_lora(detail)
