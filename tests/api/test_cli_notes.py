"""`loras notes`, `loras paths`, and the archive of the day while the catalog is served."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.files import kohya_lora
from tests.support.program import run
from tests.support.served import served, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    for seed, name in enumerate(("ink", "wash"), start=1):
        kohya_lora(folder / f"{name}.safetensors", modules=6, seed=seed)
    return folder


@pytest.fixture
def catalog(tmp_path: Path, library: Path) -> Path:
    """A catalog with notes of two loras."""
    data = tmp_path / "d"
    assert run(data, ["scan", str(library)]).code == 0
    assert run(data, ["edit", "ink", "--rating", "4", "--add-tag", "水墨"]).code == 0
    assert run(data, ["edit", "wash", "--note", "soft"]).code == 0
    return data


def lines(archive: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(archive) as found:
        return [json.loads(line) for line in found.read("loras.jsonl").splitlines()]


def rating(data: Path, ref: str) -> object:
    return run(data, ["show", ref, "--json"]).json()["curation"].get("rating")


def test_notes_go_from_one_catalog_to_another(catalog: Path, library: Path, tmp_path: Path) -> None:
    archive = tmp_path / "n.zip"
    done = run(catalog, ["notes", "export", str(archive), "--json"]).json()
    assert (done["file"], done["size"]) == (str(archive), archive.stat().st_size)
    assert done["counts"] == {"loras": 2, "saved_searches": 0, "pictures": 0}
    other = tmp_path / "other"
    (library / "wash.safetensors").rename(library / "renamed.safetensors")
    (library / "ink.safetensors").rename(tmp_path / "ink.safetensors")
    assert run(other, ["scan", str(library)]).code == 0
    dry = run(other, ["notes", "import", str(archive), "--dry-run", "--json"]).json()
    assert (dry["dry_run"], dry["matched"], dry["changed"], dry["waiting"]) == (True, 1, 1, 1)
    told = run(other, ["notes", "import", str(archive)])
    assert (told.code, told.err) == (0, "")
    counted = dict(line.rsplit(None, 1) for line in told.out.splitlines())
    assert (counted["found their lora"], counted["wait for their lora"], counted["problems"]) == (
        "1",
        "1",
        "0",
    )
    (tmp_path / "ink.safetensors").rename(library / "back.safetensors")
    assert run(other, ["scan"]).code == 0
    assert rating(other, "back") == 4
    again = run(other, ["notes", "import", str(archive), "--json"]).json()
    assert (again["matched"], again["changed"], again["waiting"]) == (2, 0, 0)


def test_only_what_a_query_finds_is_exported(catalog: Path, tmp_path: Path) -> None:
    archive = tmp_path / "n.zip"
    assert run(catalog, ["notes", "export", str(archive), "--query", "ink"]).code == 0
    assert [one["name"] for one in lines(archive)] == ["ink"]
    assert run(catalog, ["notes", "export", "--query", "ink"]).code == 2


def test_without_a_file_the_archive_of_the_day_is_written(catalog: Path) -> None:
    done = run(catalog, ["notes", "export"])
    (archive,) = (catalog / "notes").iterdir()
    assert done.out.strip() == str(archive)
    assert "loras 2" in done.err


def test_a_file_of_somebody_else_is_neither_read_nor_written_over(catalog: Path, library: Path) -> None:
    model = str(library / "ink.safetensors")
    assert run(catalog, ["notes", "export", model]).code == 5
    assert run(catalog, ["notes", "import", model]).code == 2
    assert run(catalog, ["notes", "import", str(library / "none.zip")]).code == 8


def test_problems_are_told(catalog: Path, tmp_path: Path) -> None:
    archive = tmp_path / "n.zip"
    assert run(catalog, ["notes", "export", str(archive)]).code == 0
    with zipfile.ZipFile(archive) as found:
        manifest = found.read("manifest.json")
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("manifest.json", manifest)
        made.writestr("loras.jsonl", b"{\n" * 30)
    done = run(catalog, ["notes", "import", str(archive)])
    assert done.code == 0
    assert len(done.err.splitlines()) == 21
    assert "line 1 of loras.jsonl" in done.err
    assert "and 10 more problems" in done.err


def test_a_served_catalog_keeps_an_archive_of_the_day(catalog: Path) -> None:
    with served(catalog):
        until(lambda: (catalog / "notes").is_dir() and any((catalog / "notes").glob("notes-*.zip")))
    (archive,) = (catalog / "notes").iterdir()
    today = dt.datetime.now(dt.UTC).date()
    assert archive.name in {f"notes-{day}.zip" for day in (today, today - dt.timedelta(days=1))}
    assert len(lines(archive)) == 2


def test_none_is_kept_where_nobody_wants_one(catalog: Path) -> None:
    with served(catalog, LORAS_NOTES_DAILY="false") as server:
        server.loras("edit", "ink", "--rating", "1")
        until(lambda: server.get("/status")["progress"]["search"]["state"] == "idle")
    assert not (catalog / "notes").exists()


def test_every_place_is_listed(catalog: Path, tmp_path: Path) -> None:
    assert run(catalog, ["notes", "export"]).code == 0
    assert run(catalog, ["db", "backup"]).code == 0
    found = {one["name"]: one for one in run(catalog, ["paths", "--json"]).json()["items"]}
    assert {name for name, one in found.items() if one["exists"]} >= {
        "data folder", "catalog", "backups", "machine", "notes"
    }  # fmt: skip
    listed = [one["path"] for one in found.values()]
    below = [path for path in catalog.rglob("*") if path.is_file()]
    known = [str(path) for path in below if any(str(path).startswith(place) for place in listed[1:])]
    assert known == [str(path) for path in below]
    assert found["catalog"]["size"] == (catalog / "catalog.sqlite3").stat().st_size
    assert found["config file"]["path"] == str(catalog / "none.toml")
    assert "not there" in run(tmp_path / "none", ["paths"]).out
    assert not (tmp_path / "none").exists()
