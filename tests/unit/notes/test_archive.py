"""The zip file around notes: what goes in comes out, and nobody's archive does harm."""

from __future__ import annotations

import io
import random
import zipfile
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadRequest
from registry.notes.archive import LORAS, MAX_LINE, MAX_PICTURES, MAX_TEXT, Archive, write_archive
from registry.notes.manifest import VERSION, Manifest, SavedLine, read_saved, write_manifest, write_saved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FACTS = Manifest("c1", 1_700_000_000_000)


def made(*lines: bytes, pictures: Mapping[str, bytes] | None = None) -> bytes:
    file = io.BytesIO()
    write_archive(file, FACTS, [(LORAS, lines)], sorted((pictures or {}).items()))
    return file.getvalue()


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file


def with_manifest(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Archive:
    return Archive(zipped({"manifest.json": write_manifest(FACTS), **entries}, method))


def test_what_is_written_is_read() -> None:
    archive = Archive(io.BytesIO(made(b"one", b"", b"two", pictures={"ab": b"png"})))
    assert list(archive.lines(LORAS)) == [(1, b"one"), (2, b""), (3, b"two")]
    assert [archive.picture(name) for name in archive.pictures()] == [b"png"]
    assert archive.manifest.counts == {"loras": 3, "pictures": 1}
    assert (archive.manifest.catalog, archive.manifest.made_at) == ("c1", FACTS.made_at)
    assert list(archive.lines("saved_searches.jsonl")) == []


def test_the_same_notes_make_the_same_bytes_and_others_another_content() -> None:
    assert made(b"one") == made(b"one")
    contents = {Archive(io.BytesIO(made(*lines))).manifest.content for lines in ([b"one"], [b"two"], [])}
    assert len(contents) == 3


def test_lines_are_taken_as_they_are_written() -> None:
    file = io.BytesIO()
    places = []

    def lines() -> Iterator[bytes]:
        for number in range(50):
            places.append(file.tell())
            yield random.Random(number).randbytes(10_000).hex().encode()

    write_archive(file, FACTS, [(LORAS, lines())])
    assert len(set(places)) > 10


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 100, made(b"x")[:-30]])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="no archive of notes"):
        Archive(io.BytesIO(data))


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{}", b"[]", b'{"format": "other", "version": 1}', b'{"format": "lora-registry notes"}'],
)
def test_a_zip_of_something_else_is_refused(manifest: bytes) -> None:
    with pytest.raises(BadRequest):
        Archive(zipped({"manifest.json": manifest}))
    with pytest.raises(BadRequest, match=r"no manifest\.json"):
        Archive(zipped({"x": b""}))


def test_a_newer_version_says_so() -> None:
    raw = write_manifest(Manifest("c", 1, version=VERSION + 1))
    assert Archive(zipped({"manifest.json": raw})).manifest.version == VERSION + 1


def test_a_line_that_is_too_long_is_passed_over() -> None:
    archive = with_manifest({LORAS: b"a\n" + b"x" * (MAX_LINE + 70_000) + b"\nb\n" + b"y" * (MAX_LINE + 1)})
    assert list(archive.lines(LORAS)) == [(1, b"a"), (2, None), (3, b"b"), (4, None)]


@pytest.mark.parametrize("piece", [b"\n", b"x"])
def test_a_bomb_ends_after_what_all_notes_may_have(piece: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("manifest.json", write_manifest(FACTS))
        with archive.open(LORAS, "w", force_zip64=True) as entry:
            for _ in range((MAX_TEXT >> 24) + 2):
                entry.write(piece * (1 << 24))
    sizes: list[int] = []
    with pytest.raises(BadRequest, match="longer than all notes"):
        sizes.extend(1 if line is None else len(line) + 1 for _, line in Archive(file).lines(LORAS))
    assert sum(sizes) <= MAX_TEXT


def test_lines_before_damage_are_given() -> None:
    lines = [str(number).encode() * 5 for number in range(200_000)]
    data = bytearray(made(*lines))
    place = len(data) // 2
    data[place : place + 200] = bytes(200)
    found: list[bytes | None] = []
    with pytest.raises(BadRequest, match="is damaged"):
        found.extend(line for _, line in Archive(io.BytesIO(bytes(data))).lines(LORAS))
    assert found[:1000] == lines[:1000]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_we_never_write_are_refused(method: int) -> None:
    with pytest.raises(BadRequest):
        with_manifest({LORAS: b"x" * 100}, method)


def test_nothing_is_written_that_is_not_read_again() -> None:
    pictures = {f"{number:064x}": b"" for number in range(MAX_PICTURES + 5)}
    archive = Archive(io.BytesIO(made(b"a", b"x" * MAX_LINE, b"y" * (MAX_LINE - 1), pictures=pictures)))
    assert [line and line[:1] for _, line in archive.lines(LORAS)] == [b"a", b"y"]
    assert list(archive.pictures()) == sorted(pictures)[:MAX_PICTURES]
    assert archive.manifest.counts == {"loras": 2, "pictures": MAX_PICTURES, "left_out": 6}


def test_pictures_have_plain_names_only() -> None:
    names = ["pictures/ok.png", "pictures/../x", "/pictures/a", "pictures/a/b", "pictures/", "pictures/.x"]
    assert list(with_manifest(dict.fromkeys(names, b"x")).pictures()) == ["ok.png"]


def test_a_list_of_entries_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadRequest, match="too long"):
        with_manifest({f"{number:0200}": b"" for number in range(20_000)})


def test_a_saved_search_is_a_name_and_a_query() -> None:
    assert read_saved(write_saved(SavedLine("a \ud800", "tag:x"))) == SavedLine("a \ud800", "tag:x")
    for raw in (b"{}", b"[]", b'{"name": 1, "query": "x"}', b"x"):
        with pytest.raises(ValueError, match="not"):
            read_saved(raw)
