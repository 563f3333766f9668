"""Training tags by frequency (`ss_tag_frequency` of kohya-ss/sd-scripts, library/train_util.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.formats.values import as_int
from registry.views import Note, TagCount

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TAGS: Final = 10_000


def count_tags(
    frequency: Mapping[str, object], images: Mapping[str, int], notes: list[Note]
) -> tuple[TagCount, ...]:
    """Add tags over all folders, most frequent first and then by name, spelled as written.

    `frequency` maps folder to tag to number of captions; `images` the images of each folder where known. A
    share is only given where the images of every folder are known. What is odd is added to `notes`.
    """
    counts: dict[str, int] = {}
    odd = 0
    folders = []
    for folder, tags in frequency.items():
        if isinstance(tags, dict):
            folders.append(folder)
            listed = tags
        else:
            listed = {folder: tags}
        for tag, value in listed.items():
            count = value if type(value) is int else as_int(value)
            if count is None or count < 0:
                odd += 1
            else:
                counts[tag] = counts.get(tag, 0) + count
    if odd:
        notes.append(Note("odd-value", f"{odd} tags of ss_tag_frequency have no count."))
    in_order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(in_order) > MAX_TAGS:
        notes.append(Note("shortened", f"Only {MAX_TAGS} of {len(in_order)} tags are kept."))
        del in_order[MAX_TAGS:]
    known = [images[folder] for folder in folders if folder in images]
    total = sum(known) if len(known) == len(frequency) else 0
    if total <= 0:
        return tuple(TagCount(tag, count) for tag, count in in_order)
    if in_order and in_order[0][1] > total:
        notes.append(Note("tag-share-clipped", "Some tags occur more often than there are images."))
    return tuple([TagCount(tag, count, count / total if count < total else 1.0) for tag, count in in_order])
