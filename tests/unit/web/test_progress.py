"""What is going on, as pages tell it."""

from __future__ import annotations

from typing import Any

import pytest

from registry.web.progress import Step, steps


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        ({}, ()),
        ({"scans": [], "hashing": {"state": "idle", "files": 0}, "search": {"state": "idle"}}, ()),
        (
            {"scans": [{"label": "nas", "files": 1200, "new": 3, "changed": 0, "expected": 5000}]},
            (Step("Scanning nas", "1,200 of 5,000 files, 3 new", 1200, 5000),),
        ),
        (
            {"scans": [{"label": "nas", "files": 1200, "new": 3, "changed": 0, "expected": 10}]},
            (Step("Scanning nas", "1,200 files, 3 new", 1200, None),),
        ),
        (
            {"hashing": {"state": "hashing", "files": 3, "bytes": 5 << 30, "done": 7, "eta_seconds": 150.0}},
            (Step("Hashing", "3 files left, 5.0 GB, about 2 min", 7, 10),),
        ),
        (
            {"hashing": {"state": "paused", "files": 1, "bytes": 0, "done": 0, "eta_seconds": None}},
            (Step("Hashing is paused", "1 file left, 0 B", 0, 1),),
        ),
        (
            {"search": {"state": "rebuilding", "done": 500, "total": 2000}},
            (Step("Making the search index", "500 of 2,000 loras", 500, 2000),),
        ),
        (
            {
                "drawing": {
                    "state": "working",
                    "batches": [{"jobs": [3], "pieces": 8, "step": 5, "steps": 20}],
                    "waits_for": None,
                }
            },
            (Step("Drawing", "8 pictures", 5, 20),),
        ),
        (
            {"drawing": {"state": "waiting", "batches": [], "waits_for": "the web UI is at work"}},
            (Step("Drawing waits", "the web UI is at work"),),
        ),
        (
            {"search": {"state": "failing", "done": 0, "total": None}},
            (Step("The search index falls behind", "the log says what is wrong", 0, None),),
        ),
    ],
)
def test_progress_tells_what_is_going_on(progress: dict[str, Any], told: tuple[Step, ...]) -> None:
    assert steps(progress) == told
