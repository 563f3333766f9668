"""When files are ripe, with times given by hand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.ingest.settle import Action, Beside, Gone, Kind, Moved, Ready, Rescan, Seen, Settle, Timing

FIT = Seen(100, 1, fits=True)
UNFIT = Seen(10, 1, fits=False)


class Bench:
    """A settle machine beside a pretended disk, moved on step by step."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.settle = Settle(timing)
        self.disk: dict[bytes, Seen] = {}
        self.told: list[tuple[float, Action]] = []

    def until(self, end: float) -> list[tuple[float, Action]]:
        """Do all that is due up to `end` and return what came of it since the last call."""
        while (due := self.settle.next_due()) is not None and due <= end:
            for rel in self.settle.due(due):
                self.settle.looked(rel, self.disk.get(rel), due)
            self.told += [(round(due, 3), action) for action in self.settle.actions()]
        told, self.told = self.told, []
        return told


def test_a_closed_file_whose_header_fits_is_ready_soon() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = FIT
    for kind in (Kind.CREATED, Kind.MODIFIED, Kind.CLOSED):
        bench.settle.happened(kind, b"a.sft", 1.0)
    assert bench.until(100) == [(1.2, Ready(b"a.sft"))]
    assert len(bench.settle) == 0


def test_a_closed_file_that_cannot_be_complete_waits_longer_but_not_for_ever() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = UNFIT
    bench.settle.happened(Kind.CLOSED, b"a.sft", 0.0)
    assert bench.until(100) == [(2.0, Ready(b"a.sft"))]


def test_a_file_that_was_only_created_waits_until_it_stays_the_same() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = FIT
    bench.settle.happened(Kind.CREATED, b"a.sft", 0.0)
    assert bench.until(1.9) == []
    bench.disk[b"a.sft"] = Seen(200, 2, fits=True)  # grown without an event
    assert bench.until(3.9) == []
    assert bench.until(100) == [(4.0, Ready(b"a.sft"))]


def test_each_modification_puts_a_file_off() -> None:
    bench = Bench()
    for second in range(5):
        bench.disk[b"a.sft"] = Seen(second, second, fits=True)
        bench.settle.happened(Kind.MODIFIED, b"a.sft", float(second))
        assert bench.until(second + 0.9) == []
    assert bench.until(100) == [(6.0, Ready(b"a.sft"))]


def test_a_created_file_whose_header_never_fits_is_looked_at_in_the_end() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = UNFIT
    bench.settle.happened(Kind.CREATED, b"a.sft", 0.0)
    assert bench.until(9.9) == []
    assert bench.until(100) == [(10.0, Ready(b"a.sft"))]


def test_a_deleted_file_is_gone_after_a_while() -> None:
    bench = Bench()
    bench.settle.happened(Kind.DELETED, b"a.sft", 0.0)
    assert bench.until(100) == [(0.5, Gone(b"a.sft"))]


def test_a_file_deleted_and_written_again_is_ready_and_never_gone() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = FIT
    bench.settle.happened(Kind.DELETED, b"a.sft", 0.0)
    bench.settle.happened(Kind.CLOSED, b"a.sft", 0.1)
    assert [action for _, action in bench.until(100)] == [Ready(b"a.sft")]
    bench.settle.happened(Kind.DELETED, b"a.sft", 200.0)
    assert [action for _, action in bench.until(300)] == [Ready(b"a.sft")]


def test_a_renamed_file_is_told_with_both_names() -> None:
    bench = Bench()
    bench.disk[b"b/n.sft"] = FIT
    bench.settle.moved(b"a/o.sft", b"b/n.sft", 0.0)
    assert bench.until(100) == [(0.2, Moved(b"a/o.sft", b"b/n.sft"))]


def test_a_file_renamed_twice_keeps_its_first_name() -> None:
    bench = Bench()
    bench.disk[b"c.sft"] = FIT
    bench.settle.moved(b"a.sft", b"b.sft", 0.0)
    bench.settle.moved(b"b.sft", b"c.sft", 0.1)
    assert [action for _, action in bench.until(100)] == [Moved(b"a.sft", b"c.sft")]


def test_a_file_renamed_and_renamed_back_is_looked_at_under_its_name() -> None:
    bench = Bench()
    bench.disk[b"a.sft"] = FIT
    bench.settle.moved(b"a.sft", b"b.sft", 0.0)
    bench.settle.moved(b"b.sft", b"a.sft", 0.1)
    assert [action for _, action in bench.until(100)] == [Ready(b"a.sft")]


def test_a_file_renamed_and_then_deleted_is_gone_under_both_names() -> None:
    bench = Bench()
    bench.settle.moved(b"a.sft", b"b.sft", 0.0)
    bench.settle.happened(Kind.DELETED, b"b.sft", 0.1)
    assert {action for _, action in bench.until(100)} == {Gone(b"a.sft"), Gone(b"b.sft")}


def test_a_folder_is_rescanned_once_it_is_quiet_and_swallows_what_lies_below() -> None:
    bench = Bench()
    bench.disk = {b"d/a.sft": FIT, b"e.sft": FIT}
    bench.settle.happened(Kind.CLOSED, b"d/a.sft", 0.0)
    bench.settle.happened(Kind.FOLDER, b"d", 0.1)
    bench.settle.happened(Kind.CLOSED, b"d/a.sft", 0.4)
    bench.settle.happened(Kind.FOLDER, b"d/sub", 0.5)
    bench.settle.happened(Kind.CLOSED, b"e.sft", 0.5)
    assert bench.until(100) == [(0.7, Ready(b"e.sft")), (1.0, Rescan(b"d"))]


