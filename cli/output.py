"""What is printed: one JSON document, or tables with one record a line; hints go to standard error."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from rich.cells import cell_len, set_cell_size

from cli.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

_GAP: Final = "  "
_LEAST: Final = 12
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


class ClosedPipe(Exception):
    """Nobody reads standard output any more."""


class Column(NamedTuple):
    """A column of a table: its heading, and whether it holds numbers (set to the right)."""

    heading: str
    number: bool = False


def emit_json(value: object) -> None:
    """Write one JSON document to standard output, in UTF-8 whatever the terminal."""
    write_bytes(to_json(value, indent=sys.stdout.isatty()) + b"\n")


def to_json(value: object, *, indent: bool = False) -> bytes:
    """Return JSON of dataclasses and plain values.

    Lone surrogates are written as escapes, numbers that are not finite as null.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0)
    except TypeError:  # lone surrogates, or integers beyond 64 bits
        spaces = 2 if indent else None
        separators = None if indent else (",", ":")
        return json.dumps(_values(value), indent=spaces, separators=separators, allow_nan=False).encode(
            "ascii"
        )


@contextmanager
def _piped() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EINVAL}:  # Windows says EINVAL
            raise
        raise ClosedPipe from None


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output."""
    with _piped():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def flush() -> None:
    """Write out what is left; raises ClosedPipe as all writing does."""
    with _piped():
        sys.stdout.flush()


def say(text: str = "") -> None:
    """Write one line to standard output."""
    with _piped():
        sys.stdout.write(plain(text) + "\n")


def hint(text: str) -> None:
    """Write one line for the person at the terminal, apart from the output."""
    sys.stderr.write(plain(text) + "\n")


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, file: TextIO | None = None) -> None:
    """Write rows under headings, one line each, to standard output or `file`.

    On a terminal the widest columns are cut until the lines fit; in a pipe nothing is cut.
    """
    target = file or sys.stdout
    cells = [[column.heading for column in columns]]
    cells += [["" if value is None else plain(str(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if target.isatty():
        _fit(widths, shutil.get_terminal_size().columns)
    lines = (
        _GAP.join(
            _set(cell, width, column) for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    )
    with _piped():
        target.write("".join(line + "\n" for line in lines))


def pairs(rows: Iterable[tuple[str, object]], *, under: str = "") -> None:
    """Write names and values, one line each, values set under each other; `None` is left out."""
    known = [(name, value) for name, value in rows if value is not None and value != ""]
    if not known:
        return
    if under:
        say(under)
    margin = "  " if under else ""
    width = max(cell_len(name) for name, _ in known)
    for name, value in known:
        say(f"{margin}{set_cell_size(name, width)}  {value}")


def size(count: int) -> str:
    """Return a number of bytes as people read it; it counts in 1,024s, as the query language does."""
    amount, power = float(count), 0
    while amount >= 1000 and power < len(_UNITS) - 1:
        amount, power = amount / 1024, power + 1
    return f"{amount:.1f} {_UNITS[power]}" if power else f"{count} B"


def _fit(widths: list[int], room: int) -> None:
    room -= len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _LEAST:
        widest = widths.index(max(widths))
        others = max([_LEAST, *(width for place, width in enumerate(widths) if place != widest)])
        widths[widest] -= max(1, min(sum(widths) - room, widths[widest] - others))


def _set(cell: str, width: int, column: Column) -> str:
    missing = width - cell_len(cell)
    if missing < 0:
        return set_cell_size(cell, width - 1) + "…"
    return " " * missing + cell if column.number else cell + " " * missing


def _values(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _values(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_values(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def joined(facts: Mapping[str, object]) -> str:
    """Return small facts on one line: `name value, name value`."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())
