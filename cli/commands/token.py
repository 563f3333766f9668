"""`loras token`: who may use the served catalog from other machines."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, say, table

ORDER: Final = 110
app = typer.Typer(name="token", help="Tokens for other machines: create, list, revoke.")
_COLUMNS: Final = (Column("NAME"), Column("ROLE"), Column("CREATED"), Column("LAST USED"), Column("REVOKED"))
_NAME: Final = typer.Argument(metavar="NAME", help="Whose token it is: a person, a machine, a program.")


@app.command("create")
@verb
def create(
    context: typer.Context,
    name: Annotated[str, _NAME],
    *,
    role: Annotated[
        str, typer.Option(help="read, write (also changes), or admin (also adds roots).")
    ] = "read",
) -> None:
    """Make a token and print it; it is shown this once and cannot be read again.

    Examples:
      loras token create laptop
      loras token create nightly-sync --role write
    """
    from registry.catalog.tokens import create_token

    with opened(context) as registry, registry.catalog.write(actor="cli") as unit:
        secret = create_token(unit, name, role)
    if given(context).json:
        emit_json({"name": name.strip(), "role": role, "token": secret})
        return
    say(secret)
    hint("Keep it: it is not shown again. It goes into `Authorization: Bearer`, or is the password of Basic.")


@app.command("list")
@verb
def list_(context: typer.Context) -> None:
    """List the tokens, without their secrets.

    Examples:
      loras token list
    """
    from registry.catalog.tokens import list_tokens

    with opened(context) as registry, registry.catalog.read() as conn:
        tokens = list_tokens(conn)
    if given(context).json:
        emit_json({"items": [token._asdict() for token in tokens]})
        return
    table(
        _COLUMNS,
        [
            (token.name, token.role, _day(token.created_at), _day(token.used_at), _day(token.revoked_at))
            for token in tokens
        ],
    )


@app.command("revoke")
@verb
def revoke(context: typer.Context, name: Annotated[str, _NAME]) -> None:
    """Make a token useless at once.

    Examples:
      loras token revoke laptop
    """
    from registry.catalog.tokens import revoke_token

    with opened(context) as registry, registry.catalog.write(actor="cli") as unit:
        revoke_token(unit, name)
    if given(context).json:
        emit_json({"revoked": name})
    else:
        say(f"the token {name} was revoked")


def _day(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).astimezone():%Y-%m-%d %H:%M}"
