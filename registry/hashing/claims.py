"""Compare the hashes that a header claims with those that were computed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from registry.hashing.lookup import SHORTEST, is_hash_of_nothing
from registry.hashing.tensors import in_name_order
from registry.views import Claim, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from registry.formats.safetensors import Header
    from registry.views import Hashes

LONGEST_KEPT = 256  # characters of a claim that is far longer than any hash
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]*)", re.ASCII)
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class ClaimRule(NamedTuple):
    """A metadata key that claims a hash: what it stands for, and how few and many hex digits make sense."""

    key: str
    computed: Callable[[Hashes], tuple[str | None, ...]]
    fewest: int
    most: int


RULES = (
    ClaimRule("sshs_model_hash", lambda hashes: (hashes.data_sha256,), SHORTEST, 64),
    ClaimRule("sshs_legacy_hash", lambda hashes: hashes.legacy_candidates, 8, 8),
    ClaimRule("modelspec.hash_sha256", lambda hashes: (hashes.data_sha256,), SHORTEST, 64),
)

NAME_ORDER = frozenset({"onetrainer"})
"""Trainers whose `modelspec.hash_sha256` is over the tensors in name order (Nerogar/OneTrainer
DtypeModelSaverMixin.py)."""

DICT_ORDER = frozenset({"sdscripts", "kohya", "kohyass", "kohyasssdscripts"})
"""Trainers whose older versions took the order of a Python dict, which no file keeps (kohya-ss/sd-scripts
library/sai_model_spec.py)."""


def check_claims(
    metadata: Mapping[str, str], hashes: Hashes | None, header: Header | None, trainer: str | None
) -> tuple[Claim, ...]:
    """Return a verdict on each hash that `metadata` claims, in the order of `RULES`.

    `match` (also of 8 or more leading digits), `differs`, `hash_of_nothing` (true or not, it says nothing),
    `malformed` (no whole bytes in hex, or an impossible length), `unverifiable` (not computable from the
    file), `unchecked` (`hashes` is `None`: the file was not hashed yet). `trainer` decides what some claims
    mean; its spelling does not matter.
    """
    found = (rule for rule in RULES if rule.key in metadata)
    return tuple(_check(rule, str(metadata[rule.key]), hashes, header, trainer) for rule in found)


def claim_problems(claims: Iterable[Claim]) -> list[Note]:
    """Return what a person should know of some claims: those that differ from what was computed."""
    return [
        Note(
            "claimed-hash-differs",
            f"The header says {claim.name} is {claim.claimed[:80]}, but it is {claim.computed}: the file was "
            "changed after it was written, or the claim was copied from another file.",
        )
        for claim in claims
        if claim.verdict == "differs"
    ]


def _check(
    rule: ClaimRule, raw: str, hashes: Hashes | None, header: Header | None, trainer: str | None
) -> Claim:
    claimed = raw if len(raw) <= LONGEST_KEPT else raw[:LONGEST_KEPT] + "…"
    digits = _digits(raw, rule)
    if digits is None:
        return Claim(rule.key, claimed, None, "malformed")
    values = [value for value in (rule.computed(hashes) if hashes else ()) if value]
    computed = next((value for value in values if value.startswith(digits)), values[0] if values else None)
    if is_hash_of_nothing(digits):
        verdict = "hash_of_nothing"
    elif hashes is None:
        verdict = "unchecked"
    elif computed is None:
        verdict = "unverifiable"
    elif computed.startswith(digits):
        verdict = "match"
    elif rule.key == "modelspec.hash_sha256" and not _is_comparable(header, trainer):
        verdict = "unverifiable"
    else:
        verdict = "differs"
    return Claim(rule.key, claimed, computed, verdict)


def _digits(raw: str, rule: ClaimRule) -> str | None:
    if len(raw) > LONGEST_KEPT:
        return None
    found = _HEX.fullmatch(raw.strip())
    digits = found.group(1).lower() if found else ""
    if len(digits) % 2 or not rule.fewest <= len(digits) <= rule.most:
        return None
    return digits


def _is_comparable(header: Header | None, trainer: str | None) -> bool:
    """Tell whether the trainer would have hashed the tensors in the order in which the file holds them."""
    name = _NO_LETTER.sub("", (trainer or "").lower())
    if name not in NAME_ORDER | DICT_ORDER or header is None:
        return name not in NAME_ORDER | DICT_ORDER
    if name in NAME_ORDER:
        return in_name_order(header.tensors)
    return sum(tensor.end > tensor.start for tensor in header.tensors.values()) <= 1
