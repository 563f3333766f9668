"""Notes go out into an archive and in again, to the right loras, today or when these appear."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from registry.catalog import tables
from registry.catalog.curation import curation_of, edit
from registry.catalog.curation_history import history_of, undo
from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.catalog.notes import require_room
from registry.catalog.notes_waiting import count_waiting
from registry.catalog.picture_rows import USER, Looked, Tie, write_looked
from registry.catalog.saved import list_saved, put_saved
from registry.curation import Curation, read_changes
from registry.errors import BadPicture, BadRequest, CatalogError, Conflict
from registry.notekeeping import NotesFolder
from registry.notes.archive import MAX_LINE, MAX_PICTURES, Archive, write_archive
from registry.notes.manifest import Manifest
from registry.noting import Imported, export_notes, import_notes, write_notes
from registry.views import PictureKept
from tests.support.library import Library, Model, open_library

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.library import Clock

A = Model("a.safetensors", weights="one")
B = Model("style/墨.safetensors", weights="two")
RAW = Model(b"bad\xff.safetensors".decode("utf-8", "surrogateescape"), weights="three")
HTML = Model("page.safetensors", readable=False, weights="html")
DAY = 86_400_000
PICTURE = b"a picture of ours"
KEY = hashlib.sha256(PICTURE).hexdigest()
PICTURE_KEYS = "{:064x}"


@pytest.fixture
def other(tmp_path: Path, clock: Clock) -> Iterator[Library]:
    """Another catalog, with a root of the same label."""
    catalog = Catalog(f"sqlite:///{(tmp_path / 'other.sqlite3').as_posix()}", clock=clock)
    with closing(catalog):
        ensure_schema(catalog, backups=None, allow_upgrade=False)
        yield open_library(catalog)


def lora_of(library: Library, model: Model) -> int:
    return library.lora(model.path).id


def note(library: Library, model: Model, *, actor: str | None = None, **told: object) -> None:
    with library.catalog.write(actor=actor) as unit:
        edit(unit, [lora_of(library, model)], read_changes(told))


def noted(library: Library, model: Model) -> Curation:
    lora_id = lora_of(library, model)
    with library.catalog.read() as conn:
        return curation_of(conn, [lora_id]).get(lora_id, Curation())


def exported(library: Library, lora_ids: Sequence[int] | None = None) -> io.BytesIO:
    file = io.BytesIO()
    write_notes(library.catalog, file, lora_ids=lora_ids)
    return file


def taken(library: Library, file: io.BytesIO, **more: Any) -> Imported:
    return import_notes(library.catalog, file, **more)


def archive(*lines: object, saved: Sequence[object] = ()) -> io.BytesIO:
    file = io.BytesIO()
    entries = [
        (name, [line if isinstance(line, bytes) else json.dumps(line).encode() for line in some])
        for name, some in (("loras.jsonl", lines), ("saved_searches.jsonl", saved))
    ]
    write_archive(file, Manifest("c", 1), entries)
    return file


def line(rating: int = 3, **keys: object) -> dict[str, object]:
    return {**keys, "fields": {"rating": {"value": rating, "at": 5, "actor": None}}}


def place(model: Model, **other: object) -> dict[str, object]:
    key = model.facts.quick_key
    assert key is not None
    return {
        "root": "models",
        "path": model.path,
        "quick_key": key.hex(),
        "size": model.stat.size,
        **other,
    }


def waiting(library: Library) -> int:
    with library.catalog.read() as conn:
        return count_waiting(conn)


def lines_of(file: io.BytesIO, name: str = "loras.jsonl") -> list[dict[str, Any]]:
    with zipfile.ZipFile(file) as found:
        return [json.loads(one) for one in found.read(name).splitlines()]


# Out and in


def test_all_that_is_noted_goes_to_another_catalog(library: Library, other: Library) -> None:
    library.scan(A, B, RAW, HTML)
    library.hash(A, HTML)
    told: dict[str, object] = {
        "note": "fine\nvery",
        "tags": ["水墨", "b"],
        "triggers": [["ink", "wash"]],
        "rating": 0,
        "favorite": False,
        "weight": 0.7,
        "kind": "lora",
        "civitai": {"unlinked": True},
    }
    for model in (A, B, RAW, HTML):
        note(library, model, actor="ann", **told)
    other.scan(A.but(path="else/where.safetensors"), B, RAW, HTML.but(path="x.safetensors"))
    other.hash(A.but(path="else/where.safetensors"), HTML.but(path="x.safetensors"))
    done = taken(other, exported(library))
    assert (done.lines, done.matched, done.changed, done.waiting, done.problems) == (4, 4, 4, 0, [])
    for model in (A.but(path="else/where.safetensors"), B, RAW, HTML.but(path="x.safetensors")):
        assert noted(other, model) == noted(library, A)
    assert [one["fields"] for one in lines_of(exported(other))] == [
        one["fields"] for one in lines_of(exported(library))
    ]


def test_importing_twice_changes_nothing(library: Library, other: Library) -> None:
    library.scan(A, B)
    library.hash(A)
    note(library, A, rating=4, tags=["x"])
    note(library, B, rating=2)
    other.scan(A)
    other.hash(A)
    note(other, A, rating=1, tags=["y"])
    file = exported(library)
    taken(other, file)
    since = other.generation()
    again = taken(other, file)
    assert (again.matched, again.changed, again.conflicts, again.waiting) == (1, 0, 0, 1)
    assert other.generation() == since
    assert waiting(other) == 1


def test_the_newer_value_stays_and_the_other_one_can_be_brought_back(
    library: Library, other: Library, clock: Clock
) -> None:
    for each in (library, other):
        each.scan(A)
        each.hash(A)
    note(other, A, rating=1, tags=["mine"])
    clock.tick()
    note(library, A, rating=5, tags=["theirs"])
    done = taken(other, exported(library), actor="cli")
    assert (done.changed, done.conflicts) == (1, 1)
    assert noted(other, A) == Curation(rating=5, tags=("mine", "theirs"))
    lora_id = lora_of(other, A)
    with other.catalog.read() as conn:
        (conflict, *_) = history_of(conn, lora_id)
    assert (conflict.kind, conflict.old, conflict.new, conflict.actor) == ("conflict", 1, 5, "cli")
    with other.catalog.write() as unit:
        undo(unit, lora_id=lora_id)
    assert noted(other, A).rating == 1


def test_a_dry_run_tells_the_same_and_leaves_nothing(library: Library, other: Library) -> None:
    library.scan(A, B)
    library.hash(A, B)
    note(library, A, rating=4)
    note(library, B, rating=3)
    with library.catalog.write() as unit:
        put_saved(unit, "mine", "tag:x")
    other.scan(A)
    other.hash(A)
    since, file = other.generation(), exported(library)
    told = taken(other, file, dry_run=True)
    assert (other.generation(), waiting(other), noted(other, A)) == (since, 0, Curation())
    assert told == taken(other, file)
    assert (told.matched, told.changed, told.waiting, told.saved_searches) == (1, 1, 1, 1)


def test_archives_of_the_same_notes_are_the_same_bytes(library: Library) -> None:
    library.scan(A, B, RAW, HTML)
    library.hash(B, A)
    for model in (RAW, B, HTML, A):
        note(library, model, rating=1)
    assert exported(library).getvalue() == exported(library).getvalue()
    keys = [one.get("data_sha256", one["files"][0]["path"]) for one in lines_of(exported(library))]
    assert len(keys) == 4


def test_of_some_loras_alone_there_is_nothing_else_in_it(library: Library) -> None:
    library.scan(A, B)
    note(library, A, rating=1)
    note(library, B, rating=1)
    taken(library, archive(line(data_sha256="e" * 64), saved=[{"name": "x", "query": "y"}]))
    file = exported(library, [lora_of(library, A)])
    assert [one["name"] for one in lines_of(file)] == ["a"]
    with zipfile.ZipFile(file) as found:
        assert found.namelist() == ["loras.jsonl", "manifest.json"]


# Which lora


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"data_sha256": A.digests["data_sha256"]}, True),
        ({"data_sha256": A.digests["data_sha256"].upper(), "sha256": ["0" * 64]}, True),
        ({"sha256": ["0" * 64, A.digests["sha256"]]}, True),
        ({"data_sha256": "0" * 64, "files": [place(A)]}, False),
        ({"sha256": ["0" * 64], "files": [place(A)]}, False),
        ({"files": [place(A, path="none"), place(A)]}, True),
        ({"files": [place(A, quick_key="00" * 16)]}, False),
        ({"files": [place(A, root="elsewhere")]}, False),
        ({"files": [place(A, size=1)]}, False),
        ({"files": [place(A, path="../a.safetensors")]}, False),
    ],
)
def test_the_strongest_key_decides(library: Library, keys: dict[str, Any], found: bool) -> None:  # noqa: FBT001
    library.scan(A)
    library.hash(A)
    done = taken(library, archive(line(**keys)))
    assert (done.matched, done.waiting) == (int(found), int(not found))
    assert noted(library, A).rating == (3 if found else None)


def test_a_file_that_is_not_hashed_yet_is_known_by_its_place_to_a_line_with_a_hash(library: Library) -> None:
    library.scan(A)
    assert taken(library, archive(line(data_sha256="0" * 64, files=[place(A)]))).matched == 1


def test_two_lines_of_one_lora_are_united(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    data, whole = A.digests["data_sha256"], A.digests["sha256"]
    done = taken(
        library, archive(line(1, data_sha256=data), line(2, sha256=[whole]), line(2, files=[place(A)]))
    )
    assert (done.matched, done.changed, done.conflicts) == (3, 1, 1)
    assert noted(library, A).rating == 1


# Waiting


@pytest.mark.parametrize(
    "keys",
    [{"data_sha256": A.digests["data_sha256"]}, {"sha256": [A.digests["sha256"]]}, {"files": [place(A)]}],
)
def test_notes_wait_for_their_lora_until_it_is_hashed(library: Library, keys: dict[str, Any]) -> None:
    library.scan(B)
    assert taken(library, archive(line(**keys))).waiting == 1
    library.hash(B)
    library.scan(A)
    assert (waiting(library), noted(library, A)) == (1, Curation())
    library.hash(A)
    assert (waiting(library), noted(library, A).rating, noted(library, B).rating) == (0, 3, None)


def test_a_place_without_a_hash_waits_for_the_very_file(library: Library) -> None:
    taken(library, archive(line(files=[place(A, path="elsewhere.safetensors")])))
    library.scan(A)
    library.hash(A)
    assert (waiting(library), noted(library, A)) == (1, Curation())


def test_what_waits_is_told_to_the_next_catalog_too(library: Library, other: Library) -> None:
    taken(library, archive(line(data_sha256=A.digests["data_sha256"])))
    other.scan(A)
    other.hash(A)
    assert taken(other, exported(library)).matched == 1
    assert noted(other, A).rating == 3


def test_all_that_waits_for_one_lora_is_united(library: Library) -> None:
    data = A.digests["data_sha256"]
    taken(library, archive(line(1, data_sha256=data), line(2, data_sha256=data, name="x")))
    library.scan(A)
    library.hash(A)
    with library.catalog.read() as conn:
        kinds = [one.kind for one in history_of(conn, lora_of(library, A))]
    assert kinds == ["conflict", "import"]


# Strangers


def test_what_cannot_be_used_is_told_and_the_rest_is_taken(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    data = A.digests["data_sha256"]
    lines = [b"{", b"", b"x" * (9 << 20), {"fields": {}}, line(9, data_sha256=data), line(data_sha256=data)]
    saved: list[object] = [b"no", {"name": "\x00", "query": "x"}, {"name": "ok", "query": "x"}]
    done = taken(library, archive(*lines, saved=saved))
    assert [text.partition(":")[0] for text in done.problems] == [
        *(f"line {number} of loras.jsonl" for number in (1, 3, 4, 5)),
        *(f"line {number} of saved_searches.jsonl" for number in (1, 2)),
    ]
    assert (done.problem_count, done.matched, done.saved_searches) == (6, 1, 1)
    assert noted(library, A).rating == 3


def test_no_more_than_a_thousand_problems_are_told(library: Library) -> None:
    done = taken(library, archive(*[b"{"] * 1200))
    assert (len(done.problems), done.problem_count) == (1000, 1200)


def test_a_newer_archive_says_so_and_is_taken(library: Library) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", b'{"format": "lora-registry notes", "version": 2}')
        made.writestr("loras.jsonl", json.dumps(line(data_sha256="0" * 64)))
    done = taken(library, file)
    assert done.waiting == 1
    assert "newer version" in done.problems[0]


def test_what_is_no_archive_is_refused(library: Library) -> None:
    with pytest.raises(BadRequest):
        taken(library, io.BytesIO(b"nothing"))


# Saved searches


def test_saved_searches_of_one_name_get_numbers(library: Library) -> None:
    with library.catalog.write() as unit:
        put_saved(unit, "Mine", "one")
    file = archive(
        saved=[
            {"name": "mine", "query": "one"},
            {"name": "mine", "query": "two"},
            {"name": "mine", "query": "three"},
            {"name": "x" * 100, "query": "a"},
            {"name": "x" * 100, "query": "b"},
        ]
    )
    assert [taken(library, file).saved_searches for _ in range(2)] == [4, 0]
    with library.catalog.read() as conn:
        found = {one.name: one.query for one in list_saved(conn)}
    assert found == {
        "Mine": "one",
        "mine (2)": "two",
        "mine (3)": "three",
        "x" * 100: "a",
        "x" * 96 + " (2)": "b",
    }


def test_no_more_are_saved_than_can_be_and_that_is_told_once(library: Library) -> None:
    saved = [{"name": "m", "query": str(number)} for number in range(3000)]
    told = taken(library, archive(saved=saved), dry_run=True)
    done = taken(library, archive(saved=saved))
    assert (done.saved_searches, told) == (1000, done)
    assert done.problems == [
        "line 1,001 of saved_searches.jsonl and those after it: there are 1,000 saved searches already"
    ]


# Times


def test_a_note_from_the_future_does_not_win_over_later_ones(library: Library, clock: Clock) -> None:
    ahead = {"fields": {"rating": {"value": 1, "at": clock.now + DAY, "actor": None}}}
    library.scan(A)
    library.hash(A)
    lines = [{**ahead, "data_sha256": model.digests["data_sha256"]} for model in (A, B)]
    assert taken(library, archive(*lines)).matched == 1
    clock.tick()
    library.scan(B)
    for model in (A, B):
        note(library, model, rating=2)
    library.hash(B)
    again = {"fields": {"rating": {"value": 3, "at": clock.now - 1, "actor": None}}}
    taken(library, archive(*({**one, **again} for one in lines)))
    assert (noted(library, A).rating, noted(library, B).rating) == (2, 2)


# Pictures


@dataclass
class Shelf:
    """Takes pictures as they are imported."""

    got: list[tuple[str, bytes, list[int]]] = field(default_factory=list)

    def take(self, key: str, data: bytes, lora_ids: Sequence[int]) -> None:
        if data == b"broken":
            raise BadPicture("that is no picture")
        self.got.append((key, data, list(lora_ids)))


def give(library: Library, model: Model, key: str = KEY) -> None:
    kept = PictureKept(key, "image/png", 1, 1, len(PICTURE), 3, original=True)
    with library.catalog.write() as unit:
        write_looked(unit, [Looked(Tie(USER, lora_of(library, model), key.encode()), kept)])


def test_pictures_that_were_given_go_along_also_after_a_merge(library: Library, other: Library) -> None:
    library.scan(A, A.but(path="twin.safetensors"))
    library.hash(A)
    give(library, A.but(path="twin.safetensors"))
    library.hash(A.but(path="twin.safetensors"))
    other.scan(A)
    other.hash(A)
    file, shelf = io.BytesIO(), Shelf()
    write_notes(library.catalog, file, original={KEY: PICTURE}.get)
    assert Archive(file).manifest.counts == {"loras": 1, "saved_searches": 0, "pictures": 1}
    assert taken(other, file, take_picture=shelf.take, dry_run=True).pictures == 1
    assert shelf.got == []
    done = taken(other, file, take_picture=shelf.take)
    assert (done.pictures, done.problems) == (1, [])
    assert shelf.got == [(KEY, PICTURE, [lora_of(other, A)])]
    assert "left out" in taken(other, file).problems[0]


def test_pictures_come_in_the_order_in_which_they_were_given(
    library: Library, other: Library, clock: Clock
) -> None:
    library.scan(A)
    library.hash(A)
    names = [hashlib.sha256(bytes([number])).hexdigest() for number in range(130)]
    pictures = {key: bytes([number]) for number, key in enumerate(names)}
    for key in names:
        clock.tick()
        give(library, A, key)
    other.scan(A)
    other.hash(A)
    file, shelf = io.BytesIO(), Shelf()
    write_notes(library.catalog, file, original=pictures.get)
    assert taken(other, file, take_picture=shelf.take).problems == []
    assert [key for key, _, _ in shelf.got] == names
    lora_id = lora_of(library, A)
    with library.catalog.read() as conn:
        require_room(conn, lora_id, names[0])
        with pytest.raises(Conflict, match="100 pictures were given"):
            require_room(conn, lora_id, "0" * 64)


def test_what_did_not_fit_when_it_was_written_is_told(library: Library) -> None:
    file = io.BytesIO()
    write_archive(file, Manifest("c", 1), [("loras.jsonl", [b"x" * MAX_LINE])])
    assert taken(library, file).problems == ["1 lines and pictures did not fit into it when it was written"]


def test_of_too_many_pictures_the_first_are_taken(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    keys = [PICTURE_KEYS.format(number) for number in range(MAX_PICTURES + 1)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", b'{"format": "lora-registry notes", "version": 1}')
        made.writestr(
            "loras.jsonl", json.dumps({**line(data_sha256=A.digests["data_sha256"]), "pictures": [KEY]})
        )
        for key, data in [(KEY, PICTURE), *((key, b"") for key in keys)]:
            made.writestr(f"pictures/{key}", data)
    shelf = Shelf()
    done = taken(library, file, take_picture=shelf.take)
    assert [key for key, _, _ in shelf.got] == [KEY]
    assert "more than 20,000 pictures" in done.problems[0]


def test_a_picture_is_what_its_name_says_and_of_a_lora_that_is_here(library: Library) -> None:
    library.scan(A)
    library.hash(A)
    broken = hashlib.sha256(b"broken").hexdigest()
    lines = [
        {**line(data_sha256=A.digests["data_sha256"]), "pictures": [KEY, broken]},
        {**line(data_sha256="0" * 64), "pictures": ["1" * 64]},
    ]
    pictures = {KEY: b"another", broken: b"broken", "1" * 64: b"x", "2" * 64: b"y"}
    file = io.BytesIO()
    entries = [("loras.jsonl", [json.dumps(one).encode() for one in lines])]
    write_archive(file, Manifest("c", 1), entries, sorted(pictures.items()))
    done = taken(library, file, take_picture=Shelf().take)
    assert done.pictures == 0
    assert sorted(text.partition(":")[2].strip() for text in done.problems[1:]) == [
        "other bytes than its name says",
        "that is no picture",
    ]
    assert done.problems[0].startswith("2 pictures are of no lora that is here")


# Files


def test_an_archive_is_there_as_a_whole_or_not_at_all(library: Library, tmp_path: Path) -> None:
    target = tmp_path / "out" / "notes.zip"
    with pytest.raises(CatalogError, match="could not be written"):
        export_notes(library.catalog, target)
    target.parent.mkdir()

    def fail(_key: str) -> bytes | None:
        raise CatalogError("away")

    library.scan(A)
    note(library, A, rating=1)
    export_notes(library.catalog, target)
    before = target.read_bytes()
    give(library, A)
    with pytest.raises(CatalogError, match="away"):
        export_notes(library.catalog, target, original=fail)
    assert [(path, path.read_bytes()) for path in target.parent.iterdir()] == [(target, before)]
    assert target.stat().st_mode & 0o077 == 0


def test_no_file_of_somebody_else_is_written_over(library: Library, tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"weights")
    for path in (target, tmp_path):
        with pytest.raises(Conflict):
            export_notes(library.catalog, path)
    assert target.read_bytes() == b"weights"


# Day by day


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_day_without_news_has_no_archive(library: Library, tmp_path: Path, clock: Clock) -> None:
    notes = NotesFolder(library.catalog, tmp_path / "notes")
    assert notes.keep() is None
    library.scan(A)
    note(library, A, rating=1)
    assert notes.keep() is None  # it looked today already
    made = []
    for rating in (1, 1, 2, 2, 2):
        clock.tick(DAY)
        note(library, A, rating=rating)
        made.append(notes.keep())
        assert notes.keep() is None
    names = ["notes-2023-11-15.zip", None, "notes-2023-11-17.zip", None, None]
    assert [path and path.name for path in made] == names
    assert kept(notes.folder) == ["notes-2023-11-15.zip", "notes-2023-11-17.zip"]


def test_an_archive_of_today_that_is_there_is_enough_unless_it_is_asked_for(
    library: Library, tmp_path: Path
) -> None:
    library.scan(A)
    note(library, A, rating=1)
    first, _ = NotesFolder(library.catalog, tmp_path / "notes").write()
    note(library, A, rating=2)
    assert NotesFolder(library.catalog, tmp_path / "notes").keep() is None
    again, manifest = NotesFolder(library.catalog, tmp_path / "notes").write()
    assert (again, manifest.counts["loras"]) == (first, 1)
    assert lines_of(io.BytesIO(again.read_bytes()))[0]["fields"]["rating"]["value"] == 2


def test_old_archives_are_thinned_out_and_other_files_stay(
    library: Library, tmp_path: Path, clock: Clock
) -> None:
    notes = NotesFolder(library.catalog, tmp_path / "notes")
    notes.folder.mkdir()
    (notes.folder / "mine.zip").write_bytes(b"x")
    library.scan(A)
    for number in range(60):
        clock.tick(DAY)
        note(library, A, note=str(number))
        assert notes.keep() is not None
    names = kept(notes.folder)
    assert names[0] == "mine.zip"
    assert 12 < len(names) < 18


def test_a_damaged_archive_of_yesterday_is_no_reason_to_stop(
    library: Library, tmp_path: Path, clock: Clock
) -> None:
    notes = NotesFolder(library.catalog, tmp_path / "notes")
    library.scan(A)
    note(library, A, rating=1)
    made = notes.keep()
    assert made is not None
    made.write_bytes(b"damaged")
    clock.tick(DAY)
    assert notes.keep() is not None


def test_a_folder_that_cannot_be_made_is_told_and_tried_again(library: Library, tmp_path: Path) -> None:
    library.scan(A)
    note(library, A, rating=1)
    (tmp_path / "notes").write_text("in the way")
    notes = NotesFolder(library.catalog, tmp_path / "notes")
    for _ in range(2):
        with pytest.raises(CatalogError, match="cannot be made"):
            notes.keep()
    (tmp_path / "notes").unlink()
    assert notes.keep() is not None


class Unlistable(type(Path())):  # type: ignore[misc] # what makes a path is the platform's
    """A folder that can be written to and not be listed, also by who may do all."""

    def iterdir(self) -> Iterator[Path]:
        """Refuse."""
        raise PermissionError(13, "Permission denied")


def test_a_folder_that_cannot_be_listed_is_told(library: Library, tmp_path: Path) -> None:
    library.scan(A)
    note(library, A, rating=1)
    notes = NotesFolder(library.catalog, Unlistable(tmp_path / "notes"))
    for ask in (notes.keep, notes.write):
        with pytest.raises(CatalogError, match="cannot be listed: Permission denied"):
            ask()


def test_a_catalog_has_one_name(library: Library) -> None:
    names = {Archive(exported(library)).manifest.catalog for _ in range(2)}
    with library.catalog.write() as unit:
        unit.conn.execute(delete(tables.TABLES["setting"]))
    assert len(names | {Archive(exported(library)).manifest.catalog}) == 2
