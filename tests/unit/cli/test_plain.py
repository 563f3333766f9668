from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.plain import plain, plain_lines, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ink style v2", "ink style v2"),
        ("水墨 🎨 naïve", "水墨 🎨 naïve"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("\u2066x\u2069\u200f", "\\u2066x\\u2069\\u200f"),
        ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
        ("bad\udcff\udc80", "bad\\xff\\x80"),
        ("half\ud83d", "half\\ud83d"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\x00", "\\x00"),
    ],
)
def test_only_plain_text_comes_through(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters(), max_size=40))
def test_any_text_becomes_one_line_that_can_be_encoded(text: str) -> None:
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    shown.encode()


def test_lines_stay_lines_where_they_may() -> None:
    assert plain_lines("one\ntwo\x1b\n") == "one\ntwo\\x1b\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:geheim@host/db", "postgresql://me:***@host/db"),
        ("cannot open 'postgresql+psycopg://me:p@ss:word/x@host:1/db'!", None),
        ("postgresql://:geheim@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=a&password=geheim&sslmode=x", None),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://127.0.0.1:8567/docs", "http://127.0.0.1:8567/docs"),
    ],
)
def test_passwords_of_urls_are_not_shown(text: str, shown: str | None) -> None:
    result = redacted(text)
    assert shown is None or result == shown
    for secret in ("geheim", "p@ss", "word/x"):
        assert secret not in result
    assert "host" in result or "8567" in result
