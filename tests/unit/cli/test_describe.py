from __future__ import annotations

from typing import TYPE_CHECKING

from cli.describe import describe_file, describe_lora
from registry.catalog.detail import lora_detail
from registry.ingest.inspecting import inspect_file
from tests.support.files import frame, write_safetensors
from tests.support.shelf import lora, open_shelf

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from registry.views import LoraDetail
    from tests.support.shelf import Shelf


def known(shelf: Shelf, lora_id: int) -> LoraDetail:
    with shelf.registry.catalog.read() as conn:
        return lora_detail(conn, lora_id, shelf.registry.machine_id)


def test_parameters_are_only_named_where_they_can_be_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", {"x": ("F32", (1000, 2), 1)})
    describe_file(inspect_file(path, hashes=False))
    assert "parameters  2,000\n" in capsys.readouterr().out

    shape = ",".join(["18446744073709551615"] * 300)
    path.write_bytes(frame(f'{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}') + b"data")
    describe_file(inspect_file(path, hashes=False))
    shown = capsys.readouterr().out
    assert "not usable: overflow" in shown
    assert "  parameters" not in shown


def test_only_what_has_files_can_await_being_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_shelf(tmp_path) as shelf:
        lora(shelf.folder / "a.safetensors", 1)
        shelf.scan()
        first = shelf.files()["a.safetensors"]["lora_id"]
        describe_lora(known(shelf, first))
        assert "present, not yet verified by hash\n" in capsys.readouterr().out
        shelf.hash()
        lora(shelf.folder / "a.safetensors", 2, size=128)
        shelf.scan()
        shelf.hash()
        describe_lora(known(shelf, first))
    assert "gone\n" in capsys.readouterr().out
