"""What the catalog knows of pictures that are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.catalog.curation import edit
from registry.catalog.drawing import BaseFile, base_files
from registry.curation import Change
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from tests.support.library import Library

MODEL = Model("sd15/base.safetensors")
WHOLE = MODEL.digests["sha256"]


def found(library: Library, *hashes: str) -> dict[str, BaseFile]:
    with library.catalog.read() as conn:
        return base_files(conn, hashes, MACHINE)


def correct(library: Library, kind: str | None) -> None:
    with library.catalog.write() as unit:
        edit(unit, [library.lora(MODEL.path).id], {"kind": Change(kind)})


def test_a_base_model_is_found_by_either_hash_and_a_lora_is_none(library: Library) -> None:
    library.scan(MODEL)
    library.hash(MODEL)
    assert found(library, WHOLE) == {}
    correct(library, "checkpoint")
    file = BaseFile(library.root_id, MODEL.path, WHOLE)
    old = MODEL.digests["autov1"]
    assert found(library, WHOLE, old, "0" * 64, "odd") == {WHOLE: file, old: file}


@pytest.mark.parametrize("kind", ["lora", "vae"])
def test_what_the_user_says_is_no_base_model_is_none(library: Library, kind: str) -> None:
    library.scan(MODEL)
    library.hash(MODEL)
    with library.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE lora SET kind = 'checkpoint'")
    assert list(found(library, WHOLE)) == [WHOLE]
    correct(library, kind)
    assert found(library, WHOLE) == {}
    correct(library, None)
    assert list(found(library, WHOLE)) == [WHOLE]
