from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from cli.output import ClosedPipe, Column, emit_json, pairs, say, size, table, to_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class _Thing:
    name: str
    numbers: tuple[float, ...]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Broken(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_json_takes_dataclasses_and_strange_text() -> None:
    value = {"thing": _Thing("bad\udcff", (1.5, float("nan"))), "big": 10**30}
    text = to_json(value)
    text.decode("ascii")
    assert json.loads(text) == {"thing": {"name": "bad\udcff", "numbers": [1.5, None]}, "big": 10**30}


def test_json_for_people_is_indented_whatever_it_holds() -> None:
    assert to_json({"a": 1}, indent=True) == b'{\n  "a": 1\n}'
    assert to_json({"a": "\ud800"}, indent=True) == b'{\n  "a": "\\ud800"\n}'


def test_json_is_utf8_even_if_the_terminal_is_not(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    emit_json(["水"])
    assert capfdbinary.readouterr().out == '["水"]\n'.encode()


def test_a_table_sets_columns_by_the_width_of_their_characters() -> None:
    file = io.StringIO()
    table(
        [Column("ID", number=True), Column("NAME"), Column("X")],
        [(1, "水墨", "a"), (22, "ink", None)],
        file=file,
    )
    assert file.getvalue().splitlines() == ["ID  NAME  X", " 1  水墨  a", "22  ink"]


def test_a_table_has_one_line_for_each_record_and_no_markup() -> None:
    file = io.StringIO()
    table([Column("NAME")], [("two\nlines",), ("[bold]x[/bold]",), ("\x1b[2J",)], file=file)
    assert file.getvalue().splitlines() == ["NAME", "two\\nlines", "[bold]x[/bold]", "\\x1b[2J"]


def test_a_pipe_gets_everything_and_a_terminal_what_fits() -> None:
    rows = [("x" * 300, "水" * 200, 7)]
    columns = [Column("A"), Column("B"), Column("N", number=True)]
    pipe, terminal = io.StringIO(), _Terminal()
    table(columns, rows, file=pipe)
    table(columns, rows, file=terminal)
    assert "x" * 300 in pipe.getvalue()
    assert "水" * 200 in pipe.getvalue()
    lines = terminal.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].endswith("7")
    assert lines[1].count("…") == 2


def test_names_and_values_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    pairs([("a", 1), ("none", None), ("long", "x\ny")], under="things")
    pairs([("none", None)], under="nothing")
    assert capsys.readouterr().out == "things\n  a     1\n  long  x\\ny\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (10**18, "888.2 PB")],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert size(count) == text


def test_a_closed_pipe_is_told_apart_from_other_errors(tmp_path: Path) -> None:
    with pytest.raises(ClosedPipe):
        table([Column("A")], [(1,)], file=_Broken())
    with (tmp_path / "closed").open("w") as file:
        pass
    with pytest.raises(ValueError, match="closed"):
        table([Column("A")], [(1,)], file=file)


def test_what_is_said_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1bb")
    assert capsys.readouterr().out == "a\\x1bb\n"
