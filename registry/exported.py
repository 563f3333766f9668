"""What is to be exported beside models and what became of it: pure values that cross rooms."""

from __future__ import annotations

from dataclasses import dataclass, field

WRITTEN = "written"
UNCHANGED = "unchanged"
LEFT = "left"
FAILED = "failed"
PREVIEW = "preview"
"""Stands for a tool where the outcome is about a preview."""

MOST_TOLD = 1000
"""So many changes, and so many problems, are told one by one; of the others only how many."""


@dataclass(frozen=True, slots=True)
class ExportWish:
    """What to export: the loras with these ids, else those that a query finds, for which tools.

    With `previews` a picture is written too, where there is none.
    """

    tools: tuple[str, ...] = ()
    query: str = ""
    ids: tuple[int, ...] | None = None
    previews: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one file beside a model, or of the model where all of it was left alone.

    `state` is `written` (by a dry run: would be), `unchanged`, `left` or `failed`; `tool` is `preview` for a
    picture and `None` for a model. `keys` are the members that changed, `reason` why it was left or failed.
    `hides` says that its tool leaves the model out from now on.
    """

    lora_id: int
    path: str
    tool: str | None
    state: str
    keys: tuple[str, ...] = ()
    reason: str | None = None
    remedy: str = ""
    hides: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether nothing at all may be written beside the model."""
        return self.tool is None and self.state == LEFT


@dataclass(slots=True)
class ExportTally:
    """What an export came to: models that were looked at, and files beside them by what became of each.

    `changes` and `problems` tell the first of them, `complete` says whether all models were looked at. A dry
    run counts as written what would be.
    """

    dry_run: bool
    models: int = 0
    written: int = 0
    unchanged: int = 0
    left: int = 0
    failed: int = 0
    changes: list[Exported] = field(default_factory=list)
    problems: list[Exported] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    complete: bool = False
    seconds: float = 0.0

    def add(self, one: Exported, most: int | None = MOST_TOLD) -> None:
        """Count what became of a file, and tell it unless `most` are told already."""
        if one.state == UNCHANGED:
            self.unchanged += 1
            return
        told = self.changes if one.state == WRITTEN else self.problems
        if most is None or len(told) < most:
            told.append(one)
        self.written += one.state == WRITTEN
        self.left += one.state == LEFT
        self.failed += one.state == FAILED
        if one.hides and _WARNING not in self.warnings:
            self.warnings.append(_WARNING)


_WARNING = (
    "what is hidden here is excluded in ComfyUI LoRA Manager, whose pages cannot take that back: "
    "show it here and export it again"
)
