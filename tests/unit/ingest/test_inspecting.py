from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import Cancelled, NotARegularFile, UnreadableFile
from registry.ingest.inspecting import HASHES, KEYS, inspect_file, unreadable
from tests.support.files import frame, kohya_lora, write_safetensors
from tests.support.naive_hashes import naive_hashes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_described_under_all_keys_in_order(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6, seed=3)
    facts: dict[str, Any] = inspect_file(path)
    assert tuple(facts) == KEYS
    assert facts["path"] == str(path)
    assert facts["size"] == path.stat().st_size
    assert facts["header"]["accepted"]
    assert facts["header"]["cause"] is None
    assert facts["header"]["length"] == facts["header"]["data_start"] - 8
    assert facts["header"]["tensors"] == 18
    assert sum(facts["header"]["dtypes"].values()) == 18
    assert facts["metadata"]["ss_output_name"] == "a"
    assert facts["training"]["trainer"] == "kohya"
    assert facts["identification"]["kind"] == "lora"
    assert set(facts["trigger_words"]) == {"claimed", "folders", "tags"}


def test_the_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6, seed=3)
    facts: dict[str, Any] = inspect_file(path)
    expected = naive_hashes(path.read_bytes())
    assert facts["hashes"] == {name: getattr(expected, name) for name in HASHES}


def test_parameters_are_counted_over_all_tensors(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": ("F32", (3, 4), 1), "y": ("F16", (), 2)})
    facts: dict[str, Any] = inspect_file(path)
    assert facts["header"]["parameters"] == 13
    assert facts["header"]["dtypes"] == {"F32": 1, "F16": 1}


@pytest.mark.parametrize("count", [2, 300, 100_000])
def test_what_a_rejected_header_claims_is_no_number_of_parameters(tmp_path: Path, count: int) -> None:
    shape = ",".join(["18446744073709551615"] * count)
    path = tmp_path / "a.safetensors"
    path.write_bytes(frame(f'{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}') + b"data")
    facts: dict[str, Any] = inspect_file(path)
    assert (facts["header"]["cause"], facts["header"]["tensors"]) == ("overflow", 1)
    assert facts["header"]["parameters"] is None
    path.write_bytes(write_safetensors(path, {"x": ("F32", (3,), 1)}).read_bytes()[:-1])
    cut: dict[str, Any] = inspect_file(path)
    assert (cut["header"]["cause"], cut["header"]["parameters"]) == ("truncated-data", None)


def test_a_file_we_fail_at_can_be_described_like_one_that_cannot_be_read(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6)

    def fails(reached: int) -> None:
        raise ZeroDivisionError(f"at {reached}")

    with pytest.raises(UnreadableFile, match="This is a bug, please report it: ZeroDivisionError") as caught:
        inspect_file(path, progress=fails)
    facts: dict[str, Any] = unreadable(path, caught.value)
    assert str(path) in facts["problems"][0]["text"]
    assert facts["header"] is None


def test_without_hashing_claims_are_unchecked(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6, metadata={"sshs_model_hash": "ab" * 32})
    facts: dict[str, Any] = inspect_file(path, hashes=False)
    assert set(facts["hashes"].values()) == {None}
    assert tuple(facts["hashes"]) == HASHES
    assert [claim["verdict"] for claim in facts["claims"]] == ["unchecked"]
    assert facts["problems"] == []


def test_a_wrong_claim_is_a_problem(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6, metadata={"sshs_model_hash": "ab" * 32})
    facts: dict[str, Any] = inspect_file(path)
    assert [(claim["name"], claim["verdict"]) for claim in facts["claims"]] == [
        ("sshs_model_hash", "differs")
    ]
    assert [problem["slug"] for problem in facts["problems"]] == ["claimed-hash-differs"]


def test_a_file_of_another_kind_is_named_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    facts: dict[str, Any] = inspect_file(path)
    assert not facts["header"]["accepted"]
    assert facts["header"]["cause"] == "git-lfs-pointer"
    assert facts["header"]["length"] is None
    assert [problem["slug"] for problem in facts["problems"]] == ["git-lfs-pointer"]
    assert facts["hashes"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["hashes"]["data_sha256"] is None


def test_progress_ends_with_the_size(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=30)
    seen: list[int] = []
    inspect_file(path, progress=seen.append)
    assert seen[-1] == path.stat().st_size


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    path = kohya_lora(tmp_path / "a.safetensors", modules=6)
    with pytest.raises(Cancelled):
        inspect_file(path, cancelled=lambda: True)


def test_what_cannot_be_read_is_raised_and_can_be_described(tmp_path: Path) -> None:
    with pytest.raises(NotARegularFile):
        inspect_file(tmp_path)
    with pytest.raises(UnreadableFile) as caught:
        inspect_file(tmp_path / "none.safetensors", hashes=False)
    facts: dict[str, Any] = unreadable("none.safetensors", caught.value)
    assert tuple(facts) == KEYS
    assert facts["problems"][0]["slug"] == "unreadable-file"
    assert {facts[key] for key in KEYS if key not in {"path", "problems"}} == {None}
