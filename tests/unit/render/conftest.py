"""Tiny pipelines, made once; whoever changes them must leave them as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.oracles import oracle

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session", params=["sd15", "sdxl"])
def pipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny pipeline with random weights."""
    torch = oracle("torch")
    torch.set_num_threads(1)
    pipelines = oracle("tests.support.pipelines")
    make: Callable[..., Any] = getattr(pipelines, f"tiny_{request.param}")
    made = make(tmp_path_factory.mktemp(request.param))
    made.set_progress_bar_config(disable=True)
    return made
