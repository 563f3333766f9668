from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.identify import TensorInfo, identify
from registry.identify.names import ADAPTERS, ARCHITECTURES, KINDS
from registry.identify.rules_affixes import PREFIXES, SUFFIXES

WORDS = (
    "double_blocks",
    "blocks",
    "0",
    "7",
    "attn",
    "to_q",
    "layers",
    "text_model",
    "ü",
    "",
    "transformer_blocks",
)
DTYPES = st.sampled_from(["F16", "BF16", "F32", "U8", "WHAT", "", None])
SHAPES = st.none() | st.lists(st.sampled_from([0, 1, 4, 320, 768, 3072, 1 << 40]), max_size=5).map(tuple)
NAMES = st.text(max_size=80) | st.builds(
    lambda prefix, words, suffix: f"{prefix}{'.'.join(words)}.{suffix}",
    st.sampled_from([row.text for row in PREFIXES]),
    st.lists(st.sampled_from(WORDS), max_size=6),
    st.sampled_from([row.text for row in SUFFIXES]),
)
TENSORS = st.dictionaries(NAMES, st.builds(TensorInfo, DTYPES, SHAPES), max_size=12)
METADATA = st.dictionaries(
    st.sampled_from(
        [
            "ss_base_model_version",
            "modelspec.architecture",
            "ss_network_dim",
            "ss_network_alpha",
            "ss_v2",
            "ss_sd_model_name",
            "ss_network_args",
            "lora_adapter_metadata",
            "modelspec.title",
            "ss_sd_model_hash",
        ],
    ),
    st.text(max_size=40) | st.sampled_from(["True", "None", "1e999", "-1", '{"r": true}', "flux1", "{}"]),
)


@given(tensors=TENSORS, metadata=METADATA)
def test_any_file_gets_an_answer_of_the_tables(
    tensors: dict[str, TensorInfo], metadata: dict[str, str]
) -> None:
    found = identify(tensors, metadata)
    assert found.architecture in ARCHITECTURES
    assert found.adapter in ADAPTERS
    assert found.kind in KINDS
    assert found == identify(tensors, metadata)
    assert all(sentence.isprintable() for sentence in found.evidence)
    assert found.rank is None or not found.ranks or found.rank in found.ranks


@given(tensors=TENSORS)
def test_the_order_of_tensors_does_not_matter_to_the_judgement(tensors: dict[str, TensorInfo]) -> None:
    turned = dict(reversed(tensors.items()))
    here, there = identify(tensors, {}), identify(turned, {})
    assert (here.kind, here.architecture, here.adapter, here.rank, here.targets, here.ambiguous_with) == (
        there.kind,
        there.architecture,
        there.adapter,
        there.rank,
        there.targets,
        there.ambiguous_with,
    )


def test_dimensions_beyond_all_measure_are_looked_at_once() -> None:
    endless = TensorInfo("F32", (2**64 - 1,) * 100_000)
    tensors = {"lora_unet_x.lora_down.weight": endless, "lora_unet_x.lora_up.weight": endless}

    assert identify(tensors, {}).precision == "fp32"
