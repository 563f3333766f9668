"""`loras similar`: the loras whose weights are like those of one."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, table
from registry.measured import RELATED, RELATIONS

ORDER: Final = 59
app = typer.Typer()
_COLUMNS: Final = (
    Column("ID", number=True),
    Column("NAME"),
    Column("COSINE", number=True),
    Column("STRENGTH", number=True),
    Column("WHAT IT IS"),
)


@app.command()
@verb
def similar(
    context: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="An id (12, id:12), 8 or more digits of a hash, a path or a name."
        ),
    ],
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many at most.")] = 20,
    least: Annotated[
        float,
        typer.Option("--least", min=-1, max=1, help="The least cosine: 1 is equal, 0 is unrelated."),
    ] = RELATED,
    exact: Annotated[
        bool, typer.Option("--exact", help="Calculate from the files, about a second for each.")
    ] = False,
) -> None:
    """List the loras whose weights are most like those of one, and what they are to it.

    Casts, other ranks, other strengths, epochs of one training and merges are told, whatever the files are
    called. Only what was measured is compared: `loras fingerprint` measures the rest.

    Examples:
      loras similar 12
      loras similar styles/ink.safetensors --least 0.8
      loras similar 12 --exact --json
    """
    from cli.references import resolve_reference
    from registry.fingerprinting import Fingerprinting
    from registry.searching import finding

    with opened(context) as registry:
        with registry.catalog.read() as conn:
            lora_id = resolve_reference(conn, ref, registry.machine_id)
        fingerprinting = Fingerprinting(registry, finding(registry))
        try:
            found = fingerprinting.relatives(lora_id, limit=limit, least=least, exact=exact)
            left = fingerprinting.left()
        finally:
            fingerprinting.close()
    if given(context).json:
        emit_json(found)
        return
    if left:
        hint(f"{left} loras are not measured yet: `loras fingerprint` does that")
    if not found.items:
        hint(f"nothing is like it among {found.measured} measured loras")
        return
    table(
        _COLUMNS,
        [
            (
                item.id,
                item.name,
                f"{'' if item.exact else '~'}{item.cosine:.3f}",
                f"x {item.ratio:.2f}",
                RELATIONS[item.relation],
            )
            for item in found.items
        ],
    )
    if found.parents:
        hint(f"it is a weighted sum of {' and '.join(map(str, found.parents))}")
