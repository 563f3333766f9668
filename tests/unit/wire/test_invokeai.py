"""The model records of InvokeAI."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from registry.errors import BadRequest, NotFound
from registry.identify.names import ARCHITECTURES
from registry.shown import Entry, Shown
from registry.wire import invokeai
from registry.wire.invokeai import AttributesRequest, ListRequest
from tests.support.dialect_entries import BLAKE3, SHA256, entry, hashed

KEYS = {
    "key", "hash", "path", "file_size", "name", "description", "source", "source_type",
    "source_api_response", "source_url", "cover_image", "base", "type", "format", "trigger_phrases",
    "default_settings",
}  # fmt: skip
PLACES = invokeai.Places(lambda each: f"/loras/{each.path}", lambda each: f"/i/{each.file_id}/image")


def names(files: list[Entry], **members: Any) -> list[str]:
    answer = invokeai.model_list(files, ListRequest(**members), PLACES)
    return [model["name"] for model in answer["models"]]


def test_a_record_has_every_key_and_what_is_shown() -> None:
    known = hashed(
        "style/hat.v1.safetensors",
        file_id=42,
        shown={
            "name": "Hats",
            "description": "<p>Hats &amp; caps</p>",
            "triggers": (("hat", "straw"), ("cap",), (), ("cap",)),
            "source_url": "https://example.org/1",
            "weight": 0.7,
        },
    )
    model = invokeai.record(known, PLACES)
    assert model.keys() == KEYS
    assert model == {
        "key": "00000000-0000-0000-0000-00000000002a",
        "hash": f"blake3:{BLAKE3}",
        "path": "/loras/style/hat.v1.safetensors",
        "file_size": 1000,
        "name": "hat.v1",
        "description": "Hats & caps",
        "source": "/loras/style/hat.v1.safetensors",
        "source_type": "path",
        "source_api_response": None,
        "source_url": "https://example.org/1",
        "cover_image": "/i/42/image",
        "base": "sdxl",
        "type": "lora",
        "format": "lycoris",
        "trigger_phrases": ["hat, straw", "cap"],
        "default_settings": {"weight": 0.7, "weight_min": None, "weight_max": None},
    }


def test_what_is_not_known_is_null_and_the_hash_empty() -> None:
    model = invokeai.record(entry(architecture="ambiguous"), PLACES)
    assert (model["hash"], model["base"]) == ("", "unknown")
    assert [model[key] for key in ("description", "trigger_phrases", "default_settings")] == [None] * 3


@pytest.mark.parametrize(
    ("members", "base", "kind", "layout"),
    [
        ({"architecture": "sd15"}, "sd-1", "lora", "lycoris"),
        ({"architecture": "flux1", "header": {"key_layout": "kohya"}}, "flux", "lora", "lycoris"),
        ({"architecture": "flux1", "header": {"key_layout": "diffusers"}}, "flux", "lora", "diffusers"),
        ({"architecture": "sdxl", "header": {"key_layout": "diffusers"}}, "sdxl", "lora", "lycoris"),
        ({"architecture": "flux1", "adapter": "control_lora"}, "flux", "control_lora", "lycoris"),
        ({"base_model": "sdxl-refiner"}, "sdxl-refiner", "lora", "lycoris"),
        ({"base_model": "pony", "adapter": "lokr"}, "sdxl", "lora", "lycoris"),
        ({"architecture": "wan"}, "wan", "lora", "lycoris"),
        ({"architecture": "mochi"}, "unknown", "lora", "lycoris"),
        ({"kind": "checkpoint"}, "sdxl", "main", "checkpoint"),
        ({"kind": "embedding"}, "sdxl", "embedding", "embedding_file"),
        ({"kind": "other"}, "sdxl", "unknown", "unknown"),
    ],
)
def test_base_type_and_format_are_words_of_invokeai(
    members: dict[str, Any], base: str, kind: str, layout: str
) -> None:
    model = invokeai.record(entry(**members), PLACES)
    assert (model["base"], model["type"], model["format"]) == (base, kind, layout)


def test_the_table_of_bases_names_architectures() -> None:
    assert invokeai.BASES.keys() < ARCHITECTURES.keys()


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ((None, None, None), None),
        ((0.8, None, None), (0.8, None, None)),
        ((5.0, None, None), (2.0, None, None)),
        ((-5.0, None, None), (-1.0, None, None)),
        ((2.5, None, 3.0), (2.5, None, 3.0)),
        ((0.1, 0.5, 0.9), (0.5, 0.5, 0.9)),
        ((0.8, 0.9, 0.5), (0.8, None, None)),
        ((1.0, 2.0, None), (1.0, None, None)),
        ((None, 2.0, 2.0), None),
        ((None, 0.2, None), (None, 0.2, None)),
    ],
)
def test_weights_are_what_invokeai_allows(
    given: tuple[float | None, ...], allowed: tuple[float | None, ...] | None
) -> None:
    weight, low, high = given
    settings = invokeai.default_settings(Shown("x", weight=weight, weight_min=low, weight_max=high))
    assert (settings and tuple(settings.values())) == allowed


@pytest.mark.parametrize("file_id", [1, 42, 2**40, 2**63 - 1])
def test_a_key_looks_like_a_uuid_and_names_its_file(file_id: int) -> None:
    key = invokeai.key_of(file_id)
    assert str(UUID(key)) == key
    assert invokeai.file_id_of(key) == file_id


@pytest.mark.parametrize(
    "key", ["", "1", "0" * 32, "00000000-0000-0000-0000-000000000000", "f" * 8 + "-ffff" * 3 + "-" + "f" * 12,
            "00000000-0000-0000-0000-00000000002A", "../etc/passwd"]
)  # fmt: skip
def test_other_keys_are_not_found(key: str) -> None:
    with pytest.raises(NotFound, match="model not found"):
        invokeai.file_id_of(key)


FILES = [
    entry("b.safetensors", size=1, modified=3, added=1),
    entry("A.safetensors", size=3, modified=1, added=2, architecture="sd15"),
    entry("c.safetensors", size=2, modified=2, added=3, kind="vae"),
]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", "Abc"),
        ("default", "Abc"),
        ("size", "bcA"),
        ("created_at", "bAc"),
        ("updated_at", "Acb"),
        ("path", "Abc"),
        ("base", "Abc"),
        ("format", "cbA"),
        ("type", "bAc"),
    ],
)
def test_a_list_is_ordered_by_one_thing(order: str, expected: str) -> None:
    assert "".join(names(FILES, order=order)) == expected


def test_a_list_may_be_turned_round() -> None:
    assert names(FILES, descending=True) == ["c", "b", "A"]


def test_a_list_holds_what_was_asked_for() -> None:
    assert names(FILES, type="lora") == ["A", "b"]
    assert names(FILES, name="b") == ["b"]
    assert names(FILES, name="B") == []
    assert names(FILES, format="checkpoint") == ["c"]
    assert names(FILES, bases=("no-such-base",)) == []


def test_bases_come_in_the_order_in_which_they_were_named() -> None:
    assert names(FILES, bases=("sdxl", "sd-1")) == ["b", "c", "A"]
    assert names(FILES, bases=("sd-1", "sdxl")) == ["A", "b", "c"]


def test_parameters_of_a_list_are_read() -> None:
    parameters = {
        "base_models": ["sdxl", "flux"],
        "model_type": ["lora"],
        "model_name": [""],
        "model_format": ["lycoris"],
        "order_by": ["size"],
        "direction": ["DESC"],
    }
    expected = ListRequest(("sdxl", "flux"), "lora", None, "lycoris", "size", descending=True)
    assert invokeai.list_request(parameters) == expected
    assert invokeai.list_request({}) == ListRequest()


@pytest.mark.parametrize(
    "parameters",
    [
        {"order_by": ["id; DROP TABLE models"]},
        {"direction": ["asc"]},
        {"model_type": ["x" * 100]},
        {"model_name": ["x" * 5000]},
        {"base_models": ["x"] * 101},
        {"base_models": ["x" * 100]},
    ],
)
def test_parameters_that_cannot_be_used_are_refused_as_fastapi_does(parameters: dict[str, list[str]]) -> None:
    with pytest.raises(BadRequest) as refused:
        invokeai.list_request(parameters)
    status, body = invokeai.failure(refused.value)
    assert status == 422
    assert body["detail"][0]["loc"] == ["query"]


@pytest.mark.parametrize(
    ("given", "digest"),
    [
        (f"blake3:{BLAKE3}", ("blake3", BLAKE3)),
        (BLAKE3.upper(), ("blake3", BLAKE3)),
        (f"sha256:{SHA256}", ("sha256", SHA256)),
    ],
)
def test_a_hash_may_have_its_algorithm_in_front(given: str, digest: tuple[str, str]) -> None:
    assert invokeai.hash_request({"hash": [given]}) == digest


@pytest.mark.parametrize("given", ["random:00", "blake3:", "md5:" + BLAKE3, BLAKE3[:40], "x" * 64])
def test_what_is_no_hash_is_not_found(given: str) -> None:
    with pytest.raises(NotFound) as refused:
        invokeai.hash_request({"hash": [given]})
    assert invokeai.failure(refused.value) == (404, {"detail": "No model found with this hash"})


def test_a_model_is_found_by_its_attributes() -> None:
    request = invokeai.attributes_request({"name": ["b"], "type": ["lora"], "base": ["sdxl"]})
    assert request == AttributesRequest("b", "lora", "sdxl")
    assert invokeai.by_attributes(FILES, request, PLACES)["name"] == "b"
    with pytest.raises(NotFound, match="No model found with these attributes"):
        invokeai.by_attributes(FILES, AttributesRequest("b", "lora", "sd-1"), PLACES)
    with pytest.raises(BadRequest):
        invokeai.attributes_request({"name": ["b"], "type": ["lora"]})
    with pytest.raises(BadRequest):
        invokeai.hash_request({})
