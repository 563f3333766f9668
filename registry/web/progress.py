"""What is going on, ready for the line above every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.web import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Step:
    """Work under way; without a `total` nobody knows how much there is."""

    label: str
    text: str
    done: int = 0
    total: int | None = None


def steps(progress: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return what is going on: scans, hashing, drawing, making the search index."""
    return (
        *map(_scan, progress.get("scans", ())),
        *_hashing(progress),
        *_drawing(progress),
        *_indexing(progress),
    )


def _scan(scan: Mapping[str, Any]) -> Step:
    done, expected = int(scan["files"]), scan["expected"]
    total = int(expected) if expected and expected >= done else None
    of = "" if total is None else f" of {words.count(total)}"
    return Step(
        f"Scanning {words.visible(str(scan['label']))}",
        f"{words.count(done)}{of} files, {words.count(int(scan['new']))} new",
        done,
        total,
    )


def _hashing(progress: Mapping[str, Any]) -> Iterable[Step]:
    hashing = progress.get("hashing") or {}
    left, done = int(hashing.get("files") or 0), int(hashing.get("done") or 0)
    state = hashing.get("state")
    if not left or state not in {"hashing", "paused"}:
        return
    text = f"{words.several(left, 'file')} left, {words.size(int(hashing.get('bytes') or 0))}"
    eta = hashing.get("eta_seconds")
    if state == "paused":
        yield Step("Hashing is paused", text, done, done + left)
        return
    if eta is not None:
        text += f", about {words.duration(eta)}"
    yield Step("Hashing", text, done, done + left)


def _drawing(progress: Mapping[str, Any]) -> Iterable[Step]:
    drawing = progress.get("drawing") or {}
    for batch in drawing.get("batches") or ():
        done, total = int(batch["step"]), int(batch["steps"])
        yield Step("Drawing", words.several(int(batch["pieces"]), "picture"), done, total or None)
    if drawing.get("state") == "waiting":
        yield Step("Drawing waits", words.visible(str(drawing.get("waits_for") or "")))


def _indexing(progress: Mapping[str, Any]) -> Iterable[Step]:
    search = progress.get("search") or {}
    if search.get("state") == "failing":
        yield Step("The search index falls behind", "the log says what is wrong", 0, None)
    if search.get("state") != "rebuilding":
        return
    done, total = int(search.get("done") or 0), int(search.get("total") or 0)
    of = f" of {words.count(total)}" if total else ""
    yield Step("Making the search index", f"{words.count(done)}{of} loras", done, total or None)
