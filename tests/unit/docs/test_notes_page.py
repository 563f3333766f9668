"""The page of notes says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli.program import program
from registry.curation import FIELDS
from registry.notes.archive import MAX_LINE, MAX_LINES, MAX_PICTURE, MAX_PICTURES, MAX_TEXT
from registry.notes.lines import read_line, write_line

PAGE = (Path(__file__).parents[3] / "docs" / "notes.md").read_text(encoding="utf-8")


def test_the_line_that_is_shown_is_one() -> None:
    shown = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    line, wrong = read_line(json.dumps(shown).encode())
    assert wrong == []
    assert line is not None
    assert json.loads(write_line(line)) == shown
    assert shown["fields"].keys() <= FIELDS.keys()


def test_the_limits_are_those_of_the_reader() -> None:
    page = " ".join(PAGE.split())
    assert f"lines of more than {MAX_LINE >> 20} MiB" in page
    assert f"More than {MAX_TEXT >> 20} MiB of lines" in page
    assert f"{MAX_PICTURES:,} pictures or {MAX_PICTURE >> 20} MiB for one" in page
    assert MAX_LINES == 1_000_000


def test_the_commands_that_are_shown_exist() -> None:
    there = get_command(program())
    for shown in sorted(set(re.findall(r"^loras (\w+(?: (?:export|import))?)", PAGE, re.MULTILINE))):
        group: Any = there
        for word in shown.split():
            group = group.commands[word]
