"""`loras edit`, `loras history` and `loras undo` on real files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.curation import FIELDS
from tests.support.files import kohya_lora
from tests.support.program import Outcome, run, run_all

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be any bytes")


def scanned(place: Path) -> Path:
    """Scan three loras that are not hashed yet, of which `b` and `deep/copy` have the same weights."""
    folder = place / "library"
    kohya_lora(folder / "a.safetensors", modules=2, seed=1)
    kohya_lora(folder / "b.safetensors", modules=2, seed=2)
    kohya_lora(folder / "deep" / "copy.safetensors", modules=2, seed=2, metadata={"note": "other"})
    assert run(place / "d", ["scan", "--no-hash", str(folder)]).code == 0
    return place / "d"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanned catalog that is only copied."""
    return scanned(tmp_path_factory.mktemp("edit"))


@pytest.fixture
def catalog(original: Path, tmp_path: Path) -> Path:
    """A scanned catalog of three loras; their files are those of other tests too."""
    return Path(shutil.copytree(original, tmp_path / "d"))


def noted(data: Path, reference: str) -> Any:
    return run(data, ["show", "--json", reference]).json()["curation"]


def counts(done: Outcome) -> tuple[int, int]:
    told = done.json()
    return told["matched"], told["changed"]


def test_every_field_can_be_noted_shown_and_cleared(catalog: Path) -> None:
    line = ["edit", "a", "--note", "mine", "--tag", "水墨", "--tag", "长发", "--rating", "5", "--favorite"]
    line += ["--no-hidden", "--nsfw", "pg13", "--name", "墨", "--trigger", "ink wash, sumi-e", "--trigger"]
    line += ["ink", "--weight", "0.8", "--weight-min", "-1", "--weight-max", "1.5", "--negative", "photo"]
    line += ["--cover", "abc", "--architecture", "SDXL", "--base-model", "pony", "--adapter", "locon"]
    edited, shown, text, cleared, empty = run_all(
        catalog,
        [*line, "--kind", "vae", "--civitai", "12"],
        ["show", "--json", "a"],
        ["show", "a"],
        ["edit", "a", "--json", *(part for name in FIELDS for part in ("--clear", name))],
        ["show", "--json", "a"],
    )
    assert (edited.code, edited.out) == (0, "changed 1 of 1 lora\n")
    assert edited.err.startswith("`loras undo --batch ")
    assert shown.json()["curation"] == {
        "note": "mine",
        "tags": ["水墨", "长发"],
        "rating": 5,
        "favorite": True,
        "hidden": False,
        "nsfw": 2,
        "display_name": "墨",
        "triggers": [["ink wash", "sumi-e"], ["ink"]],
        "weight": 0.8,
        "weight_min": -1.0,
        "weight_max": 1.5,
        "negative": "photo",
        "cover": "abc",
        "architecture": "sdxl",
        "base_model": "pony",
        "adapter": "locon",
        "kind": "vae",
        "civitai": {"version": 12, "model": None},
    }
    assert list(shown.json()["curation"]) == list(FIELDS)
    assert shown.json()["lora"]["architecture"] == "sdxl"
    assert shown.json()["identification"]["architecture"] == "sd15"
    lines = [" ".join(line.split()) for line in text.out.splitlines()]
    shown_so = ("noted", "tags 水墨, 长发", "nsfw pg13", "triggers ink wash, sumi-e | ink", "hidden no")
    assert set(shown_so) <= set(lines)
    assert counts(cleared) == (1, 1)
    assert empty.json()["curation"] == {}


def test_what_was_noted_is_in_the_history_and_can_be_undone(catalog: Path) -> None:
    _, _, text, told, last, first, forced, none = run_all(
        catalog,
        ["edit", "a", "--rating", "4", "--add-tag", "水墨"],
        ["edit", "a", "--rating", "5"],
        ["history", "a"],
        ["history", "a", "--json", "--limit", "1"],
        ["undo", "a"],
        ["undo", "a", "--batch", "1", "--field", "tag", "--json"],
        ["undo", "--batch", "1", "--force", "--json"],
        ["history", "b"],
    )
    rows = [line.split() for line in text.out.splitlines()]
    assert rows[0] == ["BATCH", "WHEN", "WHO", "WHAT", "FIELD", "WAS", "BECAME"]
    # The day and the time are words of their own.
    assert [[row[0], *row[3:]] for row in rows[1:]] == [
        ["3", "cli", "edit", "rating", "4", "5"],
        ["1", "cli", "edit", "rating", "4"],
        ["1", "cli", "edit", "tags", "水墨"],
    ]
    (entry,) = told.json()["items"]
    assert (entry["field"], entry["old"], entry["new"], entry["batch"]) == ("rating", 4, 5, 3)
    assert (last.code, last.out) == (0, "brought back what 1 lora had\n")
    assert last.err == "`loras undo --batch 4` takes that back\n"
    assert first.json() == {"changed": 1, "batch": 5}
    assert forced.json() == {"changed": 1, "batch": 6}
    assert noted(catalog, "a") == {}
    assert (none.code, none.out, none.err) == (0, "", "nothing was ever noted of it\n")


