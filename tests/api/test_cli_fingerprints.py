"""`loras fingerprint` and `loras similar`, run as a user runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.support.adapters import QUERY, cast, lora, written
from tests.support.program import run_all

if TYPE_CHECKING:
    from pathlib import Path


def test_weights_are_measured_and_what_is_alike_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "loras 猫"
    folder.mkdir()
    base = lora(rows=320, columns=320, rank=8)
    written(folder / "画 [x].safetensors", base)
    written(folder / "half.safetensors", cast(base, np.float16))
    written(folder / "other.safetensors", lora(rows=320, columns=320, rank=8, seed=9))
    written(
        folder / "nan.safetensors", {**base, f"{QUERY}.lora_up.weight": np.full((320, 8), np.nan, np.float32)}
    )
    (folder / "cut.safetensors").write_bytes((folder / "half.safetensors").read_bytes()[:999])
    _, first, done, again, found, exact, cut, nothing, wrong, shown, searched = run_all(
        tmp_path / "data",
        ["scan", str(folder)],
        ["similar", "画 [x]"],
        ["fingerprint"],
        ["fingerprint", "--json"],
        ["similar", "画 [x]"],
        ["similar", "画 [x]", "--exact", "--json"],
        ["similar", "cut"],
        ["similar", "nobody"],
        ["similar", "other", "--least", "3"],
        ["show", "nan"],
        ["search", "health:nan", "--json"],
    )
    assert (first.code, first.out) == (0, "")
    assert "3 loras are not measured yet" in first.err
    assert done.out == "measured 3 of 3\n"
    assert again.json() == {"measured": 0, "unsupported": 0, "unreadable": 0, "total": 0}
    rows = found.out.splitlines()
    assert rows[0].split() == ["ID", "NAME", "COSINE", "STRENGTH", "WHAT", "IT", "IS"]
    assert [row.split()[1] for row in rows[1:]] == ["half"]
    assert "stored in another precision" in rows[1]
    (item,) = exact.json()["items"]
    assert (item["name"], item["exact"]) == ("half", True)
    assert (cut.code, nothing.code, wrong.code) == (3, 3, 2)
    assert "not measured" in cut.err
    assert "health  nan" in shown.out
    assert [one["name"] for one in searched.json()["items"]] == ["nan"]
