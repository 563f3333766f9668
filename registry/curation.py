"""What a user notes of a lora: which fields there are, and how their values are checked, changed and united.

Values are plain and immutable: lists are tuples, and `None` or an empty tuple says that nothing is noted. A
truth that is false and a rating of 0 are values of their own: they win over what others say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from registry import curation_values as values
from registry.curation_values import CivitaiChoice
from registry.errors import BadRequest
from registry.formats.packing import pack_json, unpack_json
from registry.formats.values import OddValueError
from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Value: TypeAlias = "str | int | float | bool | CivitaiChoice | tuple[str, ...] | tuple[tuple[str, ...], ...]"


@dataclass(frozen=True, slots=True)
class Curation:
    """All that a user noted of one lora.

    `nsfw` is one of Civitai's bits. `triggers` are groups of words in the order in which they are to be used.
    `cover` is the key of a picture. `architecture`, `base_model`, `adapter` and `kind` correct what was
    identified, `civitai` which version of Civitai it is.
    """

    note: str | None = None
    tags: tuple[str, ...] = ()
    rating: int | None = None
    favorite: bool | None = None
    hidden: bool | None = None
    nsfw: int | None = None
    display_name: str | None = None
    triggers: tuple[tuple[str, ...], ...] = ()
    weight: float | None = None
    weight_min: float | None = None
    weight_max: float | None = None
    negative: str | None = None
    cover: str | None = None
    architecture: str | None = None
    base_model: str | None = None
    adapter: str | None = None
    kind: str | None = None
    civitai: CivitaiChoice | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `help` says what it takes, `check` turns JSON into its value or raises OddValueError.

    A `listed` one can be added to and taken from. One that is not `carried` is about these very weights and
    is not copied to others. What `check` takes of a list is what is typed: one that was united from several
    may have so many items and characters as `united` says.
    """

    name: str
    help: str
    check: Callable[[object], Value | None]
    listed: bool = False
    carried: bool = True
    united: tuple[int, int] = (0, 0)


