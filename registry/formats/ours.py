"""What we wrote into a sidecar ourselves, so that it is not taken for what its tool or its user says.

It is remembered by what the tool reads of it, so that it is known again after the tool wrote the file anew.
Texts are not remembered, only the beginnings of their digests.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from registry.formats.packing import pack_json
from registry.told import Licence, SidecarFacts, UserFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Who wrote it; and whether a sidecar is of its file is told by all hashes that it names, whoever wrote them.
_NOT_SAID: Final = frozenset({"tool", "hashes"})
_PARTS: Final[Mapping[str, type]] = {"user": UserFacts, "licence": Licence}
# `False` where nobody says so.
_GONE: Final = "gone"
_DIGITS: Final = 16


def added(before: SidecarFacts | None, after: SidecarFacts | None) -> dict[str, list[str]]:
    """Return what a sidecar says after we wrote it and did not before: the digests of it, by its name.

    Of lists each entry counts by itself. The outcome is JSON for the catalog to keep.
    """
    if after is None:
        return {}
    said = dict(_values(before)) if before is not None else {}
    found = {name: _digests(value) for name, value in _values(after)}
    old = {name: _digests(value) for name, value in said.items()}
    new = {name: [one for one in some if one not in old.get(name, ())] for name, some in found.items()}
    return {name: some for name, some in new.items() if some}


def without(facts: SidecarFacts, ours: Mapping[str, object]) -> SidecarFacts:
    """Return what a sidecar says but for what we wrote; all of it if `ours` is not from `added`."""
    changes: dict[str, dict[str, Any]] = {"": {}}
    for name, value in _values(facts):
        digests = ours.get(name)
        if not isinstance(digests, list) or not digests:
            continue
        part, _, member = name.rpartition(".")
        kept = _kept(value, digests)
        if kept != value:
            changes.setdefault(part, {})[member] = False if name == _GONE else kept
    whole = changes.pop("")
    for part, some in changes.items():
        whole[part] = replace(getattr(facts, part), **some)
    return replace(facts, **whole) if whole else facts


def _values(facts: SidecarFacts) -> Iterator[tuple[str, object]]:
    """Give each thing that facts say, by its name, those of their parts with the name of the part."""
    for each in fields(SidecarFacts):
        value = getattr(facts, each.name)
        if each.name in _PARTS:
            yield from ((f"{each.name}.{one.name}", getattr(value, one.name)) for one in fields(value))
        elif each.name not in _NOT_SAID:
            yield each.name, value or None if each.name == _GONE else value


def _kept(value: object, digests: list[object]) -> object:
    if isinstance(value, tuple):
        return tuple(item for item in value if _digest(item) not in digests)
    return None if _digest(value) in digests else value


def _digests(value: object) -> list[str]:
    if value is None:
        return []
    return [_digest(item) for item in value] if isinstance(value, tuple) else [_digest(value)]


def _digest(value: object) -> str:
    return hashlib.sha256(pack_json(value)).hexdigest()[:_DIGITS]
