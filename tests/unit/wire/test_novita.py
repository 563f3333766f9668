"""Models as Novita AI describes them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadRequest, CatalogBusy, NotFound, Unauthorized
from registry.formats.civitai import model_of, version_of
from registry.shown import Shown
from registry.told import Licence, RemoteImage
from registry.wire import novita
from registry.wire.novita import Query
from tests.support.civitai_entries import SHA256, entry, entry_of

JSON = dict[str, Any]

HERE = "https://here/file/7"
IMAGE = RemoteImage(
    "https://image.example/1.jpeg",
    width=540,
    height=768,
    nsfw_level=2,
    meta={
        "prompt": "ink",
        "negativePrompt": "paper",
        "sampler": "Euler a",
        "steps": 20,
        "cfgScale": 7,
        "seed": 5,
        "Size": "540x768",
        "Model": "ink_v2",
    },
)
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none())
NUMBERS = frozenset(
    {"id", "enable", "civitai_model_id", "civitai_version_id", "civitai_image_height", "civitai_image_width",
     "civitai_image_steps", "civitai_image_cfg_scale", "civitai_image_seed", "civitai_dependency_version_id"}
)  # fmt: skip


def told(shown: Shown | None = None, **changes: Any) -> JSON:
    return novita.model(entry(shown, **changes), download_url=HERE)


def with_images(*images: RemoteImage) -> Shown:
    return Shown("ink", images=images)


def test_a_file_that_civitai_never_knew_has_every_member_and_no_null_text() -> None:
    model = told()
    assert {name for name, value in model.items() if value is None} == NUMBERS
    assert (model["name"], model["sd_name"], model["type"]) == ("ink", "ink.safetensors", "lora")
    assert (model["hash"], model["third_source"]) == (SHA256[:10].upper(), "")
    assert (model["civitai_link"], model["civitai_download_url"]) == ("", HERE)
    assert (model["civitai_images"], model["civitai_image_url"], model["civitai_rating"]) == ([], "", 0)


def test_a_file_that_is_not_hashed_yet_has_an_empty_hash() -> None:
    assert told(hashes={})["hash"] == ""


def test_the_file_is_had_from_civitai_while_that_has_it() -> None:
    there = "https://civitai.com/api/download/models/5"
    assert told(Shown("x", model_id=4, version_id=5))["civitai_download_url"] == there
    assert told(Shown("x", model_id=4, version_id=5, gone_at=1))["civitai_download_url"] == HERE


@pytest.mark.parametrize(
    ("model_type", "name"),
    [("Checkpoint", "checkpoint"), ("LORA", "lora"), ("LoCon", "lora"), ("DoRA", "lora"), ("VAE", "vae"),
     ("Controlnet", "controlnet"), ("TextualInversion", "textualinversion"), ("Upscaler", "upscaler"),
     ("Poses", "poses")],
)  # fmt: skip
def test_types_are_in_lower_case_and_all_adapters_are_loras(model_type: str, name: str) -> None:
    assert told(Shown("x", model_type=model_type))["type"] == name


@pytest.mark.parametrize(
    ("uses", "word"),
    [(None, ""), ((), "None"), (("None",), "None"), (("Image", "RentCivit"), "RentCivit"),
     (("Sell", "Image"), "Sell"), (("Other",), "None")],
)  # fmt: skip
def test_of_the_allowed_uses_the_most_is_told(uses: tuple[str, ...] | None, word: str) -> None:
    licence = Licence(commercial_use=uses)
    assert told(Shown("x", licence=licence))["civitai_allow_commercial_use"] == word


@pytest.mark.parametrize(
    ("level", "word"),
    [(None, ""), (0, ""), (1, "None"), (2, "Soft"), (4, "Mature"), (8, "X"), (16, "X"), (32, "Blocked")],
)
def test_levels_are_words_and_what_nobody_rated_is_not_called_safe(level: int | None, word: str) -> None:
    model = told(with_images(RemoteImage("https://image.example/1.jpeg", nsfw_level=level)))
    assert (model["civitai_images"][0]["nsfw"], model["civitai_image_nsfw"]) == (word, word)


def test_the_first_image_is_told_twice_and_its_sides_are_interchanged_once() -> None:
    model = told(with_images(IMAGE))
    meta = model["civitai_images"][0]["meta"]
    assert (meta["height"], meta["width"], meta["model_name"]) == (540, 768, "ink_v2")
    assert (model["civitai_image_height"], model["civitai_image_width"]) == (768, 540)
    for name in ("prompt", "negative_prompt", "sampler_name", "steps", "cfg_scale", "seed"):
        assert model[f"civitai_image_{name}"] == meta[name]
    assert (meta["prompt"], meta["negative_prompt"], meta["sampler_name"]) == ("ink", "paper", "Euler a")


def test_the_sides_are_taken_from_the_generation_data_where_nothing_else_tells_them() -> None:
    model = told(with_images(RemoteImage("https://image.example/1.jpeg", meta={"Size": "512x640"})))
    assert (model["civitai_image_width"], model["civitai_image_height"]) == (512, 640)


def test_images_may_have_an_address_here() -> None:
    here = "https://here/7.webp"
    model: JSON = novita.model(entry(with_images(IMAGE)), download_url=HERE, image_url=lambda _: here)
    assert model["civitai_image_url"] == model["civitai_images"][0]["url"] == here
    assert model["civitai_origin_image_url"] == IMAGE.url


def test_videos_are_left_out() -> None:
    video = RemoteImage("https://image.example/2.mp4", video=True)
    model = told(with_images(video, IMAGE))
    assert [image["url"] for image in model["civitai_images"]] == [IMAGE.url]
    assert model["civitai_image_url"] == IMAGE.url


@given(st.dictionaries(st.sampled_from([*IMAGE.meta, "x"]), ANYTHING))
def test_any_generation_data_become_texts_and_numbers(meta: dict[str, object]) -> None:
    model = told(with_images(RemoteImage("https://image.example/1.jpeg", meta=meta)))
    json.dumps(model, allow_nan=False)
    sent = model["civitai_images"][0]["meta"]
    for name in ("prompt", "negative_prompt", "sampler_name", "model_name"):
        assert isinstance(sent[name], str)
    for name in ("steps", "seed", "height", "width"):
        assert sent[name] is None or type(sent[name]) is int


def test_counters_are_those_of_the_model() -> None:
    answer = {
        "id": 4,
        "name": "Ink",
        "nsfw": True,
        "stats": {"downloadCount": 10, "favoriteCount": 0, "thumbsUpCount": 3, "commentCount": None,
                  "rating": 4.5},
        "modelVersions": [{"id": 5, "name": "v1", "files": [{"name": "ink.safetensors"}],
                           "createdAt": "2023-05-06T16:22:46.000Z", "stats": {"downloadCount": 1}}],
    }  # fmt: skip
    remote = model_of(answer)
    assert remote is not None
    known = novita.model(entry_of(remote.versions[0], remote), download_url=HERE)
    assert (known["civitai_download_count"], known["civitai_favorite_count"]) == (10, 3)
    assert (known["civitai_comment_count"], known["civitai_rating_count"], known["civitai_rating"]) == (
        0,
        0,
        4.5,
    )
    assert (known["civitai_create_at"], known["civitai_update_at"]) == ("2023-05-06 16:22:46", "")
    assert known["civitai_nsfw"] is True


def test_without_its_model_the_counters_are_those_of_the_version() -> None:
    version = version_of({"id": 5, "files": [{"name": "x"}], "stats": {"downloadCount": 1}})
    assert version is not None
    assert novita.model(entry_of(version), download_url=HERE)["civitai_download_count"] == 1


def test_an_answer_of_v2_is_in_an_envelope() -> None:
    answer = novita.found(entry(), download_url=HERE)
    assert list(answer) == ["code", "msg", "data"]
    assert (answer["code"], answer["msg"], answer["data"]) == (0, "", {"model": told()})
    assert novita.listed([told()]) == {"code": 0, "msg": "", "data": {"models": [told()]}}


def test_what_goes_wrong_in_v2_has_a_code_and_a_message_and_data_to_look_into() -> None:
    answer = novita.failed(NotFound("no version has that id"))
    assert answer == {"code": 404, "msg": "no version has that id", "data": {}}


@pytest.mark.parametrize("written", ["", "0", "-5", "x", "2147483648", "9" * 50])
def test_ids_of_versions_are_positive(written: str) -> None:
    assert novita.read_version_id("64094") == 64094
    with pytest.raises(BadRequest):
        novita.read_version_id(written)


def test_v2_lists_one_type_or_all() -> None:
    assert (novita.read_type({}), novita.read_type({"type": "VAE"})) == (None, "vae")
    with pytest.raises(BadRequest, match="checkpoint, lora, vae"):
        novita.read_type({"type": "poses"})


def test_a_model_of_v3_has_every_member() -> None:
    shown = Shown("ink", tags=("a", "b"), user_tags=("b", "c"), model_type="LoCon", version_id=5)
    cover = "https://here/7.webp"
    assert novita.model_v3(entry(shown), download_url=HERE, download_ttl=600, cover_url=cover) == {
        "id": 7,
        "name": "ink",
        "hash_sha256": SHA256.upper(),
        "sd_name": "ink.safetensors",
        "type": {"name": "lora", "display_name": "LoCon"},
        "categories": [],
        "status": 1,
        "download_url": HERE,
        "tags": ["a", "b", "c"],
        "cover_url": cover,
        "source": "civitai",
        "base_model": "SDXL 1.0",
        "base_model_type": "Standard",
        "download_url_ttl": 600,
        "sd_name_in_api": "ink.safetensors",
        "is_nsfw": False,
    }  # fmt: skip


def test_what_only_we_know_was_uploaded() -> None:
    model = novita.model_v3(
        entry(architecture="unknown", base_model="sd1.5-inpainting", hashes={}), download_url=HERE
    )
    assert (model["source"], model["hash_sha256"], model["base_model"]) == ("uploading", "", "")
    assert (model["base_model_type"], model["cover_url"]) == ("Inpainting", "")


def test_v3_is_asked_with_filters_and_a_cursor() -> None:
    assert novita.read_query({}) == Query()
    params = {
        "filter.visibility": "public",
        "filter.source": "civitai",
        "filter.types": "lora,VAE",
        "filter.is_sdxl": "true",
        "filter.is_nsfw": "false",
        "filter.tags": "ink, paper",
        "filter.query": " wash ",
        "pagination.limit": "2",
        "pagination.cursor": "c_40",
    }
    assert novita.read_query(params) == Query(
        visibility="public",
        source="civitai",
        types=("lora", "vae"),
        is_sdxl=True,
        is_nsfw=False,
        tags=("ink", "paper"),
        query="wash",
        limit=2,
        start=40,
    )


@pytest.mark.parametrize(
    "odd",
    [{"pagination.limit": "0"}, {"pagination.limit": "101"}, {"pagination.limit": "x"},
     {"pagination.cursor": "40"}, {"pagination.cursor": "c_-1"}, {"pagination.cursor": "c_" + "9" * 10},
     {"pagination.cursor": "c_٣"}, {"filter.types": "poses"}, {"filter.visibility": "secret"},
     {"filter.source": "x"}, {"filter.is_sdxl": "maybe"}, {"filter.query": "x" * 501}],
)  # fmt: skip
def test_what_cannot_be_is_refused(odd: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        novita.read_query(odd)
    assert refused.value.remedy


@given(
    st.dictionaries(
        st.sampled_from(["filter.types", "filter.is_sdxl", "filter.tags", "filter.query", "pagination.limit",
                         "pagination.cursor", "filter.source"]),
        st.text() | st.sampled_from(["lora", "true", "c_0", "5"]),
    )
)  # fmt: skip
def test_any_parameters_are_read_or_refused(params: dict[str, str]) -> None:
    with contextlib.suppress(BadRequest):
        assert 1 <= novita.read_query(params).limit <= novita.MAX_LIMIT


def test_pages_of_v3_follow_each_other() -> None:
    first = novita.models_v3([], next_start=2)
    assert first == {"models": [], "pagination": {"next_cursor": "c_2"}}
    assert novita.read_query({"pagination.cursor": "c_2"}).start == 2
    last = novita.models_v3([], next_start=None)
    assert last["pagination"] == {"next_cursor": ""}
    assert novita.read_query({"pagination.cursor": ""}).start == 0


def test_what_goes_wrong_in_v3_has_a_reason() -> None:
    assert novita.failed_v3(BadRequest("no")) == {
        "code": 400,
        "reason": "INVALID_REQUEST_BODY",
        "message": "no",
        "metadata": {},
    }
    assert novita.failed_v3(Unauthorized("no"))["reason"] == "INVALID_API_KEY"
    assert novita.failed_v3(CatalogBusy("no"))["reason"] == "SERVICE_NOT_AVAILABLE"
