"""A watcher on real folders; each test waits for what must come, with a generous limit."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.ingest.entries import Files, Scope
from registry.ingest.settle import Action, Beside, Gone, Moved, Ready, Rescan
from registry.ingest.walk import walk
from registry.ingest.watch import Watcher
from registry.ingest.watched import Lost, Report, Rhythm, Surroundings, Watched

LIMIT = 20.0
MODEL = (2).to_bytes(8, "little") + b"{}"
QUICK = Rhythm(check=0.1)
LOCAL = Surroundings(is_network=lambda _path: False)
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


class Told:
    """Collects what a watcher says and waits for it."""

    def __init__(self) -> None:
        self.items: list[tuple[int, Action | Lost | Report]] = []
        self._changed = threading.Condition()

    def __call__(self, root_id: int, item: Action | Lost | Report) -> None:
        with self._changed:
            self.items.append((root_id, item))
            self._changed.notify_all()

    def wait_for(self, *wanted: Action | Lost, root_id: int = 1) -> None:
        """Wait until each of these came since the last `forget`."""
        self._wait(lambda: all((root_id, item) in self.items for item in wanted))

    def wait_for_state(self, state: str) -> Report:
        """Wait for a report of this state and return it."""
        self._wait(lambda: state in [item.state for _, item in self.items if isinstance(item, Report)])
        return next(item for _, item in self.items if isinstance(item, Report) and item.state == state)

    def forget(self) -> None:
        """Start anew."""
        with self._changed:
            self.items.clear()

    def _wait(self, came: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(came, LIMIT), self.items


@pytest.fixture
def told() -> Told:
    return Told()


Start = Callable[..., Watcher]


@pytest.fixture
def start(told: Told) -> Iterator[Start]:
    """Start a watcher of some roots and stop it in the end."""
    running: list[Watcher] = []

    def begin(*roots: Watched, rhythm: Rhythm = QUICK, surroundings: Surroundings = LOCAL) -> Watcher:
        watcher = Watcher(roots, told, told, rhythm, surroundings)
        running.append(watcher)
        watcher.start()
        for root in roots:
            told.wait_for(Rescan(b""), root_id=root.id)
        told.forget()
        return watcher

    yield begin
    for watcher in running:
        assert watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_a_new_file_is_ready_and_a_deleted_one_gone(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    (root / "a.safetensors").write_bytes(MODEL)
    told.wait_for(Ready(b"a.safetensors"))
    (root / "a.safetensors").unlink()
    told.wait_for(Gone(b"a.safetensors"))


def test_a_download_is_ready_once_it_has_its_name(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    (root / "a.safetensors.part").write_bytes(MODEL)
    (root / "a.safetensors.part").rename(root / "a.safetensors")
    told.wait_for(Ready(b"a.safetensors"))
    assert [item for _, item in told.items] == [Ready(b"a.safetensors")]


def test_a_renamed_file_is_moved(root: Path, told: Told, start: Start) -> None:
    (root / "a.sft").write_bytes(MODEL)
    (root / "d").mkdir()
    start(Watched(1, Scope(str(root))))
    (root / "a.sft").rename(root / "d" / "b.sft")
    told.wait_for(Moved(b"a.sft", b"d/b.sft"))


def test_a_file_moved_in_from_elsewhere_is_ready(root: Path, told: Told, start: Start) -> None:
    outside = root.parent / "a.sft"
    outside.write_bytes(MODEL)
    start(Watched(1, Scope(str(root))))
    outside.rename(root / "a.sft")
    told.wait_for(Ready(b"a.sft"))


def test_a_folder_that_comes_or_goes_is_rescanned(root: Path, told: Told, start: Start) -> None:
    outside = root.parent / "d"
    outside.mkdir()
    (outside / "a.sft").write_bytes(MODEL)
    start(Watched(1, Scope(str(root))))
    outside.rename(root / "d")
    told.wait_for(Rescan(b"d"))
    told.forget()
    (root / "d").rename(outside)
    told.wait_for(Rescan(b"d"))


def test_previews_and_sidecars_are_told_by_their_folder(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    (root / "a.preview.png").write_bytes(b"")
    told.wait_for(Beside(b""))


@posix
def test_a_name_that_is_no_text_comes_through(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.sft")).write_bytes(MODEL)
    except OSError:
        pytest.skip("this file system takes text only")
    told.wait_for(Ready(b"\xff.sft"))


@pytest.mark.parametrize("name", ["{0}.sft", "{0}/nested/{0}.sft"])
def test_whoever_follows_the_actions_finds_all_files_dropped_at_once(root: Path, name: str) -> None:
    found: set[bytes] = set()
    all_found, started = threading.Event(), threading.Event()

    def follow(_root_id: int, action: Action | Lost) -> None:
        if isinstance(action, Ready):
            found.add(action.rel)
        elif isinstance(action, Rescan):
            for item in walk(scope, under=action.folder):
                if isinstance(item, Files):
                    found.update(entry.rel for entry in item.entries)
            started.set()
        if len(found) == 2000:
            all_found.set()

    scope = Scope(str(root))
    watcher = Watcher([Watched(1, scope)], follow, lambda _root_id, _report: None, QUICK, LOCAL)
    watcher.start()
    assert started.wait(LIMIT)
    for number in range(2000):
        path = root / name.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MODEL)
    assert all_found.wait(2 * LIMIT), len(found)
    assert watcher.stop()


def test_events_of_a_nested_root_go_to_that_root_alone(root: Path, told: Told, start: Start) -> None:
    inner = root / "inner"
    inner.mkdir()
    start(
        Watched(1, Scope(str(root), skip=frozenset({b"inner"}))),
        Watched(2, Scope(str(inner))),
    )
    (inner / "a.sft").write_bytes(MODEL)
    (root / "b.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"a.sft"), root_id=2)
    told.wait_for(Ready(b"b.sft"), root_id=1)
    assert len(told.items) == 2


@posix
def test_a_root_that_is_a_symlink_is_watched_where_it_leads(root: Path, told: Told, start: Start) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    start(Watched(1, Scope(str(link))))
    (root / "a.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"a.sft"))


@posix
def test_linked_folders_are_watched_also_when_they_come_later(root: Path, told: Told, start: Start) -> None:
    outside, later = root.parent / "outside", root.parent / "later"
    outside.mkdir()
    later.mkdir()
    (root / "link").symlink_to(outside)
    start(Watched(1, Scope(str(root), follow_out=True)))
    (outside / "a.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"link/a.sft"))
    (root / "new").symlink_to(later)
    told.wait_for(Rescan(b"new"))
    (root / "broken").symlink_to(root.parent / "nowhere")
    (later / "b.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"new/b.sft"))
    (root / "link").unlink()
    told.wait_for(Rescan(b"link"))


def test_a_root_that_goes_is_lost_and_rescanned_when_it_is_back(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    shutil.rmtree(root)
    told.wait_for(Lost())
    told.wait_for_state("gone")
    told.forget()
    root.mkdir()
    told.wait_for(Rescan(b""))
    told.wait_for_state("watching")
    (root / "a.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"a.sft"))


def test_a_root_that_is_replaced_by_another_folder_is_watched_anew(
    root: Path, told: Told, start: Start
) -> None:
    start(Watched(1, Scope(str(root))))
    root.rename(root.parent / "old")
    root.mkdir()
    told.wait_for(Rescan(b""))
    (root / "a.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"a.sft"))


def test_a_root_that_is_missing_from_the_start_is_lost(root: Path, told: Told) -> None:
    watcher = Watcher([Watched(1, Scope(str(root / "missing")))], told, told, QUICK, LOCAL)
    watcher.start()
    told.wait_for(Lost())
    (root / "missing").mkdir()
    told.wait_for(Rescan(b""))
    assert watcher.stop()


def test_lost_events_ask_for_a_rescan(root: Path, told: Told, start: Start) -> None:
    start(Watched(1, Scope(str(root))))
    # What watchdog's reader of inotify logs when the kernel's queue was full.
    logging.getLogger("watchdog.observers.inotify_c").warning(
        "Inotify queue overflowed; filesystem events were lost"
    )
    told.wait_for(Rescan(b""))


def test_a_root_on_a_network_file_system_is_rescanned_again_and_again(
    root: Path, told: Told, start: Start
) -> None:
    shares = Surroundings(is_network=lambda _path: True)
    watcher = start(Watched(1, Scope(str(root))), rhythm=Rhythm(poll=0.05), surroundings=shares)
    told.wait_for(Rescan(b""))
    told.forget()
    watcher.rescanned(1, 0.01)
    told.wait_for(Rescan(b""))


def test_a_slow_rescan_puts_off_the_next_one(root: Path, told: Told, start: Start) -> None:
    watcher = start(
        Watched(1, Scope(str(root)), "always"),
        Watched(2, Scope(str(root)), "always"),
        rhythm=Rhythm(poll=0.3),
    )
    watcher.rescanned(1, 1000.0)
    told.forget()
    told.wait_for(Rescan(b""), root_id=2)
    told.forget()
    told.wait_for(Rescan(b""), root_id=2)
    assert {root_id for root_id, _ in told.items} == {2}


def test_polling_can_be_forced_and_forbidden(root: Path, told: Told, start: Start) -> None:
    shares = Surroundings(is_network=lambda _path: True)
    watcher = start(surroundings=shares)
    watcher.add(Watched(1, Scope(str(root)), "always"))
    assert "settings" in told.wait_for_state("polling").text
    told.forget()
    watcher.add(Watched(1, Scope(str(root)), "never"))
    told.wait_for_state("watching")
    (root / "a.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"a.sft"))


def test_a_root_is_polled_when_no_more_folders_may_be_watched(root: Path, told: Told, start: Start) -> None:
    spent = threading.Event()
    full = Surroundings(is_network=lambda _path: False, spare_watch=lambda _path: not spent.is_set())
    start(Watched(1, Scope(str(root))), surroundings=full)
    spent.set()
    assert "max_user_watches" in told.wait_for_state("polling").text
    told.wait_for(Rescan(b""))


def test_roots_can_be_rescanned_now_and_then_although_they_are_watched(
    root: Path, told: Told, start: Start
) -> None:
    start(Watched(1, Scope(str(root))), rhythm=Rhythm(poll=0.01, rescan=0.05))
    told.wait_for(Rescan(b""))


def test_a_removed_root_is_no_longer_told_of(root: Path, told: Told, start: Start) -> None:
    other = root.parent / "other"
    other.mkdir()
    watcher = start(Watched(1, Scope(str(root))), Watched(2, Scope(str(other))))
    watcher.remove(1)
    (root / "a.sft").write_bytes(MODEL)
    (other / "b.sft").write_bytes(MODEL)
    told.wait_for(Ready(b"b.sft"), root_id=2)
    assert {root_id for root_id, _ in told.items} == {2}


def test_a_watcher_that_never_started_can_be_stopped(told: Told) -> None:
    assert Watcher([], told, told).stop()
