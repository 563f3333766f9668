"""A lora of which no file is left is forgotten as a whole, and nothing that others need goes with it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from registry.asked import FOUND, Outcome
from registry.catalog import tables
from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.lookups import record_outcomes
from registry.catalog.picture_rows import CIVITAI, USER, Looked, Tie, write_looked
from registry.catalog.presence import set_missing
from registry.catalog.remote import Sent, store_model, store_versions
from registry.catalog.roots import remove_root
from registry.curation import read_changes
from registry.errors import Conflict, NotFound
from registry.forgetting import forget_loras
from registry.formats.civitai import model_of, version_of
from registry.notekeeping import NotesFolder
from registry.noting import import_notes
from registry.views import CompanionSeen, Note, PictureKept
from tests.support.civitai_answers import file_answer, version_answer
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from sqlalchemy import Table

    from registry.catalog.forgetting import Forgetting
    from tests.support.library import Library

TABLES = tables.TABLES
BESIDE = (CompanionSeen(b"a.json", "a.json", "sidecar", "a1111"),)
A = Model("a.safetensors", weights="one", companions=BESIDE, problems=(Note("odd", "odd"),))
TWIN = Model("twin.safetensors", weights="one", metadata={"ss_output_name": "twin"})
B = Model("b.safetensors", weights="two", metadata={"ss_output_name": "b"})


@pytest.fixture
def notes(library: Library, tmp_path: Path) -> NotesFolder:
    return NotesFolder(library.catalog, tmp_path / "notes", {key_of("given"): b"given"}.get)


def key_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def lora_of(library: Library, model: Model) -> int:
    return int(library.row(model.path).lora_id)


def note(library: Library, model: Model, **told: object) -> None:
    with library.catalog.write(actor="ann") as unit:
        edit(unit, [lora_of(library, model)], read_changes(told))


def lose(library: Library, *models: Model, state: str = "missing") -> None:
    with library.catalog.write() as unit:
        set_missing(unit, [int(library.row(model.path).id) for model in models], state=state)


def forget(library: Library, notes: NotesFolder, *lora_ids: int, dry_run: bool = False) -> Forgetting:
    return forget_loras(library.catalog, notes, lora_ids, actor="ann", dry_run=dry_run)


def rows(library: Library) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables but those that only grow."""
    found = {}
    with library.catalog.read() as conn:
        for name, table in TABLES.items():
            if name not in {"change", "setting", "machine", "root", "mount", "tag"}:
                found[name] = sorted((tuple(row) for row in conn.execute(select(table))), key=repr)
    return found


def left(library: Library) -> set[str]:
    return {name for name, some in rows(library).items() if some}


def told_by_civitai(library: Library, model_id: int, **versions: Model) -> None:
    """Let Civitai have a model with a version for each of these files, named by their numbers."""
    answers = [
        version_answer(int(number.strip("v")), [file_answer(one.digests["sha256"])], modelId=model_id)
        for number, one in versions.items()
    ]
    model = model_of({"id": model_id, "name": "m", "type": "LORA", "modelVersions": answers})
    assert model is not None
    with library.catalog.write() as unit:
        for answer, one in zip(answers, versions.values(), strict=True):
            told = version_of(answer)
            assert told is not None
            assert told.id is not None
            store_versions(unit, [Sent(b"{}", told)], "civitai")
            record_outcomes(unit, [Outcome(one.digests["sha256"], FOUND, "sha256", (told.id,))])
        store_model(unit, b"{}", model, "civitai")


def look_at(library: Library, kind: str, of_id: int, name: str) -> str:
    key = key_of(name)
    kept = PictureKept(key, "image/png", 1, 1, 1, 1, original=True)
    with library.catalog.write() as unit:
        write_looked(unit, [Looked(Tie(kind, of_id, name.encode()), kept)])
    return key


