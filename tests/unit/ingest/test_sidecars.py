"""Sidecars are read beside their models, again when they change, and one that is bad harms nothing."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.reading import lora_detail
from registry.catalog.searching import search_records
from registry.catalog.sidecars import sidecars_of, unpack_facts
from registry.errors import Cancelled
from registry.ingest.settle import Beside
from registry.ingest.sidecar_reading import Answered, Asked, read_chunk
from registry.ingest.sidecars import read_sidecars
from registry.ingest.workers import Deriver
from registry.wire.sidecars import MAX_SIDECAR
from tests.support.shelf import later, lora

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from registry.told import SidecarFacts
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
        row.name: None if row.facts is None else unpack_facts(row.facts)
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
    os.mkfifo(shelf.folder / "a.json")
    (shelf.folder / "b.json").mkdir()

    shelf.scan()

    assert told(shelf) == {}


def test_a_sidecar_that_is_gone_before_it_is_read_is_left_to_the_next_scan(tmp_path: Path) -> None:
    assert read_chunk([Asked(str(tmp_path / "a.json"), "user_json")]) == [None]


def test_reading_stops_when_it_is_asked_to(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    write(shelf.folder / "a.json", {"notes": "x"})
    shelf.scan()
    engine = shelf.registry.engine(lambda: True, lambda _counts: None)

    with pytest.raises(Cancelled):
        read_sidecars(engine, shelf.root)


def test_more_sidecars_than_are_read_at_once_are_all_read(shelf: Shelf) -> None:
    for number in range(130):
        lora(shelf.folder / f"a{number}.safetensors", number, size=8)
        write(shelf.folder / f"a{number}.json", {"notes": f"note {number}"})
        write(shelf.folder / f"a{number}.civitai.info", {"id": number + 1, "modelId": 7, "name": "v"})

    shelf.scan()

    assert len(told(shelf)) == 260
    assert all(facts is not None for facts in told(shelf).values())


def dies_of_deadly_ones(asked: Sequence[Asked]) -> list[Answered | None]:
    """Read like the product, but end the process at sidecars that are called deadly."""
    if any("deadly" in one.path for one in asked):
        os._exit(9)
    return read_chunk(asked)


class Deadly(Deriver):
    """Has sidecars read by `dies_of_deadly_ones`."""

    def call(self, _: object, asked: Any, cancelled: Callable[[], bool] = lambda: False) -> Any:
        return super().call(dies_of_deadly_ones, asked, cancelled)


def test_a_sidecar_that_kills_its_reader_is_named_and_the_others_are_read(shelf: Shelf) -> None:
    for number, name in enumerate(("a", "deadly", "c")):
        lora(shelf.folder / f"{name}.safetensors", number)
    shelf.scan()
    for name in ("a", "deadly", "c"):
        write(shelf.folder / f"{name}.json", {"notes": name})
    shelf.registry.deriver = Deadly(1)

    shelf.scan()

    assert {name for name, facts in told(shelf).items() if facts is not None} == {"a.json", "c.json"}
    assert shelf.problems() == {("bad-sidecar", "deadly.safetensors")}
