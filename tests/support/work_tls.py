"""A Dask cluster that is reached with certificates, made as the documentation says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.work_cluster import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"
_RECIPE = re.compile(r"^```sh\n(openssl .*?)^```", re.DOTALL | re.MULTILINE)


def authority(folder: Path) -> Path:
    """Make an authority and what it signed in a new folder: `ca.pem`, `cert.pem` and `key.pem`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    recipe = _RECIPE.search(_PAGE.read_text(encoding="utf-8"))
    assert recipe is not None
    folder.mkdir()
    for line in recipe[1].splitlines():
        subprocess.run([openssl, *shlex.split(line)[1:]], cwd=folder, check=True, capture_output=True)
    return folder


def certificates(signed: Path, trusted: Path | None = None) -> str:
    """Return the setting for what one authority signed, with trust in another one or the same."""
    return f"{(trusted or signed) / 'ca.pem'},{signed / 'cert.pem'},{signed / 'key.pem'}"


class Guarded(Processes):
    """The processes of a cluster whose scheduler and workers show and ask for certificates."""

    def __init__(self, folder: Path, signed: Path) -> None:
        super().__init__(folder)
        self._signed = signed

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        files = {"--tls-ca-file": "ca.pem", "--tls-cert": "cert.pem", "--tls-key": "key.pem"}
        shown = [part for option, name in files.items() for part in (option, str(self._signed / name))]
        return super()._start(*arguments, "--protocol", "tls", *shown)


@contextmanager
def guarded_cluster(folder: Path, signed: Path) -> Iterator[Guarded]:
    """Run a scheduler and a worker with certificates for the length of the block."""
    found = Guarded(folder, signed)
    try:
        found.start_scheduler()
        found.start_workers(1)
        yield found
    finally:
        found.stop()
