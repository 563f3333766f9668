"""The answer in Novita's own document, from what Civitai must have said of the same version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.formats.civitai import model_of
from registry.wire import novita
from tests.support.civitai_entries import entry_of

if TYPE_CHECKING:
    from pathlib import Path

    from registry.shown import Entry

pytestmark = pytest.mark.data

JSON = dict[str, Any]


@pytest.fixture(scope="module")
def answer(data_dir: Path) -> JSON:
    path = data_dir / "civitai" / "novita_civitai_version_64094.json"
    recorded: JSON = json.loads(path.read_text(encoding="utf-8"))
    return recorded


@pytest.fixture(scope="module")
def sent(answer: JSON) -> JSON:
    model: JSON = answer["data"]["model"]
    return model


def civitai_model(sent: JSON) -> JSON:
    """The model as Civitai sent it in 2023, of the same facts."""
    return {
        "id": sent["civitai_model_id"],
        "name": sent["name"],
        "type": "Checkpoint",
        "nsfw": sent["civitai_nsfw"],
        "allowCommercialUse": sent["civitai_allow_commercial_use"],
        "allowDifferentLicense": sent["civitai_allow_different_license"],
        "tags": sent["civitai_tags"].split(","),
        "stats": {
            "downloadCount": sent["civitai_download_count"],
            "favoriteCount": sent["civitai_favorite_count"],
            "commentCount": sent["civitai_comment_count"],
            "ratingCount": sent["civitai_rating_count"],
            "rating": sent["civitai_rating"],
        },
        "modelVersions": [
            {
                "id": sent["civitai_version_id"],
                "name": "v1",
                "createdAt": sent["civitai_create_at"].replace(" ", "T") + ".000Z",
                "updatedAt": sent["civitai_update_at"].replace(" ", "T") + ".000Z",
                "trainedWords": [],
                "files": [
                    {
                        "name": sent["download_name"],
                        "type": "Model",
                        "hashes": {"SHA256": sent["hash"] + "0" * 54, "AutoV2": sent["hash"]},
                        "primary": True,
                        "downloadUrl": sent["civitai_download_url"],
                    }
                ],
                "images": [civitai_image(image, sent) for image in sent["civitai_images"]],
            }
        ],
    }


def civitai_image(image: JSON, sent: JSON) -> JSON:
    meta = image["meta"]
    return {
        "url": sent["civitai_origin_image_url"],
        "nsfw": image["nsfw"],
        "width": sent["civitai_image_width"],
        "height": sent["civitai_image_height"],
        "meta": {
            "prompt": meta["prompt"],
            "negativePrompt": meta["negative_prompt"],
            "sampler": meta["sampler_name"],
            "steps": meta["steps"],
            "cfgScale": meta["cfg_scale"],
            "seed": meta["seed"],
            "Model": meta["model_name"],
        },
    }


@pytest.fixture(scope="module")
def entry(sent: JSON) -> Entry:
    model = model_of(civitai_model(sent))
    assert model is not None
    stem, _, ending = sent["sd_name"].rpartition(".")
    version = model.versions[0]
    return entry_of(version, model, name=stem, ext=f".{ending}", kind="checkpoint", adapter="none")


def test_the_recorded_answer_comes_back_member_for_member_in_its_order(
    answer: JSON, sent: JSON, entry: Entry
) -> None:
    there = {sent["civitai_origin_image_url"]: sent["civitai_image_url"]}

    made = novita.found(entry, download_url="", image_url=lambda image: there[image.url])

    assert made == answer
    assert json.dumps(made) == json.dumps(answer)


def test_a_file_of_which_nothing_is_known_has_the_same_members_and_kinds_of_values(sent: JSON) -> None:
    from_nothing = novita.model(plain_entry(), download_url="")
    assert list(from_nothing) == list(sent)
    for name, value in sent.items():
        assert from_nothing[name] is None or isinstance(from_nothing[name], type(value) | int)
        assert not isinstance(value, str) or isinstance(from_nothing[name], str)


def plain_entry() -> Entry:
    model = model_of({"id": 1, "modelVersions": [{"id": 1, "files": [{"name": "x"}]}]})
    assert model is not None
    return entry_of(model.versions[0])