def test_undoing_what_changed_since_or_never_was_is_refused(catalog: Path) -> None:
    done = run_all(
        catalog,
        ["edit", "a", "--rating", "4"],
        ["edit", "a", "--rating", "5"],
        ["undo", "--batch", "1"],
        ["undo", "--batch", "9"],
        ["undo", "b"],
        ["undo", "nobody"],
        ["undo"],
        ["undo", "a", "--field", "stars"],
        ["undo", "--batch", "x"],
    )[2:]
    assert [one.code for one in done] == [5, 3, 3, 3, 2, 2, 2]
    assert "changed again since: rating of lora" in done[0].err
    assert noted(catalog, "a") == {"rating": 5}


WRONG: list[tuple[list[str], str]] = [
    (["a", "--rating", "6"], "--rating takes a whole number from 0 to 5"),
    (["a", "--rating", "five"], "'five', not a whole number"),
    (["a", "--weight", "11"], "from -10 to 10"),
    (["a", "--weight-min", "2", "--weight-max", "1"], "weight_min is 2 and weight_max 1"),
    (["a", "--architecture", "sdxxl"], "'sdxxl'"),
    (["a", "--nsfw", "nc17"], "pg13"),
    (["a", "--civitai", "abc"], "the id of a version, or none"),
    (["a", "--add-tag", "长" * 201], "a tag of up to 200 characters"),
    (["a", "--tag", "x", "--add-tag", "y"], "--tag and --add-tag contradict each other"),
    (["a", "--clear", "stars"], "no field 'stars'"),
    (["a", "--stars", "5"], "--stars"),
    (["a"], "an edit does one thing"),
    (["a", "--rating", "5", "--undo"], "an edit does one thing"),
    (["a", "--rating", "5", "--copy-from", "b"], "an edit does one thing"),
    (["--rating", "5"], "of REFs or of a query"),
    (["a", "--query", "b", "--rating", "5"], "of REFs or of a query"),
    (["--query", "", "--rating", "5"], "the query asks for nothing"),
    (["--query", "rank:abc", "--rating", "5"], "the query is not clear"),
    (["a", "b", "--copy-from", "deep/copy.safetensors"], "for one lora, not for 2"),
    (["a", "b", "--undo"], "for one lora, not for 2"),
    (["a", "--copy-from", "a"], "are one lora"),
]


def test_wrong_arguments_are_told_and_change_nothing(catalog: Path) -> None:
    done = run_all(catalog, *(["edit", *arguments] for arguments, _ in WRONG))
    assert [one.code for one in done] == [2] * len(WRONG)
    for one, (_, told) in zip(done, WRONG, strict=True):
        assert told in one.err
    as_json = run(catalog, ["edit", "a", "--rating", "6", "--json"])
    assert (as_json.code, json.loads(as_json.err)["error"]) == (2, "bad-request")
    assert [noted(catalog, one) for one in ("a", "b")] == [{}, {}]


def test_a_lora_that_is_not_there_leaves_all_others_as_they_are(catalog: Path) -> None:
    assert run(catalog, ["edit", "a", "nobody", "--rating", "5"]).code == 3
    assert noted(catalog, "a") == {}


def test_several_loras_are_one_batch(catalog: Path) -> None:
    both, again, undone = run_all(
        catalog,
        ["edit", "a", "b", "a", "--rating", "5"],
        ["edit", "a", "b", "--rating", "5", "--json"],
        ["undo", "--batch", "1"],
    )
    assert both.out == "changed 2 of 2 loras\n"
    assert again.json() == {"dry_run": False, "matched": 2, "changed": 0, "batch": None}
    assert undone.out == "brought back what 2 loras had\n"


def test_all_that_a_query_finds_is_edited_as_it_is_now(catalog: Path) -> None:
    planned, none, _, edited, found, undone = run_all(
        catalog,
        ["edit", "--query", "arch:sd15", "--add-tag", "水墨", "--dry-run"],
        ["search", "--json", "usertag:水墨"],
        ["edit", "a", "--name", "ink wash"],
        # The name was noted after the index was last looked at.
        ["edit", "--query", "name:ink wash", "--add-tag", "水墨", "--rating", "3", "--json"],
        ["search", "--json", "usertag:水墨", "rating:3"],
        ["undo", "--batch", "2", "--json"],
    )
    assert planned.out.splitlines()[0].split() == ["ID", "FIELD", "IS", "BECOMES"]
    assert planned.out.splitlines()[-1] == "would change 3 of 3 loras"
    assert planned.out.count("水墨") == 3
    assert planned.err == ""
    assert none.json()["total"] == 0
    assert edited.json() == {"dry_run": False, "matched": 1, "changed": 1, "batch": 2}
    assert [item["name"] for item in found.json()["items"]] == ["a"]
    assert undone.json()["changed"] == 1


