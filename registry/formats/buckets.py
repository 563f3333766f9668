"""Aspect-ratio buckets of a training run (`ss_bucket_info` of kohya-ss/sd-scripts, library/train_util.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.formats.values import as_float, as_int, as_size
from registry.views import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_BUCKETS: Final = 4096


@dataclass(frozen=True, slots=True)
class Bucket:
    """Images trained at one resolution; `index` has gaps, `count` includes repeats."""

    index: int
    width: int
    height: int
    count: int


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """All buckets in the order written; `source` is the metadata key they come from."""

    buckets: tuple[Bucket, ...]
    mean_img_ar_error: float | None
    source: str

    def commonest(self) -> Bucket | None:
        """Return the bucket with most images, the first of equals."""
        return max(self.buckets, key=lambda bucket: bucket.count, default=None)


def read_buckets(info: Mapping[str, object], source: str) -> tuple[BucketInfo | None, tuple[Note, ...]]:
    """Read one bucket object as decoded from JSON, with notes on what is odd in it."""
    notes = []
    error = info.get("mean_img_ar_error")
    if isinstance(error, float) and not math.isfinite(error):
        notes.append(Note("nan-in-metadata", f"mean_img_ar_error of {source} is not a finite number."))
    listed = info.get("buckets")
    if listed is None:
        listed = {}
    if not isinstance(listed, dict):
        return None, (*notes, Note("odd-value", f"The buckets of {source} are not a map."))
    if len(listed) > MAX_BUCKETS:
        notes.append(Note("shortened", f"Only {MAX_BUCKETS} of {len(listed)} buckets of {source} are kept."))
    buckets = []
    odd = 0
    for key, value in list(listed.items())[:MAX_BUCKETS]:
        bucket = _bucket(key, value)
        if bucket is None:
            odd += 1
        else:
            buckets.append(bucket)
    if odd:
        notes.append(Note("odd-value", f"{odd} buckets of {source} have no resolution and count."))
    return BucketInfo(tuple(buckets), as_float(error), source), tuple(notes)


def sum_buckets(infos: Iterable[BucketInfo], source: str) -> BucketInfo | None:
    """Add buckets of equal resolution over datasets, numbered anew; the error is weighted by images."""
    each = tuple(infos)
    if len(each) <= 1:
        return each[0] if each else None
    counts: dict[tuple[int, int], int] = {}
    for bucket in (bucket for info in each for bucket in info.buckets):
        side = (bucket.width, bucket.height)
        counts[side] = counts.get(side, 0) + bucket.count
    weighted = [
        (info.mean_img_ar_error, sum(bucket.count for bucket in info.buckets))
        for info in each
        if info.mean_img_ar_error is not None
    ]
    images = sum(count for _, count in weighted)
    error = sum(value * count for value, count in weighted) / images if images else None
    buckets = tuple(Bucket(index, *side, count) for index, (side, count) in enumerate(counts.items()))
    return BucketInfo(buckets, error, source)


def _bucket(key: str, value: object) -> Bucket | None:
    if not isinstance(value, dict) or not (key.isascii() and key.isdigit() and len(key) < 10):
        return None
    size = as_size(value.get("resolution")) if isinstance(value.get("resolution"), list) else None
    count = as_int(value.get("count"))
    if size is None or count is None or count < 0:
        return None
    return Bucket(int(key), *size, count)
