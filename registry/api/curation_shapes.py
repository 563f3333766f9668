"""What the routes of curation take and answer, as declared in the OpenAPI document."""

# No postponed annotations here: the document is made from them at run time.

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from registry.catalog.curation import carry_offer, values_with_provenance
from registry.catalog.curation_bulk import MOST
from registry.catalog.curation_history import HistoryEntry, revision
from registry.curation import FIELDS, plain

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LONGEST_QUERY = 10_000
_LONGEST_REFERENCE = 4096


@dataclass(frozen=True, slots=True)
class FieldView:
    """What is noted in one field, `null` for nothing, with who noted it and when, in milliseconds."""

    value: Any
    at: int | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class CurationView:
    """All that can be noted of a lora, by field; `revision` grows with each change of it.

    `carry_offer` is a lora that this one replaced and whose notes may be copied from it.
    """

    lora_id: int
    revision: int
    fields: dict[str, FieldView]
    carry_offer: int | None

    @classmethod
    def of(cls, conn: "Connection", lora_id: int) -> "CurationView":
        """Return what is noted of a lora."""
        noted = values_with_provenance(conn, lora_id)
        fields = {name: FieldView(None, None, None) for name in FIELDS}
        fields |= {name: FieldView(plain(one.value), one.at, one.actor) for name, one in noted.items()}
        return cls(lora_id, revision(conn, lora_id), fields, carry_offer(conn, lora_id))


@dataclass(frozen=True, slots=True)
class CurationChanged:
    """What is noted of a lora after a change; `batch` undoes it, `null` if it changed nothing."""

    lora_id: int
    revision: int
    fields: dict[str, FieldView]
    carry_offer: int | None
    batch: int | None

    @classmethod
    def of(cls, conn: "Connection", lora_id: int, batch: int | None) -> "CurationChanged":
        """Return what is noted of a lora that a batch changed."""
        now = CurationView.of(conn, lora_id)
        return cls(now.lora_id, now.revision, now.fields, now.carry_offer, batch)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What happened to the notes of a lora, the latest first."""

    items: list[HistoryEntry]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BulkEdited:
    """How many loras were meant, how many changed or would, and the batch that undoes it, `null` for none."""

    matched: int
    changed: int
    batch: int | None


@dataclass(frozen=True, slots=True)
class BatchUndone:
    """How many loras got back what they had, and the batch that undoes that, `null` if there was nothing."""

    changed: int
    batch: int | None


Changes = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "what becomes of fields: a value, or null to clear it; of a list also "
            '`{"add": [...], "remove": [...]}`; fields that are not named stay as they are',
            "properties": {name: {"description": field.help} for name, field in FIELDS.items()},
            "additionalProperties": False,
        }
    ),
]
FieldNames = Annotated[
    list[Annotated[str, Field(max_length=100)]] | None,
    Field(max_length=100, description=f"only these: {', '.join(FIELDS)}"),
]
Id = Annotated[int, Field(ge=0, lt=2**63)]


class UndoWish(BaseModel):
    """What to bring back: all of a batch or some fields of it; `force` loses what was noted since."""

    model_config = ConfigDict(extra="forbid")
    fields: FieldNames = None
    force: bool = False


class UndoOfLora(UndoWish):
    """What to bring back of one lora: of the last batch that changed it, or of another one."""

    batch: Id | None = None


class CopyWish(BaseModel):
    """From which lora notes are to be copied."""

    model_config = ConfigDict(extra="forbid")
    source: Annotated[
        str,
        Field(alias="from", max_length=_LONGEST_REFERENCE, description="an id, hash, path or name, as `ref`"),
    ]


class BulkEdit(BaseModel):
    """Which loras are to be changed, by a query or by their ids, and how."""

    model_config = ConfigDict(extra="forbid")
    query: Annotated[
        str | None,
        Field(
            max_length=_LONGEST_QUERY,
            description="all that a search finds; one of which something would be ignored is refused",
        ),
    ] = None
    ids: Annotated[list[Id] | None, Field(max_length=MOST)] = None
    changes: Changes
    dry_run: Annotated[bool, Field(description="tell what would change, and change nothing")] = False
