"""One tensor name, read: what it is a part of, which module it adapts, what the tables say of that module.

Reading is a pure function of the name and remembered, because the same names come back in file after file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.identify.patterns import Index, template, words
from registry.identify.rows import Suffix
from registry.identify.rules import ABSENCES, ARCHITECTURES, PLACES
from registry.identify.rules_affixes import (
    ADAPTER_PREFIXES,
    ATTACHED,
    CONVOLUTIONS,
    DIFFUSION_LAYOUTS,
    DOTTED_PARTS,
    MODULE_LAYOUTS,
    NAMED_FACTORS,
    PATCHERS,
    PREFIXES,
    SUFFIXES,
    WHOLE_NAMES,
)
from registry.identify.rules_encoders import FORMS
from registry.identify.rules_kinds import FOREIGN_MODULES, STRAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAME = 512
_REMEMBERED = 1 << 15
_MAX_STEMS = 3

_SUFFIXES = {row.text: row for row in SUFFIXES}
_LONGEST = max(row.text.count(".") for row in SUFFIXES) + 1
_WHOLE = {"_".join(template(words(row.text))): row for row in WHOLE_NAMES}
_PREFIXES = tuple(sorted(PREFIXES, key=lambda row: -len(row.text)))
_PREFIXES_BY_LETTER = {
    letter: tuple(row for row in _PREFIXES if row.text[0] == letter)
    for letter in {row.text[0] for row in PREFIXES}
}
_ATTACHED_ROLES = {"down": _SUFFIXES["lora.down.weight"], "up": _SUFFIXES["lora.up.weight"]}
_COLON_ROLES = {"down": _SUFFIXES[":down"], "up": _SUFFIXES[":up"]}
_UNKNOWN_SUFFIX = Suffix("", "plain", "")


class _Mark(NamedTuple):
    """One thing a table says of a module; `table` names which."""

    table: str
    value: Any


def _marks() -> Iterator[tuple[str, _Mark]]:
    """List the patterns of all tables, so that a module is looked up once for all of them."""
    for row in ARCHITECTURES:
        yield from ((pattern, _Mark("module", row.name)) for pattern in row.modules)
        yield from ((pattern, _Mark("required", row.name)) for pattern in row.requires)
        for width in row.widths:
            yield width.modules, _Mark("width", (row.name, width.side, width.sizes))
    for form, patterns in FORMS:
        yield from ((pattern, _Mark("form", form)) for pattern in patterns)
    for number, (_, patterns, _) in enumerate(MODULE_LAYOUTS):
        yield from ((pattern, _Mark("layout", number)) for pattern in patterns)
    for number, absence in enumerate(ABSENCES):
        yield from ((pattern, _Mark("absence", (number, True))) for pattern in absence.seen)
        yield from ((pattern, _Mark("absence", (number, False))) for pattern in absence.absent)
    for number, stray in enumerate(STRAYS):
        yield from ((pattern, _Mark("stray", number)) for pattern in stray.modules)
    yield from ((pattern, _Mark("foreign", value=True)) for pattern in FOREIGN_MODULES)
    yield from ((pattern, _Mark("convolution", value=True)) for pattern in CONVOLUTIONS)
    yield from ((pattern, _Mark("patcher", value=True)) for pattern in PATCHERS)


_TABLES = Index(_marks())
_PLACES = Index(((row.modules, row) for row in PLACES), literal=True)


_NOTHING: frozenset[Any] = frozenset()


@lru_cache(maxsize=1 << 12)
def _by_table(marks: frozenset[_Mark]) -> dict[str, frozenset[Any]]:
    tables = {mark.table for mark in marks}
    return {table: frozenset(mark.value for mark in marks if mark.table == table) for table in tables}


class Slot:
    """What all names share that differ only in block numbers; compared by identity, so cheap to count."""

    __slots__ = (
        "absences",
        "adapter_prefix",
        "architectures",
        "bare",
        "convolution",
        "foreign",
        "form",
        "layout",
        "module",
        "patcher",
        "required",
        "slot",
        "strays",
        "suffix",
        "widths",
    )

    def __init__(
        self, affixes: _Affixes, suffix: Suffix, parts: tuple[str, ...], whole: tuple[str, ...]
    ) -> None:
        """Look up one canonical module, under one prefix and one suffix, in every table."""
        marks = _by_table(_TABLES.match(parts))
        full = marks if whole == parts else _by_table(_TABLES.match(whole))
        forms = marks.get("form", _NOTHING)
        slot = affixes.slot
        self.architectures: frozenset[str] = marks.get("module", _NOTHING)
        if slot is None and not self.architectures and "clip" in forms:
            slot = "enc1"
        self.slot = slot
        self.form = next((form for form, _ in FORMS if form in forms), None)
        self.suffix = suffix
        self.module = "_".join(parts)
        self.bare = affixes.bare
        self.adapter_prefix = affixes.adapter
        self.required: frozenset[str] = marks.get("required", _NOTHING)
        self.widths: frozenset[tuple[str, str, tuple[int, ...]]] = marks.get("width", _NOTHING)
        self.foreign = ("foreign" in marks or "foreign" in full) and affixes.layout not in DIFFUSION_LAYOUTS
        self.strays: frozenset[int] = full.get("stray", _NOTHING)
        self.convolution = "convolution" in marks
        self.patcher = "patcher" in marks
        self.absences: frozenset[tuple[int, bool]] = marks.get("absence", _NOTHING)
        self.layout = _layout(affixes.layout, marks.get("layout", _NOTHING))


class Path:
    """The numbered stems of one module (`double_blocks` 3) and the places it proves; compared by identity."""

    __slots__ = ("places", "slot", "stems")

    def __init__(self, slot: str | None, parts: tuple[str, ...]) -> None:
        """Pair each number among `parts` with the words before it."""
        stems: list[tuple[str, int]] = []
        run: list[str] = []
        for word in parts:
            if not word.isdecimal():
                run.append(word)
            elif len(word) <= 4 and len(stems) < _MAX_STEMS:
                stems.append(("_".join(run), int(word)))
                run = []
        self.slot = slot
        self.stems = tuple(stems)
        self.places = _PLACES.match(parts)


class Part(NamedTuple):
    """A tensor name taken apart."""

    slot: Slot
    path: Path
    module: str


class Affixed(NamedTuple):
    """A tensor name taken apart into the component it belongs to, the words of its module and its ending.

    `slot` is as in `registry.identify.rows.Prefix`; `words` keep their numbers.
    """

    slot: str | None
    words: tuple[str, ...]
    suffix: Suffix


class _Affixes(NamedTuple):
    slot: str | None
    layout: str | None
    adapter: bool
    bare: bool


def _layout(prefix: str | None, rows: frozenset[int]) -> str | None:
    for number, (given, _, layout) in enumerate(MODULE_LAYOUTS):
        if number in rows and given == (prefix or ""):
            return layout
    return prefix


def _cut_suffix(name: str) -> tuple[str, Suffix]:
    """Split a name into the module and the row of its ending."""
    if ":" in name and "." not in name:
        module, _, role = name.rpartition(":")
        return (module, _COLON_ROLES[role]) if role in _COLON_ROLES else (name, _UNKNOWN_SUFFIX)
    parts = name.split(".")
    if len(parts) >= 3 and parts[-3] in NAMED_FACTORS and parts[-1] == "weight":
        del parts[-2]
    elif len(parts) >= 2 and parts[-2] in NAMED_FACTORS and parts[-1] != "weight" and parts[-1] != "bias":
        del parts[-1]
    if len(parts) >= 3 and parts[-1] == "weight" and parts[-2] in _ATTACHED_ROLES:
        for ending in ATTACHED:
            if parts[-3].endswith(ending):
                module = ".".join([*parts[:-3], parts[-3].removesuffix(ending)])
                return module, _ATTACHED_ROLES[parts[-2]]
    for length in range(min(_LONGEST, len(parts)), 0, -1):
        tail = ".".join("#" if word.isdecimal() else word for word in parts[-length:])
        row = _SUFFIXES.get(tail)
        if row is not None:
            return ".".join(parts[:-length]), row
    return name, _UNKNOWN_SUFFIX


def _cut_prefixes(module: str) -> tuple[str, _Affixes]:
    """Take known beginnings off a module path; at most three are nested in practice."""
    slot: str | None = None
    layout: str | None = None
    adapter = False
    bare = True
    for _ in range(3):
        rows = _PREFIXES_BY_LETTER.get(module[:1], ())
        row = next((row for row in rows if module.startswith(row.text)), None)
        if row is None:
            break
        module = module[len(row.text) :]
        bare = False
        slot = row.slot or slot
        layout = row.layout or layout
        adapter = adapter or row.text.startswith(ADAPTER_PREFIXES)
    return module, _Affixes(slot, layout, adapter, bare)


def _words(module: str) -> list[str]:
    """Split a module path into words; parts of dotted paths that only look like another model's are told."""
    if "_attn_" in module and "." in module:
        return [word for part in module.split(".") for word in DOTTED_PARTS.get(part) or words(part)]
    return words(module)


