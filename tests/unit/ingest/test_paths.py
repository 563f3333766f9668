"""Relative paths, roots and what is ignored."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from registry.errors import BadRequest
from registry.ingest import paths


@pytest.mark.parametrize(
    "name",
    [b".hidden.safetensors", b".git", b"@eaDir", b"$RECYCLE.BIN", b"__MACOSX", b"System Volume Information",
     b".Trash-1000", b"x.safetensors.part", b"x.safetensors.crdownload", b"x.safetensors.tmp2",
     b"x.safetensors.backup", b"X.SAFETENSORS.ARIA2", b"#snapshot", b"@Recently-Snapshot"],
)  # fmt: skip
def test_hidden_temporary_and_system_names_are_ignored(name: bytes) -> None:
    assert paths.ignored(name)
    assert paths.ignored_path(b"folder/" + name + b"/file.safetensors")


@pytest.mark.parametrize("name", [b"x.safetensors", b"part", b"my.git", b"tmp", b"\xff\xfe.sft"])
def test_ordinary_names_are_not_ignored(name: bytes) -> None:
    assert not paths.ignored(name)


@pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
@pytest.mark.parametrize("rel", [b"a/b.safetensors", b"\xff\xfe/\x80.sft", "é/ü.sft".encode(), b"a\\b", b""])
def test_relative_bytes_lead_back_to_the_same_bytes(rel: bytes) -> None:
    assert paths.relative_bytes("/models", paths.absolute("/models", rel)) == rel
    assert paths.relative_bytes("/", paths.absolute("/", rel)) == rel


@pytest.mark.parametrize(
    "rel", [b"../x", b"a/../../x", b"/etc/passwd", b"a//b", b"./a", b"a/", b"a\0b", b".."]
)
def test_a_relative_path_that_could_lead_elsewhere_is_refused(rel: bytes) -> None:
    with pytest.raises(BadRequest):
        paths.absolute("/models", rel)


def test_a_path_outside_its_root_has_no_relative_path() -> None:
    root, beside = f"{os.sep}models", f"{os.sep}models2{os.sep}x.sft"
    with pytest.raises(BadRequest):
        paths.relative_bytes(root, beside)


def test_display_text_is_composed_and_shows_bytes_that_are_no_text() -> None:
    assert paths.display(unicodedata.normalize("NFD", "é.sft").encode()) == "é.sft"
    if os.name != "nt":
        assert paths.display(b"a\xff/b\x80.sft") == "a\\xff/b\\x80.sft"
    paths.display(b"\xed\xa0\x80").encode()


@pytest.mark.parametrize(
    ("path", "long"),
    [
        (r"C:\models\x.sft", r"\\?\C:\models\x.sft"),
        (r"C:/models/../x.sft", r"\\?\C:\x.sft"),
        (r"\\nas\share\x.sft", r"\\?\UNC\nas\share\x.sft"),
        (r"\\?\C:\models", r"\\?\C:\models"),
        (r"models\x.sft", r"models\x.sft"),
    ],
)
def test_windows_paths_get_the_form_without_a_length_limit(path: str, long: str) -> None:
    assert paths.windows_long_path(path) == long


@pytest.mark.parametrize("path", ["C:\\models", "\\\\nas\\share\\models"])
def test_the_long_form_of_a_windows_path_leads_back(path: str) -> None:
    assert paths.windows_short_path(paths.windows_long_path(path)) == path


def test_a_root_has_one_spelling(tmp_path: Path) -> None:
    spellings = [f"{tmp_path}/", f"{tmp_path}/a/..", f"{tmp_path}//.", str(tmp_path)]
    assert {paths.canonical_root(spelling) for spelling in spellings} == {str(tmp_path)}
    assert paths.canonical_root("~") == os.path.normpath(Path.home())
    assert paths.canonical_root("loras") == str(Path.cwd() / "loras")


@pytest.mark.skipif(os.name == "nt", reason="symlinks need a right on Windows")
def test_a_root_that_is_a_symlink_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert paths.canonical_root(f"{tmp_path}/link") == f"{tmp_path}/link"


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "~nobody-of-that-name/x"])
def test_a_root_without_a_usable_path_is_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        paths.canonical_root(path)


@pytest.mark.parametrize(
    ("platform", "first", "second", "same"),
    [
        ("win32", r"C:\Models", r"c:/models", True),
        ("win32", r"C:\Models", r"\\?\C:\MODELS", True),
        ("darwin", "/Users/é", unicodedata.normalize("NFD", "/users/É"), True),
        ("linux", "/Models", "/models", False),
        ("linux", "/é", unicodedata.normalize("NFD", "/é"), False),
    ],
)
def test_spellings_are_compared_by_the_rules_of_the_platform(
    platform: str, first: str, second: str, *, same: bool
) -> None:
    assert paths.same_path(first, second, platform) is same


def test_a_path_belongs_to_the_innermost_root() -> None:
    roots = ["/models", "/models/loras", "/models/lora"]
    assert paths.innermost(roots, "/models/loras/x.sft", "linux") == "/models/loras"
    assert paths.innermost(roots, "/models/loras2/x.sft", "linux") == "/models"
    assert paths.innermost(roots, "/elsewhere", "linux") is None
    assert paths.innermost(["/"], "/anywhere", "linux") == "/"
    assert paths.innermost(["C:\\", "C:\\Models"], "c:\\models\\x", "win32") == "C:\\Models"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX spelling")
def test_nested_roots_are_named_by_their_relative_paths() -> None:
    assert paths.nested("/models", ["/models", "/models/a/b", "/models2", "/"]) == {b"a/b"}
