"""The two entries that a real A1111 server answered with, from the headers their files must have had."""

from __future__ import annotations

import gzip
import json
import ntpath
import re
from typing import TYPE_CHECKING, Any

import pytest

from registry.wire import a1111
from registry.wire import gzip_segments as segments
from registry.wire.natural import natural_key

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.data

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def entries(data_dir: Path) -> list[Entry]:
    documents = sorted((data_dir.parent / "seeds").glob("000_*.txt"))
    if not documents:
        pytest.skip("the recorded A1111 answer is absent")
    block = re.search(r"```json\n(.*?)```", documents[0].read_text("utf-8"), re.DOTALL)
    assert block is not None
    recorded: list[Entry] = json.loads(block[1])
    assert len(recorded) == 2
    return recorded


def header_of(entry: Entry) -> dict[str, str]:
    """The header as the trainer wrote it, with the keys that the web UI moves to the front at the end."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in entry["metadata"].items()
    }
    last = {key: texts.pop(key) for key in reversed(a1111.FIRST_KEYS)}
    return texts | last


def item_of(entry: Entry) -> a1111.Item[bytes]:
    root, file_name = ntpath.split(entry["path"])
    metadata = header_of(entry)
    name = a1111.name_of(file_name)
    path = a1111.join_path(root, file_name)
    return a1111.Item(name, a1111.alias_of(metadata, name), path, a1111.metadata_json(metadata))


def test_each_recorded_entry_comes_back_equal_key_for_key_and_in_key_order(entries: list[Entry]) -> None:
    for entry in entries:
        rebuilt = json.loads(a1111.encode_item(item_of(entry)))
        assert rebuilt == entry
        # Text compares the order of keys on every level too.
        assert json.dumps(rebuilt) == json.dumps(entry)


def test_the_whole_recorded_list_comes_back_through_one_gzip_member(entries: list[Entry]) -> None:
    items = [
        a1111.Item(item.name, item.alias, item.path, segments.compress_fragment(item.metadata))
        for item in map(item_of, entries)
    ]
    body = gzip.decompress(b"".join(segments.gzip_member([b"[", *a1111.encode_entries(items), b"]"])))
    assert json.dumps(json.loads(body)) == json.dumps(entries)


def test_the_recorded_order_is_the_natural_order(entries: list[Entry]) -> None:
    names = [entry["name"] for entry in entries]
    assert names == sorted(names, key=natural_key)