def test_a_folder_that_is_never_quiet_is_rescanned_anyway() -> None:
    bench = Bench()
    bench.settle.happened(Kind.FOLDER, b"d", 0.0)
    for step in range(1, 60):
        bench.settle.happened(Kind.CREATED, b"d/%d.sft" % step, step / 10)
        if told := bench.until(step / 10):
            assert told == [(5.0, Rescan(b"d"))]
            return
    raise AssertionError("the folder was put off for ever")


def test_a_file_moved_into_a_folder_about_to_be_rescanned_is_gone_where_it_was() -> None:
    bench = Bench()
    bench.settle.happened(Kind.FOLDER, b"d", 0.0)
    bench.settle.moved(b"a.sft", b"d/a.sft", 0.1)
    assert {action for _, action in bench.until(100)} == {Rescan(b"d"), Gone(b"a.sft")}
    bench.settle.moved(b"a.sft", b"d/a.sft", 200.0)
    bench.settle.happened(Kind.FOLDER, b"d", 200.1)
    assert {action for _, action in bench.until(300)} == {Rescan(b"d"), Gone(b"a.sft")}


def test_sidecars_of_a_folder_are_told_once() -> None:
    bench = Bench()
    for step in range(10):
        bench.settle.happened(Kind.BESIDE, b"d", step / 10)
    assert bench.until(100) == [(1.4, Beside(b"d"))]


def test_too_many_files_of_a_folder_become_one_rescan_of_it() -> None:
    bench = Bench(Timing(folder_limit=20))
    for number in range(500):
        bench.settle.happened(Kind.CLOSED, b"d/%d.sft" % number, 0.0)
        assert len(bench.settle) <= 20
    assert bench.until(100) == [(0.5, Rescan(b"d"))]


def test_too_many_folders_become_one_rescan_of_the_root() -> None:
    bench = Bench(Timing(folder_limit=20, limit=50))
    for number in range(5000):
        bench.settle.happened(Kind.CLOSED, b"%d/x.sft" % number, 0.0)
        assert len(bench.settle) <= 50
    assert bench.until(100) == [(0.5, Rescan(b""))]
    for number in range(100):
        bench.settle.happened(Kind.FOLDER, b"p/%d" % number, 200.0)
    assert bench.until(300) == [(200.5, Rescan(b"p"))]


def test_old_names_come_before_new_ones_and_rescans_last() -> None:
    bench = Bench(Timing(fitting=0.5))
    bench.disk = {b"r.sft": FIT, b"n.sft": FIT}
    bench.settle.happened(Kind.FOLDER, b"d", 0.0)
    bench.settle.happened(Kind.CLOSED, b"r.sft", 0.0)
    bench.settle.happened(Kind.DELETED, b"g.sft", 0.0)
    bench.settle.moved(b"o.sft", b"n.sft", 0.0)
    told = [action for _, action in bench.until(100)]
    assert told == [Moved(b"o.sft", b"n.sft"), Gone(b"g.sft"), Ready(b"r.sft"), Rescan(b"d")]


def test_what_was_forgotten_does_not_come_back() -> None:
    bench = Bench()
    bench.settle.happened(Kind.FOLDER, b"d", 0.0)
    bench.settle.clear()
    assert bench.until(100) == []
    bench.settle.looked(b"never asked for", FIT, 100.0)
    assert bench.until(200) == []


PATHS = st.sampled_from([b"a.sft", b"b.sft", b"d/a.sft", b"d/e/a.sft", b"f/a.sft"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "touch", "delete", "move", "folder"]), PATHS, PATHS, st.floats(0, 3)),
    max_size=25,
)


def follow(bench: Bench, known: dict[bytes, Seen], end: float) -> None:
    """Do to `known` what the actions up to `end` ask for."""
    for _, action in bench.until(end):
        if isinstance(action, Rescan):
            prefix = action.folder + b"/" if action.folder else b""
            for rel in [rel for rel in known if rel.startswith(prefix)]:
                del known[rel]
            known.update({rel: seen for rel, seen in bench.disk.items() if rel.startswith(prefix)})
        elif isinstance(action, Gone):
            known.pop(action.rel, None)
        elif isinstance(action, Moved):
            known.pop(action.old, None)
            known[action.new] = bench.disk[action.new]
        elif isinstance(action, Ready):
            known[action.rel] = bench.disk[action.rel]


def do(bench: Bench, what: str, path: bytes, other: bytes, now: float) -> None:
    """Change the pretended disk and tell of it."""
    if what == "delete":
        bench.disk.pop(path, None)
        bench.settle.happened(Kind.DELETED, path, now)
    elif what == "folder":
        bench.settle.happened(Kind.FOLDER, path.rpartition(b"/")[0], now)
    elif what == "move":
        if path in bench.disk and path != other:
            bench.disk[other] = bench.disk.pop(path)
            bench.settle.moved(path, other, now)
    else:
        bench.disk[path] = Seen(int(now * 1000), int(now * 1000), fits=True)
        bench.settle.happened(Kind.CLOSED if what == "write" else Kind.CREATED, path, now)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_following_the_actions_leads_to_what_is_on_the_disk(
    steps: list[tuple[str, bytes, bytes, float]],
) -> None:
    bench, known, now = Bench(Timing(folder_limit=3, limit=6)), dict[bytes, Seen](), 0.0
    for what, path, other, pause in steps:
        now += pause + 0.001
        follow(bench, known, now)
        do(bench, what, path, other, now)
    follow(bench, known, now + 60)
    assert known == bench.disk
    assert len(bench.settle) == 0
