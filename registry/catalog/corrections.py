"""What a lora is, as lists show and filter it: what the user corrected goes before what was identified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_

from registry.catalog import tables
from registry.curation import CORRECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

_TABLES = tables.TABLES
LORA, HEADER = _TABLES["lora"], _TABLES["header"]

COLUMNS = {name: LORA.c[f"set_{name}"] for name in CORRECTIONS}
"""Columns of `lora` by the field of curation that they repeat."""

KIND = func.coalesce(LORA.c.set_kind, LORA.c.kind)
ARCHITECTURE = func.coalesce(LORA.c.set_architecture, HEADER.c.architecture)
ADAPTER = func.coalesce(LORA.c.set_adapter, HEADER.c.adapter)
# What was identified as a variant of one architecture is none of another.
BASE_MODEL = case(
    (LORA.c.set_base_model.is_not(None), LORA.c.set_base_model),
    (
        or_(LORA.c.set_architecture.is_(None), LORA.c.set_architecture == HEADER.c.architecture),
        HEADER.c.base_model,
    ),
)


def corrections(row: Row[Any]) -> dict[str, str]:
    """Return what the user corrected of a lora by its row, by the names of the fields."""
    found = {name: getattr(row, column.name) for name, column in COLUMNS.items()}
    return {name: value for name, value in found.items() if value is not None}


def corrected(identified: Mapping[str, Any], corrections: Mapping[str, str]) -> dict[str, Any]:
    """Return what was identified with what the user corrected in its place, as the expressions above do."""
    shown = {**identified, **corrections}
    if "base_model" not in corrections and shown["architecture"] != identified["architecture"]:
        shown["base_model"] = None
    return shown
