"""The index on disk: derived, local, disposable. A folder with a state file and the index that it names.

The state says up to which change of the catalog the index is. It is written after each commit, so that a
process that is killed in between repeats a little and loses nothing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import tantivy
from filelock import FileLock, Timeout

from registry.errors import IndexDamaged, IndexTaken
from registry.search.documents import document
from registry.search.schema import INDEX_VERSION, build, document_key, register

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from registry.formats.nsfw import Words
    from registry.views import SearchRecord

log = logging.getLogger(__name__)
_STATE: Final = "state.json"
_HEAP: Final = 60_000_000
_THREADS: Final = 1
_LEFT_OUT: Final = "lora %d cannot be searched, please report it: %s"
_UNREADABLE: Final = ("could not be parsed", "not valid JSON")
"""What the engine says of a document, and not of itself."""


@dataclass(frozen=True, slots=True)
class State:
    """Which index is the current one, and up to which change (`seq`, made `at`) it is."""

    folder: str
    seq: int
    at: int
    documents: int
    version: int = INDEX_VERSION
    words: str = ""
    """The digest of the words that levels were estimated by."""


class Place:
    """The folder of an index and its state file; without `words` no levels are estimated."""

    def __init__(self, folder: Path, words: Words | None = None) -> None:
        self.folder = folder
        self.words = words
        self.digest = "" if words is None else words.digest

    def claim(self) -> FileLock:
        """Return the right to write here, held until it is released or this process ends; IndexTaken.

        The engine locks each index, which protects nothing while two processes make one anew.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "writer.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise IndexTaken("another process writes the search index") from None
        return lock

    def state(self) -> State | None:
        """Return the state; `None` if there is no index of this version and with these words."""
        try:
            found = State(**json.loads((self.folder / _STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return found if (found.version, found.words) == (INDEX_VERSION, self.digest) else None

    def keep(self, state: State) -> None:
        """Make this the state."""
        partial = self.folder / f"{_STATE}.{os.getpid()}"
        partial.write_text(json.dumps(asdict(state)), encoding="utf-8")
        partial.replace(self.folder / _STATE)

    def forget(self) -> None:
        """Make the index anew next time."""
        (self.folder / _STATE).unlink(missing_ok=True)

    def fresh(self) -> str:
        """Return the name of a new index folder, which is empty."""
        numbers = [int(each.name[6:]) for each in self.folder.glob("index-*") if each.name[6:].isdecimal()]
        name = f"index-{max(numbers, default=0) + 1}"
        (self.folder / name).mkdir()
        return name

    def clear(self, keep: str) -> None:
        """Remove all index folders but one; what another process still reads goes next time."""
        for each in self.folder.glob("index-*"):
            if each.name != keep:
                shutil.rmtree(each, ignore_errors=True)

    def open(self, name: str) -> tantivy.Index:
        """Open or create an index in the folder of that name; raises IndexDamaged."""
        place = self.folder / name
        try:
            place.mkdir(parents=True, exist_ok=True)
            with no_panic():
                index = tantivy.Index(build(), str(place))
                register(index)
                # Readers look for commits when they are told to.
                index.config_reader("manual")
        except (OSError, ValueError) as error:
            raise IndexDamaged(f"the search index cannot be opened: {error}") from error
        return index


class Writer:
    """The one writer of an index; raises IndexTaken if another process has it."""

    def __init__(self, index: tantivy.Index) -> None:
        self._index = index
        try:
            with no_panic():
                self._writer = index.writer(_HEAP, _THREADS)
        except ValueError as error:
            if "lock" in str(error).lower():
                raise IndexTaken("another process writes the search index") from error
            raise IndexDamaged(f"the search index cannot be written: {error}") from error

    def add(self, records: Iterable[SearchRecord]) -> None:
        """Add the documents of records that the index does not have; one that cannot be made is logged."""
        with no_panic(ValueError, OSError):
            for record in records:
                # One that we fail at must not keep all others from being found.
                try:
                    made = document(record)
                except (TypeError, ValueError, OverflowError) as error:
                    log.error(_LEFT_OUT, record.id, error)  # noqa: TRY400 - what is wrong is said
                    continue
                try:
                    self._writer.add_json(made)
                except ValueError as error:
                    if not any(part in str(error) for part in _UNREADABLE):
                        raise
                    log.error(_LEFT_OUT, record.id, error)  # noqa: TRY400

    def replace(self, lora_ids: Iterable[int], records: Iterable[SearchRecord]) -> None:
        """Make the documents of these loras those of the records; those without one are gone."""
        with no_panic(ValueError, OSError):
            for lora_id in lora_ids:
                self._writer.delete_documents_by_term("key", document_key(lora_id))
        self.add(records)

    def commit(self) -> int:
        """Make everything visible and return how many documents there are."""
        with no_panic(ValueError, OSError):
            self._writer.commit()
            self._index.reload()
            return self._index.searcher().num_docs

    def close(self) -> None:
        """Wait for what the engine does in the background and let others write."""
        with no_panic(ValueError, OSError):
            self._writer.wait_merging_threads()


@contextmanager
def no_panic(*others: type[Exception]) -> Iterator[None]:
    """Turn a panic of the engine, which is no Exception, and these exceptions into IndexDamaged."""
    try:
        yield
    except Exception as error:
        if isinstance(error, others):
            raise IndexDamaged(f"the search engine gave up: {error}") from error
        raise
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise IndexDamaged(f"the search engine gave up: {error}") from error
        raise
