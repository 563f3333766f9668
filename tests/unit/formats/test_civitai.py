"""Answers of Civitai of three generations, whole, odd and broken."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats import civitai
from registry.formats.civitai import image_of, model_of, nsfw_level, version_of
from registry.told import Licence, RemoteFile, RemoteImage, RemoteModel, RemoteVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = dict[str, Any]

SHA256: Final = "0123456789ABCDEF" * 4
BLAKE3: Final = "FEDCBA9876543210" * 4
AUTOV3: Final = "ABCDEF0123456789" * 4
HASHES: Final = {
    "AutoV1": "6DC5F47A",
    "AutoV2": SHA256[:10],
    "AutoV3": AUTOV3[:12],
    "SHA256": SHA256,
    "CRC32": "BF967A66",
    "BLAKE3": BLAKE3,
}
OUR_HASHES: Final = {
    "autov1": "6dc5f47a",
    "autov2": SHA256[:10].lower(),
    "autov3": AUTOV3[:12].lower(),
    "sha256": SHA256.lower(),
    "crc32": "bf967a66",
    "blake3": BLAKE3.lower(),
}
IMAGE_URL: Final = "https://image.example/ab12/width=450/77.jpeg"
NOON: Final = "2023-11-29T12:00:00.250Z"
NOON_MS: Final = 1_701_259_200_250


def file(**changes: Any) -> JSON:
    return {
        "id": 187907,
        "sizeKB": 1000.5,
        "name": "ink.safetensors",
        "type": "Model",
        "pickleScanResult": "Success",
        "metadata": {"fp": "bf16", "size": None, "format": "SafeTensor"},
        "hashes": HASHES,
        "primary": True,
        "downloadUrl": "https://civitai.com/api/download/models/242807",
    } | changes


def image(**changes: Any) -> JSON:
    return {
        "url": IMAGE_URL,
        "nsfwLevel": 2,
        "width": 768,
        "height": 1024,
        "hash": "U9G9BnR,GI%N",
        "type": "image",
        "meta": {"prompt": "ink, 1girl", "seed": 2494203713, "resources": [{"name": "ink", "weight": 0.8}]},
    } | changes


def version(**changes: Any) -> JSON:
    """A version by itself, as in late 2024."""
    return {
        "id": 242807,
        "modelId": 215485,
        "name": "v1",
        "createdAt": "2023-11-29T01:21:22.372Z",
        "updatedAt": "2023-12-16T17:46:14.313Z",
        "status": "Published",
        "publishedAt": NOON,
        "trainedWords": ["ink", "ink wash, <lora:ink:1>"],
        "baseModel": "SDXL 1.0",
        "baseModelType": None,
        "earlyAccessEndsAt": None,
        "earlyAccessConfig": None,
        "description": "<p>First</p>",
        "nsfwLevel": 3,
        "availability": "Public",
        "stats": {"downloadCount": 2586, "thumbsUpCount": 12},
        "model": {"name": "Ink", "type": "LORA", "nsfw": False, "poi": False},
        "files": [file()],
        "images": [image()],
    } | changes


def model(**changes: Any) -> JSON:
    """A model of 2026, whose versions say neither their model nor when they were made."""
    return {
        "id": 2851602,
        "name": "Ink",
        "description": "<p>Trained on scans.</p>",
        "allowNoCredit": True,
        "allowCommercialUse": ["Image", "RentCivit"],
        "allowDerivatives": False,
        "allowDifferentLicense": True,
        "type": "LORA",
        "nsfw": False,
        "nsfwLevel": 7,
        "availability": "Public",
        "stats": {"downloadCount": 10, "thumbsUpCount": 1},
        "creator": {"username": "Konan", "image": None},
        "tags": ["style", "ink"],
        "modelVersions": [
            {
                "id": 3220243,
                "index": 0,
                "name": "v1.0",
                "baseModel": "Krea 2",
                "publishedAt": NOON,
                "nsfwLevel": 0,
                "paidAccess": None,
                "trainedWords": ["ink"],
                "stats": {"downloadCount": 2},
                "files": [file(primary=True)],
                "images": [image(id=139439234)],
            }
        ],
    } | changes


def decoded(value: object) -> RemoteVersion:
    found = version_of(value)
    assert found is not None
    return found


def decoded_model(value: object) -> RemoteModel:
    found = model_of(value)
    assert found is not None
    return found


def decoded_image(value: object) -> RemoteImage:
    found = image_of(value)
    assert found is not None
    return found


def file_of(**changes: Any) -> RemoteFile:
    return decoded(version(files=[file(**changes)])).files[0]


def test_a_version_by_itself_is_decoded_in_full() -> None:
    assert decoded(version()) == RemoteVersion(
        id=242807,
        model_id=215485,
        name="v1",
        model_name="Ink",
        model_type="LORA",
        base_model="SDXL 1.0",
        description="<p>First</p>",
        trained_words=("ink", "ink wash, <lora:ink:1>"),
        created_at=1_701_220_882_372,
        updated_at=1_702_748_774_313,
        published_at=NOON_MS,
        availability="Public",
        early_access_until=None,
        nsfw=False,
        nsfw_level=3,
        mode=None,
        stats={"downloadCount": 2586.0, "thumbsUpCount": 12.0},
        files=(
            RemoteFile(
                id=187907,
                name="ink.safetensors",
                size=1_024_512,
                type="Model",
                format="SafeTensor",
                precision="bf16",
                primary=True,
                hashes=OUR_HASHES,
                download_url="https://civitai.com/api/download/models/242807",
            ),
        ),
        images_level=2,
        images=(
            RemoteImage(
                url=IMAGE_URL,
                width=768,
                height=1024,
                nsfw_level=2,
                video=False,
                blurhash="U9G9BnR,GI%N",
                meta={
                    "prompt": "ink, 1girl",
                    "seed": 2494203713,
                    "resources": [{"name": "ink", "weight": 0.8}],
                },
            ),
        ),
    )


def test_a_model_of_2026_is_decoded_with_its_versions() -> None:
    found = decoded_model(model())

    assert (found.id, found.name, found.type, found.creator) == (2851602, "Ink", "LORA", "Konan")
    assert (found.nsfw, found.nsfw_level, found.mode) == (False, 7, None)
    assert found.description == "<p>Trained on scans.</p>"
    assert found.tags == ("style", "ink")
    assert found.licence == Licence(
        no_credit=True,
        commercial_use=("Image", "RentCivit"),
        derivatives=False,
        different_licence=True,
    )
    assert found.stats == {"downloadCount": 10.0, "thumbsUpCount": 1.0}
    (only,) = found.versions
    assert (only.id, only.model_id, only.model_name, only.model_type) == (3220243, 2851602, "Ink", "LORA")
    assert (only.base_model, only.published_at, only.created_at) == ("Krea 2", NOON_MS, None)
    assert (only.nsfw, only.nsfw_level, only.early_access_until) == (False, 0, None)
    assert only.files[0].hashes == OUR_HASHES


def test_an_answer_of_2023_is_decoded_as_well() -> None:
    old = model(
        allowCommercialUse="Rent",
        stats={"downloadCount": 4842, "favoriteCount": 252, "ratingCount": 4, "rating": 4.97},
        modelVersions=[
            version(
                earlyAccessTimeFrame=0,
                publishedAt="2023-11-29T12:00:00.25",
                files=[file(hashes=HASHES | {"AutoV3": AUTOV3})],
                images=[image(nsfwLevel=None, nsfw="Soft", meta={'"ink': 'abcdef012345"'})],
            )
        ],
    )
    for absent in ("nsfwLevel", "availability"):
        del old[absent], old["modelVersions"][0][absent]

    found = decoded_model(old)

    assert (found.nsfw_level, found.licence.commercial_use) == (None, ("Rent",))
    assert found.stats["rating"] == pytest.approx(4.97)
    (only,) = found.versions
    assert (only.published_at, only.availability, only.nsfw_level) == (NOON_MS, None, None)
    assert only.files[0].hashes == OUR_HASHES
    assert only.images[0].nsfw_level == 2
    assert only.images[0].meta == {'"ink': 'abcdef012345"'}


def test_a_version_within_a_model_takes_what_the_model_says() -> None:
    told = {"name": "Other", "type": "VAE", "nsfw": False, "mode": "TakenDown"}

    (found,) = decoded_model(
        model(nsfw=True, mode="Archived", modelVersions=[version(modelId=1, model=told)])
    ).versions

    assert (found.model_id, found.model_name, found.model_type) == (2851602, "Ink", "LORA")
    assert (found.nsfw, found.mode) == (True, "Archived")


def test_a_version_within_a_model_without_id_knows_its_own() -> None:
    (found,) = decoded_model(model(id=None, modelVersions=[version()])).versions

    assert found.model_id == 215485


def test_a_taken_down_model_keeps_its_mode_and_has_neither_files_nor_images() -> None:
    found = decoded(version(model={"name": "Ink", "mode": "TakenDown"}, files=[], images=[]))

    assert (found.mode, found.files, found.images) == ("TakenDown", (), ())


@pytest.mark.parametrize("member", [{}, {"model": None}, {"model": "Ink"}, {"model": []}])
def test_a_version_without_a_model_member_is_one_still(member: JSON) -> None:
    alone = version()
    del alone["model"]

    found = decoded(alone | member)

    assert (found.id, found.model_id) == (242807, 215485)
    assert (found.model_name, found.model_type, found.nsfw, found.mode) == (None, None, None, None)


NEITHER: Final = [
    None,
    True,
    0,
    12,
    1.5,
    "",
    "<!DOCTYPE html><title>Just a moment...</title>",
    [],
    [version()],
    {},
    {"error": "Model not found"},
    {"message": "An unexpected error occurred", "error": "..."},
    {"error": {"name": "ZodError", "issues": []}},
    {"error": "Not found", "name": "TRPCError", "code": "NOT_FOUND"},
    {"id": "", "modelId": "", "name": ""},
    {"id": True, "name": " "},
    {"id": 0},
    {"id": -5},
    {"id": 2**63},
    {"id": 10**400},
    {"id": math.nan},
    {"items": [model()], "metadata": {}},
    {"code": 0, "msg": "", "data": {"model": {}}},
]


@pytest.mark.parametrize("value", NEITHER, ids=lambda value: json.dumps(value)[:40])
def test_what_cannot_be_a_version_or_a_model_is_none(value: object) -> None:
    assert version_of(value) is None
    assert model_of(value) is None


@pytest.mark.parametrize(
    "value",
    [
        {"id": 5},
        {"id": 5, "error": "odd"},
        {"modelId": 5},
        {"name": "v1"},
        {"id": "", "modelId": "", "files": []},
        {"images": []},
    ],
)
def test_little_makes_a_version(value: JSON) -> None:
    assert version_of(value) is not None


@pytest.mark.parametrize("value", [{"id": 5}, {"name": "Ink", "type": "LORA"}, {"modelVersions": []}])
def test_little_makes_a_model(value: JSON) -> None:
    assert model_of(value) is not None


def test_a_version_is_no_model_and_a_model_no_version() -> None:
    assert model_of(version()) is None
    assert model_of({"id": 5, "modelId": 6}) is None
    assert model_of({"id": 5, "files": []}) is None
    assert version_of(model()) is None


def test_a_version_that_is_none_is_left_out_of_its_model() -> None:
    entries = [None, "v1", {}, {"id": 1}, {"error": "Model not found"}, model(), {"id": 2}]

    assert [each.id for each in decoded_model(model(modelVersions=entries)).versions] == [1, 2]


@pytest.mark.parametrize("versions", [None, {}, "v1", 3])
def test_versions_that_are_no_list_are_none(versions: object) -> None:
    assert decoded_model(model(modelVersions=versions)).versions == ()


def test_unknown_words_are_kept() -> None:
    found = decoded_model(
        model(
            type="HoloDeck",
            mode="Frozen",
            allowCommercialUse=["Image", "Toast"],
            modelVersions=[version(baseModel="Flux 9", availability="Maybe", files=[file(type="Scent")])],
        )
    )

    assert (found.type, found.mode, found.licence.commercial_use) == (
        "HoloDeck",
        "Frozen",
        ("Image", "Toast"),
    )
    assert (found.versions[0].base_model, found.versions[0].availability) == ("Flux 9", "Maybe")
    assert found.versions[0].files[0].type == "Scent"


def test_only_finite_counters_of_at_least_zero_count() -> None:
    odd: JSON = {
        "a": None,
        "b": "12",
        "c": True,
        "d": -1,
        "e": math.nan,
        "f": math.inf,
        "g": 10**400,
        "h": [],
        "zero": 0,
        "rating": 4.5,
    }

    assert decoded(version(stats=odd)).stats == {"zero": 0.0, "rating": 4.5}
    assert decoded_model(model(stats=odd)).stats == {"zero": 0.0, "rating": 4.5}


@pytest.mark.parametrize("stats", [None, [], "many", 5])
def test_counters_may_be_missing(stats: object) -> None:
    assert decoded(version(stats=stats)).stats == {}


@pytest.mark.parametrize(
    ("creator", "expected"),
    [
        ({"username": "Konan", "image": None}, "Konan"),
        ({"name": "Konan"}, "Konan"),
        ({"username": None, "name": "Konan"}, "Konan"),
        ({"username": "", "image": None}, None),
        ({"username": 5}, None),
        (None, None),
        ({}, None),
        ("{}", None),
        ([], None),
    ],
)
def test_the_creator_is_named_or_missing(creator: object, expected: str | None) -> None:
    assert decoded_model(model(creator=creator)).creator == expected


def test_an_absent_creator_is_none() -> None:
    deleted = model()
    del deleted["creator"]

    assert decoded_model(deleted).creator is None


@pytest.mark.parametrize("hashes", [{}, None, [], "abc", {"SHA256": None}, {"MD5": "0" * 32}])
def test_hashes_may_be_missing(hashes: object) -> None:
    assert file_of(hashes=hashes).hashes == {}


def test_hashes_and_their_names_may_be_in_any_case() -> None:
    lower = {name.lower(): value.lower() for name, value in HASHES.items()}

    assert file_of(hashes=lower).hashes == OUR_HASHES


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("SHA256", SHA256[:10]),
        ("SHA256", "g" * 64),
        ("SHA256", SHA256 + "\n"),
        ("SHA256", "\u0661" * 64),
        ("BLAKE3", BLAKE3[:12]),
        ("AutoV1", "1234567"),
        ("AutoV2", "12345678"),
        ("AutoV3", "1234567890"),
        ("CRC32", "0x12345678"),
        ("CRC32", 12345678),
        ("SHA256", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        ("BLAKE3", "AF1349B9F5F9A1A6A0404DEA36DCC9499BCB25C9ADC112B7CC9A93CAE41F3262"),
        ("AutoV1", "E3B0C442"),
        ("AutoV2", "e3b0c44298"),
        ("AutoV3", "E3B0C44298FC" + "1" * 52),
        ("CRC32", "00000000"),
    ],
)
def test_odd_hashes_and_those_of_nothing_are_left_out_and_the_others_stay(name: str, odd: object) -> None:
    found = file_of(hashes=HASHES | {name: odd}).hashes

    assert found == {ours: value for ours, value in OUR_HASHES.items() if ours != name.lower()}


@pytest.mark.parametrize(
    ("kilobytes", "expected"),
    [
        (768888.859375, 787_342_192),
        (1, 1024),
        (0, 0),
        (0.0005, 1),
        (-1, None),
        (None, None),
        ("12", None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (1e308, None),
        (2**60, None),
        (10**400, None),
    ],
)
def test_kilobytes_become_bytes(kilobytes: object, expected: int | None) -> None:
    assert file_of(sizeKB=kilobytes).size == expected


@pytest.mark.parametrize(
    ("primary", "expected"), [(True, True), (False, False), (None, False), ("true", False)]
)
def test_only_true_makes_a_file_the_main_one(*, primary: object, expected: bool) -> None:
    assert file_of(primary=primary).primary is expected


@pytest.mark.parametrize("metadata", [None, "SafeTensor", [], {}, {"format": 1, "fp": None}])
def test_a_file_may_have_no_metadata(metadata: object) -> None:
    found = file_of(metadata=metadata)

    assert (found.name, found.format, found.precision) == ("ink.safetensors", None, None)


@pytest.mark.parametrize("entries", [None, {}, "file", [None, 5, "x", [], {}]])
def test_files_and_images_that_are_none_are_left_out(entries: object) -> None:
    found = decoded(version(files=entries, images=entries))

    assert (found.files, found.images) == ((), ())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (NOON, NOON_MS),
        ("2023-11-29T12:00:00.25", NOON_MS),
        ("2023-11-29T14:00:00.250+02:00", NOON_MS),
        ("2023-11-29T06:30:00.250-0530", NOON_MS),
        ("2023-11-29 12:00:00", NOON_MS - 250),
        ("2023-11-29", 1_701_216_000_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("", None),
        ("2023", None),
        ("yesterday at noon", None),
        ("2023-02-30T00:00:00Z", None),
        ("2023-11-29T25:00:00Z", None),
        ("2023-11-29\ud80012:00:00\udfff", None),
        ("2023-11-29T12:00:00." + "0" * 5000 + "Z", None),
        (1_701_259_200_250, None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_times_are_milliseconds_since_the_epoch(written: object, expected: int | None) -> None:
    found = decoded(version(createdAt=written, updatedAt=written, publishedAt=written))

    assert (found.created_at, found.updated_at, found.published_at) == (expected,) * 3


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"earlyAccessEndsAt": NOON}, NOON_MS),
        ({"earlyAccessDeadline": NOON}, NOON_MS),
        ({"paidAccess": {"endsAt": NOON, "timeframeDays": 5}}, NOON_MS),
        ({"paidAccess": {"permanent": True, "endsAt": None}}, None),
        ({"paidAccess": {}, "earlyAccessDeadline": NOON}, NOON_MS),
        ({"paidAccess": "yes", "earlyAccessEndsAt": "soon"}, None),
        ({"earlyAccessTimeFrame": 7}, None),
    ],
)
def test_early_access_ends_as_each_generation_says(members: JSON, expected: int | None) -> None:
    assert decoded(version(**members)).early_access_until == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["Image", "Rent"], ("Image", "Rent")),
        ([], ()),
        (["Image", None, 5, ""], ("Image",)),
        ("Rent", ("Rent",)),
        ("None", ("None",)),
        ("{Image,Rent}", ("Image", "Rent")),
        ('{"Image", RentCivit}', ("Image", "RentCivit")),
        ("{}", ()),
        ("", None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_commercial_use_is_a_list_a_word_or_an_array_of_postgresql(
    written: object, expected: tuple[str, ...] | None
) -> None:
    assert decoded_model(model(allowCommercialUse=written)).licence.commercial_use == expected


def test_what_a_licence_does_not_say_is_none() -> None:
    silent = model(allowNoCredit=None, allowDerivatives="true", allowDifferentLicense=1)
    del silent["allowCommercialUse"]

    assert decoded_model(silent).licence == Licence()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["a, b", "c"], ("a, b", "c")),
        (["a", "", "  ", None, 5, ["b"]], ("a",)),
        ([" a "], (" a ",)),
        ("a, b", ()),
        ('["a", "b"]', ()),
        (None, ()),
        ({"a": 1}, ()),
    ],
)
def test_only_a_list_of_texts_is_trained_words(written: object, expected: tuple[str, ...]) -> None:
    assert decoded(version(trainedWords=written)).trained_words == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["style", "ink"], ("style", "ink")),
        ([{"name": "style", "id": 1}, "ink", {"id": 2}, None, 5], ("style", "ink")),
        ("style,ink", ()),
        (None, ()),
    ],
)
def test_tags_are_texts_or_objects_with_a_name(written: object, expected: tuple[str, ...]) -> None:
    assert decoded_model(model(tags=written)).tags == expected


@pytest.mark.parametrize("written", ["true", 1, None, []])
def test_only_a_truth_value_says_whether_a_model_is_nsfw(written: object) -> None:
    assert decoded_model(model(nsfw=written)).nsfw is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1, 1),
        (31, 31),
        (63, 63),
        (4.0, 4),
        ("None", 1),
        ("Soft", 2),
        ("Mature", 4),
        ("X", 8),
        ("Blocked", 32),
        (64, None),
        (-1, None),
        (10**400, None),
        (1.5, None),
        (math.nan, None),
        (True, None),
        (False, None),
        ("PG", None),
        ("4", None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_levels_are_bits_or_the_old_names(value: object, expected: int | None) -> None:
    assert nsfw_level(value) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"nsfwLevel": 16}, 16),
        ({"nsfwLevel": 0, "nsfw": "X"}, 0),
        ({"nsfw": "Mature"}, 4),
        ({"nsfwLevel": None, "nsfw": "X"}, 8),
        ({"nsfwLevel": "X", "nsfw": True, "browsingLevel": 16}, 16),
        ({"nsfw": True}, None),
        ({}, None),
    ],
)
def test_the_level_of_an_image_is_the_exactest_it_has(members: JSON, expected: int | None) -> None:
    assert decoded_image({"url": IMAGE_URL} | members).nsfw_level == expected


@pytest.mark.parametrize(
    "url",
    [
        None,
        5,
        "",
        "77.jpeg",
        "ftp://image.example/77.jpeg",
        "javascript:alert(1)//https://image.example",
        "//image.example/77.jpeg",
        "https://",
        "https://image.example/7 7.jpeg",
        "https://image.example/77.jpeg\n",
        "https://image.example/\x00.jpeg",
        "https://image.example/\ud800.jpeg",
        "https://image.example/" + "7" * civitai.MAX_URL,
    ],
)
def test_an_image_without_a_web_address_is_none(url: object) -> None:
    assert image_of(image(url=url)) is None
    assert file_of(downloadUrl=url).download_url is None


@pytest.mark.parametrize("url", ["http://a.example/1", "HTTPS://A.example/1", "https://a.example/\u4e2d.png"])
def test_web_addresses_are_kept_as_they_are(url: str) -> None:
    assert decoded_image(image(url=url)).url == url
    assert file_of(downloadUrl=url).download_url == url


@pytest.mark.parametrize("value", [None, [], "https://image.example/77.jpeg", 5, {}])
def test_what_is_no_image_is_none(value: object) -> None:
    assert image_of(value) is None


@pytest.mark.parametrize("side", [0, -1, None, "768", 1.5, True, math.inf, 2**63, 10**400])
def test_odd_sides_are_none(side: object) -> None:
    found = decoded_image(image(width=side, height=side))

    assert (found.width, found.height) == (None, None)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"type": "video"}, True),
        ({"type": "image"}, False),
        ({"type": "image", "url": "https://a.example/transcode=true/7.mp4"}, True),
        ({"type": None, "url": "https://a.example/7.WEBM?token=a.b"}, True),
        ({"type": None, "url": "https://a.example/7.mp4#t=1"}, True),
        ({"type": None, "url": "https://a.example/7.jpeg?was=7.mp4"}, False),
        ({"type": None, "url": "https://a.example/7.mp4.jpeg"}, False),
        ({"type": 5}, False),
    ],
)
def test_a_video_says_so_or_is_named_so(*, members: JSON, expected: bool) -> None:
    assert decoded_image(image(**members)).video is expected


@pytest.mark.parametrize("blurhash", [None, "", 5, {}])
def test_a_blurhash_may_be_missing(blurhash: object) -> None:
    assert decoded_image(image(hash=blurhash)).blurhash is None


@pytest.mark.parametrize("meta", [None, [], "prompt", 5, {}])
def test_generation_data_may_be_missing(meta: object) -> None:
    assert decoded_image(image(meta=meta)).meta == {}


def nested(levels: int) -> JSON:
    inner: Any = "ink"
    for _ in range(levels):
        inner = [inner]
    return {"a": inner}


@pytest.mark.parametrize(
    "meta",
    [
        {"prompt": "a" * civitai.MAX_META},
        {"a" * civitai.MAX_META: 1},
        {str(number): "a" * 1000 for number in range(100)},
        {"a": [0] * civitai.MAX_META},
        {"a": [None] * (civitai.MAX_META // 4)},
        {"a": 1 << (4 * civitai.MAX_META)},
        nested(32),
        nested(3000),
    ],
    ids=["text", "name", "texts", "list", "nulls", "integer", "deep", "deeper"],
)
def test_generation_data_without_bounds_are_left_out(meta: JSON) -> None:
    assert decoded_image(image(meta=meta)).meta == {}


@pytest.mark.parametrize("meta", [{"prompt": "a" * 19_000}, nested(31)], ids=["text", "deep"])
def test_large_generation_data_are_kept(meta: JSON) -> None:
    assert decoded_image(image(meta=meta)).meta == meta


def test_generation_data_are_free_of_nul_and_lone_surrogates() -> None:
    found = decoded_image(image(meta={"a\x00": ["b\ud800", {"c\udfff": "d\x00", "e": 1.5}], "f": None}))

    assert found.meta == {"a\u2400": ["b\ufffd", {"c\ufffd": "d\u2400", "e": 1.5}], "f": None}


def test_texts_are_cut() -> None:
    long = "a" * 300_000
    found = decoded_model(
        model(
            name=long,
            type=long,
            description=long,
            creator={"username": long},
            tags=[long, {"name": long}],
            stats={long: 1},
            allowCommercialUse=[long],
            modelVersions=[
                version(
                    name=long,
                    baseModel=long,
                    description=long,
                    trainedWords=[long],
                    files=[file(name=long, type=long, metadata={"format": long, "fp": long})],
                    images=[image(hash=long)],
                )
            ],
        )
    )

    name = "a" * civitai.MAX_NAME
    assert (found.name, found.type, found.creator, found.tags) == (name, name, name, (name, name))
    assert (found.stats, found.licence.commercial_use) == ({name: 1.0}, (name,))
    assert found.description == "a" * civitai.MAX_DESCRIPTION
    (only,) = found.versions
    assert (only.name, only.base_model, only.images[0].blurhash) == (name, name, name)
    assert only.description == "a" * civitai.MAX_DESCRIPTION
    assert only.trained_words == ("a" * civitai.MAX_WORD,)
    assert (only.files[0].name, only.files[0].format, only.files[0].precision) == (name, name, name)


def test_lists_are_cut() -> None:
    many = 1_500
    words = [f"word {number}" for number in range(many)]
    found = decoded_model(
        model(
            tags=words,
            allowCommercialUse=words,
            stats=dict.fromkeys(words, 1),
            modelVersions=[
                version(trainedWords=words, files=[file()] * many, images=[image()] * many),
                *({"id": number} for number in range(1, many)),
            ],
        )
    )

    assert len(found.tags) == civitai.MAX_TAGS
    assert found.licence.commercial_use == tuple(words[: civitai.MAX_USES])
    assert len(found.stats) == civitai.MAX_STATS
    assert len(found.versions) == civitai.MAX_VERSIONS
    assert found.versions[0].trained_words == tuple(words[: civitai.MAX_WORDS])
    assert len(found.versions[0].files) == civitai.MAX_FILES
    assert len(found.versions[0].images) == civitai.MAX_IMAGES


def test_texts_are_free_of_nul_and_lone_surrogates() -> None:
    found = decoded(version(name="a\x00b\ud83d", trainedWords=["\udc00"], stats={"\x00": 1}))

    assert (found.name, found.trained_words, found.stats) == ("a\u2400b\ufffd", ("\ufffd",), {"\u2400": 1.0})


def test_what_is_decoded_shares_nothing_with_the_answer() -> None:
    answer = version()
    before = copy.deepcopy(answer)

    found = decoded(answer)
    answer["images"][0]["meta"]["resources"].clear()
    answer["stats"].clear()

    assert found == decoded(before)


ODD_TEXTS: Final = st.text(st.characters(exclude_categories=()), max_size=30)
NUMBERS: Final = st.integers(-(10**400), 10**400) | st.integers(-2, 70) | st.floats()
KEYS: Final = st.sampled_from(
    sorted({*version(), *model(), *file(), *image(), *HASHES, "browsingLevel", "mode"})
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | ODD_TEXTS | st.sampled_from([NOON, SHA256, IMAGE_URL, "{}", "X"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS | ODD_TEXTS, inner, max_size=8),
    max_leaves=40,
)


def places_in(value: object) -> Iterator[tuple[Any, str | int]]:
    """Yield every container in the value with every one of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from places_in(inner)


