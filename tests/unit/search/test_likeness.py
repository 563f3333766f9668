from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock

from registry.catalog.fingerprints import keep_fingerprint
from registry.errors import IndexDamaged, IndexTaken
from registry.lora.fingerprint import VERSION
from registry.lora.sketch import SIZE
from registry.measured import Measured
from registry.search import likeness as module
from registry.search.likeness import Likeness
from tests.support.catalogs import Builder, open_builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from registry.lora.numbers import Floats


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    root = made.root("/models")
    for number in range(12):
        made.file(root, f"{number}.safetensors")
    made.write()
    yield made
    made.catalog.close()


def unit(seed: int) -> Floats:
    drawn = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def keep(
    builder: Builder, lora_id: int, sketch: Floats | None, *, te: bool = False, version: int = VERSION
) -> None:
    measured = Measured(
        "change", ("ok",), 1, 0.0 if te else 1.0, 1.0 if te else 0.0, None, None, (), version, 0
    )
    raw = None if sketch is None else sketch.astype("<f2").tobytes()
    with builder.catalog.write() as unit_of_work:
        assert keep_fingerprint(unit_of_work, lora_id, measured, *((None, raw) if te else (raw, None)))


def names(likeness: Likeness, lora_id: int, least: float = -1.0) -> list[int]:
    return [near.lora_id for near in likeness.nearest(lora_id, 20, least)[0]]


def test_the_nearest_come_first_and_the_one_itself_is_left_out(builder: Builder, tmp_path: Path) -> None:
    base, other = unit(1), unit(2)
    for lora_id, share in ((1, 1.0), (2, 0.9), (3, 0.5), (4, -1.0)):
        keep(builder, lora_id, share * base + (1 - abs(share)) * other)
    likeness = Likeness(builder.catalog, tmp_path / "likeness")
    near, held = likeness.nearest(1, 20, -1)
    assert ([one.lora_id for one in near], held) == ([2, 3, 4], 4)
    assert near[0].cosine == pytest.approx(0.9, abs=0.02)
    assert names(likeness, 1, 0.4) == [2, 3]
    assert likeness.nearest(1, 1, -1)[0][0].lora_id == 2
    assert names(likeness, 9) == []


def test_nothing_measured_is_nothing_found(builder: Builder, tmp_path: Path) -> None:
    likeness = Likeness(builder.catalog, tmp_path / "likeness")
    assert likeness.nearest(1, 20, -1) == ([], 0)
    keep(builder, 1, None)
    keep(builder, 2, unit(1), version=VERSION - 1)
    assert likeness.nearest(1, 20, -1) == ([], 0)
    assert likeness.sketches([1, 2]) == {}


def test_it_follows_what_comes_goes_and_is_replaced(builder: Builder, tmp_path: Path) -> None:
    likeness = Likeness(builder.catalog, tmp_path / "likeness")
    for lora_id in (1, 2):
        keep(builder, lora_id, unit(1))
    assert names(likeness, 1, 0.5) == [2]
    keep(builder, 3, unit(1))
    assert set(names(likeness, 1, 0.5)) == {2, 3}
    keep(builder, 2, unit(2))
    assert names(likeness, 1, 0.5) == [3]
    keep(builder, 4, unit(1))
    with builder.catalog.write() as one:
        one.conn.exec_driver_sql("DELETE FROM fingerprint WHERE lora_id = 3")
    assert names(likeness, 1, 0.5) == [4]
    assert names(Likeness(builder.catalog, tmp_path / "likeness"), 1, 0.5) == [4]
    assert len(list((tmp_path / "likeness").glob("sketches-*"))) == 1


@pytest.mark.parametrize("damage", ["cut", "longer", "state", "gone"])
def test_a_file_that_was_damaged_is_mended_or_made_anew(
    builder: Builder, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "likeness"
    for lora_id in (1, 2):
        keep(builder, lora_id, unit(1))
    assert names(Likeness(builder.catalog, folder), 1, 0.5) == [2]
    (held,) = folder.glob("sketches-*")
    vectors = held / "sketches.f32"
    if damage == "cut":
        vectors.write_bytes(vectors.read_bytes()[:100])
    elif damage == "longer":
        # As a process leaves it that is killed while it adds rows.
        vectors.write_bytes(vectors.read_bytes() + b"x" * 999)
        keep(builder, 3, unit(1))
    elif damage == "state":
        (folder / "state.json").write_text("{", encoding="utf-8")
    else:
        vectors.unlink()
    found = names(Likeness(builder.catalog, folder), 1, 0.5)
    assert set(found) == ({2, 3} if damage == "longer" else {2})
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    assert state["rows"] == len(found) + 1


def test_a_lora_of_text_encoders_alone_is_compared_by_them(builder: Builder, tmp_path: Path) -> None:
    keep(builder, 1, unit(1), te=True)
    keep(builder, 2, unit(1), te=True)
    assert names(Likeness(builder.catalog, tmp_path / "likeness"), 1, 0.5) == [2]


def test_one_process_after_the_other_makes_it(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    keep(builder, 1, unit(1))
    folder = tmp_path / "likeness"
    folder.mkdir()
    likeness = Likeness(builder.catalog, folder)
    with FileLock(folder / "writer.lock"), pytest.raises(IndexTaken):
        likeness.nearest(1, 5, 0)
    assert likeness.nearest(1, 5, 0) == ([], 1)


def test_a_place_that_cannot_be_written_is_named(builder: Builder, tmp_path: Path) -> None:
    keep(builder, 1, unit(1))
    place = tmp_path / "likeness"
    place.write_text("somebody's file", encoding="utf-8")
    with pytest.raises(IndexDamaged, match="cannot be written") as told:
        Likeness(builder.catalog, place).nearest(1, 5, 0)
    assert str(place) in told.value.remedy
    assert place.read_text(encoding="utf-8") == "somebody's file"
