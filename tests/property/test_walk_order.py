"""The walk's order on random trees."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.ingest.entries import Files, Scope
from registry.ingest.paths import ignored_path
from registry.ingest.walk import walk

# Bytes that sort below and above the separator, and parts that are prefixes of each other.
PART = st.text(alphabet="a b!-.0/Zé\x7f~".replace("/", ""), min_size=1, max_size=3).filter(
    lambda part: part.strip(".") == part and part.strip() == part
)
TREE = st.lists(st.lists(PART, min_size=1, max_size=4), max_size=12)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not take")
@settings(max_examples=60, deadline=None)
@given(TREE)
def test_a_walk_yields_exactly_the_files_in_byte_order(tree: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = set()
        for *folders, stem in tree:
            path = Path(folder, *folders, stem + ".sft")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            made.add(os.fsencode(path.relative_to(folder)))
        runs = [item for item in walk(Scope(folder)) if isinstance(item, Files)]
        found = [entry.rel for run in runs for entry in run.entries]
        assert found == sorted(rel for rel in made if not ignored_path(rel))
