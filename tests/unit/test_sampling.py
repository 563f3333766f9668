"""The names of samplers are those that somebody draws with."""

from __future__ import annotations

import pytest

from registry.render import called
from registry.sampling import INSTEAD, OF_TOOLS, SAMPLERS, drawn_with, samplers_of


def test_what_is_drawn_here_is_what_the_table_of_diffusers_has() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    # Late: it is not there without the libraries.
    from registry.render import samplers  # noqa: PLC0415

    assert tuple(samplers.SAMPLERS) == SAMPLERS


def test_what_tools_draw_with_is_what_they_can_be_told() -> None:
    assert tuple(called.SAMPLERS) == OF_TOOLS


def test_in_place_of_others_is_drawn_what_there_is() -> None:
    assert set(INSTEAD.values()) <= set(SAMPLERS)
    assert not set(INSTEAD) & set(SAMPLERS)
    assert {drawn_with(name, "local") for name in samplers_of("local")} == set(SAMPLERS)
    assert [drawn_with(name, "comfyui") for name in samplers_of("comfyui")] == list(OF_TOOLS)
