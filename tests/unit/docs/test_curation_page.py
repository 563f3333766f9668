"""The page on notes knows all fields and options."""

from __future__ import annotations

import re
from pathlib import Path

from cli.edit_options import OPTIONS
from registry.curation import FIELDS, read_changes
from registry.formats.packing import unpack_json

PAGE = (Path(__file__).parents[3] / "docs" / "curation.md").read_text(encoding="utf-8")
ROWS = {
    line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("\n\n")[2].splitlines()
    if re.match(r"\| `[a-z_]+` \| `--", line)
}
# Too many names to read.
LISTED_ELSEWHERE = {"architecture", "adapter"}


def test_every_field_stands_in_the_page_with_what_it_takes() -> None:
    assert list(ROWS) == list(FIELDS)
    for name in FIELDS.keys() - LISTED_ELSEWHERE:
        assert ROWS[name][2] == FIELDS[name].help


def test_every_option_stands_in_the_row_of_its_field_and_no_other_does() -> None:
    for name, row in ROWS.items():
        flags = {one.flag for one in OPTIONS if one.field == name}
        written = set(re.findall(r"`(--[a-z-]+)`", row[1]))
        assert {flag for flag in written if not flag.startswith("--no-")} == flags


def test_changes_in_the_page_can_be_made() -> None:
    bodies = re.findall(r"PATCH /api/v1/loras/\{ref\} (\{.*?\})`|-d '(\{.*?\})'", PAGE)
    assert len(bodies) == 2
    for body in bodies:
        changes = unpack_json("".join(body).encode())
        assert set(read_changes(changes)) == set(changes)  # type: ignore[call-overload] # a JSON object
