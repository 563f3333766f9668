from __future__ import annotations

import pytest

from registry.identify import identify
from registry.identify.names import ARCHITECTURES, NO_ARCHITECTURE
from tests.unit.identify.samples import ADAPTER_OF, PREFIXES, RANK, SAMPLES, Sample, plain, state_dict

IDS = [f"{sample.architecture}-{number}" for number, sample in enumerate(SAMPLES)]
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=IDS)


def test_every_architecture_has_a_sample() -> None:
    assert {sample.architecture for sample in SAMPLES} == set(ARCHITECTURES) - NO_ARCHITECTURE


@each_sample
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_lora_is_recognised_in_every_layout(sample: Sample, prefix: str) -> None:
    found = identify(state_dict(sample.modules, prefix=PREFIXES[prefix]), {})
    assert (found.kind, found.architecture, found.adapter) == ("lora", sample.architecture, "lora")
    assert found.rank == RANK
    assert found.ranks == (RANK,)
    assert found.precision == "fp16"


@each_sample
@pytest.mark.parametrize("adapter", ADAPTER_OF)
def test_every_adapter_is_recognised_and_no_other_architecture_is_claimed(
    sample: Sample, adapter: str
) -> None:
    found = identify(state_dict(sample.modules, adapter=adapter), {})
    assert found.adapter == ADAPTER_OF[adapter]
    assert found.architecture == sample.architecture or (
        found.architecture == "ambiguous" and sample.architecture in found.ambiguous_with
    )


@each_sample
def test_without_shapes_the_truth_is_still_among_the_possible(sample: Sample) -> None:
    found = identify(state_dict(sample.modules, sized=False), {})
    assert (
        sample.architecture in (found.architecture, *found.ambiguous_with) or sample.architecture == "kolors"
    )


@each_sample
def test_whole_weights_are_a_checkpoint(sample: Sample) -> None:
    found = identify(plain(sample.modules, prefix="model.diffusion_model."), {})
    assert (found.kind, found.architecture, found.adapter) == ("checkpoint", sample.architecture, "none")
    assert found.rank is None


@each_sample
def test_evidence_is_bounded_and_printable(sample: Sample) -> None:
    found = identify(state_dict(sample.modules), {"ss_base_model_version": "x" * 5000})
    assert found.evidence
    assert all(len(sentence) <= 240 and sentence.isprintable() for sentence in found.evidence)
