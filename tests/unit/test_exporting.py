"""Sidecars on the disk: whole or not at all, and never where they do not belong."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from registry.errors import (
    BadRequest,
    Conflict,
    FileChanged,
    Forbidden,
    NotARegularFile,
    RegistryError,
    UnreadableFile,
)
from registry.exporting import Written, write_preview, write_sidecar
from registry.wire.companions import ignored
from registry.wire.exports import Planned, plan
from registry.wire.sidecars import MAX_SIDECAR
from tests.support.exporting import outgoing, shown

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(8)
NAME = "x.json"

posix = pytest.mark.skipif(os.name == "nt", reason="needs modes, links or pipes")


def notes(original: bytes | None) -> Planned:
    return plan("a1111", original, outgoing(shown(notes="mine")))


def write(folder: Path, name: str = NAME, *, dry_run: bool = False) -> Written:
    return write_sidecar(str(folder), name, notes, [str(folder)], dry_run=dry_run)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - names only


def test_a_new_file_is_written_whole(tmp_path: Path) -> None:
    written = write(tmp_path)
    data = (tmp_path / NAME).read_bytes()
    assert json.loads(data) == {"notes": "mine"}
    assert written == Written(
        str(tmp_path / NAME), ("notes",), hashlib.sha256(data).hexdigest(), None, None, data, done=True
    )
    assert names(tmp_path) == [NAME]


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / NAME).stat()
    written = write(tmp_path)
    assert (written.changed, written.digest, written.problem, written.done) == ((), None, None, False)
    after = (tmp_path / NAME).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_dry_run_tells_all_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"notes": ""}')
    told = write(tmp_path, dry_run=True)
    assert (tmp_path / NAME).read_bytes() == b'{"notes": ""}'
    assert names(tmp_path) == [NAME]
    assert told == write(tmp_path)._replace(done=False)


def test_what_cannot_be_merged_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no JSON")
    assert write(tmp_path).problem == "it is not JSON: left alone"
    assert (tmp_path / NAME).read_bytes() == b"no JSON"


def test_no_more_is_read_than_a_sidecar_may_have(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as file:
        file.truncate(MAX_SIDECAR + 1)
    assert write(tmp_path).problem == "it is larger than 16 MiB: left alone"
    assert (tmp_path / NAME).stat().st_size == MAX_SIDECAR + 1


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_modes_stay(tmp_path: Path, mode: int) -> None:
    (tmp_path / NAME).write_bytes(b"{}")
    (tmp_path / NAME).chmod(mode)
    assert write(tmp_path).done
    assert (tmp_path / NAME).stat().st_mode & 0o777 == mode


@posix
def test_a_new_file_has_the_modes_of_all_new_files(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write(tmp_path)
    assert (tmp_path / NAME).stat().st_mode == (tmp_path / "other").stat().st_mode


@posix
def test_a_file_that_is_not_to_be_written_is_not(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"{}")
    (tmp_path / NAME).chmod(0o444)
    with pytest.raises(Forbidden, match="not to be written") as caught:
        write(tmp_path)
    assert caught.value.remedy
    assert (tmp_path / NAME).read_bytes() == b"{}"
    assert names(tmp_path) == [NAME]


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_to_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(Forbidden, match="may not be written") as caught:
            write(tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert caught.value.remedy
    assert names(tmp_path) == []


def test_a_folder_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    for dry_run in (True, False):
        with pytest.raises(UnreadableFile, match="cannot be written"):
            write(tmp_path / "gone", dry_run=dry_run)


@pytest.mark.parametrize(
    "name",
    ["x.safetensors", "x.sft", "x.pt", "x.ckpt", "x.bin", "x.png", "x", "", ".json", "..", "a/x.json",
     "../x.json", "a\\x.json", ".x.json", "x.json.tmp", "x.safetensors.json/..", "x.exe"],
)  # fmt: skip
def test_only_names_of_sidecars_are_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="no name of a sidecar"):
        write(tmp_path, name)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x\0.json", "\ud800.json"])
def test_names_that_no_system_has_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="no path of this system"):
        write(tmp_path, name)
    with pytest.raises(BadRequest, match="no path of this system"):
        write_preview(str(tmp_path), name.replace("json", "safetensors"), PNG, None)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take names of text only")
@pytest.mark.parametrize("raw", [b"\xff\xfe.json", "日本 é.json".encode(), b"a\nb.json", b"e\xcc\x81.json"])
def test_odd_names_are_kept_byte_for_byte(tmp_path: Path, raw: bytes) -> None:
    assert write(tmp_path, os.fsdecode(raw)).done
    assert os.listdir(os.fsencode(tmp_path)) == [raw]  # noqa: PTH208 - names in bytes


def test_a_name_that_is_too_long_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        write(tmp_path, "x" * 300 + ".json")
    assert names(tmp_path) == []


@posix
def test_the_longest_name_has_room_for_the_file_that_is_written_first(tmp_path: Path) -> None:
    name = "x" * 250 + ".json"
    assert write(tmp_path, name).done
    assert names(tmp_path) == [name]


@posix
def test_a_link_within_the_roots_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "real.json").write_bytes(b"{}")
    (root / NAME).symlink_to(other / "real.json")
    written = write_sidecar(str(root), NAME, notes, [str(root), str(other)])
    assert written.done
    assert (root / NAME).is_symlink()
    assert json.loads((other / "real.json").read_bytes()) == {"notes": "mine"}
    assert (names(root), names(other)) == ([NAME], ["real.json"])


@posix
def test_a_link_out_of_the_roots_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.json").write_bytes(b"{}")
    (root / NAME).symlink_to(tmp_path / "secret.json")
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="out of all roots"):
            write(root, dry_run=dry_run)
    assert (tmp_path / "secret.json").read_bytes() == b"{}"
    assert write_sidecar(str(root), NAME, notes, None).done


@posix
def test_a_folder_that_leads_out_of_the_roots_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-outside"
    root.mkdir()
    outside.mkdir()
    (root / "sub").symlink_to(outside)
    with pytest.raises(Conflict, match="out of all roots"):
        write_sidecar(str(root / "sub"), NAME, notes, [str(root)])
    with pytest.raises(Conflict, match="out of all roots"):
        write_preview(str(root / "sub"), "x.safetensors", PNG, [str(root)])
    assert names(outside) == []


@posix
@pytest.mark.parametrize("target", ["gone.json", NAME])
def test_a_link_that_leads_nowhere_is_left_alone(tmp_path: Path, target: str) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / target)
    with pytest.raises(RegistryError, match="nowhere"):
        write(tmp_path)
    assert names(tmp_path) == [NAME]


@posix
@pytest.mark.parametrize("model", ["x.safetensors", "x.ckpt", "X.SFT"])
def test_a_model_is_never_written_not_even_through_a_link(tmp_path: Path, model: str) -> None:
    (tmp_path / model).write_bytes(b"{}")
    (tmp_path / NAME).symlink_to(tmp_path / model)
    with pytest.raises(Conflict, match="link to a model"):
        write(tmp_path)
    assert (tmp_path / model).read_bytes() == b"{}"


@posix
def test_a_second_name_of_a_model_leaves_the_model_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"{}")
    (tmp_path / NAME).hardlink_to(tmp_path / "x.safetensors")
    assert write(tmp_path).done
    assert (tmp_path / "x.safetensors").read_bytes() == b"{}"


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises((NotARegularFile, Forbidden)):
        write(tmp_path)


@posix
def test_a_pipe_of_that_name_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(NotARegularFile):
        write(tmp_path)


@pytest.mark.parametrize("before", [b"{}", None])
def test_what_somebody_wrote_meanwhile_stays(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / NAME
    if before is not None:
        path.write_bytes(before)

    def meanwhile(original: bytes | None) -> Planned:
        path.write_bytes(b'{"notes": "theirs"}')
        return notes(original)

    with pytest.raises(FileChanged) as caught:
        write_sidecar(str(tmp_path), NAME, meanwhile, [str(tmp_path)])
    assert caught.value.remedy
    assert path.read_bytes() == b'{"notes": "theirs"}'
    assert names(tmp_path) == [NAME]


def test_a_file_that_goes_meanwhile_stays_away(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"{}")

    def meanwhile(original: bytes | None) -> Planned:
        path.unlink()
        return notes(original)

    with pytest.raises(FileChanged):
        write_sidecar(str(tmp_path), NAME, meanwhile, [str(tmp_path)])
    assert names(tmp_path) == []


@posix
def test_a_link_that_somebody_puts_there_meanwhile_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")

    def meanwhile(original: bytes | None) -> Planned:
        (root / NAME).symlink_to(tmp_path / "secret")
        return notes(original)

    with pytest.raises(FileChanged):
        write_sidecar(str(root), NAME, meanwhile, [str(root)])
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert names(root) == [NAME]


def test_what_is_written_first_has_a_name_that_scans_leave_out(tmp_path: Path) -> None:
    assert ignored(".loras-0123456789abcdef.tmp")


@pytest.mark.parametrize(
    ("data", "name"), [(PNG, "a.b.preview.png"), (JPEG, "a.b.preview.jpg"), (WEBP, "a.b.preview.webp")]
)
def test_a_preview_is_named_by_what_it_is(tmp_path: Path, data: bytes, name: str) -> None:
    written = write_preview(str(tmp_path), "a.b.safetensors", data, [str(tmp_path)])
    assert (written.done, written.digest) == (True, hashlib.sha256(data).hexdigest())
    assert (tmp_path / name).read_bytes() == data
    again = write_preview(str(tmp_path), "a.b.safetensors", data, [str(tmp_path)])
    assert (again.done, again.problem) == (False, f"there is {name!r} already")


@pytest.mark.parametrize(
    "name",
    [
        "x.png",
        "x.jpeg",
        "X.PNG",
        "x.preview.webp",
        "x.thumb.jpg",
        "x.example.0.jpeg",
        "x.mp4",
        "x.gif",
        "x.jxl",
    ],
)
def test_a_preview_goes_over_none_of_any_rule(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"theirs")
    written = write_preview(str(tmp_path), "x.safetensors", PNG, [str(tmp_path)])
    assert (written.done, written.problem) == (False, f"there is {name!r} already")
    assert names(tmp_path) == [name]


def test_previews_of_other_models_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "y.png").write_bytes(b"theirs")
    told = write_preview(str(tmp_path), "x.safetensors", PNG, [str(tmp_path)], dry_run=True)
    assert (told.problem, told.done) == (None, False)
    assert names(tmp_path) == ["y.png"]


@posix
def test_a_preview_does_not_follow_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "x.preview.png").symlink_to(tmp_path / "gone.png")
    assert write_preview(str(tmp_path), "x.safetensors", PNG, [str(tmp_path)]).problem is not None
    assert names(tmp_path) == ["x.preview.png"]


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", b"\x89PNG", b"RIFF\x00\x00\x00\x00AVI "])
def test_what_is_no_picture_is_no_preview(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BadRequest, match="neither PNG"):
        write_preview(str(tmp_path), "x.safetensors", data, None)
    assert names(tmp_path) == []
