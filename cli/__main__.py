"""`python -m cli` is `loras`."""

from cli.main import run

run()
