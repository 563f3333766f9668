"""The small language of the tables: module names in one canonical spelling, and patterns over them.

Dots and underscores are the same, because kohya's trainers write one for the other. A number becomes `#`,
save as the last word and up to 3, where it tells the layers of a small stack apart (`img_mlp.0`,
`img_mlp.2`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")

_KEPT_LAST = frozenset("0123")
_MAX_WORDS = 40


def words(module: str) -> list[str]:
    """Split a module path at dots, colons and underscores; empty words vanish."""
    flat = module.replace(".", "_").replace(":", "_")
    return [word for word in flat.split("_") if word][:_MAX_WORDS]


def template(parts: list[str]) -> list[str]:
    """Replace the numbers among words by `#`, but keep a last one of 0 to 3."""
    if not parts:
        return parts
    collapsed = ["#" if word.isdecimal() else word for word in parts]
    if parts[-1] in _KEPT_LAST:
        collapsed[-1] = parts[-1]
    return collapsed


def expand(pattern: str) -> Iterator[str]:
    """Yield the alternatives of a pattern with `{a,b}` groups (groups do not nest)."""
    head, brace, rest = pattern.partition("{")
    if not brace:
        yield pattern
        return
    group, _, tail = rest.partition("}")
    for choice in group.split(","):
        yield from expand(f"{head}{choice}{tail}")


class Index(Generic[T]):
    """Patterns with a value each, looked up by the words of a name in time linear in their number."""

    def __init__(self, rows: Iterable[tuple[str, T]], *, literal: bool = False) -> None:
        """Compile `rows` of (pattern, value); with `literal`, numbers are kept and any rest may follow."""
        self._exact: dict[str, set[T]] = {}
        self._prefix: dict[str, set[T]] = {}
        for pattern, value in rows:
            for choice in expand(pattern):
                stem, star, _ = choice.partition(".*")
                parts = words(stem)
                if literal:
                    self._prefix.setdefault("_".join(parts), set()).add(value)
                elif star:
                    collapsed = ["#" if word.isdecimal() else word for word in parts]
                    self._prefix.setdefault("_".join(collapsed), set()).add(value)
                else:
                    self._exact.setdefault("_".join(template(parts)), set()).add(value)

        self._first = {key.partition("_")[0] for key in (*self._exact, *self._prefix)}

    def match(self, parts: Sequence[str]) -> frozenset[T]:
        """Give the values of all patterns that fit a name in canonical words."""
        if not parts or parts[0] not in self._first:
            return frozenset()
        found: set[T] = set()
        key = ""
        for number, word in enumerate(parts):
            key = f"{key}_{word}" if number else word
            if key in self._prefix:
                found |= self._prefix[key]
        if key in self._exact:
            found |= self._exact[key]
        return frozenset(found)