@lru_cache(maxsize=1 << 13)
def _slot(affixes: _Affixes, suffix: Suffix, parts: tuple[str, ...], whole: tuple[str, ...]) -> Slot:
    return Slot(affixes, suffix, parts, whole)


@lru_cache(maxsize=1 << 14)
def _path(slot: str | None, parts: tuple[str, ...]) -> Path:
    return Path(slot, parts)


def take_apart(name: str) -> Affixed:
    """Part a tensor name at its known beginning and ending; never raises."""
    module, suffix = _cut_suffix(name[:MAX_NAME])
    rest, affixes = _cut_prefixes(module)
    return Affixed(affixes.slot, tuple(word for word in _words(rest) if word != "processor"), suffix)


@lru_cache(maxsize=_REMEMBERED)
def read_name(name: str) -> Part:
    """Read a tensor name; of names longer than `MAX_NAME` only the beginning counts. Never raises."""
    module, suffix = _cut_suffix(name[:MAX_NAME])
    whole = words(module)
    rest, affixes = _cut_prefixes(module)
    parts = [word for word in _words(rest) if word != "processor"]
    if "processor" in rest and affixes.bare and suffix.role in _ATTACHED_ROLES:
        affixes = affixes._replace(layout="xlabs" if rest.startswith(("double", "single")) else "diffusers")
    collapsed = template(parts)
    if suffix is _UNKNOWN_SUFFIX:
        suffix = _WHOLE.get("_".join(template(whole)), suffix)
    slot = _slot(affixes, suffix, tuple(collapsed), tuple(template(whole)))
    return Part(slot, _path(slot.slot, tuple(parts)), module)
