"""What the options of `cli.edit_options` come to: changes of the notes of loras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cli.edit_options import OPTIONS
from registry.curation import FIELDS, check_fields, read_changes
from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.curation import Changes

_FIELDS: Final = {one.name: one.field for one in OPTIONS if one.part == "value"}


def field_names(typed: Sequence[str]) -> list[str]:
    """Return the fields that are meant, also where options name them; BadRequest for one that is none."""
    return check_fields([_FIELDS.get(name, name) for name in typed])


def changes_of(told: Mapping[str, Any], cleared: Sequence[str]) -> Changes:
    """Return the changes that options say, and those fields that are to be cleared.

    Fields may be named as their options. Raises BadRequest for what cannot be used, with what the option
    takes, and where two options contradict each other.
    """
    changes: dict[str, Any] = {}
    by: dict[str, str] = {}
    for field in field_names(cleared):
        changes[field], by[field] = None, f"--clear {field}"
    for option in OPTIONS:
        said = told.get(option.name)
        if said is None or said == []:
            continue
        value = option.read(said)
        change = value if option.part == "value" else {option.part: value}
        try:
            read_changes({option.field: change})
        except BadRequest as wrong:
            takes = option.takes or FIELDS[option.field].help
            raise BadRequest(str(wrong), remedy=f"{option.flag} takes {takes}") from wrong
        before = changes.get(option.field)
        if option.field in changes and (option.part == "value" or not isinstance(before, dict)):
            raise BadRequest(
                f"{by[option.field]} and {option.flag} contradict each other", remedy="say one of them"
            )
        changes[option.field] = {**before, **change} if isinstance(before, dict) else change
        by[option.field] = option.flag
    return read_changes(changes)
