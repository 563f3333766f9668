"""The stage of a run that asks for files by SHA-256: ids in bulk, then the details of their versions.

Where a service has no such route it is asked the next slower way: details by hash, at last one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.asked import GONE, KNOWN, MATCHED, NOT_FOUND, UNMATCHED, Outcome
from registry.catalog.lookups import asked_of, matches_of
from registry.civitai.client import VERSIONS_AT_ONCE
from registry.civitai.matching import SHA256, believed, outcome
from registry.civitai.policy import UNFINISHED
from registry.civitai.run import parts
from registry.civitai.several import Failed, one_by_one
from registry.errors import Offline, OutboundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from registry.asked import Asked
    from registry.civitai.client import Version
    from registry.civitai.run import Desk


def ask_for_files(desk: Desk, reasons: Mapping[str, str]) -> list[str]:
    """Ask for up to 10,000 files that are due for a reason; return those that are left for other hashes."""
    return _Page(desk, reasons).carry_out()


class _Page:
    """The files of one bulk request."""

    def __init__(self, desk: Desk, reasons: Mapping[str, str]) -> None:
        self._desk = desk
        self._reasons = reasons
        self._left: list[str] = []
        with desk.catalog.read() as conn:
            self._asked: Mapping[str, Asked] = asked_of(conn, list(reasons))
            self._matched = matches_of(conn, list(reasons))

    def carry_out(self) -> list[str]:
        begun = {sha for sha, reason in self._reasons.items() if reason == UNFINISHED}
        self._left += [sha for sha in begun if self._asked[sha].state == UNMATCHED]
        self._desk.moved(len(self._left))
        known = {sha: self._matched.get(sha, []) for sha in begun if self._asked[sha].state == MATCHED}
        self._details(known)
        to_ask = [sha for sha in self._reasons if sha not in begun]
        if to_ask:
            self._ask(to_ask)
        return self._left

    def _ask(self, shas: Sequence[str]) -> None:
        try:
            found = self._desk.client.ids_of(shas)
        except Offline:
            raise
        except OutboundError as error:
            self._fail(shas, error)
            return
        if found is None:
            self._by_batches(shas)
            return
        ids: dict[str, list[int]] = {}
        for match in found:
            ids.setdefault(match.sha256, []).append(match.version_id)
        self._desk.store([Outcome(sha, MATCHED, SHA256, tuple(some)) for sha, some in ids.items()])
        self._settle([sha for sha in shas if sha not in ids], [])
        self._details(ids)

    def _details(self, ids: Mapping[str, Sequence[int]]) -> None:
        """Fetch the details of versions: one file of each stands for all that have the same ones."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for sha, some in ids.items():
            groups.setdefault(tuple(sorted(set(some))), []).append(sha)
        for part in parts(list(groups.items()), VERSIONS_AT_ONCE):
            shas = [sha for _, group in part for sha in group]
            try:
                versions = self._desk.client.versions_of([group[0] for _, group in part])
                if versions is None:
                    self._by_singles(shas)
                    continue
                versions += self._left_out([key for key, _ in part], versions)
            except Offline:
                raise
            except OutboundError as error:
                self._fail(shas, error)
                continue
            self._settle(shas, versions)

    def _left_out(self, groups: Iterable[Sequence[int]], versions: Sequence[Version]) -> list[Version]:
        """Ask one by one for versions that a batch should have had."""
        have = {one.told.id for one in versions}
        missing = {key for ids in groups if not have.intersection(ids) for key in ids}
        found = (self._desk.client.version(key) for key in sorted(missing))
        return [one for one in found if one is not None]

    def _by_batches(self, shas: Sequence[str]) -> None:
        for part in parts(shas, VERSIONS_AT_ONCE):
            try:
                versions = self._desk.client.versions_of(part)
            except Offline:
                raise
            except OutboundError as error:
                self._fail(part, error)
                continue
            if versions is None:
                self._by_singles(part)
            else:
                self._settle(part, versions)

    def _by_singles(self, shas: Sequence[str]) -> None:
        for sha, found in one_by_one(self._desk.client.version_of, shas):
            if isinstance(found, Failed):
                self._fail([sha], found.error)
            else:
                self._settle([sha], [] if found is None else [found])

    def _fail(self, shas: Sequence[str], error: OutboundError) -> None:
        self._desk.fail(shas, error)
        self._desk.moved(len(shas))

    def _settle(self, shas: Sequence[str], versions: Sequence[Version]) -> None:
        """Store versions and what they mean for files that were asked for by SHA-256."""
        told = [one.told for one in versions]
        outcomes: list[Outcome] = []
        for sha in shas:
            found = outcome(sha, SHA256, believed(told, SHA256, sha)) or self._missed(sha)
            if found is None or found.state == UNMATCHED:
                self._left.append(sha)
            if found is not None:
                outcomes.append(found)
        self._desk.store(outcomes, versions)
        self._desk.moved(len(shas))

    def _missed(self, sha: str) -> Outcome | None:
        """Return what it means that a SHA-256 was not found; `None` if other hashes tell."""
        asked = self._asked.get(sha)
        if asked is not None and asked.state in KNOWN:
            # What another hash found is judged by that hash.
            return Outcome(sha, GONE) if asked.by in {None, SHA256} else None
        if asked is not None and asked.state == NOT_FOUND:
            return None
        return Outcome(sha, UNMATCHED)
