"""What the author of a model allows, in single words that can be searched.

Source of the permissions: civitai/civitai prisma/schema.prisma, `CommercialUse` and the `allow...` columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.told import Licence

WORDS: Final = {
    "no-credit": "no credit needed",
    "credit": "credit needed",
    "derivatives": "merges may be shared",
    "no-derivatives": "merges may not be shared",
    "relicense": "merges under another licence",
    "same-license": "merges under the same licence only",
    "non-commercial": "no commercial use",
    "image": "images may be sold",
    "rentcivit": "may be used on Civitai for a fee",
    "rent": "may be used on any service for a fee",
    "sell": "may be sold",
}
"""TABLE of the words, with what they mean."""


def licence_words(licence: Licence) -> tuple[str, ...]:
    """Return what a licence says, one word for each thing; uses that nobody knows are left out."""
    return tuple(_words(licence))


def _words(licence: Licence) -> Iterator[str]:
    if licence.no_credit is not None:
        yield "no-credit" if licence.no_credit else "credit"
    if licence.derivatives is not None:
        yield "derivatives" if licence.derivatives else "no-derivatives"
    if licence.different_licence is not None:
        yield "relicense" if licence.different_licence else "same-license"
    if licence.commercial_use is not None:
        uses = [use.lower() for use in licence.commercial_use if use.lower() != "none"]
        yield from dict.fromkeys(use for use in uses if use in WORDS) if uses else ("non-commercial",)
