from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from registry.lora.adapter_config import KEY, Alphas
from registry.lora.compare import compare
from registry.lora.fingerprint import fingerprint
from tests.support.adapters import Held, lora

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


def told(**config: Any) -> dict[str, str]:
    return {KEY: json.dumps({f"unet.{name}": value for name, value in config.items()})}


def held(metadata: Mapping[str, str], alpha: float | None = None) -> Held:
    down, up = list(lora(alpha=None).values())
    arrays = {f"{MODULE}.lora_A.weight": down, f"{MODULE}.lora_B.weight": up}
    if alpha is not None:
        arrays[f"{MODULE}.alpha"] = np.full((), alpha, np.float32)
    return Held(arrays, metadata)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"r": 4, "lora_alpha": 8}, 2.0),
        ({"r": 4, "lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"attn1.to_q": 2}}, 0.5),
        ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"to_k": 2, "(.*)+$": 3}}, 2.0),
        ({"r": 4}, 1.0),
        ({"r": 0, "lora_alpha": 8}, 1.0),
        ({"r": 4, "lora_alpha": "8"}, 1.0),
        ({"r": 4, "lora_alpha": True}, 1.0),
        ({"r": 4, "lora_alpha": 8, "alpha_pattern": [1]}, 2.0),
    ],
)
def test_alpha_beside_the_tensors_counts_as_one_among_them(config: dict[str, Any], scale: float) -> None:
    plain = fingerprint(held({})).unet_norm
    assert fingerprint(held(told(**config))).unet_norm == pytest.approx(scale * plain, rel=1e-5)


def test_an_alpha_among_the_tensors_goes_first_and_angles_know_both() -> None:
    metadata = told(r=4, lora_alpha=40)
    assert fingerprint(held(metadata, alpha=4)).unet_norm == fingerprint(held({}, alpha=4)).unet_norm
    angle = compare(held(metadata), held({}))["unet"]
    assert angle.first == pytest.approx(100 * angle.second)
    assert angle.cosine == pytest.approx(1)


@pytest.mark.parametrize(
    "written", ["", "{", "[]", "null", "[" * 100_000, '{"unet.r": 1e999, "unet.lora_alpha": 1}']
)
def test_what_strangers_write_there_says_nothing(written: str) -> None:
    assert Alphas({KEY: written}).of("unet", "x") is None


def test_text_encoders_have_their_own() -> None:
    config = {
        "text_encoder_2.r": 8,
        "text_encoder_2.lora_alpha": 4,
        "transformer.r": 2,
        "transformer.lora_alpha": 6,
    }
    alphas = Alphas({KEY: json.dumps(config)})
    assert (alphas.of("te2", "x"), alphas.of("unet", "x"), alphas.of("te1", "x")) == (4.0, 6.0, None)
