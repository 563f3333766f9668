"""Log records on standard error: one line each, plain text, no passwords."""

from __future__ import annotations

import logging
import sys

from cli.plain import plain, redacted


class PlainFormatter(logging.Formatter):
    """Formats a record, its traceback too, as one line of plain text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return plain(redacted(super().format(record)))


class _ToStderr(logging.Handler):
    """Writes to what is standard error now, which a progress bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        sys.stderr.write(self.format(record) + "\n")


def log_to_stderr(level: int = logging.WARNING, *, times: bool = False) -> None:
    """Send records of this level and above to standard error, with `times` for programs that run for long."""
    handler = _ToStderr()
    handler.setFormatter(
        PlainFormatter("%(asctime)s %(levelname)s %(message)s" if times else "loras: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
