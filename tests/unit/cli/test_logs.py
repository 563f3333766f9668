from __future__ import annotations

import logging

from cli.logs import PlainFormatter


def _record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("registry", logging.WARNING, "x.py", 1, message, arguments, info)


def test_a_record_is_one_line_of_plain_text() -> None:
    line = PlainFormatter("%(message)s").format(_record("file %s", "a\n2026 ERROR forged \x1b[31m"))
    assert line == "file a\\n2026 ERROR forged \\x1b[31m"


def test_a_traceback_stays_on_the_line_and_keeps_no_password() -> None:
    try:
        int("postgresql://me:geheim@host/db")
    except ValueError as caught:
        line = PlainFormatter("%(message)s").format(_record("failed", error=caught))
    assert len(line.splitlines()) == 1
    assert "Traceback" in line
    assert "me:***@host" in line
