"""The web application over a test catalog: asked in this process, or served on a real port."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from registry.api.application import create_app
from registry.api.context import Context
from registry.api.feed import Feed
from registry.api.server import Server
from registry.catalog.roots import add_root, mount_root, remove_root
from registry.catalog.tokens import create_token
from registry.config import Settings
from registry.errors import Conflict
from tests.support.catalogs import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fastapi import FastAPI

    from tests.support.catalogs import Builder

LOCAL = ("127.0.0.1", 50000)
REMOTE = ("192.0.2.7", 50000)


@dataclass
class Actions:
    """What the program around the API would do, written down instead."""

    builder: Builder
    asked: list[tuple[object, ...]] = field(default_factory=list)
    busy: bool = False

    def scan(self, roots: Sequence[int] | None, actor: str | None) -> list[int]:
        if self.busy:
            raise Conflict("scan 1 is running already", remedy="wait for it")
        self.asked.append(("scan", roots, actor))
        return [7]

    def add_root(self, path: str, options: Mapping[str, object], actor: str | None) -> int:
        self.asked.append(("add", path, dict(options), actor))
        with self.builder.catalog.write(actor=actor) as unit:
            return add_root(unit, MACHINE, path, **options)[0]

    def remove_root(self, root_id: int, actor: str | None) -> None:
        with self.builder.catalog.write(actor=actor) as unit:
            remove_root(unit, root_id)

    def relocate_root(self, root_id: int, path: str, actor: str | None) -> None:
        with self.builder.catalog.write(actor=actor) as unit:
            mount_root(unit, root_id, MACHINE, path)

    def rescan_and_wait(self, actor: str | None) -> None:
        self.asked.append(("rescan", actor))
        self.builder.write()

    @staticmethod
    def progress() -> dict[str, object]:
        return {"scan": [], "hashing": {"files": 0}}


@dataclass
class Service:
    """An application and what it was made from."""

    app: FastAPI
    feed: Feed
    actions: Actions
    builder: Builder

    @contextmanager
    def client(self, peer: tuple[str, int] = LOCAL, **headers: str) -> Iterator[Asker]:
        """Ask from an address, with headers on every request."""
        yield Asker(self.app, peer, headers)

    def token(self, name: str, role: str) -> str:
        """Make a token and return its secret."""
        with self.builder.catalog.write() as unit:
            return create_token(unit, name, role)
