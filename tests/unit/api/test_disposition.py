"""Names under which files are saved."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.api.disposition import attachment


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a b.safetensors", "a b.safetensors", "a%20b.safetensors"),
        ("水墨.safetensors", "__.safetensors", "%E6%B0%B4%E5%A2%A8.safetensors"),
        ("水\u3000墨", "___", "%E6%B0%B4%E3%80%80%E5%A2%A8"),
        ('a "b".c', "a _b_.c", "a%20%22b%22.c"),
        ("a\nb\x00\x7f", "a_b__", "a_b__"),
        ("..\\..\\x/y", ".._.._x_y", ".._.._x_y"),
        ("gnp.\u202efdp", "gnp._fdp", "gnp._fdp"),
        ("50%;=*'", "50_;=*'", "50%25%3B%3D%2A%27"),
        ("half \ud800", "half _", "half%20_"),
    ],
)
def test_a_name_is_told_to_old_and_to_new_clients(name: str, old: str, new: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{old}\"; filename*=UTF-8''{new}"


@given(st.text(st.characters(exclude_categories=())))
def test_no_name_leaves_its_quotes_or_its_folder(name: str) -> None:
    told = attachment(name)
    assert told.isascii()
    assert told.isprintable()
    first, _, rest = told.removeprefix('attachment; filename="').partition('"')
    assert rest.startswith("; filename*=UTF-8''")
    saved = unquote(rest.removeprefix("; filename*=UTF-8''"))
    assert len(saved) == len(name) == len(first)
    assert not {"/", "\\", "\n", "\r", "\0"} & {*saved, *first}
