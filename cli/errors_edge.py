"""The one place where errors become words and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from cli.output import Column, table, to_json
from cli.plain import plain, plain_lines, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.errors import RegistryError


def report_error(error: RegistryError, *, json: bool) -> int:
    """Say on standard error what went wrong and what to do about it; return the exit code."""
    candidates: Sequence[Mapping[str, object]] = getattr(error, "candidates", ())
    say_error(error.slug, str(error), error.remedy, candidates, json=json)
    return error.exit_code


def say_error(
    slug: str, detail: str, remedy: str = "", candidates: Sequence[Mapping[str, object]] = (), *, json: bool
) -> None:
    """Write one error: what, what it may mean if ambiguous, what to do about it; or one JSON object."""
    detail, remedy = redacted(detail), redacted(remedy)
    if json:
        body = {"error": slug, "detail": detail, "remedy": remedy, "candidates": list(candidates)}
        sys.stderr.write(to_json(body).decode() + "\n")
        return
    sys.stderr.write(f"loras: {plain(detail)}\n")
    if candidates:
        names = list(candidates[0])
        table(
            [Column(name.upper(), number=name == "id") for name in names],
            [[candidate.get(name) for name in names] for candidate in candidates],
            file=sys.stderr,
        )
    if remedy:
        sys.stderr.write(f"  {plain(remedy)}\n")


def report_bug(error: Exception) -> int:
    """Show the traceback of an error that should not happen, as plain text and without passwords."""
    text = "".join(traceback.format_exception(error))
    sys.stderr.write(plain_lines(redacted(text)).rstrip("\n") + "\n")
    sys.stderr.write("loras: this should not happen; please report it with the lines above\n")
    return 1


def ready_streams() -> None:
    """Make the standard streams take any text: what a terminal's encoding lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_stdout() -> None:
    """Drop what could not be written, so that the interpreter does not complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
