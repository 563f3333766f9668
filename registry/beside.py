"""Writing beside one model after the other: sidecars of tools and previews, and what becomes of each."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.catalog.exportable import laden_files, placed_files, sharing_stems
from registry.catalog.tag_lists import TagNames
from registry.catalog.written import Wrote, ours_of, put_written
from registry.errors import Cancelled, CatalogError, FileChanged, RegistryError
from registry.exported import FAILED, LEFT, PREVIEW, UNCHANGED, WRITTEN, Exported
from registry.exporting import CLOSED, write_preview, write_sidecar
from registry.ingest.paths import absolute, long_path
from registry.ingest.sidecar_reading import stamp_of
from registry.wire.companions import SIDECAR_FAMILIES
from registry.wire.exports import export_of, plan, remembered, sidecar_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from registry.app import Registry
    from registry.catalog.exportable import Laden, Placed
    from registry.catalog.written import Ours
    from registry.exporting import Written
    from registry.outgoing import Outgoing
    from registry.views import RootView
    from registry.wire.exports import Planned

BATCH: Final = 50
# Members that make a tool leave a model out, and that its pages cannot take back.
_EXCLUDES: Final = {"lora-manager": "exclude"}
_RENAME: Final = "Rename one of the two models, or move it to another folder."
_RESCAN: Final = "Scan its root, then export again."


class Spot(NamedTuple):
    """A model of which something is written beside it, for a tool: a family of sidecars or of previews."""

    placed: Placed
    root: RootView
    path: str
    tool: str
    family: str

    @property
    def folder(self) -> str:
        """The folder of the model."""
        return os.path.dirname(self.path)  # noqa: PTH120 - it may hold bytes that are no text

    def told(self, done: Written) -> Exported:
        """Return what became of a file."""
        if done.problem is not None:
            return Exported(self.placed.lora_id, done.path, self.tool, LEFT, reason=done.problem)
        state = UNCHANGED if done.data is None else WRITTEN
        return Exported(self.placed.lora_id, done.path, self.tool, state, done.changed)

    def left(self, name: str, other: str) -> Exported:
        """Return that a file is left alone, because it would be of another model too."""
        path = os.path.join(self.folder, name)  # noqa: PTH118 - as above
        reason = f"it would be of {other} too, another model: left alone"
        return Exported(self.placed.lora_id, path, self.tool, LEFT, reason=reason, remedy=_RENAME)

    def failed(self, name: str, error: RegistryError) -> Exported:
        """Return that a file could not be written."""
        path = os.path.join(self.folder, name)  # noqa: PTH118 - as above
        return Exported(self.placed.lora_id, path, self.tool, FAILED, reason=str(error), remedy=error.remedy)


class Bench:
    """Writes for the same tools beside one model after the other.

    `cover` gives the bytes of the picture that stands for a lora; without it no previews are written. A dry
    run tells all that would be written.
    """

    def __init__(
        self,
        registry: Registry,
        tools: Sequence[str],
        cover: Callable[[int], bytes | None] | None = None,
        *,
        dry_run: bool = False,
    ) -> None:
        self._catalog = registry.catalog
        self._roots = {root.id: root for root in registry.roots()}
        self._writable = {root.path: root.writable for root in self._roots.values() if root.path is not None}
        self._tools = {tool: SIDECAR_FAMILIES[export_of(tool).ending] for tool in tools}
        self._cover = cover
        self._dry_run = dry_run
        self._names = TagNames()
        self.models = 0

    def outcomes(self, loras: Sequence[int]) -> Iterator[Exported]:
        """Write what belongs beside the files of some loras and yield what became of each.

        No file keeps another one from being written. Raises CatalogError kinds only.
        """
        with self._catalog.read() as conn:
            placed = [one for one in placed_files(conn, loras) if one.root_id in self._roots]
        fit: list[Placed] = []
        for one in placed:
            self.models += 1
            refusal = _refusal(one, self._roots[one.root_id])
            if refusal is None:
                fit.append(one)
            else:
                yield refusal
        for start in range(0, len(fit), BATCH):
            with self._catalog.read() as conn:
                some = laden_files(conn, fit[start : start + BATCH], self._names)
                ours = ours_of(conn, [laden.placed.file_id for laden in some])
                shared = sharing_stems(conn, [laden.placed for laden in some])
            for laden in some:
                yield from self._beside(laden, ours, shared.get(laden.placed.file_id))

    def _beside(
        self, laden: Laden, ours: Mapping[tuple[int, str], Ours], other: str | None
    ) -> Iterator[Exported]:
        """Write beside one model; `other` is the name of another one there whose stem is the same."""
        placed = laden.placed
        root = self._roots[placed.root_id]
        try:
            path = absolute(root.path or "", placed.rel)
            _require_unchanged(path, placed)
        except RegistryError as error:
            yield Exported(placed.lora_id, placed.path, None, FAILED, reason=str(error), remedy=error.remedy)
            return
        out = laden.outgoing(path, self._catalog.clock())
        for tool, family in self._tools.items():
            spot = Spot(placed, root, path, tool, family)
            if other is None or export_of(tool).whole_name:
                yield self._sidecar(spot, out, ours.get((placed.file_id, family)))
            else:
                yield spot.left(sidecar_name(tool, out.file_name, out.beside), other)
        if self._cover is not None and out.preview is None:
            told = self._preview(Spot(placed, root, path, PREVIEW, PREVIEW), out, self._cover, other)
            if told is not None:
                yield told

    def _sidecar(self, spot: Spot, out: Outgoing, ours: Ours | None) -> Exported:
        name = sidecar_name(spot.tool, out.file_name, out.beside)
        earlier: list[Wrote | None] = []

        def planned(there: bytes | None) -> Planned:
            found = plan(spot.tool, there, out)
            if found.data is not None and not self._dry_run:
                # Before it is on the disk, so that whatever happens nobody takes it for what the tool says.
                facts = remembered(spot.tool, there, found.data, None if ours is None else ours.facts)
                earlier.append(self._note(spot, _wrote(spot.tool, name, found.data, facts, out.now)))
            return found

        try:
            done = write_sidecar(
                spot.folder,
                name,
                planned,
                self._within(spot.root),
                roots=self._writable,
                dry_run=self._dry_run,
            )
        except (CatalogError, Cancelled):
            raise
        except RegistryError as error:
            if earlier:
                self._note(spot, earlier[0])
            return spot.failed(name, error)
        hides = out.shown.hidden and _EXCLUDES.get(spot.tool) in done.changed
        return replace(spot.told(done), hides=hides)

    def _preview(
        self, spot: Spot, out: Outgoing, cover: Callable[[int], bytes | None], other: str | None
    ) -> Exported | None:
        """Write a preview and return what became of it; `None` where there is one already, or no picture."""
        data = cover(spot.placed.lora_id)
        if data is None:
            return None
        if other is not None:
            return spot.left(f"{out.stem}.preview", other)
        try:
            done = write_preview(
                spot.folder,
                out.file_name,
                data,
                self._within(spot.root),
                roots=self._writable,
                dry_run=self._dry_run,
            )
        except RegistryError as error:
            return spot.failed(f"{out.stem}.preview", error)
        if done.done:
            name = os.path.basename(done.path)  # noqa: PTH119 - it may hold bytes that are no text
            self._note(spot, _wrote(PREVIEW, name, data, {}, out.now))
        return spot.told(done) if done.problem in {None, CLOSED} else None

    def _note(self, spot: Spot, wrote: Wrote | None) -> Wrote | None:
        """Store what is written beside a model now, and return what was before."""
        with self._catalog.write() as unit:
            return put_written(unit, spot.placed.file_id, spot.family, wrote)

    def _within(self, root: RootView) -> Sequence[str] | None:
        return None if root.follow_out else list(self._writable)


def _wrote(tool: str, name: str, data: bytes, ours: Mapping[str, object], now: int) -> Wrote:
    return Wrote(tool, os.fsencode(name), sha256(data).digest(), ours, now)


def _refusal(placed: Placed, root: RootView) -> Exported | None:
    """Return why nothing is written in a root, if nothing is."""
    if root.path is None:
        reason, remedy = f"it lies on the machine {root.machine}", "Export there."
    elif not root.writable:
        reason = f"the root {root.label} is not writable"
        remedy = f"`loras roots add {shlex.quote(root.path)} --writable` allows it."
    else:
        return None
    return Exported(placed.lora_id, placed.path, None, LEFT, reason=reason, remedy=remedy)


def _require_unchanged(path: str, placed: Placed) -> None:
    """Raise FileChanged unless a model is what was scanned: what is known may be of another one by now."""
    try:
        stamp = stamp_of(os.stat(long_path(path)))  # noqa: PTH116 - the path may hold bytes that are no text
    except OSError as error:
        raise FileChanged(f"{path!r} is not there: {error.strerror or error}", remedy=_RESCAN) from None
    if (stamp.size, stamp.mtime_ns) != (placed.size, placed.mtime_ns):
        raise FileChanged(f"{path!r} changed since it was scanned", remedy=_RESCAN)
