"""Where pictures are kept, in real folders."""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.errors import BadRequest, PicturesFull, RegistryError
from registry.pictures.picture import Picture
from registry.pictures.sniff import KINDS
from registry.pictures.store import PictureStore, _writing

ORIGINAL = b"an original"
KEY = hashlib.sha256(ORIGINAL).hexdigest()
PICTURE = Picture(KINDS["jpg"], 60, 40, b"a thumbnail")
FULL = Path("/dev/full")
links = pytest.mark.skipif(sys.platform == "win32", reason="there only administrators make links")


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "pictures")


def test_a_picture_is_found_again_by_the_hash_of_its_original(store: PictureStore, tmp_path: Path) -> None:
    assert store.put(ORIGINAL, PICTURE) == KEY
    assert store.thumbnail(KEY) == b"a thumbnail"
    assert store.original(KEY) is None
    assert files_of(tmp_path / "pictures") == {f"{KEY[:2]}/{KEY}.webp"}


def test_an_original_is_kept_with_its_type_if_asked(store: PictureStore, tmp_path: Path) -> None:
    store.put(ORIGINAL, PICTURE)
    store.put(ORIGINAL, PICTURE, keep_original=True)

    kept = store.original(KEY)

    assert kept is not None
    assert (kept.path.read_bytes(), kept.media_type) == (ORIGINAL, "image/jpeg")
    assert kept.path == tmp_path / "pictures" / KEY[:2] / f"{KEY}.orig.jpg"


def test_a_webp_and_its_thumbnail_are_two_files(store: PictureStore) -> None:
    store.put(ORIGINAL, Picture(KINDS["webp"], 60, 40, b"a thumbnail"), keep_original=True)
    kept = store.original(KEY)
    assert kept is not None
    assert (kept.path.read_bytes(), store.thumbnail(KEY)) == (ORIGINAL, b"a thumbnail")


def test_a_video_that_nobody_could_look_into_has_an_original_only(store: PictureStore) -> None:
    store.put(ORIGINAL, Picture(KINDS["mp4"]), keep_original=True)
    kept = store.original(KEY)
    assert kept is not None
    assert (kept.media_type, store.thumbnail(KEY)) == ("video/mp4", None)


def test_what_is_there_is_not_written_again(store: PictureStore, tmp_path: Path) -> None:
    store.put(ORIGINAL, PICTURE)
    path = tmp_path / "pictures" / KEY[:2] / f"{KEY}.webp"
    before = path.stat()

    assert store.put(ORIGINAL, Picture(KINDS["jpg"], 60, 40, b"another thumbnail")) == KEY
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert store.size() == len(b"a thumbnail")


def test_a_picture_that_vanished_is_not_there_and_can_be_put_again(
    store: PictureStore, tmp_path: Path
) -> None:
    store.put(ORIGINAL, PICTURE, keep_original=True)
    for name in files_of(tmp_path / "pictures"):
        (tmp_path / "pictures" / name).unlink()

    assert (store.thumbnail(KEY), store.original(KEY), store.remove([KEY])) == (None, None, 0)
    assert store.put(ORIGINAL, PICTURE) == KEY
    assert store.thumbnail(KEY) == b"a thumbnail"


def test_a_folder_that_is_not_there_is_empty(store: PictureStore, tmp_path: Path) -> None:
    assert (store.size(), store.thumbnail(KEY), store.remove([KEY]), store.sweep(0)) == (0, None, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_removed_pictures_go_with_their_originals(store: PictureStore, tmp_path: Path) -> None:
    store.put(ORIGINAL, PICTURE, keep_original=True)
    other = store.put(b"other", PICTURE)

    assert store.remove([KEY, "0" * 64]) == len(b"a thumbnail") + len(ORIGINAL)

    assert files_of(tmp_path / "pictures") == {f"{other[:2]}/{other}.webp"}
    assert store.size() == len(b"a thumbnail")


def test_the_limit_holds_for_all_together(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, 30)
    store.put(b"1", PICTURE)
    store.put(b"2", PICTURE)
    with pytest.raises(PicturesFull, match="take 22 bytes, 11 more would pass the limit of 30") as caught:
        store.put(b"3", PICTURE)
    assert "raise the limit" in caught.value.remedy
    assert len(files_of(tmp_path)) == 2

    assert store.put(b"2", PICTURE) == hashlib.sha256(b"2").hexdigest()
    store.remove([hashlib.sha256(b"1").hexdigest()])
    store.put(b"3", PICTURE)
    assert store.size() == 22


def test_a_picture_that_does_not_fit_is_not_kept_in_part(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, 15)
    with pytest.raises(PicturesFull):
        store.put(ORIGINAL, PICTURE, keep_original=True)
    assert files_of(tmp_path) == set()


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    PictureStore(tmp_path).put(ORIGINAL, PICTURE)
    with pytest.raises(PicturesFull):
        PictureStore(tmp_path, 20).put(b"other", PICTURE)
    assert PictureStore(tmp_path, 20).thumbnail(KEY) == b"a thumbnail"


def test_asking_for_the_size_counts_anew(tmp_path: Path) -> None:
    store = PictureStore(tmp_path, 30)
    store.put(b"1", PICTURE)
    PictureStore(tmp_path).put(b"2", PICTURE)
    assert store.size() == 22
    with pytest.raises(PicturesFull):
        store.put(b"3", PICTURE)


def test_several_threads_may_put_the_same(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda at: store.put(str(at % 5).encode(), PICTURE), range(40)))
    assert len(set(keys)) == len(files_of(tmp_path)) == 5
    assert store._used == store.size() == 55


