"""What a child process that draws runs: `start` once, then `draw` for each batch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import orjson

from registry.child import become_child

if TYPE_CHECKING:
    from registry.render.backends.local import Local
    from registry.work.lines import Line

OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
}
"""What libraries ask for when they are loaded: that they stay at home and quiet."""

_options: dict[str, Any] = {}
_local: Local | None = None


def start(options: str) -> None:
    """Prepare the process: `options` are JSON, the arguments of `Local` that are plain values."""
    become_child(one_thread=False)
    os.environ.update(OFFLINE)
    _options.clear()
    _options.update(orjson.loads(options))


def draw(spec: str, line: Line) -> str:
    """Return the packed answer to a packed batch; raises BadRequest, CannotDraw."""
    global _local  # noqa: PLW0603 - what a process has for all its batches
    if _local is None:
        _local = _made()
    return _local.draw(spec, line)


def _made() -> Local:
    import torch  # noqa: PLC0415 - not before the environment is set

    from registry.render.backends.local import Local  # noqa: PLC0415 - as above

    made = Local(**_options)
    if made.bases.device.type == "cpu":
        # The processor belongs to those who answer.
        torch.set_num_threads(1)
    return made
