"""What a child process that draws is like: its answer, and what it was prepared with."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import orjson

from registry.render import child

if TYPE_CHECKING:
    from registry.work.lines import Line


def start(options: str) -> None:
    """Prepare the process as the real one is, and keep it at home."""
    sys.addaudithook(_stay_at_home)
    child.start(options)


def _stay_at_home(event: str, _arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo"}:
        raise AssertionError("a child process that draws asks the network")


def draw(spec: str, line: Line) -> str:
    """Return the answer and what is known of the process, as JSON."""
    libraries = {name.partition(".")[0] for name in sys.modules}
    answer = child.draw(spec, line)
    facts = {
        "loaded_before": sorted(libraries & {"torch", "diffusers", "transformers"}),
        "offline": {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")},
        "niceness": os.nice(0) if hasattr(os, "nice") else None,
        "threads": sys.modules["torch"].get_num_threads(),
    }
    return orjson.dumps({"answer": answer, "facts": facts}).decode()