@pytest.mark.parametrize(
    "key",
    ["", "ab", "../" * 20 + "etc/passwd", KEY.upper(), KEY + "\n", KEY[:-1] + "/", KEY[:-1] + "\u0661",
     f"{KEY[:60]}/../x"],
)  # fmt: skip
def test_only_hashes_are_keys(store: PictureStore, key: str) -> None:
    store.put(ORIGINAL, PICTURE)
    with pytest.raises(BadRequest):
        store.thumbnail(key)
    with pytest.raises(BadRequest):
        store.original(key)
    with pytest.raises(BadRequest):
        store.remove([KEY, key])
    assert store.thumbnail(KEY) == b"a thumbnail"


@links
def test_links_lead_nowhere(store: PictureStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (outside / f"{KEY}.orig.jpg").write_bytes(b"secret")
    shelf = tmp_path / "pictures" / KEY[:2]
    shelf.mkdir(parents=True)
    (shelf / f"{KEY}.webp").symlink_to(outside / "secret")

    assert (store.thumbnail(KEY), store.size(), store.remove([KEY])) == (None, 0, 0)
    store.put(ORIGINAL, PICTURE)
    assert store.thumbnail(KEY) == b"a thumbnail"
    assert (outside / "secret").read_bytes() == b"secret"

    store.remove([KEY])
    shelf.rmdir()
    shelf.symlink_to(outside)
    assert (store.original(KEY), store.size(), store.remove([KEY])) == (None, 0, 0)
    with pytest.raises(RegistryError, match="cannot be kept"):
        store.put(ORIGINAL, PICTURE)
    assert files_of(outside) == {"secret", f"{KEY}.orig.jpg"}


@links
@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_is_no_file_is_no_picture(store: PictureStore, tmp_path: Path, what: str) -> None:
    path = tmp_path / "pictures" / KEY[:2] / f"{KEY}.webp"
    path.parent.mkdir(parents=True)
    if what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert (store.thumbnail(KEY), store.size(), store.remove([KEY])) == (None, 0, 0)


def test_what_a_killed_writer_left_is_swept_away(store: PictureStore, tmp_path: Path) -> None:
    store.put(ORIGINAL, PICTURE)
    shelf = tmp_path / "pictures" / KEY[:2]
    for name, time in (("left.new", 1000), ("fresh.new", 3000)):
        (shelf / name).write_bytes(b"half")
        os.utime(shelf / name, (time, time))
    os.utime(shelf / f"{KEY}.webp", (1000, 1000))

    assert store.size() == len(b"a thumbnail") + 8
    assert store.sweep(2000) == 4
    assert files_of(shelf) == {"fresh.new", f"{KEY}.webp"}


def test_other_files_in_the_folder_are_left_alone(store: PictureStore, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "README.new").write_bytes(b"mine")
    assert (store.size(), store.sweep(2e10)) == (0, 0)
    assert files_of(tmp_path / "pictures") == {"README.new"}


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = PictureStore(tmp_path / "file")
    with pytest.raises(RegistryError, match="pictures cannot be kept") as caught:
        store.put(ORIGINAL, PICTURE)
    assert str(tmp_path / "file") in caught.value.remedy


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(PicturesFull, match="the disk is full") as caught, _writing(tmp_path):
        FULL.write_bytes(b"a thumbnail")
    assert str(tmp_path) in caught.value.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for files")
def test_a_write_that_failed_leaves_nothing(store: PictureStore, tmp_path: Path) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RegistryError, match="pictures cannot be kept"):
            store.put(ORIGINAL, Picture(KINDS["jpg"], 60, 40, bytes(2000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files_of(tmp_path) == set()
    assert store.size() == 0