def test_everything_of_a_lora_goes(library: Library, notes: NotesFolder) -> None:
    library.scan(A, A.but(path="copy.safetensors"))
    library.hash(A, A.but(path="copy.safetensors"))
    note(library, A, note="x", rating=3)
    note(library, A, rating=4)
    told_by_civitai(library, 7, v70=A)
    keys = [
        look_at(library, USER, lora_of(library, A), "given"),
        look_at(library, CIVITAI, 70, "theirs"),
        look_at(library, "header", int(str(library.row(A.path).header_id)), "cover"),
        look_at(library, "file", int(library.row(A.path).id), "preview"),
    ]
    lose(library, A, A.but(path="copy.safetensors"))
    lora_id, before = lora_of(library, A), rows(library)
    removed: list[str] = []
    dry = forget(library, notes, lora_id, dry_run=True)
    assert (rows(library), dry.archive, notes.folder.exists()) == (before, None, False)
    done = forget_loras(library.catalog, notes, [lora_id], remove_pictures=removed.extend)
    assert left(library) == set()
    assert sorted(removed) == sorted(done.pictures) == sorted(keys)
    assert dry.rows == done.rows
    assert done.rows["file"] == 2
    assert done.rows["curation_history"] == 3
    assert done.rows["remote_version"] == done.rows["remote_model"] == done.rows["remote_lookup"] == 1
    assert [one.paths for one in done.loras] == [("models/a.safetensors", "models/copy.safetensors")]


def test_references_to_it_are_not_found(library: Library, notes: NotesFolder) -> None:
    library.scan(A, TWIN)
    old = {lora_of(library, model) for model in (A, TWIN)}
    library.hash(A, TWIN)
    lose(library, A, TWIN)
    (current,) = {lora_of(library, model) for model in (A, TWIN)}
    since = library.generation()
    forget(library, notes, current)
    for reference in (*map(str, old), "a", A.digests["sha256"], A.identity.partition(":")[2]):
        with library.catalog.read() as conn, pytest.raises(NotFound):
            resolve(conn, reference, MACHINE)
    assert [(one.entity_id, one.kind) for one in library.changes(since)] == [(current, "removed")]


@pytest.mark.parametrize("state", ["present", "unreachable"])
def test_a_lora_with_a_file_stays_and_so_do_all_others_that_were_named(
    library: Library, notes: NotesFolder, state: str
) -> None:
    library.scan(A, TWIN, B)
    library.hash(A, TWIN, B)
    note(library, B, rating=1)
    lose(library, A, B)
    lose(library, TWIN, state=state)
    before = rows(library)
    with pytest.raises(Conflict, match=r"is not gone: models/twin\.safetensors"):
        forget(library, notes, lora_of(library, B), lora_of(library, A))
    with pytest.raises(NotFound, match="no lora 999"):
        forget(library, notes, lora_of(library, B), 999)
    assert rows(library) == before
    assert not notes.folder.exists()


def test_what_others_have_too_stays(library: Library, notes: NotesFolder) -> None:
    library.scan(A, B, Model("c.safetensors", weights="three", companions=()))
    library.hash(A, B)
    told_by_civitai(library, 7, v70=A, v71=B)
    told_by_civitai(library, 8, v80=A)
    note(library, B, civitai={"version": 80})
    shared = look_at(library, USER, lora_of(library, A), "given")
    look_at(library, USER, lora_of(library, B), "given")
    lose(library, A)
    done = forget(library, notes, lora_of(library, A))
    assert done.pictures == []
    assert "remote_version" not in done.rows
    assert (done.rows["remote_match"], done.rows["remote_lookup"]) == (1, 1)
    with library.catalog.read() as conn:
        assert conn.execute(select(TABLES["picture"].c.key)).scalars().all() == [shared]
    assert library.lora(B.path).files[0].hashes["sha256"] == B.digests["sha256"]
    # Nobody else chose it: it goes with the next one.
    lose(library, B)
    assert forget(library, notes, lora_of(library, B)).rows["remote_version"] == 3


