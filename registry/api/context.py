"""What the routes need from the program around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from registry.api.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from registry.api.feed import Feed
    from registry.catalog.engine import Catalog
    from registry.civitai.planning import Plan as SyncPlan
    from registry.config import Settings
    from registry.drawings import Asking, Plan
    from registry.exported import ExportTally, ExportWish
    from registry.measured import Measured, Relatives
    from registry.pictures.studio import Studio
    from registry.search.service import Searching


@dataclass(frozen=True, slots=True)
class Context:
    """The catalog and what can be asked of it; the last argument of an action is who asks.

    `scan` starts scans of roots (`None` = all) and returns job ids, or raises Conflict and starts none;
    `add_root` takes a path and options and returns the id of the root and whether it is new;
    `rescan_and_wait` returns when all roots were scanned; `progress` tells how far scanning and hashing are.
    `sync` starts a sync with Civitai and returns its job id, `plan_sync` tells what it would ask for; both
    take a query and whether to ask also for what is not due. `sync_version` asks for one version of Civitai
    and its model. `export` starts to write sidecars and returns its job id, `plan_export` tells what it
    would write. `measure` starts to measure weights and returns its job id; it takes a query and whether to
    measure anew. `fingerprint` gives that of a lora, measured now if need be, `relatives` the loras like it:
    how many at most, the least cosine, and whether to calculate it from the files. `find` gives the loras
    that a query finds, `plan_render` tells what drawing would be, `render` starts it and returns its job id.
    `waiting` are the drawings that requests wait for, with who asked. `results_pace` is how often results of
    drawings are asked for in batches.
    """

    catalog: Catalog
    machine_id: str
    settings: Settings
    feed: Feed
    scan: Callable[[Sequence[int] | None, str | None], list[int]]
    add_root: Callable[[str, Mapping[str, object], str | None], tuple[int, bool]]
    change_root: Callable[[int, Mapping[str, object], str | None], None]
    remove_root: Callable[[int, str | None], None]
    relocate_root: Callable[[int, str, str | None], None]
    rescan_and_wait: Callable[[str | None], None]
    pause_hashing: Callable[[bool, str | None], None]
    searching: Searching
    progress: Callable[[], dict[str, object]]
    sync: Callable[[str, bool, str | None], int]
    plan_sync: Callable[[str, bool], SyncPlan]
    sync_version: Callable[[int, str | None], int]
    studio: Studio
    export: Callable[[ExportWish, str | None], int]
    plan_export: Callable[[ExportWish], ExportTally]
    measure: Callable[[str, bool, str | None], int]
    fingerprint: Callable[[int], Measured]
    relatives: Callable[[int, int, float, bool], Relatives]
    find: Callable[[str], Sequence[int]]
    plan_render: Callable[[Asking], Plan]
    render: Callable[[Asking, str | None], tuple[int, Plan]]
    waiting: dict[int, str | None] = field(default_factory=dict)
    results_pace: Pace = field(default_factory=lambda: Pace(6, 1000))


def context_of(request: Request) -> Context:
    """Return the context of the application that got the request."""
    return cast("Context", request.app.state.context)
