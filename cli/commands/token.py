"""`loras token`: who may use the served catalog from other machines."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import given, opened, verb
from cli.output import Column, emit_json, hint, say, table

if TYPE_CHECKING:
    from registry.catalog.tokens import TokenScope, TokenView

ORDER: Final = 110
app = typer.Typer(name="token", help="Tokens for other machines: create, list, revoke.")
_HEADINGS: Final = ("NAME", "ROLE", "TOOL", "PICTURES", "ENTRIES", "CREATED", "LAST USED", "REVOKED")
_COLUMNS: Final = tuple(Column(heading) for heading in _HEADINGS)
_LEVEL: Final = "LEVEL"
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
    tool: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What it is told of is that of [tools.NAME] in the configuration."),
    ] = None,
    nsfw: Annotated[
        str | None,
        typer.Option(metavar=_LEVEL, help="The highest level of its pictures: pg, pg13, r, x or xxx."),
    ] = None,
    nsfw_entries: Annotated[
        str | None, typer.Option(metavar=_LEVEL, help="The highest level of the loras that it is told of.")
    ] = None,
) -> None:
    """Make a token and print it; it is shown this once and cannot be read again.

    Examples:
      loras token create laptop
      loras token create nightly-sync --role write
      loras token create painter --tool comfy --nsfw pg13 --nsfw-entries r
    """
    from registry.catalog.tokens import TokenScope, create_token
    from registry.toolpaths import check_tool

    scope = TokenScope(tool, _level(nsfw), _level(nsfw_entries))
    with opened(context) as registry:
        if tool is not None:
            check_tool(tool, registry.settings.tools)
        with registry.catalog.write(actor="cli") as unit:
            secret = create_token(unit, name, role, scope)
    if given(context).json:
        emit_json({"name": name.strip(), "role": role, **_named(scope), "token": secret})
        return
    say(secret)
    hint("Keep it: it is not shown again. It goes into `Authorization: Bearer`, or is the password of Basic.")
    hint("A client that can send neither gets http://HOST:PORT/k/TOKEN as the address, and may only read.")


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
        emit_json({"items": [_item(token) for token in tokens]})
        return
    rows = [(token.name, token.role, *_named(token.scope).values(), *_days(token)) for token in tokens]
    table(_COLUMNS, rows)


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


def _level(name: str | None) -> int | None:
    from registry.formats.nsfw import read_level
    from registry.toolpaths import NSFW_LEVELS

    return None if name is None else read_level(name, NSFW_LEVELS)


def _named(scope: TokenScope) -> dict[str, str | None]:
    """Return what a token chooses, its levels by their names."""
    from registry.formats.nsfw import named

    pictures, entries = (
        None if level is None else named(level) for level in (scope.nsfw_pictures, scope.nsfw_entries)
    )
    return {"tool": scope.tool, "nsfw_pictures": pictures, "nsfw_entries": entries}


def _item(token: TokenView) -> dict[str, object]:
    item = token._asdict()
    scope = item.pop("scope")
    return item | _named(scope)


def _days(token: TokenView) -> list[str]:
    return [_day(token.created_at), _day(token.used_at), _day(token.revoked_at)]


def _day(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).astimezone():%Y-%m-%d %H:%M}"
