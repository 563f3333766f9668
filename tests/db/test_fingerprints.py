"""Fingerprints belong to weights: what is due, what replaces what, and what goes with a lora."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.detail import lora_detail
from registry.catalog.fingerprints import (
    Extent,
    count_due,
    due,
    extent,
    fingerprint_of,
    health_of,
    keep_fingerprint,
    sketches_after,
    te_sketches,
    traits_of,
)
from registry.catalog.searching import search_records
from registry.measured import Measured, MeasuredBlock
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.library import Library

A = Model("a.safetensors", weights="one")
TWIN = Model("twin.safetensors", weights="one", metadata={"ss_output_name": "twin"})
B = Model("b.safetensors", weights="two", metadata={"ss_output_name": "b"})
PAGE = Model("page.safetensors", readable=False)
BLOCKS = (MeasuredBlock("unet", "mid_block", 3, 0.25),)


def measured(version: int = 1, **told: object) -> Measured:
    usual = {"basis": "change", "health": ("ok",), "layers": 3, "unet_norm": 1.5, "te_norm": 0.5}
    usual |= {"spectral": 0.5, "effective_rank": None, "blocks": BLOCKS, "version": version, "measured_at": 0}
    return Measured(**{**usual, **told})  # type: ignore[arg-type] # the field names are the test's own


def lora_of(library: Library, model: Model) -> int:
    return int(library.row(model.path).lora_id)


def keep(
    library: Library, model: Model, found: Measured, unet: bytes | None = b"u", te: bytes | None = None
) -> bool:
    with library.catalog.write() as unit:
        return keep_fingerprint(unit, lora_of(library, model), found, unet, te)


def is_due(
    library: Library, version: int = 1, among: Collection[int] | None = None, **more: bool
) -> list[bytes]:
    with library.catalog.read() as conn:
        found = due(conn, MACHINE, version, among=among, **more)
        assert count_due(conn, MACHINE, version, among, **more) == len(found)
        assert due(conn, "another", version) == []
    return [file.rel for file in found]


def test_what_is_hashed_and_there_and_of_no_fingerprint_is_due_once(library: Library) -> None:
    library.scan(A, TWIN, B, PAGE)
    assert is_due(library) == []
    for model in (A, TWIN, PAGE):
        library.hash(model)
    assert is_due(library) == [b"a.safetensors"]
    library.hash(B)
    assert len(is_due(library)) == 2
    assert is_due(library, among={lora_of(library, B)}) == [b"b.safetensors"]
    assert is_due(library, among=set()) == []
    keep(library, A, measured())
    assert is_due(library) == [b"b.safetensors"]
    assert len(is_due(library, version=2)) == 2
    assert len(is_due(library, anew=True)) == 2
    with library.catalog.read() as conn:
        after = lora_of(library, B)
        assert due(conn, MACHINE, 1, after=after) == []
        assert len(due(conn, MACHINE, 1, limit=1, anew=True)) == 1


def test_a_fingerprint_comes_back_as_it_was_kept(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    found = measured(health=("exploding", "nan"), problem="odd")
    assert keep(library, A, found, b"u", b"t")
    with library.catalog.read() as conn:
        lora_id = lora_of(library, A)
        kept = fingerprint_of(conn, lora_id)
        now = library.catalog.clock()
        assert kept == measured(health=("exploding", "nan"), problem="odd", measured_at=now)
        assert lora_detail(conn, lora_id, MACHINE).weights == kept
        assert health_of(conn, [lora_id]) == {lora_id: ("exploding", "nan")}
        assert search_records(conn, [lora_id])[0].health == ("exploding", "nan")
        assert te_sketches(conn, [lora_id]) == {lora_id: b"t"}
        assert traits_of(conn, [lora_id])[lora_id][:3] == ("a", 1.5, 0.5)
    with library.catalog.write() as unit:
        assert not keep_fingerprint(unit, 999, found)


def test_a_newer_one_takes_the_place_of_an_older_and_has_a_higher_id(library: Library) -> None:
    library.scan(A, B)
    library.hash(A)
    library.hash(B)
    keep(library, A, measured(), b"1")
    keep(library, B, measured(), b"2", b"3")
    with library.catalog.read() as conn:
        first = extent(conn)
    keep(library, A, measured(), b"4")
    with library.catalog.read() as conn:
        second = extent(conn)
        assert (second.rows, second.highest) == (2, first.highest + 1)
        assert extent(conn, first.highest) == Extent(1, second.highest)
        assert [row.unet for row in sketches_after(conn, 0)] == [b"2", b"4"]
        assert [row.unet for row in sketches_after(conn, first.highest)] == [b"4"]
        assert te_sketches(conn, [lora_of(library, A), lora_of(library, B)]) == {lora_of(library, B): b"3"}


def test_a_change_of_weights_leaves_the_fingerprint_with_the_old_ones(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    keep(library, A, measured())
    old = lora_of(library, A)
    changed = A.but(weights="three", mtime_ns=A.mtime_ns + 1)
    library.scan(changed)
    library.hash(changed)
    assert lora_of(library, A) != old
    assert is_due(library) == [b"a.safetensors"]
    with library.catalog.read() as conn:
        assert fingerprint_of(conn, old) is not None
