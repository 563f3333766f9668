"""Serves a catalog with the real program in a process of its own, and waits for what it does."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.program import Outcome, command_of, environment_of, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_SECONDS = 60.0


def until(holds: Callable[[], bool], tell: Callable[[], object] = lambda: "it does not hold") -> None:
    """Wait until something holds; `tell` says what there is instead when that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.05)


@dataclass
class Served:
    """A catalog that is served at `url`; `settings` are those of its environment."""

    url: str
    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def loras(self, *arguments: str) -> Outcome:
        """Run the program beside the server on the same catalog; it must go well."""
        done = run(self.data, arguments, self.settings)
        assert done.code == 0, done.err
        return done

    def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Send one request."""
        return httpx.request(method, f"{self.url}/api/v1{path}", timeout=60, **body)

    def get(self, path: str) -> Any:
        """Return the JSON of a GET that goes well."""
        return self.ask("GET", path).raise_for_status().json()

    def names(self) -> list[str]:
        """Return the names of the loras that have a present file."""
        return sorted(lora["name"] for lora in self.get("/loras?limit=1000")["items"])

    def lists(self, *names: str) -> None:
        """Wait until these loras are listed and no others."""
        until(lambda: self.names() == sorted(names), self.names)

    def watching(self) -> dict[str, str]:
        """Return how each root is watched, by its id."""
        found = self.get("/status")["progress"]["watching"]
        return {root: how["state"] for root, how in found.items()}

    def watches(self, **roots: str) -> None:
        """Wait until roots are watched so, `root_1="polling"`, and no others."""
        wanted = {name.removeprefix("root_"): how for name, how in roots.items()}
        until(lambda: self.watching() == wanted, self.watching)


@contextmanager
def served(data: Path, *arguments: str, **settings: str) -> Iterator[Served]:
    """Run `loras serve` on a free port for the length of the block; it only rescans when it has to."""
    more = {"LORAS_RESCAN_MINUTES": "0", **settings}
    server = subprocess.Popen(
        command_of("serve", *arguments, "--port", "0"),
        env=environment_of(data, more),
        cwd=data.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        line = server.stdout.readline().decode()
        yield Served(next(word for word in line.split() if word.startswith("http://")), data, more)
    finally:
        server.terminate()
        server.communicate(timeout=60)
