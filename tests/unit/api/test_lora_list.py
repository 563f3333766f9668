"""The list of loras, read as it is sent."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from registry.api.lora_list import Picked, Sight, pick
from registry.wire import Operation, a1111
from registry.wire.gzip_segments import decompress_fragment, join_fragments
from tests.support.catalogs import open_builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

(ROUTE,) = (route for route in a1111.ROUTES if route.operation is Operation.LIST_LORAS)
FILES = 250


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    root = made.root("/a")
    for number in range(FILES):
        made.file(
            root, f"{number}.safetensors", {"modelspec.thumbnail": f"data:image/png;base64,{number:04}"}
        )
    made.write()
    yield made
    made.catalog.close()


@pytest.mark.parametrize(("covers", "longest"), [(True, 4), (False, 100)])
def test_a_part_of_the_list_is_read_segment_by_segment(
    builder: Builder, *, covers: bool, longest: int
) -> None:
    read: list[str] = []

    def path(_root_id: int, relative: str) -> str:
        read.append(relative)
        return relative

    context: Any = SimpleNamespace(searching=SimpleNamespace(place=SimpleNamespace(words=None)))
    sight = Sight(context, None, path, covers, lambda _level: True)
    pieces: list[bytes] = []
    with builder.catalog.read() as conn:
        part = pick(conn, sight, ROUTE, Picked(q=None, limit=FILES, since=None), None)
        assert read == []
        for segment in part.segments:
            before = len(read)
            pieces.append(body_of(segment))
            assert len(read) - before <= longest
    entries = json.loads(b"".join(pieces))
    assert (
        [entry["path"] for entry in entries] == read == [f"{number}.safetensors" for number in range(FILES)]
    )
    shown = [entry["metadata"].get("modelspec.thumbnail", "none")[-4:] for entry in entries]
    assert shown == [f"{number:04}" if covers else "none" for number in range(FILES)]


def body_of(segment: Any) -> bytes:
    return decompress_fragment(join_fragments(segment))
