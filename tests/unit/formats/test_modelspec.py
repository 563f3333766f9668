from __future__ import annotations

from typing import TYPE_CHECKING

from registry.formats.modelspec import read_modelspec

if TYPE_CHECKING:
    from registry.views import Note


def test_all_levels_are_typed() -> None:
    found = read_modelspec(
        {
            "modelspec.sai_model_spec": "1.0.1",
            "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
            "modelspec.title": "None",
            "modelspec.date": "2023-09-18T11:27:17",
            "modelspec.resolution": "1024x768",
            "modelspec.tags": "a, b\uff0cc,,",
            "modelspec.merged_from": "x,y",
            "modelspec.timestep_range": "0,1000",
            "modelspec.encoder_layer": "2",
            "modelspec.is_negative_embedding": "True",
            "modelspec.thumbnail": "data:image/jpeg;base64,AAAA",
            "modelspec.lora_default_weight": "0.8",
            "unrelated": "x",
        },
        [],
    )

    assert found.architecture == "stable-diffusion-xl-v1-base/lora"
    assert found.title == "None"
    assert found.date == "2023-09-18T11:27:17"
    assert found.resolution == (1024, 768)
    assert found.tags == ("a", "b", "c")
    assert found.merged_from == ("x", "y")
    assert found.timestep_range == (0.0, 1000.0)
    assert found.encoder_layer == 2
    assert found.is_negative_embedding is True
    assert found.has_thumbnail
    assert found.other == {"lora_default_weight": "0.8"}


def test_odd_values_are_noted_and_left_out() -> None:
    notes: list[Note] = []

    found = read_modelspec({"modelspec.resolution": "big", "modelspec.encoder_layer": "x"}, notes)

    assert found.resolution is None
    assert found.encoder_layer is None
    assert [note.slug for note in notes] == ["odd-value", "odd-value"]


def test_names_of_our_own_fields_are_ordinary_unknown_keys() -> None:
    found = read_modelspec({"modelspec.other": "1", "modelspec.has_thumbnail": "2"}, [])

    assert found.other == {"other": "1", "has_thumbnail": "2"}
    assert not found.has_thumbnail


def test_large_unknown_values_are_not_copied() -> None:
    assert read_modelspec({"modelspec.preview_image": "A" * 1_000_000}, []).other == {}