_WEIGHT = values.number_between(-10.0, 10.0)
_ARCHITECTURES = tuple(name for name in ARCHITECTURES if name != "ambiguous")

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("note", "a text of up to 100,000 characters", values.prose(100_000)),
        Field(
            "tags",
            "a list of up to 1,000 tags of up to 200 characters",
            values.tags,
            listed=True,
            united=(values.UNITED * values.MAX_TAGS, values.UNITED * values.MAX_TAGS * values.MAX_TAG),
        ),
        Field("rating", "a whole number from 0 to 5", values.whole_between(0, 5)),
        Field("favorite", "true or false", values.truth),
        Field("hidden", "true or false: whether it is left out of lists", values.truth),
        Field("nsfw", f"a level: {', '.join(values.NSFW_LEVELS)}", values.nsfw_level),
        Field("display_name", "a name of up to 300 characters", values.line(300)),
        Field(
            "triggers",
            "a list of groups, each a list of up to 100 words; up to 100 groups",
            values.groups,
            listed=True,
            united=(values.UNITED * values.MAX_GROUPS, values.UNITED * values.MAX_TRIGGERS),
        ),
        Field("weight", "the preferred strength, from -10 to 10", _WEIGHT),
        Field("weight_min", "the lowest strength that is of use, from -10 to 10", _WEIGHT),
        Field("weight_max", "the highest strength that is of use, from -10 to 10", _WEIGHT),
        Field("negative", "a negative prompt of up to 20,000 characters", values.prose(20_000)),
        Field("cover", "the key of one of its pictures", values.line(500)),
        Field("architecture", f"one of {', '.join(_ARCHITECTURES)}", values.one_of(_ARCHITECTURES)),
        Field("base_model", "the name of a base model of up to 100 characters", values.base_model),
        Field("adapter", f"one of {', '.join(ADAPTERS)}", values.one_of(tuple(ADAPTERS))),
        Field("kind", f"one of {', '.join(KINDS)}", values.one_of(KINDS)),
        Field(
            "civitai",
            'the version it is, as {"version": 123, "model": 45}, or {"unlinked": true}',
            values.civitai_choice,
            carried=False,
        ),
    )
}
"""TABLE of the fields of curation by name, in the order of `Curation`."""
CORRECTIONS = ("kind", "architecture", "base_model", "adapter")
"""The fields that say that a file was identified wrongly."""
_LISTS = frozenset(name for name, field in FIELDS.items() if field.listed)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to one field.

    With items to `remove` or to `add` its list loses the ones and then gets the others, else it becomes
    `value`, and `None` clears it.
    """

    value: Value | None = None
    add: tuple[Any, ...] = ()
    remove: tuple[Any, ...] = ()


Changes: TypeAlias = "Mapping[str, Change]"


class Noted(NamedTuple):
    """A value with who set it and when, in milliseconds since the epoch."""

    value: Value
    at: int
    actor: str | None = None


class Merged(NamedTuple):
    """What two loras that are one have together, and the older of two scalars that differ."""

    values: dict[str, Noted]
    lost: dict[str, Noted]


def read_changes(told: object) -> Changes:
    """Return the changes that a JSON object asks for: field -> its value, or null to clear it.

    A list can also be given as `{"add": [...], "remove": [...]}`. Raises BadRequest, with what the field
    takes as its remedy.
    """
    if not isinstance(told, dict):
        raise BadRequest("changes are a JSON object", remedy=_FIELD_NAMES)
    changes: dict[str, Change] = {}
    for name, value in told.items():
        field = FIELDS.get(name)
        if field is None:
            raise BadRequest(f"there is no field {values.shown(name)}", remedy=_FIELD_NAMES)
        try:
            change = _change(field, value)
        except OddValueError as odd:
            raise BadRequest(f"{name} is {odd}", remedy=f"{name}: {field.help}; null clears it") from odd
        if change is not None:
            changes[name] = change
    return changes


_FIELD_NAMES = f"fields are {', '.join(FIELDS)}"


def check_fields(names: Iterable[str]) -> list[str]:
    """Return names of fields as they are; BadRequest for one that is none."""
    found = list(names)
    for name in found:
        if name not in FIELDS:
            raise BadRequest(f"there is no field {values.shown(name)}", remedy=_FIELD_NAMES)
    return found


def _change(field: Field, value: object) -> Change | None:
    if value is None:
        return Change()
    if not (field.listed and isinstance(value, dict)):
        return Change(field.check(value))
    if not value.keys() <= {"add", "remove"}:
        raise OddValueError("an object with other members than add and remove")
    add, remove = (_items(field.check(value.get(name, []))) for name in ("add", "remove"))
    return Change(add=add, remove=remove) if add or remove else None


def apply(current: Curation, changes: Changes) -> Curation:
    """Return what is noted once the changes are made.

    Raises BadRequest where a list gets too long, or the lowest strength would be above the highest.
    """
    after: dict[str, object] = {}
    for name, change in changes.items():
        if change.add or change.remove:
            left = values.without(getattr(current, name), change.remove)
            after[name] = _checked_again(name, values.both(left, change.add)) if change.add else left
        elif name in _LISTS:
            after[name] = change.value or ()
        else:
            after[name] = change.value
    changed = replace(current, **after)  # type: ignore[arg-type] # each value is one that its field's check gave
    low, high = changed.weight_min, changed.weight_max
    if low is not None and high is not None and low > high and not changes.keys().isdisjoint(_RANGE):
        raise BadRequest(
            f"weight_min is {low:g} and weight_max {high:g}", remedy="give both, the lower one first"
        )
    return changed


_RANGE = ("weight_min", "weight_max")


def _checked_again(name: str, items: tuple[Any, ...]) -> Value | None:
    field = FIELDS[name]
    try:
        return field.check(plain(items))
    except OddValueError as odd:
        raise BadRequest(f"{name} would be {odd}", remedy=f"{name}: {field.help}") from odd


def merged(kept: Mapping[str, Noted], other: Mapping[str, Noted]) -> Merged:
    """Return what two loras that turn out to be one have together.

    Lists are united, the items of `kept` first. Of two scalars that differ the newer stays, that of `kept`
    where both are of the same time; the other one is lost.
    """
    found, lost = dict(kept), {}
    for name, theirs in other.items():
        ours = kept.get(name)
        if ours is None:
            found[name] = theirs
            continue
        newer, older = (theirs, ours) if theirs.at > ours.at else (ours, theirs)
        if name in _LISTS:
            newer = newer._replace(value=_both(name, ours.value, theirs.value))
        elif ours.value != theirs.value:
            lost[name] = older
        found[name] = newer
    return Merged(found, lost)


def carried(target: Curation, source: Curation) -> Curation:
    """Return what is noted of one lora once the notes of another one, with other weights, are carried over.

    Lists are united; scalars are taken where `target` has none.
    """
    taken: dict[str, object] = {}
    for name, field in FIELDS.items():
        theirs, ours = getattr(source, name), getattr(target, name)
        if field.listed:
            taken[name] = _both(name, ours, theirs)
        elif field.carried and ours is None:
            taken[name] = theirs
    return replace(target, **taken)  # type: ignore[arg-type] # each value is one of that very field


def united(name: str, one: Value | None, other: Value | None) -> Value | None:
    """Return the items of both values of a list; of a scalar the second value, or the first if it is none."""
    if name not in _LISTS:
        return one if other is None else other
    return _both(name, one, other) or None


def _both(name: str, one: object, other: object) -> Any:
    return values.within(values.both(_items(one), _items(other)), *FIELDS[name].united)


def read_noted(name: str, told: object) -> tuple[Value | None, bool]:
    """Return the value of a field that was noted elsewhere, and whether items of its list are left out.

    Lists that were united may be longer than those that are typed. Raises OddValueError for what is no value.
    """
    field = FIELDS[name]
    if not (field.listed and isinstance(told, list)):
        return field.check(told), False
    some = told[: field.united[0]]
    items = values.both(tuple([item for one in some for item in _items(field.check([one]))]), ())
    found = values.within(items, *field.united)
    return found, len(found) < len(items) or len(some) < len(told)


def _items(value: object) -> Any:
    return value if isinstance(value, tuple) else ()


def noted_fields(curation: Curation) -> dict[str, Value]:
    """Return the fields in which something is noted, with their values."""
    found = {name: getattr(curation, name) for name in FIELDS}
    return {name: value for name, value in found.items() if value is not None and value != ()}


def plain(value: Value | tuple[Any, ...]) -> object:
    """Return a value as JSON has it, and as `read_changes` takes it."""
    if isinstance(value, CivitaiChoice):
        if value.version is None:
            return {"unlinked": True}
        return {"version": value.version, "model": value.model}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def curation_from(noted: Mapping[str, Noted]) -> Curation:
    """Return what is noted as one value; fields that nobody knows any more are left out."""
    known = {name: one.value for name, one in noted.items() if name in FIELDS}
    return Curation(**known)  # type: ignore[arg-type] # each value is one that its field's check gave


def pack_value(value: Value) -> bytes:
    """Return a value as JSON bytes."""
    return pack_json(plain(value))


def unpack_value(packed: bytes) -> Value:
    """Return what `pack_value` packed."""
    return _frozen(unpack_json(packed))


def _frozen(found: object) -> Value:
    if isinstance(found, list):
        return cast("Value", tuple([_frozen(item) for item in found]))
    if isinstance(found, dict):
        return CivitaiChoice(found.get("version"), found.get("model"))
    return cast("Value", found)
