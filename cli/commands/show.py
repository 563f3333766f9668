"""`loras show`: all about one lora of the catalog."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import emit_json, hint

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
    from registry.catalog.curation import carry_offer
    from registry.catalog.detail import lora_detail
    from registry.levels import load_words

    with opened(context) as registry, registry.catalog.read() as conn:
        words = load_words(registry.settings.nsfw_words)
        lora_id = resolve_reference(conn, ref, registry.machine_id)
        detail = lora_detail(conn, lora_id, registry.machine_id, words)
        offered = carry_offer(conn, detail.lora.id)
    if given(context).json:
        emit_json(detail)
        return
    describe_lora(detail)
    if offered is not None:
        hint(
            f"the weights that it replaced have notes: `loras edit {detail.lora.id} --copy-from {offered}` "
            "copies them"
        )
