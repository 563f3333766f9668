"""Archives of notes against any bytes, and which of them are kept whatever days there are."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.curation import FIELDS, Noted, merged
from registry.errors import BadRequest
from registry.formats.packing import pack_json
from registry.notes.archive import LORAS, Archive, write_archive
from registry.notes.lines import Line, read_line, write_line
from registry.notes.manifest import Manifest
from registry.notes.rotation import DAILY, MONTHLY, WEEKLY, day_of, name_of, superseded

TEXTS = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
HASHES = st.sampled_from(["a" * 64, "B" * 64, "a", ""]) | JSON
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "root": TEXTS | JSON,
        "path": TEXTS | JSON,
        "quick_key": st.sampled_from(["00", "ff00", "0", "x"]) | JSON,
        "size": st.integers(-1, 9) | JSON,
    },
)
NOTED = st.fixed_dictionaries({}, optional={"value": JSON, "at": st.integers(-1, 9) | JSON, "actor": JSON})
LINES = st.fixed_dictionaries(
    {},
    optional={
        "data_sha256": HASHES,
        "sha256": st.lists(HASHES, max_size=3) | HASHES,
        "files": st.lists(PLACES, max_size=3) | JSON,
        "name": JSON,
        "fields": st.dictionaries(st.sampled_from([*FIELDS]) | TEXTS, NOTED | JSON, max_size=4) | JSON,
        "pictures": st.lists(HASHES, max_size=3) | JSON,
    },
)


def archive_of(*lines: bytes) -> bytes:
    file = io.BytesIO()
    write_archive(file, Manifest("c", 1), [(LORAS, lines)], [("a" * 64, b"picture")])
    return file.getvalue()


WHOLE = archive_of(*(b'{"n": %d}' % number for number in range(50)))


@given(LINES | JSON)
def test_any_json_is_a_line_or_says_why_it_is_none(told: Any) -> None:
    line, wrong = read_line(pack_json(told))
    assert all(isinstance(text, str) for text in wrong)
    if line is not None:
        again = write_line(line)
        assert read_line(again) == (line, [])
        assert write_line(line) == again


TAGS = st.lists(TEXTS, max_size=4) | st.builds(
    lambda word, count: [f"{word}{number}" for number in range(count)], TEXTS, st.integers(900, 1000)
)
GROUPS = st.lists(st.lists(TEXTS, max_size=3), max_size=3) | st.builds(
    lambda word, count: [[f"{word}{number}", "x" * 900] for number in range(count)],
    st.text("abc", max_size=2),
    st.integers(80, 100),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TAGS, GROUPS, st.integers(0, 9)), min_size=1, max_size=14))
def test_what_was_united_comes_back_as_it_was(parts: list[tuple[Any, Any, int]]) -> None:
    noted: dict[str, Noted] = {}
    for tags, groups, at in parts:
        told = {"tags": FIELDS["tags"].check(tags), "triggers": FIELDS["triggers"].check(groups)}
        noted = merged(noted, {name: Noted(value, at) for name, value in told.items() if value}).values
    line = Line("d" * 64, fields=noted)
    assert read_line(write_line(line)) == (line if noted else None, [])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_none(raw: bytes) -> None:
    line, wrong = read_line(raw)
    assert line is None
    assert wrong


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.data(),
)
def test_no_damage_of_an_archive_is_more_than_a_refusal(
    damage: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    raw = bytearray(WHOLE)
    for place, piece in damage:
        raw[place : place + len(piece)] = piece
    del raw[data.draw(st.integers(0, len(raw))) or len(raw) :]
    try:
        archive = Archive(io.BytesIO(bytes(raw)))
        for _ in archive.lines(LORAS):
            pass
        for name in archive.pictures():
            archive.picture(name)
    except BadRequest as refusal:
        assert str(refusal)  # noqa: PT017 - it may also be whole


DAYS = st.sets(
    st.dates(dt.date(1970, 1, 1), dt.date(2100, 1, 1)) | st.dates(dt.date(2026, 1, 1), dt.date(2026, 6, 1))
)


@given(DAYS, st.lists(TEXTS))
def test_rotation_keeps_the_newest_and_no_more_than_it_says(days: set[dt.date], others: list[str]) -> None:
    every = [name_of(day) for day in days]
    gone = superseded([*others, *every])
    kept = set(every) - set(gone)
    assert set(gone) <= set(every)
    assert kept >= {name_of(day) for day in sorted(days)[-DAILY:]}
    assert len(kept) == min(len(days), len(kept)) <= DAILY + WEEKLY + MONTHLY
    assert superseded(kept) == []
    assert gone == sorted(gone)


@settings(max_examples=30)
@given(st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1)), st.integers(500, 700))
def test_day_after_day_each_of_the_last_months_keeps_one(first: dt.date, count: int) -> None:
    kept: set[str] = set()
    for number in range(count):
        kept.add(name_of(first + dt.timedelta(days=number)))
        kept -= set(superseded(kept))
    last = first + dt.timedelta(days=count - 1)
    days = [day for name in kept if (day := day_of(name)) is not None]
    months = {last.year * 12 + last.month - day.year * 12 - day.month for day in days}
    assert months >= set(range(MONTHLY))
    ages = [(last - day).days for day in days]
    assert set(range(DAILY)) <= set(ages)
    for week in range(WEEKLY):
        assert any(7 * week <= age < 7 * week + 14 for age in ages)
