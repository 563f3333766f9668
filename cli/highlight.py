"""Words of a query marked where they stand in names, on a terminal that shows colours."""

from __future__ import annotations

import io
import sys
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console

from cli.output import table, write_bytes
from cli.plain import plain
from registry.search import text as texts
from registry.search.nodes import And, Exact, Match, Or, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cli.output import Column
    from registry.search.nodes import Node

_ON, _OFF = "\x1b[1;33m", "\x1b[0m"
# Half-width kana write these behind the character that they belong to.
_VOICED: Final = "\uff9e\uff9f"


class Wanted(NamedTuple):
    """Folded letters that are looked for from the beginning of a word; with `prefix` they may end within."""

    letters: str
    prefix: bool = False


class _Unit(NamedTuple):
    """A word part or a character of a script without blanks: where it stands, and its folded letters."""

    start: int
    end: int
    letters: str


def wanted_of(node: Node | None) -> tuple[Wanted, ...]:
    """Return what a query looks for in names."""
    return tuple(dict.fromkeys(_wanted(node)))


def spans(name: str, wanted: Iterable[Wanted]) -> list[tuple[int, int]]:
    """Return where in a name something wanted stands: from, to; in order and apart from each other."""
    units = _units(name)
    found = sorted(span for one in wanted for span in _places(units, one))
    apart: list[tuple[int, int]] = []
    for start, end in found:
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart


def marked(text: str, places: Iterable[tuple[int, int]]) -> str:
    """Return text with these places in colour."""
    parts: list[str] = []
    at = 0
    for start, end in places:
        parts += [text[at:start], _ON, text[start:end], _OFF]
        at = end
    return "".join([*parts, text[at:]])


def marked_table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], place: int, wanted: Sequence[Wanted]
) -> None:
    """Write a table with what is wanted marked in the column at `place`; those before it hold ASCII only."""
    if not (wanted and rows and _in_colour()):
        table(columns, rows)
        return
    sheet = _Sheet()
    table(columns, rows, file=sheet)
    head, *lines = sheet.getvalue().split("\n")
    start = head.index(columns[place].heading)
    shown = [head]
    for line, row in zip(lines, rows, strict=False):
        name = plain(str(row[place]))
        # Of a name that was cut, all but its end.
        length = _common(line[start:], name)
        places = [
            (begin + start, min(end, length) + start) for begin, end in spans(name, wanted) if begin < length
        ]
        shown.append(marked(line, places))
    encoding = sys.stdout.encoding or "utf-8"
    write_bytes(("\n".join(shown) + "\n").encode(encoding, "backslashreplace"))


class _Sheet(io.StringIO):
    """What is written to a terminal, before it is."""

    def isatty(self) -> bool:
        return True


def _common(first: str, second: str) -> int:
    """Return how many letters two texts begin with together."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def _in_colour() -> bool:
    """Whether standard output is a terminal with colours that nobody switched off."""
    if not sys.stdout.isatty():
        return False
    console = Console(file=sys.stdout)
    return console.color_system is not None and not console.no_color and not console.legacy_windows


def _wanted(node: Node | None) -> Iterator[Wanted]:
    match node:
        case And(nodes) | Or(nodes):
            for inner in nodes:
                yield from _wanted(inner)
        case Text(text, prefix, phrase):
            yield from _words(text, prefix=prefix, phrase=phrase)
        case Match("name", values):
            for value in values:
                if isinstance(value, Exact):
                    phrase = len(value.text.split()) > 1
                    yield from _words(value.text, prefix=value.prefix, phrase=phrase)
        case _:
            return


def _words(text: str, *, prefix: bool, phrase: bool) -> Iterator[Wanted]:
    letters = ["".join(_parts(run)) for run in texts.runs(text)]
    if phrase:
        letters = ["".join(letters)]
    last = len(letters) - 1
    for place, word in enumerate(letters):
        if word:
            yield Wanted(word, prefix and place == last)


def _parts(run: texts.Run) -> tuple[str, ...]:
    """Return the parts of a run, each once: the characters of a script, not their pairs."""
    if not run.script:
        return run.sequence
    first, *others = run.sequence
    return (*first, *(pair[-1] for pair in others))


def _units(name: str) -> list[_Unit]:
    """Return what a name is made of, found again where it was written before it was folded."""
    folded, origin = _folded(name)
    units: list[_Unit] = []
    at = 0
    for run in texts.runs(name):
        for part in _parts(run):
            start = folded.find(part, at)
            if start >= 0:
                at = start + len(part)
                units.append(_Unit(origin[start][0], origin[at - 1][1], part))
    return units


def _folded(name: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a name folded, and for each character of that which ones of the name it is made of."""
    letters: list[str] = []
    origin: list[tuple[int, int]] = []
    at = 0
    while at < len(name):
        end = at + 1
        while end < len(name) and (unicodedata.combining(name[end]) or name[end] in _VOICED):
            end += 1
        folded = texts.fold(name[at:end])
        letters.append(folded)
        origin += [(at, end)] * len(folded)
        at = end
    return "".join(letters), origin


def _places(units: Sequence[_Unit], wanted: Wanted) -> Iterator[tuple[int, int]]:
    for place, first in enumerate(units):
        letters = ""
        for unit in units[place:]:
            letters += unit.letters
            if letters == wanted.letters or (wanted.prefix and letters.startswith(wanted.letters)):
                yield first.start, unit.end
                break
            if not wanted.letters.startswith(letters):
                break
