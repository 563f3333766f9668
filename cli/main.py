"""The entry point. Child processes import this module again, so it imports nothing by itself."""

from __future__ import annotations

import sys


def run() -> None:
    """Run `loras` with the arguments of this process and exit with its code."""
    try:
        from cli.program import main  # noqa: PLC0415 - see above

        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
