"""What headers claim of their hashes: shown from the first scan on, judged by hashing and by better rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from registry.catalog.detail import lora_detail
from registry.catalog.lookup import by_hash
from registry.catalog.reading import file_views
from registry.catalog.tables import TABLES
from registry.formats.packing import pack_json
from registry.hashing.reader import hash_file
from tests.support.files import write_safetensors
from tests.support.shelf import Counting, later, open_shelf

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.files import TensorSpec
    from tests.support.shelf import Shelf

NAME = "a.safetensors"
# Long enough for legacy hashes that say something.
TENSORS: dict[str, TensorSpec] = {
    "lora_unet_x.lora_down.weight": ("U8", (1_200_000,), 1),
    "lora_unet_x.lora_up.weight": ("U8", (3,), 2),
}
WRONG = {"ss_network_module": "networks.lora", "sshs_model_hash": "0" * 64}
PROBLEM = ("claimed-hash-differs", NAME)


def claims(shelf: Shelf) -> dict[str, tuple[Any, Any]]:
    """Return what was computed and the verdict for each claim of the file."""
    (row,) = shelf.files().values()
    with shelf.registry.catalog.read() as conn:
        views = file_views(conn, TABLES["file"].c.id, [row["id"]], shelf.registry.machine_id)
    return {str(one["name"]): (one["computed"], one["verdict"]) for one in views[row["id"]][0].claims}


def write(path: Path, claimed: dict[str, str]) -> Path:
    """Write the file with those claims in its header."""
    return write_safetensors(path, TENSORS, {"ss_network_module": "networks.lora", **claimed})


def test_claims_are_unchecked_from_the_first_scan_until_hashing(shelf: Shelf) -> None:
    path = write(shelf.folder / NAME, WRONG)
    shelf.scan()
    assert claims(shelf) == {"sshs_model_hash": (None, "unchecked")}
    assert shelf.problems() == set()
    shelf.hash()
    assert claims(shelf) == {"sshs_model_hash": (hash_file(path).hashes.data_sha256, "differs")}
    assert shelf.problems() == {PROBLEM}


def test_a_header_written_anew_is_not_held_to_what_the_old_one_claimed(shelf: Shelf) -> None:
    path = write(shelf.folder / NAME, WRONG)
    shelf.scan()
    shelf.hash()
    right = hash_file(path).hashes.data_sha256
    assert right is not None
    later(write(path, {"sshs_model_hash": right}))
    shelf.scan()
    assert claims(shelf) == {"sshs_model_hash": (None, "unchecked")}
    assert shelf.problems() == set()
    shelf.hash()
    assert claims(shelf) == {"sshs_model_hash": (right, "match")}


def test_better_rules_judge_claims_again_without_reading_the_data(tmp_path: Path) -> None:
    other = hash_file(write(tmp_path / "trial.safetensors", {})).hashes.sshs_legacy_other
    assert other is not None
    with open_shelf(tmp_path) as shelf:
        write(shelf.folder / NAME, {**WRONG, "sshs_legacy_hash": other, "modelspec.hash_sha256": other})
        shelf.scan()
        shelf.hash()
        fresh = claims(shelf)
        assert [verdict for _, verdict in fresh.values()] == ["differs", "match", "unverifiable"]
        (row,) = shelf.files().values()
        with shelf.registry.catalog.read() as conn:
            detail = lora_detail(conn, row["lora_id"], shelf.registry.machine_id)
            assert [hit.lora_id for hit in by_hash(conn, other)] == [row["lora_id"]]
        assert other not in detail.lora.files[0].hashes.values()
        older = [
            {"name": name, "claimed": detail.metadata[name], "computed": None, "verdict": "malformed"}
            for name in fresh
        ]
        with shelf.registry.catalog.write() as unit:
            unit.conn.execute(text("UPDATE file SET claims = :claims"), {"claims": pack_json(older)})
            unit.conn.execute(text("DELETE FROM problem"))
    with open_shelf(tmp_path, counting=Counting(derived_version=2)) as shelf:
        assert shelf.scan().changed == 0
        assert claims(shelf) == fresh
        assert shelf.problems() == {PROBLEM}
        assert shelf.hash() == 0
        assert shelf.counting.hashed == []
        with shelf.registry.catalog.read() as conn:
            again = lora_detail(conn, row["lora_id"], shelf.registry.machine_id)
        assert again.lora == detail.lora
        assert [(one.slug, one.text) for one in again.problems] == [
            (one.slug, one.text) for one in detail.problems
        ]
