"""Compare the hashes that a header claims with those that were computed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.hashing.lookup import SHORTEST, is_hash_of_nothing
from registry.hashing.tensors import in_name_order
from registry.views import Claim, HeaderClaim, Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.formats.safetensors import Header
    from registry.views import Hashes

LONGEST_KEPT = 256  # characters of a claim that is far longer than any hash
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]*)", re.ASCII)
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class ClaimRule(NamedTuple):
    """A metadata key that claims a hash: the digests it may mean, how few and many hex digits make sense."""

    key: str
    digests: tuple[str, ...]
    fewest: int
    most: int


RULES = (
    ClaimRule("sshs_model_hash", ("data_sha256",), SHORTEST, 64),
    ClaimRule("sshs_legacy_hash", ("sshs_legacy_hash", "sshs_legacy_other"), 8, 8),
    ClaimRule("modelspec.hash_sha256", ("data_sha256",), SHORTEST, 64),
)
_DIGESTS = {rule.key: rule.digests for rule in RULES}
DIFFERS: Final = "claimed-hash-differs"
"""The slug of the problem that a claim is when it differs."""

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
    digests: dict[str, str] | None = None
    if hashes is not None:
        kinds = {kind for rule in RULES for kind in rule.digests}
        digests = {kind: value for kind in kinds if (value := getattr(hashes, kind)) is not None}
    return judge_claims(read_claims(metadata, header, trainer), digests)


def read_claims(
    metadata: Mapping[str, str], header: Header | None, trainer: str | None
) -> tuple[HeaderClaim, ...]:
    """Return the hashes that `metadata` claims, in the order of `RULES`: all that the header says of them."""
    found = (rule for rule in RULES if rule.key in metadata)
    return tuple(_read(rule, str(metadata[rule.key]), header, trainer) for rule in found)


def judge_claims(
    claims: Iterable[HeaderClaim], digests: Mapping[str, str] | None, before: Iterable[Claim] = ()
) -> tuple[Claim, ...]:
    """Return the verdicts of `check_claims` from digests by name, as they are stored; `None` before hashing.

    Where those of an older catalog do not suffice for a claim, it keeps the verdict it has in `before`.
    """
    return tuple(_judge(claim, digests, before) for claim in claims)


def claim_problems(claims: Iterable[Claim]) -> list[Note]:
    """Return what a person should know of the claims of a file: one note on all that differ."""
    told = "; ".join(
        f"{claim.name} is {claim.claimed[:80]}, but it is {claim.computed}"
        for claim in claims
        if claim.verdict == "differs"
    )
    if not told:
        return []
    reason = "the file was changed after it was written, or the claim was copied from another file."
    return [Note(DIFFERS, f"The header says {told}: {reason}")]


def _read(rule: ClaimRule, raw: str, header: Header | None, trainer: str | None) -> HeaderClaim:
    claimed = raw if len(raw) <= LONGEST_KEPT else raw[:LONGEST_KEPT] + "…"
    comparable = rule.key != "modelspec.hash_sha256" or _is_comparable(header, trainer)
    return HeaderClaim(rule.key, claimed, _digits(raw, rule), comparable)


def _judge(claim: HeaderClaim, digests: Mapping[str, str] | None, before: Iterable[Claim]) -> Claim:
    digits = claim.digits
    if digits is None:
        return Claim(claim.name, claim.claimed, None, "malformed")
    kinds = _DIGESTS[claim.name]
    values = [digests[kind] for kind in kinds if kind in digests] if digests else []
    computed = next((value for value in values if value.startswith(digits)), values[0] if values else None)
    if is_hash_of_nothing(digits):
        verdict = "hash_of_nothing"
    elif digests is None:
        verdict = "unchecked"
    elif computed is None:
        verdict = "unverifiable"
    elif computed.startswith(digits):
        verdict = "match"
    elif len(values) < len(kinds):
        same = (one for one in before if (one.name, one.claimed) == (claim.name, claim.claimed))
        return next(same, Claim(claim.name, claim.claimed, None, "unchecked"))
    elif not claim.comparable:
        verdict = "unverifiable"
    else:
        verdict = "differs"
    return Claim(claim.name, claim.claimed, computed, verdict)


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
