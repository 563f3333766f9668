"""The pages of dialects: their examples are what the codecs answer, their profiles can be read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from registry.toolpaths import Profile, parse_profiles
from registry.wire import comfyui, invokeai, sdnext, swarmui_models
from tests.support.dialect_entries import entry

PAGES = Path(__file__).parents[3] / "docs" / "dialects"
ROOTS = {"main": "/srv/loras", "shared": "/srv/shared"}
INK = entry(
    "style/ink.safetensors",
    shown={
        "name": "Ink",
        "creator": "painter",
        "triggers": (("ink wash",),),
        "tags": ("style",),
        "weight": 0.8,
    },
)


def text_of(page: str) -> str:
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def block(page: str, language: str) -> str:
    return text_of(page).partition(f"```{language}\n")[2].partition("```")[0]


def profile_of(page: str) -> Profile:
    (profile,) = parse_profiles(tomllib.loads(block(page, "toml"))["tools"], ROOTS).values()
    return profile


def answers() -> dict[str, Any]:
    profile = profile_of("sdnext")
    asked = {"path": "", "depth": 2, "subtype": "LoRA"}
    models = swarmui_models.list_models([INK], swarmui_models.list_request(asked), lambda _: None)
    records = invokeai.model_list(
        [INK],
        invokeai.list_request({"model_type": ["lora"]}),
        invokeai.Places(lambda each: f"/loras/{each.path}", lambda _: None),
    )
    return {
        "comfyui": list(comfyui.detailed_list([INK], lambda each: each.path)),
        "swarmui": {**models, "files": list(models["files"])},
        "invokeai": {"models": list(records["models"])},
        "sdnext": sdnext.network(
            INK,
            relative=profile.relative(INK),
            absolute=profile.absolute(INK),
            metadata={"ss_output_name": "ink", "ss_bucket_info": '{"buckets": {}}'},
        ),
    }


@pytest.mark.parametrize("page", ["comfyui", "swarmui", "invokeai", "sdnext"])
def test_the_example_is_what_the_codec_answers(page: str) -> None:
    assert json.loads(block(page, "json")) == answers()[page]
    assert "Typed, not recorded" in text_of(page)


@pytest.mark.parametrize("page", ["comfyui", "swarmui", "invokeai", "sdnext"])
def test_the_profile_of_a_page_can_be_read(page: str) -> None:
    assert profile_of(page).dialect == page


def test_the_bases_of_invokeai_are_those_of_the_table() -> None:
    page = text_of("invokeai")
    assert all(f"`{name}`" in page for pair in invokeai.BASES.items() for name in pair)
