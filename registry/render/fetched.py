"""Files of loras on a machine that draws for another one: fetched from there, and kept while they fit."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.errors import BadRequest, FileChanged, NotFound, OutboundError, UnwritableFile
from registry.net import Asked, Door, Purpose

if TYPE_CHECKING:
    from pathlib import Path

    from registry.render.batch import LoraAsk

_MOST: Final = 8 << 30
_SECONDS: Final = 60.0
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Fetched:
    """Files in a folder that together take at most `limit` bytes, the least recently used removed first.

    For several threads; several processes may share the folder.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._turn = threading.Lock()

    def fetch(self, ask: LoraAsk) -> Path:
        """Return the file of a lora, fetched from its address unless it is here.

        Raises NotFound without an address, OutboundError where nothing comes, FileChanged for a file other
        than the one that was asked for, UnwritableFile.
        """
        path = self._folder / _name(ask)
        with self._turn:
            return self._fetched(ask, path)

    def _fetched(self, ask: LoraAsk, path: Path) -> Path:
        try:
            if path.is_file() and ask.size in {0, path.stat().st_size}:
                os.utime(path)
                return path
            self._folder.mkdir(parents=True, exist_ok=True)
            body = self._body(ask)
            _write(path, body)
            self._make_room(path)
        except OSError as error:
            raise UnwritableFile(f"{ask.name} cannot be kept in {self._folder}: {error}") from error
        return path

    def _body(self, ask: LoraAsk) -> bytes:
        if ask.url is None:
            raise NotFound(f"no file of {ask.name} is on this machine, and nobody said where it is")
        host = urlsplit(ask.url).hostname or ""
        purpose = Purpose("fetching loras", "pictures of them are drawn here", frozenset({host}))
        # Whoever handed out the batch named the host, which mostly lies in the same network.
        door = Door(own_hosts={host}, seconds=_SECONDS)
        try:
            reply = door.ask(purpose, Asked("GET", ask.url, most=ask.size or _MOST))
        finally:
            door.close()
        if reply.status != 200:
            raise OutboundError(f"{host} answered {reply.status} when it was asked for {ask.name}")
        if ask.sha256 is not None:
            same = hashlib.sha256(reply.body).hexdigest() == ask.sha256
        else:
            same = ask.size in {0, len(reply.body)}
        if not same:
            raise FileChanged(f"{ask.name} came as another file than the one that was asked for")
        return reply.body

    def _make_room(self, newest: Path) -> None:
        files = [(each.stat(), each) for each in self._folder.glob("*.safetensors")]
        files.sort(key=lambda each: each[0].st_mtime_ns)
        left = sum(found.st_size for found, _ in files) - self._limit
        for found, path in files:
            if left <= 0:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                left -= found.st_size


def _name(ask: LoraAsk) -> str:
    known = ask.sha256 or ask.data_sha256
    if not _HASH.fullmatch(known):
        raise BadRequest(f"{ask.name} has no hash that it could be known by")
    return f"{known}.safetensors" if ask.sha256 else f"data-{known}-{ask.size}.safetensors"


def _write(path: Path, body: bytes) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
