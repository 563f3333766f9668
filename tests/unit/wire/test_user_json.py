"""Which tool wrote `<stem>.json`, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from registry.told import SidecarFacts, UserFacts
from registry.wire.user_json import read

SHA256 = "0f" * 32


def metadata(**members: Any) -> dict[str, Any]:
    return {
        "description": "A hat.",
        "sd version": "SDXL",
        "activation text": "red hat, 1girl || blue hat",
        "preferred weight": 0.76,
        "negative text": "bald\n",
        "notes": "mine",
        **members,
    }


def found(value: object) -> SidecarFacts:
    facts = read(value)
    assert facts is not None
    return facts


def test_what_a_user_typed_is_kept_as_it_is() -> None:
    assert found(metadata()) == SidecarFacts(
        "a1111",
        user=UserFacts(
            description="A hat.",
            notes="mine",
            activation_text="red hat, 1girl || blue hat",
            negative_text="bald\n",
            weight=0.76,
            base_model="SDXL",
        ),
    )


@pytest.mark.parametrize(
    ("written", "weight"),
    [(0, None), (0.0, None), ("0.8", 0.8), (-1, -1.0), (1e9, None), (float("nan"), None), (10**400, None),
     (True, None), ("much", None)],
)  # fmt: skip
def test_a_weight_of_nothing_or_nonsense_is_not_set(written: object, weight: float | None) -> None:
    assert found(metadata(**{"preferred weight": written})).user.weight == weight


@pytest.mark.parametrize("version", ["Unknown", "Other", "", None, 3])
def test_a_base_model_that_names_none_is_left_out(version: object) -> None:
    assert found(metadata(**{"sd version": version})).user.base_model is None


def test_the_browser_adds_hash_and_ids() -> None:
    facts = found(metadata(sha256=SHA256.upper(), modelId=2, modelVersionId="3"))
    assert (facts.tool, facts.hashes) == ("civitai-browser-plus", ({"sha256": SHA256},))
    assert (facts.model_id, facts.version_id) == (2, 3)
    assert facts.user.activation_text == "red hat, 1girl || blue hat"


def test_a_sentence_in_place_of_an_id_is_none() -> None:
    facts = found({"sha256": SHA256, "modelId": "Model not found"})
    assert (facts.tool, facts.model_id) == ("civitai-browser-plus", None)


def test_the_helper_leaves_its_version() -> None:
    extensions = {"sd_civitai_helper": {"version": "1.8", "skeleton_file": False}}
    facts = found(metadata(description="<!--\nA hat.\n-->", extensions=extensions, vae="None"))
    assert (facts.tool, facts.user.description) == ("civitai-helper", "A hat.")


def test_other_extensions_do_not_make_another_tool() -> None:
    assert found(metadata(extensions={"other": {}}, vae="x.vae")).tool == "a1111"
    assert found(metadata(extensions=[])).tool == "a1111"


def test_a_whole_model_is_of_sdnext() -> None:
    facts = found({"id": 2, "name": "Hats", "modelVersions": [{"id": 3}, {"id": 4}]})
    assert (facts.tool, facts.name, facts.model_id, facts.version_id) == ("sdnext", "Hats", 2, None)


def test_keys_of_modelspec_are_of_swarmui() -> None:
    facts = found({"modelspec.title": "Hats", "modelspec.author": "Konan"})
    assert (facts.tool, facts.name, facts.creator) == ("swarmui", "Hats", "Konan")


def test_an_untouched_file_is_still_of_a1111() -> None:
    untouched = metadata(description="", notes="  ", **{"sd version": "Unknown", "preferred weight": 0})
    untouched |= {"activation text": "", "negative text": ""}
    assert read(untouched) == SidecarFacts("a1111")


TYPED = {"activation text": "red hat", "preferred weight": 0.6, "notes": "mine"}


def test_what_a1111_added_to_a_file_of_swarmui_is_read_too() -> None:
    spec = {"modelspec.title": "Hats", "modelspec.usage_hint": "low", "modelspec.lora_default_weight": "1"}
    facts = found(spec | TYPED | {"description": "A hat.", "sha256": SHA256})
    assert (facts.tool, facts.name, facts.hashes) == ("swarmui", "Hats", ({"sha256": SHA256},))
    assert facts.user == UserFacts(description="A hat.", notes="mine", activation_text="red hat", weight=0.6)
    assert found(spec | {"activation text": ""}).user == UserFacts(notes="low", weight=1.0)


def test_what_a1111_added_to_an_answer_of_civitai_is_read_too() -> None:
    model = {"id": 2, "name": "Hats", "description": "<p>Hats.</p>", "modelVersions": [{"id": 3}]}
    facts = found(model | TYPED)
    assert (facts.tool, facts.name, facts.description) == ("sdnext", "Hats", "<p>Hats.</p>")
    assert facts.user == UserFacts(notes="mine", activation_text="red hat", weight=0.6)


@pytest.mark.parametrize("member", ["files", "trainedWords"])
def test_an_answer_of_a_version_is_read(member: str) -> None:
    answer = {"id": 3, "modelId": 2, "name": "v1", "description": "first", member: [], "baseModel": "Pony"}
    facts = found(answer | TYPED)
    assert (facts.tool, facts.model_id, facts.version_id) == ("civitai-browser-plus", 2, 3)
    assert (facts.version_name, facts.version_description, facts.base_model) == ("v1", "first", "Pony")
    assert facts.user == UserFacts(notes="mine", activation_text="red hat", weight=0.6)


def test_members_that_users_added_do_no_harm() -> None:
    assert found(metadata(rating=5)) == found(metadata())


def test_common_members_count_only_by_themselves() -> None:
    assert found({"description": "A hat."}).user.description == "A hat."
    assert read({"description": "A package.", "version": "1.0.0", "name": "hats"}) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "x",
        [{"activation text": "x"}],
        {"last_node_id": 3, "nodes": [], "links": [], "notes": "x"},
        {"3": {"class_type": "KSampler", "inputs": {}}},
        {"trigger_words": "hat", "hash": SHA256, "is_favorite": False},
    ],
)
def test_json_of_any_other_kind_says_nothing(value: object) -> None:
    assert read(value) is None
