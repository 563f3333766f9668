"""What the loras that are most like one are to it, by what their fingerprints tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from registry.catalog.fingerprints import te_sketches, traits_of
from registry.lora.pairs import Traits, classify, parents
from registry.measured import FAMILY, MERGE, PRECISION, RESCALED, SAME, Relative, Relatives

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.engine import Catalog
    from registry.catalog.fingerprints import Trait
    from registry.search.likeness import Likeness

_PARENTS: Final = 0.2
_LOOKED_AT: Final = 24
"""How many of the nearest are tried as parents, and from which cosine on."""


def relatives_of(
    catalog: Catalog, likeness: Likeness, lora_id: int, *, limit: int, least: float
) -> Relatives:
    """Return the loras of at least that cosine to one; none if it has no fingerprint. Raises IndexTaken."""
    near, held = likeness.nearest(lora_id, max(limit, _LOOKED_AT), min(least, _PARENTS))
    ids = [lora_id, *(one.lora_id for one in near)]
    with catalog.read() as conn:
        traits, raw = traits_of(conn, ids), te_sketches(conn, ids)
    own = traits.get(lora_id)
    if own is None:
        return Relatives(lora_id, (), (), held)
    encoders = {key: np.frombuffer(each, "<f2").astype(np.float32) for key, each in raw.items()}
    items: list[Relative] = []
    for one in near:
        if one.cosine < least or one.lora_id not in traits or len(items) == limit:
            continue
        te = None
        if lora_id in encoders and one.lora_id in encoders:
            te = min(1.0, float(encoders[lora_id] @ encoders[one.lora_id]))
        items.append(relative(one.lora_id, own, traits[one.lora_id], one.cosine, te))
    both = _parents(likeness, lora_id, ids[1 : _LOOKED_AT + 1])
    return with_parents(Relatives(lora_id, tuple(items), both, held))


def relative(  # noqa: PLR0913 - the parts of one row
    lora_id: int, own: Trait, other: Trait, cosine: float, te: float | None, *, exact: bool = False
) -> Relative:
    """Return what another lora is to one, by the cosines of their changes."""
    unet = is_of_unet(own, other)
    mine, theirs = (own.unet_norm, other.unet_norm) if unet else (own.te_norm, other.te_norm)
    first = Traits(mine, own.rank, own.precision)
    second = Traits(theirs, other.rank, other.precision)
    relation = classify(cosine if te is None else min(cosine, te), first, second)
    if relation in (SAME, PRECISION, RESCALED) and bool(own.te_norm) != bool(other.te_norm):
        # One of the two changes text encoders besides.
        relation = FAMILY
    return Relative(lora_id, other.name, relation, cosine, te, theirs / mine, exact)


def is_of_unet(own: Trait, other: Trait) -> bool:
    """Whether the cosine of two loras is that of their denoisers."""
    return bool(own.unet_norm and other.unet_norm)


def with_parents(found: Relatives) -> Relatives:
    """Tell of those of which one is a weighted sum that they are that, where they seem just related."""
    return replace(
        found,
        items=tuple(
            replace(item, relation=MERGE) if item.id in found.parents and item.relation == FAMILY else item
            for item in found.items
        ),
    )


def _parents(likeness: Likeness, lora_id: int, others: Sequence[int]) -> tuple[int, ...]:
    sketches = likeness.sketches([lora_id, *others])
    child = sketches.pop(lora_id, None)
    if child is None:
        return ()
    ids = list(sketches)
    return tuple(ids[place] for place in parents(child, list(sketches.values())))
