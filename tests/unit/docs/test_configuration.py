"""The pages say what the program does."""

from __future__ import annotations

from pathlib import Path

from registry.catalog.roots import OPTIONS
from registry.config import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_page_with_its_description() -> None:
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` | {field.description} |" in PAGE


def test_the_page_knows_no_setting_that_is_not_there() -> None:
    table = PAGE.partition("| setting |")[2].partition("\n\n")[0]
    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert named == set(Settings.model_fields)


def test_every_option_of_a_root_that_a_person_sets_stands_in_the_page() -> None:
    for name in set(OPTIONS) - {"ignore_inode", "position"}:
        assert f"| `{name}` |" in PAGE
