"""The single LoRA of SD.Next."""

from __future__ import annotations

import json

import pytest

from registry.errors import BadRequest, NotFound
from registry.identify.names import ARCHITECTURES
from registry.wire import sdnext
from tests.support.dialect_entries import SHA256, entry, hashed


def test_a_lora_has_every_field_of_the_object() -> None:
    known = hashed("style/hat.v1.safetensors")
    metadata = {"modelspec.title": "Hats", "ss_output_name": "hats", "ss_resolution": "(512, 512)"}
    told = sdnext.network(
        known, relative="style\\hat.v1.safetensors", absolute="D:\\Lora\\style\\hat.v1.safetensors",
        metadata=metadata,
    )  # fmt: skip
    assert told == {
        "shorthash": SHA256[:8],
        "hash": SHA256,
        "name": "hat_v1",
        "filename": "D:\\Lora\\style\\hat.v1.safetensors",
        "fullname": "style\\hat.v1",
        "metadata": metadata,
        "is_safetensors": True,
        "alias": "hats",
        "sd_version": "xl",
    }
    assert next(iter(told["metadata"])) == "ss_resolution"


def test_the_hash_of_the_data_stands_in_and_then_none() -> None:
    for hashes, digest in (({"data_sha256": "ab" * 32}, "ab" * 32), ({}, "")):
        told = sdnext.network(entry(hashes=hashes), relative="", absolute="", metadata={})
        assert (told["hash"], told["shorthash"]) == (digest, digest[:8])


def test_a_pickle_has_no_metadata_and_its_name_as_alias() -> None:
    pickled = entry("a.b.pt", architecture="wan")
    told = sdnext.network(pickled, relative="a.b.pt", absolute="/a.b.pt", metadata={"ss_output_name": "x"})
    assert (told["metadata"], told["alias"], told["is_safetensors"]) == ({}, "a_b", False)
    assert (told["fullname"], told["sd_version"]) == ("a.b", "")


def test_a_name_has_no_dots_and_the_last_of_several_is_meant() -> None:
    files = [entry("a.b.safetensors"), entry("x/a_b.pt"), entry("a_b.bin"), entry("c.safetensors")]
    assert sdnext.find(files, "a_b") is files[1]
    for name in ("a.b", "A_B", "", "none", "a_b" * 1000):
        with pytest.raises(NotFound):
            sdnext.find(files, name)


def test_a_refusal_is_told_as_fastapi_does() -> None:
    with pytest.raises(NotFound) as refused:
        sdnext.find([], "hat" * 1000)
    status, told = sdnext.failure(refused.value)
    assert (status, list(told)) == (404, ["detail"])
    assert len(told["detail"]) < 300
    assert sdnext.lora_request("hat") == "hat"
    for nothing in (None, ""):
        with pytest.raises(BadRequest) as missing:
            sdnext.lora_request(nothing)
        assert sdnext.failure(missing.value)[0] == 422


LARGE = "x" * 3000
TAGS = {"10_hat": {f"tag {number}": number for number in range(300)}, "odd": 3}


@pytest.mark.parametrize(
    ("key", "text", "kept"),
    [
        ("format", "pt", None),
        ("format", "np", "np"),
        ("other", "pt", "pt"),
        ("modelspec.thumbnail", "data:image/jpeg;base64,AAAA", "data"),
        ("workflow", '{"nodes": []}', "workflow"),
        ("ss_datasets", LARGE, None),
        ("ss_datasets", "[1]", "[1]"),
        ("prompt", LARGE, None),
        ("ss_bucket_info", '{"buckets": {}}', {"buckets": {}}),
        ("ss_bucket_info", json.dumps({"a": LARGE}), None),
        ("comment", LARGE, LARGE),
        ("ss_tag_frequency", '{"10_hat": {"a": 1}}', {"10_hat": {"a": 1}}),
        ("ss_tag_frequency", json.dumps(TAGS), {"10_hat": 300}),
        ("a", "NaN", None),
        ("a", '{"x": NaN}', None),
        ("a", '{"x": 1e999}', None),
        ("a", "{'x': 1}", "{'x': 1}"),
        ("a", '{"x": ' + "[" * 200 + "]" * 200 + "}", '{"x": ' + "[" * 200 + "]" * 200 + "}"),
        ("a", "{" * 100_000, "{" * 100_000),
        ("a", "", ""),
        ("a", "[1]", "[1]"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_metadata_are_kept_without_what_is_large_or_odd(key: str, text: str, kept: object) -> None:
    assert sdnext.shown_metadata({key: text}) == ({} if kept is None else {key: kept})


def test_the_table_of_versions_names_architectures() -> None:
    assert sdnext.VERSIONS.keys() < ARCHITECTURES.keys()
