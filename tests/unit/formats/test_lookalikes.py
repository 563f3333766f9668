from __future__ import annotations

import struct

from registry.formats.header import CAUSES
from registry.formats.lookalikes import _SIGNATURES, looks_like


def test_every_signature_names_a_known_cause() -> None:
    assert {signature.cause for signature in _SIGNATURES} <= set(CAUSES)


def test_signatures_are_lower_case_as_they_are_compared() -> None:
    assert all(signature.prefix == signature.prefix.lower() for signature in _SIGNATURES)


def test_a_possible_header_length_is_not_taken_for_a_signature() -> None:
    for first in (0x7B, 0x5B, 0x8B1F, 0x0280):
        assert looks_like(struct.pack("<Q", first) + b'{"a"', 12).cause == "truncated-header"
