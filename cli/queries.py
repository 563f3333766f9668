"""Queries as arguments of the command line: what the shell leaves of them, and words with a dash."""

from __future__ import annotations

import re
from typing import Any, Final

from typer.core import TyperCommand

_FIELD: Final = re.compile(r"(-?([\w-]+)[:\uff1a])(.*\s.*)", re.DOTALL)
# A comma between values has no blanks around it; others belong to a text.
_COMMA: Final = re.compile(r"(?<!\s)[,\uff0c](?!\s)")


class TakesQuery(TyperCommand):
    """A command whose arguments may begin with a dash: options have two."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; what looks like an option and is none is refused."""
        options = {name for param in self.get_params(ctx) for name in param.opts}
        before = args[: args.index("--")] if "--" in args else args
        for word in before:
            if word.startswith("--") and word.partition("=")[0] not in options:
                ctx.fail(f"No such option: {word}")
        return super().parse_args(ctx, args)


def requoted(argument: str) -> str:
    """Return an argument with the quotes that the shell took from a value: `name:a b` is `name:"a b"`.

    Only where it can have been one: nothing else of the query language stands in it, and values of that
    field are texts. Words without a field stay as they are.
    """
    from registry.search.fields import FIELDS, Kind
    from registry.search.reading import QUOTES, SAVED, field_name
    from registry.search.writing import quoted

    found = _FIELD.fullmatch(argument)
    if found is None or any(mark in argument for mark in QUOTES):
        return argument
    before, name, rest = found.groups()
    known = field_name(name)
    row = FIELDS.get(known or "")
    texts = known == SAVED or (row and row.kind in {Kind.WORDS, Kind.KEY, Kind.FOLDER} and not row.names)
    if not texts or not rest.strip() or any(_is_syntax(word) for word in rest.split()[1:]):
        return argument
    values = _COMMA.split(rest)
    written = [quoted(value.rstrip("*")) + "*" * value.endswith("*") for value in values]
    return before + ",".join(written)


def _is_syntax(word: str) -> bool:
    from registry.search.reading import MINUS, field_name

    name, colon, _ = word.lstrip("(-").replace("\uff1a", ":").partition(":")
    return word in {"OR", "AND"} or (word[0] in MINUS and len(word) > 1) or bool(colon and field_name(name))
