"""Sidecars are read beside their models, again when they change, and one that is bad harms nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.detail import lora_detail
from registry.catalog.searching import search_records
from registry.catalog.sidecars import sidecars_of, unpack_facts
from registry.errors import Cancelled, ReaderFailed
from registry.ingest.scanning import scan_root
from registry.ingest.settle import Beside
from registry.ingest.sidecar_reading import Asked, read_chunk, read_one, stamp_of
from registry.ingest.sidecars import read_sidecars
from registry.ingest.workers import Deriver
from registry.wire import sidecars as codecs
from registry.wire.sidecars import MAX_SIDECAR
from tests.support.shelf import later, lora

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.told import SidecarAnswer, SidecarFacts
    from registry.views import SidecarView
    from tests.support.shelf import Shelf

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def told(shelf: Shelf) -> dict[str, SidecarFacts | None]:
    """Return what is stored, by the name of the sidecar."""
    with shelf.registry.catalog.read() as conn:
        rows = sidecars_of(conn, [file["id"] for file in shelf.files().values()])
    return {
        row.name: None if row.facts is None else unpack_facts(row.facts, row.images)
        for some in rows.values()
        for row in some
    }


def view(shelf: Shelf) -> SidecarView:
    """Return the only sidecar of the only lora."""
    (lora_id,) = {file["lora_id"] for file in shelf.files().values()}
    with shelf.registry.catalog.read() as conn:
        (found,) = lora_detail(conn, lora_id, shelf.registry.machine_id).sidecars
    return found


def generation(shelf: Shelf) -> int:
    return int(shelf.query("SELECT max(seq) AS seq FROM change")[0]["seq"])


def test_a_scan_reads_what_lies_beside_models(shelf: Shelf) -> None:
    lora(shelf.folder / "汉服.safetensors", 1)
    write(
        shelf.folder / "汉服.json",
        {"activation text": "hanfu, 汉服", "preferred weight": 0.7, "notes": "good"},
    )
    write(shelf.folder / "other.json", {"activation text": "of nobody"})
    (shelf.folder / "汉服.png").write_bytes(b"picture")

    shelf.scan()

    facts = told(shelf)["汉服.json"]
    assert facts is not None
    assert (facts.user.activation_text, facts.user.weight, facts.user.notes) == ("hanfu, 汉服", 0.7, "good")
    assert list(told(shelf)) == ["汉服.json"]


def test_what_has_not_changed_is_not_read_again(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "first"})
    shelf.scan()
    before = generation(shelf)

    shelf.scan()

    assert generation(shelf) == before


def test_a_sidecar_that_changed_is_read_again_and_says_so_of_its_lora(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "first"})
    shelf.scan()
    write(path, {"notes": "other"})
    later(path)
    before = generation(shelf)

    shelf.scan()

    facts = told(shelf)["a.json"]
    assert facts is not None
    assert facts.user.notes == "other"
    (change,) = shelf.query(f"SELECT entity, kind FROM change WHERE seq > {before}")
    assert (change["entity"], change["kind"]) == ("lora", "changed")


def test_a_sidecar_that_is_written_anew_with_the_same_content_changes_no_lora(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "first"})
    shelf.scan()
    later(path)
    before = generation(shelf)

    shelf.scan()

    assert generation(shelf) == before
    assert shelf.query("SELECT mtime_ns FROM sidecar")[0]["mtime_ns"] == path.stat().st_mtime_ns


def test_a_sidecar_that_the_watcher_tells_of_is_read(shelf: Shelf) -> None:
    lora(shelf.folder / "sub" / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    shelf.scan()
    write(shelf.folder / "sub" / "a.json", {"notes": "new"})
    write(shelf.folder / "b.json", {"notes": "not told of"})

    shelf.apply(Beside(b"sub"))

    assert list(told(shelf)) == ["a.json"]


def test_what_a_sidecar_said_goes_with_it(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "first"})
    (shelf.folder / "a.civitai.info").write_bytes(b"{ broken")
    shelf.scan()
    assert shelf.problems() == {("bad-sidecar", "a.safetensors")}
    (shelf.folder / "a.json").unlink()
    (shelf.folder / "a.civitai.info").unlink()

    shelf.scan()

    assert told(shelf) == {}
    assert shelf.problems() == set()


def test_what_sidecars_say_moves_with_their_model(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "kept"})
    shelf.scan()
    (shelf.folder / "new").mkdir()
    for name in ("a.safetensors", "a.json"):
        (shelf.folder / name).rename(shelf.folder / "new" / name)

    shelf.scan()

    facts = told(shelf)["a.json"]
    assert facts is not None
    assert facts.user.notes == "kept"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{ not json", "it is not JSON"),
        (b"", "it is empty"),
        (b" " * (MAX_SIDECAR + 1), "larger than 16 MiB"),
    ],
)
def test_a_bad_sidecar_is_one_problem_and_hides_no_model(shelf: Shelf, content: bytes, said: str) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.metadata.json").write_bytes(content)
    write(shelf.folder / "a.json", {"notes": "fine"})

    counts = shelf.scan()

    assert shelf.states() == {"a.safetensors": "present"}
    assert counts.problems == 1
    assert shelf.problems() == {("bad-sidecar", "a.safetensors")}
    (problem,) = shelf.query("SELECT text FROM problem")
    assert problem["text"].startswith("a.metadata.json: ")
    assert said in problem["text"]
    assert told(shelf)["a.json"] is not None


def test_a_sidecar_that_was_mended_is_no_problem_any_more(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = shelf.folder / "a.json"
    path.write_bytes(b"{")
    shelf.scan()
    write(path, {"notes": "fine"})
    later(path)

    shelf.scan()

    assert shelf.problems() == set()


@pytest.mark.parametrize(
    ("claimed", "hashed", "verdict", "found"),
    [
        (None, True, "unsaid", True),
        ("right", False, "unchecked", True),
        ("right", True, "match", True),
        ("f" * 64, False, "unchecked", True),
        ("f" * 64, True, "differs", False),
    ],
)
def test_a_sidecar_of_another_file_is_kept_marked_and_not_believed(
    shelf: Shelf,
    claimed: str | None,
    hashed: bool,  # noqa: FBT001 - a case
    verdict: str,
    found: bool,  # noqa: FBT001 - a case
) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    shelf.hash()
    (digest,) = shelf.query("SELECT value FROM digest WHERE kind = 'sha256'")
    if not hashed:
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql("DELETE FROM digest")
            unit.conn.exec_driver_sql("UPDATE file SET hash_state = 'pending', verified = 0")
            unit.conn.exec_driver_sql("UPDATE lora SET identity = 'new:1'")
    content: dict[str, Any] = {"file_name": "a", "model_name": "A name"}
    if claimed is not None:
        content["sha256"] = digest["value"] if claimed == "right" else claimed
    write(shelf.folder / "a.metadata.json", content)
    shelf.scan()

    assert view(shelf).verdict == verdict
    with shelf.registry.catalog.read() as conn:
        (record,) = search_records(conn, list(shelf.loras()))
    assert bool(record.sidecars) is found


@posix_only
def test_a_link_is_followed_within_its_root_only(shelf: Shelf, tmp_path: Path) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    secret = write(tmp_path / "secret.json", {"notes": "of somebody else"})
    inside = write(shelf.folder / "notes-elsewhere", {"notes": "ours"})
    (shelf.folder / "a.json").symlink_to(secret)
    (shelf.folder / "b.json").symlink_to(inside)

    shelf.scan()

    assert told(shelf)["a.json"] is None
    assert told(shelf)["b.json"] is not None
    assert (
        "outside of its root"
        in shelf.query("SELECT problem FROM sidecar WHERE name = 'a.json'")[0]["problem"]
    )


@posix_only
def test_what_is_no_file_is_not_opened(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "b.safetensors", 2)
    for name in "ab":
        write(shelf.folder / f"{name}.json", {"notes": "once a file"})
    shelf.scan()
    for name in "ab":
        (shelf.folder / f"{name}.json").unlink()
    os.mkfifo(shelf.folder / "a.json")
    (shelf.folder / "b.json").mkdir()

    shelf.scan()

    assert not any(told(shelf).values())
    assert shelf.problems() == set()


@posix_only
def test_a_link_that_begins_to_lead_out_takes_back_what_was_known(shelf: Shelf, tmp_path: Path) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "ours"})
    shelf.scan()
    path.unlink()
    path.symlink_to(write(tmp_path / "secret.json", {"notes": "of somebody else"}))

    shelf.scan()
    assert told(shelf) == {"a.json": None}

    shelf.registry.change_root(shelf.root.id, follow_out=True)
    shelf.scan()
    assert told(shelf)["a.json"] is not None

    shelf.registry.change_root(shelf.root.id, follow_out=False)
    shelf.scan()
    assert told(shelf) == {"a.json": None}


@posix_only
def test_a_link_may_lead_into_another_root(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shelf.add(tmp_path / "other")
    lora(shelf.folder / "a.safetensors", 1)
    (shelf.folder / "a.json").symlink_to(write(tmp_path / "other" / "a.json", {"notes": "shared"}))

    shelf.scan()

    assert told(shelf)["a.json"] is not None


@posix_only
def test_what_cannot_be_read_for_now_keeps_what_was_known_and_is_tried_again(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "known"})
    shelf.scan()
    path.rename(shelf.folder / "aside")
    # What the system says of a link to itself is no statement about a file.
    path.symlink_to(path)

    assert shelf.scan().problems == 1
    before = generation(shelf)
    assert shelf.scan().problems == 1

    assert generation(shelf) == before
    facts = told(shelf)["a.json"]
    assert facts is not None
    assert facts.user.notes == "known"
    assert shelf.query("SELECT mtime_ns FROM sidecar") == [{"mtime_ns": -1}]
    assert "cannot be read" in shelf.query("SELECT text FROM problem")[0]["text"]
    (shelf.folder / "aside").replace(path)
    shelf.scan()
    assert shelf.problems() == set()


def fails(_: object) -> None:
    raise RecursionError("too deep")


def test_a_fault_of_ours_is_a_problem_and_ends_no_scan(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codecs._READERS, "user_json", fails)
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "x"})
    write(shelf.folder / "a.civitai.info", {"id": 1, "modelId": 7, "name": "v"})

    assert shelf.scan().problems == 1

    assert "fault of ours" in shelf.query("SELECT text FROM problem")[0]["text"]
    assert told(shelf)["a.civitai.info"] is not None
    stamps = shelf.query("SELECT mtime_ns FROM sidecar WHERE name = 'a.json'")
    assert stamps == [{"mtime_ns": path.stat().st_mtime_ns}]


@pytest.mark.parametrize("seconds", [2**34, 2**31, -(2**31)])
def test_times_far_away_are_stored_and_stay_as_they_are(shelf: Shelf, seconds: int) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "x"})
    os.utime(path, (seconds, seconds))
    shelf.scan()
    read_at = shelf.query("SELECT read_at, mtime_ns FROM sidecar")

    shelf.scan()

    assert told(shelf)["a.json"] is not None
    assert shelf.query("SELECT read_at, mtime_ns FROM sidecar") == read_at


@pytest.mark.parametrize("number", [2**70, 2**63, -(2**70)])
def test_stamps_fit_into_the_numbers_of_databases(number: int) -> None:
    found = os.stat_result((0, abs(number), 0, 0, 0, 0, abs(number), 0, 0, 0), {"st_mtime_ns": number})

    assert all(-(2**63) <= part < 2**63 for part in stamp_of(found))


@posix_only
def test_a_sidecar_that_was_swapped_for_one_of_the_same_size_and_time_is_read(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "first"})
    shelf.scan()
    swapped = write(shelf.folder / "swapped", {"notes": "other"})
    os.utime(swapped, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    swapped.replace(path)

    shelf.scan()

    facts = told(shelf)["a.json"]
    assert facts is not None
    assert facts.user.notes == "other"


def test_inodes_that_mean_nothing_are_not_compared(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    path = write(shelf.folder / "a.json", {"notes": "x"})
    shelf.registry.change_root(shelf.root.id, ignore_inode=True)
    shelf.scan()
    assert shelf.query("SELECT inode FROM sidecar") == [{"inode": 0}]
    swapped = write(shelf.folder / "swapped", {"notes": "y"})
    os.utime(swapped, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    swapped.replace(path)

    shelf.scan()

    facts = told(shelf)["a.json"]
    assert facts is not None
    assert facts.user.notes == "x"


def test_the_scan_of_a_folder_reads_what_lies_in_it_only(shelf: Shelf) -> None:
    for place in ("a.safetensors", "sub/b.safetensors", "sub/in/c.safetensors", "sub-other/d.safetensors"):
        path = lora(shelf.folder / place, len(place))
        write(path.with_suffix(".json"), {"notes": "first"})
    shelf.scan()
    for path in shelf.folder.rglob("*.json"):
        write(path, {"notes": "second"})
        later(path)
    registry = shelf.registry
    engine = registry.engine(lambda: False, lambda _counts: None)

    scan_root(engine, registry.root(shelf.root.id), registry.roots(), under=b"sub")

    read = {name for name, facts in told(shelf).items() if facts and facts.user.notes == "second"}
    assert read == {"b.json", "c.json"}


class Chunks(Deriver):
    """Remembers what it was asked at once."""

    def __init__(self) -> None:
        super().__init__(0)
        self.asked: list[list[str]] = []

    def call(self, work: Any, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        self.asked.append([one.path for one in asked])
        return super().call(work, asked, cancelled)


def test_large_sidecars_are_read_a_few_at_a_time(shelf: Shelf) -> None:
    shelf.registry.deriver = deriver = Chunks()
    for number in range(5):
        lora(shelf.folder / f"a{number}.safetensors", number, size=8)
        (shelf.folder / f"a{number}.json").write_bytes(b"{}" + b" " * 3 * 1024**2)

    shelf.scan()

    assert [len(some) for some in deriver.asked] == [2, 2, 1]


class Spoiling(Deriver):
    """Answers with what no database takes for sidecars that are called spoilt."""

    def call(self, work: Any, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        answers = super().call(work, asked, cancelled)
        return [
            answer._replace(tool=["no", "text"]) if "spoilt" in one.path else answer
            for one, answer in zip(asked, answers, strict=True)
        ]


def test_a_sidecar_that_cannot_be_stored_keeps_no_other_from_it(shelf: Shelf) -> None:
    shelf.registry.deriver = Spoiling(0)
    for number, name in enumerate(("a", "spoilt", "z")):
        lora(shelf.folder / f"{name}.safetensors", number)
        write(shelf.folder / f"{name}.json", {"notes": name})

    assert shelf.scan().problems == 1

    assert {name for name, facts in told(shelf).items() if facts is not None} == {"a.json", "z.json"}
    assert "could not be stored" in shelf.query("SELECT text FROM problem")[0]["text"]


class Deleting(Deriver):
    """Has a sidecar taken away while it is read."""

    def call(self, work: Any, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        answers = super().call(work, asked, cancelled)
        self.meanwhile()
        return answers

    meanwhile: Callable[[], object]


def test_a_sidecar_that_goes_while_it_is_read_leaves_nothing(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "x"})
    deriver = Deleting(0)
    shelf.registry.deriver = deriver

    def meanwhile() -> None:
        with shelf.registry.catalog.write() as unit:
            unit.conn.exec_driver_sql("DELETE FROM companion")

    deriver.meanwhile = meanwhile

    shelf.scan()

    assert shelf.query("SELECT name FROM sidecar") == []


def test_a_sidecar_that_is_gone_before_it_is_read_is_left_to_the_next_scan(tmp_path: Path) -> None:
    assert read_chunk([Asked(str(tmp_path / "a.json"), "user_json")]) == [None]


def test_reading_stops_when_it_is_asked_to(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "x"})
    shelf.scan()
    engine = shelf.registry.engine(lambda: True, lambda _counts: None)

    with pytest.raises(Cancelled):
        read_sidecars(engine, shelf.root, [])


def test_more_sidecars_than_are_read_at_once_are_all_read(shelf: Shelf) -> None:
    for number in range(130):
        lora(shelf.folder / f"a{number}.safetensors", number, size=8)
        write(shelf.folder / f"a{number}.json", {"notes": f"note {number}"})
        write(shelf.folder / f"a{number}.civitai.info", {"id": number + 1, "modelId": 7, "name": "v"})

    shelf.scan()

    assert len(told(shelf)) == 260
    assert all(facts is not None for facts in told(shelf).values())


def dies_of_deadly_ones(asked: Sequence[Asked]) -> list[SidecarAnswer | None]:
    """Read like the product, but end the process at sidecars that are called deadly."""
    return [dies_of_a_deadly_one(one) for one in asked]


def dies_of_a_deadly_one(asked: Asked) -> SidecarAnswer | None:
    """Do so with one."""
    if "deadly" in Path(asked.path).name:
        os._exit(9)
    return read_one(asked)


class Deadly(Deriver):
    """Has sidecars read by those."""

    def call(self, _: object, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        return super().call(dies_of_deadly_ones, asked, cancelled)

    def alone(self, _: object, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        return super().alone(dies_of_a_deadly_one, asked, cancelled)


class Dying(Deriver):
    """Its shared processes die, of something else."""

    def call(self, *_: Any) -> Any:
        raise ReaderFailed("the process that read it stopped")


def test_a_sidecar_that_kills_its_reader_is_named_and_the_others_are_read(shelf: Shelf) -> None:
    for number, name in enumerate(("a", "deadly", "c")):
        lora(shelf.folder / f"{name}.safetensors", number)
        write(shelf.folder / f"{name}.json", {"notes": "before"})
    shelf.scan()
    for name in ("a", "deadly", "c"):
        path = write(shelf.folder / f"{name}.json", {"notes": name})
        later(path)
    shelf.registry.deriver = Deadly(1)

    shelf.scan()

    notes = {name: facts.user.notes for name, facts in told(shelf).items() if facts is not None}
    assert notes == {"a.json": "a", "deadly.json": "before", "c.json": "c"}
    assert shelf.problems() == {("bad-sidecar", "deadly.safetensors")}
    before = generation(shelf)
    assert shelf.scan().problems == 0
    assert generation(shelf) == before


def test_a_sidecar_whose_reader_dies_of_something_else_is_not_blamed(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    shelf.scan()
    write(shelf.folder / "a.json", {"notes": "x"})
    shelf.registry.deriver = Dying(1)

    shelf.scan()

    assert told(shelf)["a.json"] is not None
    assert shelf.problems() == set()