def test_a_query_that_finds_nothing_says_so(catalog: Path) -> None:
    text, told = run_all(
        catalog,
        ["edit", "--query", "zzz", "--rating", "5"],
        ["edit", "--query", "zzz", "--rating", "5", "--dry-run", "--json"],
    )
    assert (text.code, text.out, text.err) == (0, "", "nothing was found, and nothing was changed\n")
    assert told.json() == {"dry_run": True, "matched": 0, "changed": 0, "batch": None}


def test_a_dry_run_of_many_shows_the_first_and_counts_the_rest(catalog: Path, tmp_path: Path) -> None:
    for number in range(30):
        kohya_lora(tmp_path / "many" / f"m{number}.safetensors", modules=1, seed=100 + number)
    _, done = run_all(
        catalog,
        ["scan", "--no-hash", str(tmp_path / "many")],
        ["edit", "--query", "root:many", "--hidden", "--dry-run"],
    )
    assert len(done.out.splitlines()) == 1 + 20 + 2
    assert done.out.splitlines()[-2:] == ["(and 10 more)", "would change 30 of 30 loras"]


def test_notes_are_copied_and_that_is_undone(catalog: Path) -> None:
    _, planned, copied, noted_now, back, undone = run_all(
        catalog,
        ["edit", "a", "--tag", "a", "--rating", "2", "--civitai", "none"],
        ["edit", "b", "--copy-from", "a", "--dry-run", "--json"],
        ["edit", "b", "--copy-from", "a", "--json"],
        ["show", "b", "--json"],
        ["edit", "b", "--undo", "--dry-run"],
        ["edit", "b", "--undo"],
    )
    assert (counts(planned), planned.json()["batch"]) == ((1, 1), None)
    assert counts(copied) == (1, 1)
    assert noted_now.json()["curation"] == {"tags": ["a"], "rating": 2}
    assert back.out.splitlines()[-1] == "would change 1 of 1 lora"
    assert undone.out == "changed 1 of 1 lora\n"
    assert noted(catalog, "b") == {}


def test_what_was_noted_before_hashing_comes_together_where_the_weights_are_the_same(catalog: Path) -> None:
    gone = run(catalog, ["show", "--json", "copy"]).json()["lora"]["id"]
    run_all(
        catalog,
        ["edit", "b", "--add-tag", "of b", "--rating", "1"],
        ["edit", "copy", "--add-tag", "of copy", "--rating", "4"],
        ["scan"],
    )
    merged, edited, history = run_all(
        catalog,
        ["show", "--json", "b"],
        ["edit", f"id:{gone}", "--note", "both", "--json"],
        ["history", "copy", "--json"],
    )
    assert len(merged.json()["lora"]["files"]) == 2
    assert set(merged.json()["curation"]["tags"]) == {"of b", "of copy"}
    assert merged.json()["curation"]["rating"] == 4
    assert counts(edited) == (1, 1)
    assert history.json()["lora_id"] == merged.json()["lora"]["id"]
    assert noted(catalog, "b")["note"] == "both"


def test_notes_of_weights_that_were_replaced_are_offered(tmp_path: Path) -> None:
    catalog = scanned(tmp_path)
    path = tmp_path / "library" / "a.safetensors"
    old = run(catalog, ["show", "--json", "a"]).json()["lora"]["id"]
    run_all(catalog, ["scan"], ["edit", "a", "--rating", "5"])
    kohya_lora(path, modules=3, seed=9)
    _, shown, copied = run_all(
        catalog, ["scan"], ["show", str(path)], ["edit", str(path), "--copy-from", str(old), "--json"]
    )
    assert f"--copy-from {old}`" in shown.err
    assert counts(copied) == (1, 1)
    again = run(catalog, ["show", str(path)])
    assert (again.code, again.err) == (0, "")
    assert noted(catalog, str(path)) == {"rating": 5}


@pytest.mark.parametrize("name", ["-rf.safetensors", "長髮 🎀.safetensors", "100%.safetensors", "--rating"])
def test_odd_names_are_references(tmp_path: Path, name: str) -> None:
    kohya_lora(tmp_path / "library" / f"{name.removesuffix('.safetensors')}.safetensors", modules=1)
    _, done, history = run_all(
        tmp_path / "d",
        ["scan", "--no-hash", str(tmp_path / "library")],
        ["edit", "--rating", "5", "--json", "--", name],
        ["history", "--json", "--", name],
    )
    assert counts(done) == (1, 1)
    assert [item["new"] for item in history.json()["items"]] == [5]


@LINUX
def test_a_file_whose_name_is_no_text_is_edited_by_its_path(tmp_path: Path) -> None:
    kohya_lora(tmp_path / "library" / "x.safetensors", modules=1)
    raw = bytes(tmp_path / "library") + b"/\xff\n.safetensors"
    (tmp_path / "library" / "x.safetensors").rename(raw.decode("utf-8", "surrogateescape"))
    _, done = run_all(
        tmp_path / "d",
        ["scan", "--no-hash", str(tmp_path / "library")],
        [b"edit", raw, b"--json", b"--note", b"\xff" + "墨".encode()],
    )
    assert counts(done) == (1, 1)
