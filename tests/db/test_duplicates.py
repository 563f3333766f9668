"""What counts as a copy: hard links, symlinks, files whose inode nobody knows, other machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from registry.catalog.dedupe import duplicates
from registry.catalog.roots import add_root, change_root, relocate_files, seen_machine
from registry.ingest.derive import fold_inode
from tests.support.library import MACHINE, Model, open_library

if TYPE_CHECKING:
    from pathlib import Path

    from registry.catalog.engine import Catalog
    from tests.support.library import Library

SIZE = Model().stat.size
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="symlinks need a privilege there")


class Group(NamedTuple):
    paths: list[str]
    links: list[tuple[str, str | None, bool]]
    reclaimable: int


def groups(library: Library, *, limit: int = 100) -> list[Group]:
    with library.catalog.read() as conn:
        found = duplicates(conn, "same_bytes", MACHINE, limit=limit)
    shown = []
    for group in found:
        names: dict[int | None, str] = {file.id: file.path for file in group.files}
        links = [(names[link.id], names.get(link.file_id), link.symlink) for link in group.links]
        shown.append(Group([file.path for file in group.files], links, group.reclaimable))
    return shown


def store(library: Library, *models: Model) -> None:
    library.scan(*models)
    library.hash(*models)


@pytest.fixture
def on_disk(catalog: Catalog, tmp_path: Path) -> Library:
    """A catalog whose root is a folder that is there; what the files hold does not matter."""
    (tmp_path / "models").mkdir()
    return open_library(catalog, str(tmp_path / "models"))


def put(folder: Path, *names: str) -> list[Model]:
    """Return the models of files, with what stat says of them."""
    models = []
    for name in names:
        path = folder / name
        if not path.is_symlink() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        found = path.stat()
        models.append(
            Model(name, inode=fold_inode(found.st_ino), device=fold_inode(found.st_dev), nlink=found.st_nlink)
        )
    return models


def test_hard_links_are_one_copy(library: Library) -> None:
    store(library, *(Model(name, inode=7, nlink=2) for name in "ab"))
    assert groups(library) == []
    store(library, Model("c", inode=8))
    assert groups(library) == [Group(["a", "b", "c"], [("b", "a", False)], SIZE)]


def test_a_file_that_a_hard_link_elsewhere_keeps_frees_nothing_and_is_the_one_to_keep(
    library: Library,
) -> None:
    store(library, Model("a", inode=7), Model("b", inode=8, nlink=2))
    assert groups(library) == [Group(["b", "a"], [], SIZE)]
    store(library, Model("a", inode=7, nlink=2, mtime_ns=5))
    assert groups(library) == [Group(["a", "b"], [], 0)]


def test_the_same_inode_on_another_device_or_machine_is_another_file(library: Library) -> None:
    store(library, Model("a", inode=7), Model("b", inode=7, device=2))
    assert [group.paths for group in groups(library)] == [["a", "b"]]
    with library.catalog.write() as unit:
        seen_machine(unit, "m2", "there")
        other, _ = add_root(unit, "m2", "/models")
    library.root_id = other
    store(library, Model("c", inode=7))
    assert groups(library) == [Group(["a", "b", "c"], [], 2 * SIZE)]


def test_where_inodes_tell_nothing_each_path_is_a_copy(library: Library) -> None:
    with library.catalog.write() as unit:
        change_root(unit, library.root_id, ignore_inode=True)
    store(library, *(Model(name, inode=7) for name in "ab"))
    assert groups(library) == [Group(["a", "b"], [], SIZE)]


def test_after_a_relocation_nothing_that_may_be_a_hard_link_is_promised_to_be_free(library: Library) -> None:
    store(library, *(Model(name, inode=7, nlink=2) for name in "ab"), Model("c", inode=8))
    with library.catalog.write() as unit:
        relocate_files(unit, library.root_id)
    assert groups(library) == [Group(["a", "b", "c"], [], SIZE)]


@LINKS
def test_a_symlink_is_no_copy_of_its_target_and_never_the_one_to_keep(
    on_disk: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    (real,) = put(folder, "real")
    (folder / "a link").symlink_to("real")
    store(on_disk, *put(folder, "a link"), real)
    assert groups(on_disk) == []
    store(on_disk, *put(folder, "z copy"))
    assert groups(on_disk) == [Group(["real", "a link", "z copy"], [("a link", "real", True)], SIZE)]


@LINKS
def test_a_symlink_to_a_file_that_is_not_listed_frees_nothing(on_disk: Library, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (tmp_path / "outside").write_bytes(b"x")
    (folder / "a link").symlink_to(tmp_path / "outside")
    store(on_disk, *put(folder, "a link", "real"))
    assert groups(on_disk) == [Group(["real", "a link"], [("a link", None, True)], 0)]


@LINKS
def test_links_are_told_by_their_target_where_inodes_are_not_known(on_disk: Library, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (real,) = put(folder, "real")
    (folder / "a link").symlink_to("real")
    store(on_disk, *put(folder, "a link"), real)
    with on_disk.catalog.write() as unit:
        change_root(unit, on_disk.root_id, ignore_inode=True)
    assert groups(on_disk) == []
    store(on_disk, *put(folder, "copy"))
    assert groups(on_disk) == [Group(["real", "a link", "copy"], [("a link", "real", True)], SIZE)]


@LINKS
def test_a_file_met_through_a_folder_that_is_linked_is_the_same_file(
    on_disk: Library, catalog: Catalog, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    (tmp_path / "more").mkdir()
    (folder / "linked").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "x").write_bytes(b"x")
    (tmp_path / "kept").hardlink_to(tmp_path / "more" / "x")
    with catalog.write() as unit:
        other, _ = add_root(unit, MACHINE, str(tmp_path / "more"))
    first = on_disk.root_id
    store(on_disk, *put(folder, "linked/x"))
    on_disk.root_id = other
    store(on_disk, *put(tmp_path / "more", "x"))
    assert groups(on_disk) == []
    on_disk.root_id = first
    store(on_disk, *put(folder, "copy"))
    # Both paths are one of the two hard links: the bytes stay, so `copy` is what can go.
    assert groups(on_disk) == [Group(["x", "linked/x", "copy"], [("linked/x", "x", False)], SIZE)]


def test_a_link_made_after_the_scan_is_seen_and_pages_of_links_end_no_list(
    on_disk: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    for weights in "stuvwxyz":
        models = [each.but(weights=weights) for each in put(folder, f"{weights}1", f"{weights}2")]
        store(on_disk, *models)
    everything = [group.paths for group in groups(on_disk)]
    assert len(everything) == 8
    for first, second in everything[1:7]:
        (folder / second).unlink()
        (folder / second).hardlink_to(folder / first)
    assert [group.paths for group in groups(on_disk, limit=1)] == everything[:1]
    assert [group.paths for group in groups(on_disk, limit=2)] == [everything[0], everything[7]]
