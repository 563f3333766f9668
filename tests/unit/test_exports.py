"""Sidecars for other tools beside real models, and what becomes of each."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.curation import edit
from registry.catalog.detail import lora_detail
from registry.catalog.forgetting import forget
from registry.catalog.picture_rows import Looked, Tie, write_looked
from registry.catalog.roots import change_root
from registry.catalog.written import written_paths
from registry.curation import read_changes
from registry.errors import BadRequest, Cancelled, Conflict, NotFound
from registry.exported import FAILED, LEFT, WRITTEN, Exported, ExportTally, ExportWish
from registry.exports import EXPORT, Exporting, loras_found
from registry.searching import catch_up, open_searching
from registry.wire.exports import TABLE
from tests.support.pictures import plain
from tests.support.shelf import later, lora, open_shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.shown import Shown
    from registry.views import LoraDetail
    from tests.support.shelf import Shelf

posix = pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs modes")
ALL = tuple(TABLE)
# Of a model that Civitai knows nothing of there is nothing to write for its helper.
UNKNOWN_TO_CIVITAI = [tool for tool in ALL if tool != "civitai-helper"]
A1111 = ("a1111",)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with open_shelf(tmp_path, writable=True) as opened:
        yield opened


def ids(shelf: Shelf) -> list[int]:
    return sorted(row["lora_id"] for row in shelf.files().values())


def note(shelf: Shelf, name: str = "ink", **changes: Any) -> int:
    """Note something of a lora, a text if nothing is given."""
    lora_id = next(key for key, row in shelf.loras().items() if row["name"] == name)
    with shelf.registry.catalog.write() as unit:
        edit(unit, [lora_id], read_changes(changes or {"note": "mine"}))
    return lora_id


def exporting(shelf: Shelf) -> Exporting:
    return Exporting(shelf.registry, lambda _query: ids(shelf), most=None)


def export(shelf: Shelf, *tools: str, previews: bool = False) -> ExportTally:
    return exporting(shelf).run(ExportWish(tools or A1111, previews=previews))


def shown(shelf: Shelf, lora_id: int) -> Shown:
    found = detail(shelf, lora_id).shown
    assert found is not None
    return found


def detail(shelf: Shelf, lora_id: int) -> LoraDetail:
    with shelf.registry.catalog.read() as conn:
        return lora_detail(conn, lora_id, shelf.registry.machine_id)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def states(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return bytes and times of all files."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_what_was_written_is_told_with_its_keys(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    lora_id = note(shelf, note="mine", weight=0.8)

    tally = export(shelf)

    path = shelf.folder / "ink.json"
    assert tally.changes == [
        Exported(lora_id, str(path), "a1111", WRITTEN, ("sd version", "preferred weight", "notes"))
    ]
    assert (tally.models, tally.written, tally.complete) == (1, 1, True)
    assert read(path) == {"sd version": "SD2", "preferred weight": 0.8, "notes": "mine"}
    with shelf.registry.catalog.read() as conn:
        assert written_paths(conn, shelf.registry.machine_id) == [str(path)]


@pytest.mark.parametrize("name", ["ink", "墨 v1.5 'q' \"x\"", "a.b.c", " blank", "x.preview"])
def test_nothing_of_it_is_claimed_after_the_next_scan(shelf: Shelf, name: str) -> None:
    if sys.platform == "win32" and '"' in name:
        pytest.skip("no name may have that here")
    lora(shelf.folder / "风格" / f"{name}.safetensors", 1)
    shelf.scan()
    shelf.hash()
    lora_id = note(
        shelf, name, note="mine", weight=0.8, tags=["墨"], triggers=[["ink", "wash"]], favorite=True
    )
    before = detail(shelf, lora_id)
    assert {one.tool for one in export(shelf, *ALL).changes} == {*UNKNOWN_TO_CIVITAI}

    shelf.scan()

    after = detail(shelf, lora_id)
    assert after.shown == before.shown
    assert len(after.sidecars) == len(UNKNOWN_TO_CIVITAI)
    for sidecar in after.sidecars:
        assert sidecar.ours, sidecar.name
        assert sidecar.offered == {}
        assert (sidecar.problem, sidecar.verdict) in {(None, "match"), (None, "unsaid")}


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be any bytes")
def test_a_name_that_is_no_text_is_spelled_as_the_folder_spells_it(shelf: Shelf) -> None:
    lora(shelf.folder / os.fsdecode(b"\xff\xfe.safetensors"), 1)
    shelf.scan()
    shelf.hash()
    (lora_id,) = ids(shelf)
    with shelf.registry.catalog.write() as unit:
        edit(unit, [lora_id], read_changes({"note": "mine"}))

    tally = export(shelf, *ALL)

    assert {one.tool for one in tally.changes} >= {"a1111", "lora-manager"}
    names = os.listdir(os.fsencode(shelf.folder))  # noqa: PTH208 - raw names
    assert {b"\xff\xfe.json", b"\xff\xfe.metadata.json"} <= set(names)
    shelf.scan()
    assert all(one.ours for one in detail(shelf, lora_id).sidecars)
    assert export(shelf, *ALL).changes == []


def test_exporting_twice_changes_no_byte_and_no_time(shelf: Shelf) -> None:
    for number in range(3):
        lora(shelf.folder / f"{number}.safetensors", number)
    shelf.scan()
    shelf.hash()
    note(shelf, "1")
    note(shelf, "2", hidden=True, rating=4, negative="blurry")
    first = export(shelf, *ALL)
    before = states(shelf.folder)

    assert export(shelf, *ALL).changes == []
    shelf.scan()
    again = export(shelf, *ALL)

    assert first.written > len(ALL)
    assert (again.changes, again.problems) == ([], [])
    assert again.unchanged == 3 * len(ALL)
    assert states(shelf.folder) == before


def test_all_that_a_tool_keeps_there_stays(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    path = shelf.folder / "ink.json"
    path.write_text('{\n\t"sd version": "x",\n\t"notes": "theirs",   "own": [1,2 ]}\n', encoding="utf-8")
    shelf.scan()
    note(shelf)

    (change,) = export(shelf).changes

    assert change.keys == ("notes",)
    assert path.read_text("utf-8") == '{\n\t"sd version": "x",\n\t"notes": "mine",   "own": [1,2 ]}\n'
    assert export(shelf).changes == []


def test_what_a_tool_changes_afterwards_is_offered_and_still_there_after_another_scan(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    lora_id = note(shelf, note="mine", weight=0.8)
    export(shelf)
    path = shelf.folder / "ink.json"
    path.write_text(json.dumps({**read(path), "notes": "theirs", "negative text": "blurry"}), "utf-8")
    later(path)

    shelf.scan()

    found = detail(shelf, lora_id)
    assert [(one.ours, one.offered) for one in found.sidecars] == [(False, {"note": "theirs"})]
    known = shown(shelf, lora_id)
    assert (known.notes, known.negative_text) == ("mine", "blurry")
    shelf.scan()
    assert detail(shelf, lora_id).sidecars == found.sidecars


def test_a_file_that_was_renamed_with_its_sidecar_still_knows_what_is_ours(shelf: Shelf) -> None:
    path = lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    lora_id = note(shelf)
    export(shelf)
    shelf.scan()
    path.rename(shelf.folder / "new.safetensors")
    (shelf.folder / "ink.json").rename(shelf.folder / "new.json")

    shelf.scan()

    (sidecar,) = detail(shelf, lora_id).sidecars
    assert (sidecar.name, sidecar.ours) == ("new.json", True)
    assert shown(shelf, lora_id).sources["notes"].kind == "user"
    note(shelf, "new", note=None)
    assert shown(shelf, lora_id).notes is None


@pytest.mark.parametrize("how", ["renamed", "replaced"])
def test_a_model_that_is_another_one_by_now_is_left_alone(shelf: Shelf, how: str) -> None:
    path = lora(shelf.folder / "ink.safetensors", 1)
    lora(shelf.folder / "other.safetensors", 2)
    shelf.scan()
    note(shelf)
    note(shelf, "other")
    if how == "renamed":
        path.rename(shelf.folder / "new.safetensors")
    else:
        later(lora(path, 3))

    tally = export(shelf)

    (problem,) = tally.problems
    assert (problem.path, problem.state) == ("ink.safetensors", FAILED)
    assert "Scan" in problem.remedy
    assert [Path(one.path).name for one in tally.changes] == ["other.json"]


def test_roots_that_are_not_writable_are_left_alone_with_what_to_do(shelf: Shelf, tmp_path: Path) -> None:
    closed = tmp_path / "closed one"
    lora(closed / "a.safetensors", 1)
    lora(shelf.folder / "ink.safetensors", 2)
    root = shelf.add(closed)
    shelf.scan(root)
    shelf.scan()
    note(shelf, "a")
    note(shelf)

    tally = export(shelf)

    (problem,) = tally.problems
    assert (problem.state, problem.tool, problem.reason) == (
        LEFT,
        None,
        "the root closed one is not writable",
    )
    assert problem.remedy == f"`loras roots add '{closed}' --writable` allows it."
    assert [Path(one.path).name for one in tally.changes] == ["ink.json"]
    assert not (closed / "a.json").exists()
    with shelf.registry.catalog.write() as unit:
        change_root(unit, root.id, writable=True)
    assert export(shelf).written == 1


@posix
def test_a_folder_that_may_not_be_written_keeps_no_other_file_from_it(shelf: Shelf) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    lora(shelf.folder / "closed" / "a.safetensors", 1)
    lora(shelf.folder / "ink.safetensors", 2)
    shelf.scan()
    note(shelf, "a")
    note(shelf)
    (shelf.folder / "closed").chmod(0o500)
    try:
        tally = export(shelf)
    finally:
        (shelf.folder / "closed").chmod(0o700)
    (problem,) = tally.problems
    assert (Path(problem.path).name, problem.state) == ("a.json", FAILED)
    assert tally.written == 1


def test_what_is_no_file_keeps_no_other_file_from_being_written(shelf: Shelf) -> None:
    lora(shelf.folder / "a.safetensors", 1)
    lora(shelf.folder / "ink.safetensors", 2)
    shelf.scan()
    (shelf.folder / "a.json").mkdir()

    tally = export(shelf)

    (problem,) = tally.problems
    assert (Path(problem.path).name, problem.state) == ("a.json", FAILED)
    assert [Path(one.path).name for one in tally.changes] == ["ink.json"]


def test_what_failed_is_not_remembered_as_written(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    note(shelf)
    path = shelf.folder / "ink.json"
    path.write_text('{"vae": "x"}', encoding="utf-8")
    path.chmod(0o444)

    (problem,) = export(shelf).problems

    assert (problem.state, problem.tool) == (FAILED, "a1111")
    assert "not to be written" in str(problem.reason)
    columns = "root_id, path_raw, file_id, family, tool, sha256, ours, at"
    assert shelf.query("SELECT * FROM written") == []
    path.chmod(0o644)
    assert export(shelf).written == 1
    kept = shelf.query(f"SELECT {columns} FROM written")
    path.chmod(0o444)
    note(shelf, note="other")
    assert export(shelf).failed == 1
    assert shelf.query(f"SELECT {columns} FROM written") == kept


def test_what_cannot_be_merged_is_left_alone(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    (shelf.folder / "ink.json").write_text("no JSON", encoding="utf-8")
    shelf.scan()
    note(shelf)

    (problem,) = export(shelf).problems

    assert (problem.state, problem.reason) == (LEFT, "it is not JSON: left alone")
    assert (shelf.folder / "ink.json").read_bytes() == b"no JSON"


def test_a_dry_run_tells_the_same_and_writes_nothing(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    note(shelf)
    before = states(shelf.folder)

    planned = exporting(shelf).plan(ExportWish(ALL))

    assert states(shelf.folder) == before
    assert shelf.query("SELECT * FROM written") == []
    assert planned.dry_run
    assert export(shelf, *ALL).changes == planned.changes


def test_a_dry_run_ends_when_enough_is_told(shelf: Shelf) -> None:
    for number in range(4):
        lora(shelf.folder / f"{number}.safetensors", number)
    shelf.scan()
    some = Exporting(shelf.registry, lambda _query: ids(shelf), most=2)
    tally = some.plan(ExportWish(A1111))
    assert (len(tally.changes), tally.complete) == (2, False)
    done = some.run(ExportWish(A1111))
    assert (len(done.changes), done.written, done.complete) == (2, 4, True)


def test_a_cancelled_export_keeps_what_was_written_and_goes_on_where_it_was(shelf: Shelf) -> None:
    for number in range(5):
        lora(shelf.folder / f"{number}.safetensors", number)
    shelf.scan()
    engine = exporting(shelf)

    with pytest.raises(Cancelled):
        engine.plan(ExportWish(A1111), cancelled=lambda: True)

    def stop_in_the_middle(_query: str) -> list[int]:
        (job,) = [one for one in shelf.registry.jobs.live() if one.kind == EXPORT]
        job.cancel()
        return ids(shelf)

    stopped = Exporting(shelf.registry, stop_in_the_middle, most=None)
    with pytest.raises(Cancelled, match="what was written stays"):
        stopped.run(ExportWish(A1111))
    assert (stopped.tally.written, stopped.tally.complete) == (1, False)
    rest = export(shelf)
    assert (rest.written, rest.unchanged) == (4, 1)


def test_only_the_loras_asked_for_are_exported(shelf: Shelf) -> None:
    for name in ("ink", "oil"):
        lora(shelf.folder / f"{name}.safetensors", len(name) + ord(name[0]))
    shelf.scan()
    ink = note(shelf)
    wish = ExportWish(A1111, ids=(ink,))
    assert [Path(one.path).name for one in exporting(shelf).run(wish).changes] == ["ink.json"]
    with pytest.raises(NotFound):
        exporting(shelf).run(ExportWish(A1111, ids=(ink, 999)))


def test_the_loras_of_a_query_are_found_in_the_catalog_as_it_is(shelf: Shelf) -> None:
    for name in ("ink", "oil"):
        lora(shelf.folder / f"{name}.safetensors", ord(name[0]))
    shelf.scan()
    catch_up(shelf.registry)
    searching = open_searching(shelf.registry)
    try:
        assert sorted(loras_found(shelf.registry, searching, " ")) == ids(shelf)
        assert len(loras_found(shelf.registry, searching, "name:ink")) == 1
        with pytest.raises(BadRequest, match="not clear"):
            loras_found(shelf.registry, searching, "rank:many")
    finally:
        searching.close()


@pytest.mark.parametrize("wish", [ExportWish(("notepad",)), ExportWish()])
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    shelf: Shelf, wish: ExportWish
) -> None:
    with pytest.raises(BadRequest) as caught:
        exporting(shelf).run(wish)
    assert "a1111" in caught.value.remedy
    assert shelf.query("SELECT * FROM job WHERE kind = 'export'") == []


def test_two_exports_at_once_are_refused(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    inner = Exporting(shelf.registry, lambda _query: [])

    def start_another(_query: str) -> list[int]:
        with pytest.raises(Conflict, match="the export of sidecars is running already"):
            inner.start(ExportWish(A1111))
        return ids(shelf)

    outer = Exporting(shelf.registry, start_another, most=None)
    assert outer.run(ExportWish(A1111)).written == 1


def test_a_model_hidden_from_lora_manager_is_warned_of(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    shelf.hash()
    note(shelf)
    assert export(shelf, "lora-manager").warnings == []
    note(shelf, hidden=True)
    assert export(shelf, "a1111").warnings == []
    (warning,) = export(shelf, "lora-manager").warnings
    assert "cannot take that back" in warning
    assert read(shelf.folder / "ink.metadata.json")["exclude"] is True
    note(shelf, hidden=False)
    assert export(shelf, "lora-manager").warnings == []
    assert read(shelf.folder / "ink.metadata.json")["exclude"] is False


def give_picture(shelf: Shelf, lora_id: int, data: bytes) -> str:
    """Let the user have given a picture of a lora."""
    kept = shelf.registry.studio.keep(data, original=True)
    tie = Tie("user", lora_id, kept.key.encode())
    with shelf.registry.catalog.write() as unit:
        write_looked(unit, [Looked(tie, kept)])
    return kept.key


def test_previews_are_written_where_no_tool_finds_one(shelf: Shelf) -> None:
    for name in ("ink", "oil", "gouache"):
        lora(shelf.folder / f"{name}.safetensors", ord(name[0]))
    (shelf.folder / "oil.jpg").write_bytes(b"\xff\xd8\xff")
    shelf.scan()
    data = plain()
    for name in ("ink", "oil"):
        give_picture(shelf, note(shelf, name), data)
    before = states(shelf.folder)

    planned = exporting(shelf).plan(ExportWish(previews=True))
    assert states(shelf.folder) == before
    tally = export_previews(shelf)

    assert [one.path for one in planned.changes] == [str(shelf.folder / "ink.preview.png")]
    assert tally.changes == planned.changes
    assert (shelf.folder / "ink.preview.png").read_bytes() == data
    assert states(shelf.folder).keys() == {*before, "ink.preview.png"}
    assert export_previews(shelf).changes == []
    shelf.scan()
    assert export_previews(shelf).changes == []
    with shelf.registry.catalog.read() as conn:
        assert written_paths(conn, shelf.registry.machine_id) == [str(shelf.folder / "ink.preview.png")]


def export_previews(shelf: Shelf) -> ExportTally:
    return exporting(shelf).run(ExportWish(previews=True))


@posix
@pytest.mark.parametrize("follow_out", [False, True])
def test_a_link_into_a_root_that_is_not_writable_is_left_alone(
    shelf: Shelf, tmp_path: Path, *, follow_out: bool
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "ink.json").write_text("{}", encoding="utf-8")
    closed = shelf.add(other)
    with shelf.registry.catalog.write() as unit:
        change_root(unit, shelf.root.id, follow_out=follow_out)
    lora(shelf.folder / "ink.safetensors", 1)
    (shelf.folder / "ink.json").symlink_to(other / "ink.json")
    shelf.scan()
    note(shelf)

    (problem,) = export(shelf).problems

    assert (problem.path, problem.state) == (str(shelf.folder / "ink.json"), LEFT)
    assert problem.reason == "it leads into a root that is not writable: left alone"
    assert (other / "ink.json").read_bytes() == b"{}"
    assert shelf.query("SELECT * FROM written") == []
    with shelf.registry.catalog.write() as unit:
        change_root(unit, closed.id, writable=True)
    assert export(shelf).written == 1
    assert read(other / "ink.json")["notes"] == "mine"


def test_the_innermost_root_decides_whether_a_link_is_followed(shelf: Shelf) -> None:
    inner = shelf.folder / "closed"
    inner.mkdir()
    (inner / "ink.json").write_text("{}", encoding="utf-8")
    shelf.add(inner)
    lora(shelf.folder / "ink.safetensors", 1)
    (shelf.folder / "ink.json").symlink_to(inner / "ink.json")
    shelf.scan()
    note(shelf)
    (problem,) = export(shelf).problems
    assert problem.state == LEFT
    assert (inner / "ink.json").read_bytes() == b"{}"


def twins(shelf: Shelf, second: int = 2) -> None:
    """Let two models have one stem, and notes where they are two loras."""
    lora(shelf.folder / "ink.safetensors", 1)
    lora(shelf.folder / "sub" / "ink.safetensors", 3)
    lora(shelf.folder / "ink.v2.safetensors", 4)
    later(lora(shelf.folder / "ink.sft", second))
    shelf.scan()
    shelf.hash()
    for lora_id in set(ids(shelf)):
        with shelf.registry.catalog.write() as unit:
            edit(unit, [lora_id], read_changes({"note": f"note of {lora_id}"}))


def test_what_would_be_of_two_models_is_left_alone(shelf: Shelf) -> None:
    twins(shelf)
    first = export(shelf, *ALL)
    before = states(shelf.folder)

    shelf.scan()
    again = export(shelf, *ALL)

    assert (again.changes, states(shelf.folder)) == ([], before)
    assert again.problems == first.problems
    assert {one.state for one in first.problems} == {LEFT}
    assert {(Path(one.path).name, one.reason) for one in first.problems if one.tool == "a1111"} == {
        ("ink.json", "it would be of ink.sft too, another model: left alone"),
        ("ink.json", "it would be of ink.safetensors too, another model: left alone"),
    }
    written = {str(path.relative_to(shelf.folder)) for path in shelf.folder.rglob("*.*json*")}
    assert {"ink.safetensors.rgthree-info.json", "ink.sft.rgthree-info.json", "ink.v2.json"} <= written
    assert str(Path("sub", "ink.json")) in written
    assert "ink.json" not in written
    for lora_id in set(ids(shelf)):
        assert shown(shelf, lora_id).notes == f"note of {lora_id}"


def test_a_preview_that_would_be_of_two_models_is_left_alone(shelf: Shelf) -> None:
    twins(shelf)
    lora_id = shelf.files()["ink.sft"]["lora_id"]
    give_picture(shelf, lora_id, plain())
    (problem,) = export_previews(shelf).problems
    assert (problem.lora_id, problem.tool, problem.state) == (lora_id, "preview", LEFT)


def test_two_files_of_one_lora_may_have_one_stem(shelf: Shelf) -> None:
    twins(shelf, second=1)
    export(shelf, *ALL)
    before = states(shelf.folder)
    shelf.scan()
    assert export(shelf, *ALL).changes == []
    assert states(shelf.folder) == before


def test_what_we_wrote_is_no_claim_about_another_model_of_the_same_stem(shelf: Shelf) -> None:
    lora(shelf.folder / "ink.safetensors", 1)
    shelf.scan()
    note(shelf)
    export(shelf)
    lora(shelf.folder / "ink.sft", 2)

    shelf.scan()

    other = shelf.files()["ink.sft"]["lora_id"]
    (sidecar,) = detail(shelf, other).sidecars
    assert (sidecar.name, sidecar.ours, sidecar.offered) == ("ink.json", True, {})
    assert shown(shelf, other).notes is None


@pytest.mark.parametrize("renamed", [False, True])
def test_what_we_wrote_beside_a_forgotten_lora_is_still_ours(shelf: Shelf, *, renamed: bool) -> None:
    path = lora(shelf.folder / "a" / "ink.safetensors", 1)
    shelf.scan()
    lora_id, sidecar = note(shelf), path.with_name("ink.json")
    export(shelf)
    if renamed:
        path = path.rename(path.with_name("new.safetensors"))
        sidecar = sidecar.rename(path.with_name("new.json"))
    shelf.scan()
    path.unlink()
    shelf.scan()
    with shelf.registry.catalog.write() as unit:
        forget(unit, [lora_id])
    assert listed(shelf) == [str(sidecar)]

    lora(path, 1)
    shelf.scan()

    again = shelf.files()[f"a/{path.name}"]["lora_id"]
    assert again != lora_id
    (found,) = detail(shelf, again).sidecars
    assert (found.name, found.ours, found.offered) == (sidecar.name, True, {})
    assert shown(shelf, again).notes is None
    note(shelf, path.stem, note="new")
    export(shelf)
    assert listed(shelf) == [str(sidecar)]
    assert detail(shelf, again).sidecars[0].offered == {}


def listed(shelf: Shelf) -> list[str]:
    """Return what `loras paths` names of what we wrote."""
    with shelf.registry.catalog.read() as conn:
        return written_paths(conn, shelf.registry.machine_id)
