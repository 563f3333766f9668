from __future__ import annotations

import pytest

from registry.formats.trainers import detect_trainer

COMMIT = {"ss_sd_scripts_commit_hash": "(unknown)"}
ADAPTER = {"lora_adapter_metadata": "{}"}


@pytest.mark.parametrize(
    ("metadata", "trainer"),
    [
        ({}, None),
        ({"format": "pt"}, None),
        ({"ss_tag_frequency": "{}"}, None),
        ({"ot_branch": "master", **COMMIT}, "onetrainer"),
        ({"ot_config": "{}"}, "onetrainer"),
        ({"software": '{"name": "ai-toolkit"}', "ss_num_train_items": "3"}, "ai-toolkit"),
        ({"training_info": '{"step": 1, "epoch": 0}'}, "ai-toolkit"),
        ({"ss_num_train_items": "3", **COMMIT}, "musubi"),
        ({"ss_base_model_version": "wan", "ss_network_module": "networks.lora_wan"}, "musubi"),
        (COMMIT, "kohya"),
        ({"ss_network_module": "networks.lora"}, "kohya"),
        ({"ss_network_module": "lycoris.kohya"}, "kohya"),
        (ADAPTER, "diffusers"),
        ({"modelspec.implementation": "diffusers", "global_step": "5", **ADAPTER}, "simpletuner"),
        ({"modelspec.implementation": "diffusers"}, None),
        ({"unet:0:rank": "1"}, "cloneofsimo"),
        ({"ss_network_module": "network.lora"}, "traintrain"),
    ],
)
def test_the_strongest_evidence_names_the_trainer(metadata: dict[str, str], trainer: str | None) -> None:
    found, evidence = detect_trainer(metadata)

    assert found == trainer
    assert (evidence is None) == (trainer is None)
