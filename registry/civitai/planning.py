"""What a run would ask for, without asking."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.asked import NOT_FOUND, UNMATCHED
from registry.catalog.lookups import asked_of
from registry.civitai.chosen import due_choices
from registry.civitai.client import IDS_AT_ONCE, VERSIONS_AT_ONCE
from registry.civitai.images import ALL, AVERAGE_ORIGINAL, AVERAGE_REDUCED, image_pages
from registry.civitai.matching import SINGLES
from registry.civitai.policy import NEVER, REASONS
from registry.civitai.run import due_pages
from registry.civitai.sync import due_models

if TYPE_CHECKING:
    from registry.catalog.engine import Catalog
    from registry.civitai.images import Choice
    from registry.civitai.run import Wish


@dataclass(frozen=True, slots=True)
class Plan:
    """How many files are due and why, how many models are, and how many requests that takes at most.

    At most, as each new file may have a model of its own, or be asked for by all its hashes; what has to be
    asked again after a failure, and pictures, come on top. `models` are those that are known now. `pictures`
    and their `picture_bytes` are estimates: of versions that are not known yet nobody can tell how many they
    have. Versions that users chose are requests and nothing else.
    """

    files: int
    reasons: dict[str, int]
    models: int
    requests: int
    pictures: int = 0
    picture_bytes: int = 0


def plan(catalog: Catalog, wish: Wish, *, archive: bool = False, images: Choice | None = None) -> Plan:
    """Return what a run would ask for, of an archive and of pictures too if there are such."""
    reasons: Counter[str] = Counter()
    requests = singles = 0
    for page in due_pages(catalog, wish):
        reasons.update(page.values())
        with catalog.read() as conn:
            asked = asked_of(conn, list(page))
        states = Counter(asked[sha].state for sha in page if sha in asked)
        # What was not found by its SHA-256 once will hardly be found by it now.
        archived = sum(asked[sha].archived for sha in page if sha in asked)
        missing = states[UNMATCHED] + states[NOT_FOUND] + archived
        singles += missing + sum(asked[sha].by in SINGLES for sha in page if sha in asked)
        requests += -(-len(page) // IDS_AT_ONCE) + -(-(len(page) - missing) // VERSIONS_AT_ONCE)
    models = sum(1 for _ in due_models(catalog, wish))
    new = reasons[NEVER]
    requests += len(due_choices(catalog, wish)) + models + new
    requests += (len(SINGLES) + archive) * min(singles + new, wish.misses)
    counts = {reason: reasons[reason] for reason in REASONS if reasons[reason]}
    pictures = 0 if images is None else _pictures(catalog, wish, images, new)
    average = AVERAGE_ORIGINAL if images is not None and images.originals else AVERAGE_REDUCED
    return Plan(sum(reasons.values()), counts, models, requests, pictures, pictures * average)


def _pictures(catalog: Catalog, wish: Wish, choice: Choice, new: int) -> int:
    """Return how many pictures would be fetched, if each new file is found and has as many as are wanted."""
    known = sum(len(page.due) for page in image_pages(catalog, wish, choice))
    return known + new * (choice.most if choice.mode == ALL else 1)
