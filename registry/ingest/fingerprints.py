"""The measuring of adapters without a fingerprint, one after the other, in a child process."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.catalog.fingerprints import DueFile, count_due, due, keep_fingerprint
from registry.errors import Cancelled, ReaderFailed, RegistryError, UnreadableFile
from registry.ingest.derive import reader_failed
from registry.ingest.measuring import MeasureTask, Weighed, measure, unmeasured
from registry.ingest.paths import absolute, long_path
from registry.lora.fingerprint import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from registry.catalog.engine import Catalog
    from registry.ingest.workers import Deriver
    from registry.views import RootView

_BATCH: Final = 100
_LATE: Final = 5.0
"""Seconds after which what was measured is written, however little it is."""


@dataclass(slots=True)
class Measuring:
    """How many loras were measured, unsupported ones among them, files that cannot be read, and all."""

    measured: int = 0
    unsupported: int = 0
    unreadable: int = 0
    total: int = 0


@dataclass(slots=True)
class Bench:
    """Measures loras of this machine; `allowed` is asked before each file."""

    catalog: Catalog
    machine_id: str
    deriver: Deriver
    report: Callable[[Measuring], None] = lambda _progress: None
    cancelled: Callable[[], bool] = lambda: False
    allowed: Callable[[], bool] = lambda: True
    progress: Measuring = field(default_factory=Measuring)
    _done: list[tuple[int, Weighed]] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)

    def run(
        self, roots: Sequence[RootView], among: Collection[int] | None = None, *, anew: bool = False
    ) -> Measuring:
        """Measure what has no fingerprint, of some loras or all, until nothing is left or it is not allowed.

        With `anew` also what has one. Files that cannot be read now are left for another time. Raises
        Cancelled; what was measured until then is kept.
        """
        places = {root.id: root.path for root in roots if root.path is not None and root.state == "ok"}
        with self.catalog.read() as conn:
            self.progress.total = count_due(conn, self.machine_id, VERSION, among, anew=anew)
        after = 0
        try:
            while self.allowed():
                with self.catalog.read() as conn:
                    some = due(
                        conn,
                        self.machine_id,
                        VERSION,
                        after=after,
                        limit=_BATCH,
                        among=among,
                        anew=anew,
                    )
                if not some:
                    break
                after = some[-1].lora_id
                for file in some:
                    if not self.allowed():
                        return self.progress
                    self._measure(file, places.get(file.root_id))
        finally:
            self._write()
        return self.progress

    def _measure(self, file: DueFile, root: str | None) -> None:
        if self.cancelled():
            raise Cancelled("the measuring of weights was stopped")
        weighed = None
        if root is not None:
            with suppress(UnreadableFile):
                weighed = self._weigh(file, root)
        if weighed is None:
            self.progress.unreadable += 1
        else:
            self.progress.measured += 1
            self.progress.unsupported += weighed.measured.problem is not None
            self._done.append((file.lora_id, weighed))
        if time.monotonic() - self._written > _LATE:
            self._write()
        self.report(self.progress)

    def _weigh(self, file: DueFile, root: str) -> Weighed:
        task = MeasureTask(long_path(absolute(root, file.rel)), file.size, file.mtime_ns)
        try:
            return self.deriver.call(measure, task, self.cancelled)
        except ReaderFailed:
            # Somebody else may have stopped it.
            (found,) = self.deriver.alone(measure, [task], self.cancelled)
        except Cancelled as error:
            if self.cancelled():
                raise
            return Weighed(unmeasured(str(error)))
        except RegistryError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's file must never end the work on the others
            return Weighed(unmeasured(str(reader_failed(error))))
        if isinstance(found, ReaderFailed):
            return Weighed(unmeasured("the process that measured it stopped; the file may be hostile"))
        return found

    def _write(self) -> None:
        if self._done:
            with self.catalog.write() as unit:
                for lora_id, weighed in self._done:
                    keep_fingerprint(unit, lora_id, weighed.measured, weighed.unet, weighed.te)
            self._done.clear()
        self._written = time.monotonic()
