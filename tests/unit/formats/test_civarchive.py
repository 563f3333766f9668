"""Answers of CivArchive in the shapes that its clients met, odd and of other sites."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats import civitai
from registry.formats.civarchive import MAX_PLACES, Place, as_civitai, model_of, places_of, version_of
from registry.told import RemoteFile, RemoteModel, RemoteVersion

JSON = dict[str, Any]
SHA256: Final = "0123456789abcdef" * 4
MAY_MS: Final = 1_746_093_600_000


def version(**changes: Any) -> JSON:
    return {
        "id": 242807,
        "modelId": 215485,
        "name": "v1",
        "baseModel": "Illustrious",
        "createdAt": "2025-05-01T10:00:00.000Z",
        "description": "<p>First</p>",
        "downloadCount": 437,
        "ratingCount": 0,
        "rating": 0,
        "nsfw_level": 5,
        "trigger": ["ink wash"],
        "files": [file()],
        "images": [{"id": 3, "url": "https://img.example/ink.png", "nsfwLevel": 1, "width": 8, "height": 9}],
        "mirrors": [],
    } | changes


def file(**changes: Any) -> JSON:
    return {
        "id": 187907,
        "name": "ink.safetensors",
        "type": "Model",
        "sizeKB": 1000.5,
        "sha256": SHA256,
        "downloadUrl": "https://civitai.com/api/download/models/242807",
        "is_primary": False,
        "mirrors": [],
    } | changes


def model(**changes: Any) -> JSON:
    return {
        "id": 215485,
        "name": "Ink",
        "type": "LORA",
        "description": "<p>Of scans.</p>",
        "is_nsfw": True,
        "nsfw_level": 31,
        "tags": ["style", "ink"],
        "creator_id": "konan",
        "creator_username": "Konan",
        "downloadCount": 900,
        "platform": "civitai",
        "version": version(),
        "versions": [
            {"id": 242999, "name": "v2", "href": "/models/215485?modelVersionId=242999"},
            {"id": 242807, "name": "v1", "href": "/models/215485?modelVersionId=242807"},
        ],
    } | changes


def without(value: JSON, *members: str) -> JSON:
    return {name: each for name, each in value.items() if name not in members}


def decoded(value: object) -> RemoteVersion:
    found = version_of(value)
    assert found is not None
    return found


def decoded_model(value: object) -> RemoteModel:
    found = model_of(value)
    assert found is not None
    return found


WITHIN_MODEL: Final[JSON] = {"model": model(), "files": [{"sha256": SHA256, "source": "civitai"}]}
BESIDE_MODEL: Final[JSON] = {"model": without(model(), "version"), "version": version()}


@pytest.mark.parametrize(
    "answer",
    [model(), {"data": model()}, WITHIN_MODEL, {"data": WITHIN_MODEL}, BESIDE_MODEL],
    ids=["bare", "in data", "in model", "in data and model", "beside the model"],
)
def test_a_version_is_found_wherever_it_stands(answer: JSON) -> None:
    found = decoded(answer)

    assert (found.id, found.model_id, found.name, found.base_model) == (242807, 215485, "v1", "Illustrious")
    assert (found.model_name, found.model_type, found.nsfw, found.nsfw_level) == ("Ink", "LORA", True, 5)
    assert found.trained_words == ("ink wash",)
    assert found.created_at == MAY_MS
    assert found.description == "<p>First</p>"
    assert found.stats == {"downloadCount": 437, "ratingCount": 0, "rating": 0}
    assert found.files == (
        RemoteFile(
            id=187907,
            name="ink.safetensors",
            size=1_024_512,
            type="Model",
            format=None,
            precision=None,
            primary=True,
            hashes={"sha256": SHA256},
            download_url="https://civitai.com/api/download/models/242807",
        ),
    )
    assert [(image.url, image.nsfw_level, image.width) for image in found.images] == [
        ("https://img.example/ink.png", 1, 8)
    ]


@pytest.mark.parametrize("answer", [model(), {"data": model()}, WITHIN_MODEL, BESIDE_MODEL])
def test_a_model_is_found_with_its_one_version(answer: JSON) -> None:
    found = decoded_model(answer)

    assert (found.id, found.name, found.type, found.creator) == (215485, "Ink", "LORA", "Konan")
    assert (found.description, found.tags) == ("<p>Of scans.</p>", ("style", "ink"))
    assert (found.nsfw, found.nsfw_level, found.stats) == (True, 31, {"downloadCount": 900.0})
    assert [(each.id, each.name, each.model_id, len(each.files)) for each in found.versions] == [
        (242999, "v2", 215485, 0),
        (242807, "v1", 215485, 1),
    ]


def test_a_version_that_its_model_does_not_list_is_its_first() -> None:
    assert [each.id for each in decoded_model(model(versions=[{"id": 1}])).versions] == [242807, 1]
    assert [each.id for each in decoded_model(model(versions=None)).versions] == [242807]


def test_what_civitai_would_answer_is_understood_alike() -> None:
    answer = as_civitai(model())

    assert civitai.version_of(answer) == decoded(model())
    assert as_civitai({"files": [{"model_id": 1, "model_version_id": 2}]}) is None


def test_an_answer_that_names_files_only_tells_where_they_are() -> None:
    answer = {
        "files": [
            {"model_id": 9, "model_version_id": 8, "source": "tensorart"},
            {"model_id": 215485, "model_version_id": 242807, "source": "civitai"},
            {"modelId": "215486", "modelVersionId": "242808"},
            {"model_id": 215485, "model_version_id": 242807},
            {"model_id": 215485},
            {"model_id": "uuid-1", "model_version_id": 5},
            None,
        ]
    }

    assert places_of(answer) == places_of({"data": answer}) == (Place(215485, 242807), Place(215486, 242808))
    assert version_of(answer) is None
    assert model_of(answer) is None


def test_only_a_few_places_are_told() -> None:
    answer = {"files": [{"model_id": number, "model_version_id": number} for number in range(1, 50)]}

    assert len(places_of(answer)) == MAX_PLACES


@pytest.mark.parametrize("site", ["tensorart", "seaart", "", 5, ["civitai"]])
def test_numbers_of_other_sites_are_none_of_civitai(site: object) -> None:
    assert version_of(model(platform=site)) is None
    assert model_of(model(platform=site)) is None
    assert version_of(model(version=version(platform=site))) is None


@pytest.mark.parametrize("site", [None, "civitai", "Civitai", "CivitAI"])
def test_what_is_not_told_to_be_of_another_site_is_of_civitai(site: object) -> None:
    assert decoded(model(platform=site)).id == 242807


def test_a_model_that_is_not_that_of_the_version_tells_nothing_of_it() -> None:
    other = model(id=1)

    assert (decoded(other).model_id, decoded(other).model_name) == (215485, None)
    assert model_of(other) is None


def test_numbers_may_be_texts() -> None:
    found = decoded(model(id="215485", version=version(id="242807", modelId="215485")))

    assert (found.id, found.model_id, found.model_name) == (242807, 215485, "Ink")


@pytest.mark.parametrize("odd", ["", "x", "-5", "1.5", "９", "9" * 400, 0, -1, True, 2**63, None, []])
def test_what_has_no_number_is_no_version(odd: object) -> None:
    assert version_of(model(version=version(id=odd))) is None


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"trigger": "one, two"}, ("one, two",)),
        ({"trigger": None, "trainedWords": ["one"]}, ("one",)),
        ({"trigger": None, "trainedWords": "one"}, ("one",)),
        ({"trigger": []}, ()),
        ({"trigger": 5}, ()),
    ],
)
def test_words_are_a_list_or_a_text(members: JSON, words: tuple[str, ...]) -> None:
    assert decoded(model(version=version(**members))).trained_words == words


def test_levels_of_the_model_stand_for_those_of_a_version_without() -> None:
    assert decoded(model(version=without(version(), "nsfw_level"))).nsfw_level == 31
    assert decoded(model(version=version(nsfw_level=None, nsfwLevel=2))).nsfw_level == 2


def test_files_beside_the_version_are_its_files_unless_they_name_another() -> None:
    beside = [
        {"sha256": "1" * 64, "model_version_id": 242807},
        {"sha256": "2" * 64},
        {"sha256": "3" * 64, "model_version_id": 5},
    ]

    found = decoded({"model": model(version=version(files=[])), "files": beside})

    assert [each.hashes["sha256"][0] for each in found.files] == ["1", "2"]
    assert not any(each.primary for each in found.files)


def test_a_file_is_called_and_fetched_as_its_first_mirror_that_is_left() -> None:
    mirrors = [
        {"filename": "old.safetensors", "url": "https://one.example/x", "deletedAt": "2025-01-01"},
        None,
        {"filename": "ink2.safetensors", "url": "https://two.example/x", "deletedAt": None},
    ]
    bare = without(file(mirrors=mirrors), "name", "downloadUrl")

    (found,) = decoded(model(version=version(files=[bare]))).files

    assert (found.name, found.download_url) == ("ink2.safetensors", "https://two.example/x")


@pytest.mark.parametrize("digest", [None, "", "xyz", SHA256[:10], 5])
def test_a_file_without_a_whole_hash_has_none(digest: object) -> None:
    (found,) = decoded(model(version=version(files=[file(sha256=digest)]))).files

    assert found.hashes == {}


def test_hashes_may_be_named_as_civitai_names_them() -> None:
    named = without(file(hashes={"SHA256": SHA256.upper(), "AutoV3": "ABCDEF012345"}), "sha256")
    (found,) = decoded(model(version=version(files=[named]))).files

    assert found.hashes == {"sha256": SHA256, "autov3": "abcdef012345"}


@pytest.mark.parametrize(
    ("members", "creator"),
    [
        ({"creator_username": "a", "username": "b", "creator_name": "c"}, "a"),
        ({"creator_username": None, "username": "b"}, "b"),
        ({"creator_username": 5, "creator_name": "c"}, "c"),
        ({"creator_username": " "}, None),
    ],
)
def test_the_creator_has_one_of_three_names(members: JSON, creator: str | None) -> None:
    assert decoded_model(model(**members)).creator == creator


def test_what_is_long_is_cut() -> None:
    many = version(files=[file()] * 1000, trigger=["w" * 9000] * 5000, description="d" * 999_999)
    found = decoded(model(version=many))

    assert len(found.files) == civitai.MAX_FILES
    assert len(found.trained_words) == civitai.MAX_WORDS
    assert len(found.trained_words[0]) == civitai.MAX_WORD
    assert len(found.description or "") == civitai.MAX_DESCRIPTION
    listed = decoded_model(model(versions=[{"id": number} for number in range(1, 3000)], version=None))
    assert len(listed.versions) == civitai.MAX_VERSIONS


@pytest.mark.parametrize(
    "value",
    [None, True, 0, "", "<html>", [], [model()], {}, {"error": "Not found"}, {"data": None}, {"version": []}],
    ids=lambda value: json.dumps(value)[:30],
)
def test_what_is_no_answer_of_it_is_none(value: object) -> None:
    assert (version_of(value), model_of(value), places_of(value)) == (None, None, ())


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["civitai", SHA256, "242807", "2025-05-01", "https://x.example/y"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
_PATHS = st.sampled_from(
    [
        (),
        *((member,) for member in model()),
        *(("version", member) for member in version()),
        *(("version", "files", 0, member) for member in file()),
        ("version", "images", 0),
        ("version", "files", 0),
        ("versions", 0),
        ("versions", 0, "id"),
    ]
)


def put(answer: Any, path: tuple[Any, ...], value: object) -> object:
    """Return an answer with something else at one place of it."""
    if not path:
        return value
    changed = copy.copy(answer)
    changed[path[0]] = put(answer[path[0]], path[1:], value)
    return changed


@given(_JSON, _PATHS, st.sampled_from(["data", "model", None]))
def test_nothing_raises_whatever_stands_anywhere(
    value: object, path: tuple[Any, ...], inside: str | None
) -> None:
    answer = put(model(), path, value)
    whole = answer if inside is None else {inside: answer, "files": [value]}

    for each in (whole, value):
        found, said = version_of(each), model_of(each)
        assert found is None or found.id is not None
        assert said is None or replace(said, versions=()).id is not None
        assert len(places_of(each)) <= MAX_PLACES