@st.composite
def mutated(draw: st.DrawFn) -> JSON:
    """An answer of some generation with a few members that are something else or not there."""
    answer: JSON = copy.deepcopy(
        draw(st.sampled_from([version(), model(), model(modelVersions=[version()])]))
    )
    for _ in range(draw(st.integers(1, 4))):
        container, key = draw(st.sampled_from(list(places_in(answer))))
        if draw(st.booleans()):
            container[key] = draw(VALUES)
        else:
            del container[key]
        if not answer:
            break
    return answer


def assert_clean(value: object) -> None:
    """Every text can be stored, every number outside of generation data fits 64 bits and is finite."""
    if is_dataclass(value):
        for each in fields(value):
            if each.name == "meta":
                assert_clean_json(getattr(value, each.name))
            else:
                assert_clean(getattr(value, each.name))
    elif isinstance(value, str):
        assert "\x00" not in value
        assert len(value.encode()) <= 4 * civitai.MAX_DESCRIPTION
    elif isinstance(value, int | float):
        assert math.isfinite(value)
        assert -(2**63) <= value < 2**63 or isinstance(value, float)
    elif isinstance(value, dict):
        assert len(value) <= civitai.MAX_STATS
        assert_clean(tuple(value))
        assert_clean(tuple(value.values()))
    elif isinstance(value, tuple):
        assert len(value) <= civitai.MAX_VERSIONS
        for inner in value:
            assert_clean(inner)
    else:
        assert value is None


def assert_clean_json(value: object) -> None:
    """Every text of generation data can be stored."""
    if isinstance(value, dict | list):
        for inner in (*value, *(value.values() if isinstance(value, dict) else ())):
            assert_clean_json(inner)
    elif isinstance(value, str):
        assert_clean(value)


@given(value=VALUES)
def test_no_json_value_is_too_odd(value: object) -> None:
    for found in (version_of(value), model_of(value), image_of(value), nsfw_level(value)):
        assert_clean(found)


@given(answer=mutated())
def test_no_changed_answer_is_too_odd(answer: JSON) -> None:
    for found in (version_of(answer), model_of(answer)):
        assert_clean(found)