def test_a_lora_that_was_overwritten_is_forgotten_and_offered_no_more(
    library: Library, notes: NotesFolder
) -> None:
    library.scan(A)
    library.hash(A)
    note(library, A, rating=1)
    old = lora_of(library, A)
    library.scan(A.but(weights="new", mtime_ns=5))
    library.hash(A.but(weights="new", mtime_ns=5))
    forget(library, notes, old)
    assert library.lora(A.path).id != old
    with library.catalog.read() as conn:
        assert conn.execute(select(TABLES["lora"].c.replaces_id)).scalars().all() == [None]


def test_files_of_a_root_that_was_removed_are_gone(library: Library, notes: NotesFolder) -> None:
    library.scan(A)
    with library.catalog.write() as unit:
        remove_root(unit, library.root_id)
    assert forget(library, notes, lora_of(library, A)).rows["lora"] == 1


def test_what_was_noted_is_in_an_archive_first(library: Library, notes: NotesFolder) -> None:
    library.scan(A)
    library.hash(A)
    note(library, A, rating=3)
    note(library, A, rating=5, tags=["x"])
    lose(library, A)
    done = forget(library, notes, lora_of(library, A))
    assert done.archive is not None
    archive = Path(done.archive)
    assert archive.name == "forgotten-20231114T221320Z.zip"
    with zipfile.ZipFile(archive) as found:
        history = [json.loads(line) for line in found.read("history.jsonl").splitlines()]
    assert [(one["field"], one["old"], one["new"]) for one in (history[0], history[-1])] == [
        ("rating", 3, 5),
        ("rating", None, 3),
    ]
    with archive.open("rb") as file:
        assert import_notes(library.catalog, file).waiting == 1
    library.scan(A)
    library.hash(A)
    with library.catalog.read() as conn:
        fields = conn.execute(select(TABLES["curation"].c.field)).scalars().all()
    assert sorted(fields) == ["rating", "tags"]


def test_a_lora_of_which_nothing_was_noted_needs_no_archive(library: Library, notes: NotesFolder) -> None:
    library.scan(A, B)
    lose(library, A, B)
    note(library, B, rating=3)
    note(library, B, rating=None)
    assert forget(library, notes, lora_of(library, A)).archive is None
    assert forget(library, notes, lora_of(library, B)).archive is not None


@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_the_archive_stays_whatever_goes_wrong_once_they_are_forgotten(
    library: Library, notes: NotesFolder, fault: type[BaseException]
) -> None:
    library.scan(A)
    note(library, A, rating=3)
    lose(library, A)

    def fail(_keys: object) -> None:
        raise fault

    with pytest.raises(fault):
        forget_loras(library.catalog, notes, [lora_of(library, A)], remove_pictures=fail)
    assert left(library) == set()
    (archive,) = notes.folder.iterdir()
    with archive.open("rb") as file:
        assert import_notes(library.catalog, file).waiting == 1


def test_a_given_picture_that_is_not_in_the_archive_keeps_its_file(
    library: Library, notes: NotesFolder
) -> None:
    library.scan(A)
    keys = [look_at(library, USER, lora_of(library, A), name) for name in ("given", "unreadable")]
    lose(library, A)
    removed: list[str] = []
    done = forget_loras(library.catalog, notes, [lora_of(library, A)], remove_pictures=removed.extend)
    assert removed == done.pictures == keys[:1]


def test_no_archive_of_what_was_forgotten_takes_the_place_of_another(
    library: Library, notes: NotesFolder
) -> None:
    library.scan(A, B)
    lose(library, A, B)
    for model in (A, B):
        note(library, model, rating=3)
        forget(library, notes, lora_of(library, model))
    assert len(list(notes.folder.iterdir())) == 2


def named(table: Table, names: set[str]) -> list[str]:
    return [f"{table.name}.{column.name}" for column in table.columns if column.name in names]


def test_every_column_that_names_a_lora_or_a_file_says_so_to_the_database() -> None:
    """What is removed follows from the keys of the tables: a new one takes part by itself."""
    loose = {
        name
        for table in tables.METADATA.sorted_tables
        for name in named(table, {"lora_id", "file_id"})
        if not table.columns[name.partition(".")[2]].foreign_keys
    }
    assert loose == {"change.lora_id"}
