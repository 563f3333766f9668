"""Adapters read from their files and fitted to base models: kept while they fit, read before their turn."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import torch

from registry.errors import FileChanged, NotFound, RegistryError, UnsupportedKind
from registry.hashing.contents import open_tensors
from registry.render.batch import NAN
from registry.render.fitting import fit
from registry.render.held import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.hashing.contents import OpenTensors
    from registry.render.bases import Base
    from registry.render.batch import LoraAsk
    from registry.render.fitting import Adapter

ROOM: Final = 2 << 30


class NoNumbers(UnsupportedKind):
    """Some weights of an adapter are no numbers: whatever it is put on draws nothing."""

    slug: ClassVar[str] = NAN


class Adapters:
    """Adapters by their weights and base model, as many as fit into `room` bytes; for several threads.

    `fetch` brings the file of one that is not on this machine.
    """

    def __init__(self, room: int = ROOM, fetch: Callable[[LoraAsk], Path] | None = None) -> None:
        self._fetch = fetch
        self._held: Held[Adapter] = Held(room)
        self._reading = threading.Lock()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="adapters")

    def get(self, ask: LoraAsk, base: Base) -> Adapter:
        """Return an adapter on a base model.

        Raises NotFound, UnreadableFile (FileChanged where the weights are not those that were asked for),
        WrongBase, UnsupportedKind.
        """
        key = (ask.data_sha256, base.key)
        # One at a time: what is being read ahead is not read twice.
        with self._reading:
            found = self._held.get(key)
            if found is None:
                found = read(ask, self.path(ask), base)
                self._held.put(key, found, _size(found))
                if base.is_closed:
                    self.forget(base)
            return found

    def read_ahead(self, asks: Iterable[LoraAsk], base: Base) -> None:
        """Read adapters in the background; what is wrong with one is told when it is asked for."""
        for ask in asks:
            self._ahead.submit(self._quietly, ask, base)

    def path(self, ask: LoraAsk) -> Path:
        """Return the file of an adapter, fetched if need be; raises NotFound and what fetching raises."""
        if ask.path is not None:
            return Path(ask.path)
        if self._fetch is None:
            raise NotFound(f"no file of {ask.name} is on this machine")
        return self._fetch(ask)

    def has(self, ask: LoraAsk, base: Base) -> bool:
        """Whether an adapter is at hand."""
        return (ask.data_sha256, base.key) in self._held

    def forget(self, base: Base) -> None:
        """Let go of all of a base model."""
        self._held.forget(lambda key: isinstance(key, tuple) and key[1] == base.key)

    def close(self) -> None:
        """End what is read in the background."""
        self._ahead.shutdown(cancel_futures=True)

    def _quietly(self, ask: LoraAsk, base: Base) -> None:
        try:
            if not base.is_closed:
                self.get(ask, base)
        except (RegistryError, torch.OutOfMemoryError):
            return


def read(ask: LoraAsk, path: Path, base: Base) -> Adapter:
    """Read an adapter and fit it; raises what `Adapters.get` does."""
    with open_tensors(path) as raw:
        if ask.size and raw.stat.size != ask.size:
            raise FileChanged(f"{ask.name} has another size than when it was hashed")
        if _data_sha256(raw) != ask.data_sha256:
            raise FileChanged(
                f"{ask.name} has other weights than when it was hashed",
                remedy="wait until it is hashed again, or run `loras hash`",
            )
        found = fit(ask.name, raw, base.engine.base)
    sick = sum(
        not all(bool(torch.isfinite(factor).all()) for factor in hit.factors.values()) for hit in found.hits
    )
    if sick:
        raise NoNumbers(f"{ask.name} has weights that are no numbers, in {sick} of {len(found.hits)} layers")
    return replace(found, is_void=all(hit.is_void for hit in found.hits))


def _data_sha256(raw: OpenTensors) -> str:
    """Return the SHA-256 of all data: a picture is kept under it for good, so that it had better be true.

    Its tensors lie there one after the other, with nothing between and behind. It takes a tenth of a second
    for 150 MB, and mostly while others are drawn.
    """
    digest = hashlib.sha256()
    for name in raw.names:
        digest.update(raw.read_raw(name).data)
    return digest.hexdigest()


def _size(adapter: Adapter) -> int:
    # Layers that share one matrix share its factors.
    once = {id(factor): factor for hit in adapter.hits for factor in hit.factors.values()}
    return sum(factor.nbytes for factor in once.values())
