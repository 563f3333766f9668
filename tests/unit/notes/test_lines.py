"""Lines of archives: what they keep, and what is told of those that cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.curation import Noted
from registry.curation_values import CivitaiChoice
from registry.notes.lines import Line, Place, read_line, write_line

DATA, WHOLE = "d" * 64, "f" * 64
PLACE = Place("loras", "style/墨\udcff.safetensors".encode("utf-8", "surrogateescape"), b"\x01" * 16, 7)
LINE = Line(
    DATA,
    (WHOLE,),
    (PLACE,),
    "ink",
    {
        "tags": Noted(("水墨", "b"), 5, "ann"),
        "rating": Noted(0, 6),
        "triggers": Noted((("ink", "wash"),), 7),
        "civitai": Noted(CivitaiChoice(3, 4), 8),
    },
    ("a" * 64,),
)


def told(**members: object) -> bytes:
    line = {"data_sha256": DATA, "fields": {"rating": {"value": 3, "at": 1, "actor": None}}}
    return json.dumps(line | members).encode()


def field(value: object, at: object = 1, name: str = "rating") -> bytes:
    return told(fields={name: {"value": value, "at": at}})


def test_a_line_keeps_all_that_it_says() -> None:
    raw = write_line(LINE)
    assert b"\n" not in raw
    assert read_line(raw) == (LINE, [])
    assert json.loads(raw)["fields"]["civitai"]["value"] == {"version": 3, "model": 4}


def test_equal_lines_are_equal_bytes_whatever_order_their_fields_had() -> None:
    other = Line(DATA, fields=dict(reversed([*LINE.fields.items()])))
    assert write_line(other) == write_line(Line(DATA, fields=LINE.fields))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"data_sha256": ' + b"9" * 5000 + b"}", "data_sha256 is no SHA-256"),
        (told(data_sha256=None), "does not say which lora"),
        (told(data_sha256="abc"), "data_sha256 is no SHA-256"),
        (told(data_sha256=None, sha256=["x"]), "sha256 is not a list"),
        (told(data_sha256=None, files=[{"root": "a", "path": "b"}]), "files is not a list"),
        (
            told(data_sha256=None, files=[{"root": "a", "path": "\ud800", "quick_key": "00", "size": 1}]),
            "files",
        ),
        (told(fields=None), "no fields"),
        (told(fields={"rating": 3}), "not an object"),
        (field(9), "rating is 9, not a whole number from 0 to 5"),
        (field(3, at="now"), "of no time"),
        (field(3, at=10**18), "of no time"),
        (field(3, at=-1), "of no time"),
        (field([["x"] * 101], name="triggers"), "triggers"),
    ],
)
def test_what_is_no_line_is_told(raw: bytes, text: str) -> None:
    line, wrong = read_line(raw)
    assert line is None
    assert text in "; ".join(wrong)


def test_a_list_that_was_united_is_kept_and_one_that_is_too_long_for_that_is_cut() -> None:
    for count in (120, 1000, 1001):
        line, wrong = read_line(field([[f"w{number}"] for number in range(count)], name="triggers"))
        assert line is not None
        assert len(line.fields["triggers"].value) == min(count, 1000)  # type: ignore[arg-type] # a tuple
        assert wrong == (
            [] if count <= 1000 else ["triggers is too long a list: only its first items are taken"]
        )


def test_what_can_be_used_of_a_line_is() -> None:
    fields: dict[str, Any] = {
        "rating": {"value": 3, "at": 1, "actor": 5},
        "mood": {"value": 1, "at": 1},
        "weight": {"value": 99, "at": 1},
        "note": {"value": "  ", "at": 1},
    }
    line, wrong = read_line(told(fields=fields, sha256=[WHOLE.upper(), "x"], added_later=1))
    assert line == Line(DATA, (WHOLE,), fields={"rating": Noted(3, 1)})
    assert [text.partition(",")[0] for text in wrong] == [
        "'added_later' is not known",
        "sha256 is not a list of up to 100 SHA-256",
        "there is no field 'mood'",
        "weight is 99",
    ]
