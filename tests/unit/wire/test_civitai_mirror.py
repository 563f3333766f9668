"""Civitai's answers from the catalog: its own where there are any, and the like of them for all else."""

from __future__ import annotations

import contextlib
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadRequest, NotFound
from registry.formats.civitai import model_of, version_of
from registry.shown import Entry, Shown
from registry.told import Licence, RemoteImage
from registry.wire import civitai_mirror as mirror
from registry.wire.civitai_mirror import Query
from tests.support.civitai_entries import DATA, HASHES, NOON, SHA256, entry, entry_of

JSON = dict[str, Any]

OTHER = "9" * 64
THERE = "https://civitai.com/api/download/models/242807"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def link(file: Entry) -> str:
    return f"https://here/file/{file.file_id}"


def file(**changes: Any) -> JSON:
    return {
        "id": 187907,
        "sizeKB": 1000.5,
        "name": "ink.safetensors",
        "type": "Model",
        "pickleScanResult": "Success",
        "metadata": {"fp": "bf16", "size": None, "format": "SafeTensor"},
        "hashes": {"SHA256": SHA256.upper(), "AutoV3": DATA[:12].upper()},
        "primary": True,
        "downloadUrl": "undefined/api/download/models/242807",
    } | changes


def answer(**changes: Any) -> JSON:
    """A version by itself."""
    return {
        "id": 242807,
        "modelId": 215485,
        "name": "v1",
        "unheard": {"of": [1, None]},
        "model": {"name": "Ink", "type": "LORA", "nsfw": False, "poi": False},
        "files": [file()],
        "images": [{"url": f"https://image.example/{level}.jpeg", "nsfwLevel": level} for level in (1, 8)],
        "downloadUrl": "undefined/api/download/models/242807",
    } | changes


def known(**changes: Any) -> Entry:
    """A file of that version."""
    return entry(Shown("Ink", model_id=215485, version_id=242807, **changes))


def version(raw: object, *entries: Entry, **options: Any) -> JSON:
    return mirror.version(entries or [known()], download_url=link, raw=raw, **options)


def test_an_answer_is_sent_as_it_was_but_for_links() -> None:
    sent = answer()
    kept = copy.deepcopy(sent)

    told = version(sent)

    here = "https://here/file/9"
    assert told == {**kept, "files": [file(downloadUrl=here)], "downloadUrl": here}
    assert list(told) == list(kept)
    assert sent == kept


def test_links_to_other_files_lead_to_civitai_again() -> None:
    other = {"hashes": {"SHA256": OTHER}, "primary": False}
    odd = [
        ("undefined/api/download/models/242807?type=Model&fp=fp16", THERE + "?type=Model&fp=fp16"),
        ("https://api.civitai.com/api/download/models/242807", THERE),
        ("https://evil.example/x", THERE),
        ("", THERE),
        (None, None),
    ]  # fmt: skip
    told = version(answer(files=[file(), *(file(downloadUrl=written, **other) for written, _ in odd)]))
    assert [each["downloadUrl"] for each in told["files"]] == [
        "https://here/file/9",
        *(right for _, right in odd),
    ]


def test_the_link_of_a_version_is_that_of_its_primary_file() -> None:
    other = file(hashes={"SHA256": OTHER})
    assert version(answer(files=[file(primary=False), other]))["downloadUrl"] == THERE
    assert version(answer(files=[other | {"primary": False}, file()]))["downloadUrl"] == "https://here/file/9"
    assert version(answer(files=[file(primary=None), other | {"primary": None}]))["downloadUrl"] == (
        "https://here/file/9"
    )


def test_without_links_none_are_made_up() -> None:
    bare = answer(files=[{"name": "x", "hashes": {"SHA256": OTHER}}])
    del bare["downloadUrl"]
    assert version(bare) == bare


@pytest.mark.parametrize(
    "hashes",
    [{"BLAKE3": "AB" * 32}, {"AutoV2": SHA256[:10]}, {"sha256": SHA256}],
)
def test_a_file_is_ours_by_any_hash_of_all_its_bytes(hashes: JSON) -> None:
    assert version(answer(files=[file(hashes=hashes)]))["files"][0]["downloadUrl"] == "https://here/file/9"


@pytest.mark.parametrize("hashes", [{}, None, {"SHA256": OTHER, "AutoV3": DATA[:12]}, {"AutoV3": DATA[:12]}])
def test_a_file_with_the_same_weights_alone_is_another_one(hashes: object) -> None:
    assert version(answer(files=[file(hashes=hashes)]))["files"][0]["downloadUrl"] == THERE


def test_a_file_with_the_same_weights_will_do_once_civitai_has_none() -> None:
    other = answer(files=[file(hashes={"SHA256": OTHER, "AutoV3": DATA[:12].upper()})])
    assert version(other, known(gone_at=1))["files"][0]["downloadUrl"] == "https://here/file/9"


def test_what_is_gone_is_marked_and_their_own_mark_stays() -> None:
    assert version(answer(), known(gone_at=1))["model"]["mode"] == "Archived"
    assert "mode" not in version(answer())["model"]
    taken = answer(model={"name": "Ink", "type": "LORA", "mode": "TakenDown"})
    assert version(taken, known(gone_at=1))["model"]["mode"] == "TakenDown"


def test_an_archived_version_without_files_has_ours() -> None:
    archived = answer(files=[])
    del archived["downloadUrl"]
    told = version(archived, known(), replace(known(), file_id=10, path="copy.safetensors"))
    assert [(each["id"], each["primary"]) for each in told["files"]] == [(-9, True), (-10, False)]
    assert told["downloadUrl"] == "https://here/file/9"


def test_images_that_may_not_be_shown_are_left_out_with_what_is_said_of_them() -> None:
    told = version(answer(), shows=lambda image: (image.nsfw_level or 32) <= 2)
    assert [image["nsfwLevel"] for image in told["images"]] == [1]
    odd = answer(images=[None, {"url": "/x"}, {"url": "https://image.example/a.png"}, 5])
    assert version(odd, shows=lambda _: True)["images"] == [{"url": "https://image.example/a.png"}]
    assert version(odd)["images"] == odd["images"]


def test_a_model_has_links_in_all_its_versions() -> None:
    sent = {
        "id": 215485,
        "name": "Ink",
        "modelVersions": [
            {
                "id": 242808,
                "files": [
                    file(
                        hashes={"SHA256": OTHER.upper()}, downloadUrl="undefined/api/download/models/242808"
                    )
                ],
            },
            {"id": 242807, "files": [file()], "downloadUrl": "x"},
            {"id": 242806, "files": [file()]},
            None,
        ],
    }  # fmt: skip
    told: JSON = mirror.model([known()], download_url=link, raw=sent)
    assert told["modelVersions"][0]["files"][0]["downloadUrl"] == THERE.replace("242807", "242808")
    assert told["modelVersions"][1]["files"][0]["downloadUrl"] == "https://here/file/9"
    assert told["modelVersions"][1]["downloadUrl"] == "https://here/file/9"
    # The very bytes, in a version that the file is not shown as.
    assert told["modelVersions"][2]["files"][0]["downloadUrl"] == "https://here/file/9"
    assert told["modelVersions"][3] is None
    assert "mode" not in told
    assert mirror.model([known(gone_at=1)], download_url=link, raw=sent)["mode"] == "Archived"
    marked = {**sent, "mode": "TakenDown"}
    assert mirror.model([known(gone_at=1)], download_url=link, raw=marked)["mode"] == "TakenDown"


@given(ANYTHING | st.dictionaries(st.sampled_from([*answer(), "modelVersions"]), ANYTHING))
def test_any_answer_is_sent_on_or_replaced(raw: object) -> None:
    told = version(raw, known(), shows=lambda _: True)
    assert isinstance(told, dict)
    assert isinstance(mirror.model([known()], download_url=link, raw=raw), dict)


@given(st.dictionaries(st.sampled_from(["hashes", "downloadUrl", "primary", "id"]), ANYTHING), ANYTHING)
def test_any_file_is_sent_on(odd: JSON, number: object) -> None:
    told = version(answer(id=number, modelId=1, files=[odd, None]))
    assert len(told["files"]) == 2


def test_what_nests_too_deep_for_others_is_not_sent_on() -> None:
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    told = version(answer(unheard=deep))
    assert "unheard" not in told
    assert told["id"] == 242807


def test_what_civitai_never_knew_has_negative_ids_that_its_readers_take_for_none() -> None:
    told = version(None, entry())
    assert (told["id"], told["modelId"], told["files"][0]["id"]) == (-7, -7, -9)
    found = version_of(told)
    assert found is not None
    assert (found.id, found.model_id) == (None, None)
    assert (mirror.lora_of(told["id"]), mirror.lora_of(242807)) == (7, None)


def test_what_civitai_never_knew_is_told_from_the_file() -> None:
    found = version_of(version(None, entry(adapter="lokr", base_model="pony", header={"precision": "bf16"})))
    assert found is not None
    assert (found.name, found.model_name, found.model_type, found.base_model) == (
        "ink",
        "ink",
        "LoCon",
        "Pony",
    )
    assert (found.created_at, found.updated_at) == (NOON - 86_400_000, NOON)
    assert (found.nsfw, found.mode, found.images) == (False, None, ())
    (only,) = found.files
    assert (only.name, only.size, only.type, only.primary) == ("ink.safetensors", 1_234_567, "Model", True)
    assert (only.format, only.precision, only.download_url) == ("SafeTensor", "bf16", "https://here/file/9")
    assert only.hashes == {
        "sha256": SHA256,
        "autov2": SHA256[:10],
        "autov3": DATA[:12],
        "blake3": HASHES["blake3"],
        "crc32": HASHES["crc32"],
        "autov1": HASHES["autov1"],
    }


def test_hashes_are_in_upper_case_and_none_where_there_are_none() -> None:
    told = version(None, entry())["files"][0]["hashes"]
    assert (told["SHA256"], told["AutoV2"], told["AutoV3"]) == (
        SHA256.upper(),
        SHA256[:10].upper(),
        DATA[:12].upper(),
    )
    assert version(None, entry(hashes={}))["files"][0]["hashes"] == {}


def test_nobody_is_said_to_have_scanned_a_file() -> None:
    told = version(None, entry(ext=".CKPT"))["files"][0]
    assert (told["pickleScanResult"], told["virusScanResult"], told["scannedAt"]) == (
        "Pending",
        "Pending",
        None,
    )
    assert told["metadata"]["format"] == "PickleTensor"


def test_files_of_one_lora_are_files_of_one_version() -> None:
    told = version(None, entry(), replace(entry(), file_id=10, name="copy"))
    assert [each["primary"] for each in told["files"]] == [True, False]
    assert told["downloadUrl"] == "https://here/file/9"


SAID = Shown(
    "Ink",
    model_name="Ink wash",
    version_name="v2",
    base_model="SD 1.5",
    description="<p>Ink.</p>",
    version_description="second",
    triggers=(("ink", "wash"), ("paper",)),
    tags=("style",),
    user_tags=("mine",),
    creator="Konan",
    licence=Licence(no_credit=True, commercial_use=("Image",), derivatives=False),
    nsfw_level=4,
    images=(
        RemoteImage("https://image.example/1.jpeg", 10, 20, 2, blurhash="U", meta={"prompt": "ink"}),
        RemoteImage("https://image.example/2.webm", video=True),
    ),
)


def test_what_is_shown_comes_back_from_a_version() -> None:
    found = version_of(version(None, entry(SAID)))
    assert found is not None
    assert (found.name, found.model_name, found.base_model) == ("v2", "Ink wash", "SD 1.5")
    assert (found.description, found.trained_words) == ("second", ("ink, wash", "paper"))
    assert (found.nsfw, found.nsfw_level, found.images) == (True, 4, SAID.images)


def test_what_is_shown_comes_back_from_a_model() -> None:
    told = mirror.model([entry(SAID)], download_url=link)
    found = model_of(told)
    assert found is not None
    assert (found.name, found.description, found.creator) == ("Ink wash", "<p>Ink.</p>", "Konan")
    assert (found.tags, found.licence, found.nsfw_level) == (("style",), SAID.licence, 4)
    by_itself = version_of(version(None, entry(SAID)))
    assert found.versions == (by_itself,)
    assert told["baseModels"] == ["SD 1.5"]


def test_what_is_not_known_of_a_model_is_left_out() -> None:
    told = mirror.model([entry()], download_url=link)
    assert "creator" not in told
    assert not [name for name in told if name.startswith("allow")]
    found = model_of(told)
    assert found is not None
    assert (found.licence, found.creator, found.tags) == (Licence(), None, ())


def test_files_of_several_versions_make_one_model() -> None:
    older = entry(Shown("Ink", model_id=4, version_id=5, version_name="v1"))
    newer = entry(Shown("Ink", model_id=4, version_id=6, version_name="v2"), file_id=11)
    told: JSON = mirror.model([newer, older, replace(newer, file_id=12)], download_url=link)
    assert told["id"] == 4
    assert [(each["id"], each["index"], len(each["files"])) for each in told["modelVersions"]] == [
        (6, 0, 2),
        (5, 1, 1),
    ]


def test_what_is_gone_is_marked_without_an_answer_too() -> None:
    gone = known(gone_at=1)
    assert version(None, gone)["model"]["mode"] == "Archived"
    assert mirror.model([gone], download_url=link)["mode"] == "Archived"


def test_a_decoded_answer_comes_back_where_the_one_that_was_sent_is_lost() -> None:
    told = version_of(answer(createdAt="2023-11-29T12:00:00.250Z", stats={"downloadCount": 3, "rating": 4.5}))
    assert told is not None
    again = version(None, replace(entry_of(told), file_id=9))
    assert again["stats"] == {"downloadCount": 3, "rating": 4.5}
    found = version_of(again)
    assert found is not None
    assert (found.id, found.created_at, found.stats, found.images) == (
        told.id,
        told.created_at,
        told.stats,
        told.images,
    )
    assert found.files == (replace(told.files[0], download_url="https://here/file/9"),)


def test_our_own_files_stand_behind_those_of_civitai() -> None:
    told = version_of(answer(files=[file(hashes={"SHA256": OTHER}, downloadUrl=THERE)]))
    assert told is not None
    files = version(None, entry(Shown("Ink", version_id=242807), version=told))["files"]
    assert [(each["id"], each["primary"], each["downloadUrl"]) for each in files] == [
        (187907, True, THERE),
        (-9, False, "https://here/file/9"),
    ]


def test_early_access_comes_back() -> None:
    told = version_of(answer(paidAccess={"endsAt": "2030-01-01T00:00:00.000Z"}))
    assert told is not None
    found = version_of(version(None, entry_of(told)))
    assert found is not None
    assert found.early_access_until == told.early_access_until is not None


def test_a_page_tells_where_the_next_one_begins() -> None:
    assert mirror.models([{"id": 1}], next_cursor="x", next_page="https://here?cursor=x") == {
        "items": [{"id": 1}],
        "metadata": {"nextCursor": "x", "nextPage": "https://here?cursor=x"},
    }
    assert mirror.models([]) == {"items": [], "metadata": {}}


def test_ids_are_told_for_the_hashes_that_were_asked() -> None:
    assert mirror.ids([(SHA256, known()), (OTHER, entry())]) == [
        {"modelVersionId": 242807, "modelId": 215485, "hash": SHA256.upper()},
        {"modelVersionId": -7, "modelId": -7, "hash": OTHER},
    ]


@pytest.mark.parametrize("written", ["0", "", "x", "2147483648", "-2147483648", "1.5", "9" * 5_000])
def test_ids_are_those_of_civitai_or_ours(written: str) -> None:
    assert (mirror.read_id("242807"), mirror.read_id("-7")) == (242807, -7)
    with pytest.raises(BadRequest):
        mirror.read_id(written)


def test_hashes_of_any_kind_are_read() -> None:
    assert mirror.read_hash(SHA256.upper()) == SHA256
    assert mirror.read_hash("6DC5F47A") == "6dc5f47a"
    for odd in ("", "xyz", "abc", "e3b0c442", "E3B0C44298FC"):
        with pytest.raises(NotFound, match="Model not found"):
            mirror.read_hash(odd)


def test_many_hashes_are_an_array_of_sha256() -> None:
    assert mirror.read_hashes([SHA256.upper(), OTHER, SHA256], 3) == (SHA256, OTHER)
    assert mirror.read_hashes([], 3) == ()


@pytest.mark.parametrize("body", [None, {}, "x", [5], ["abc"], [SHA256 + "0"], [SHA256] * 4, [[SHA256]]])
def test_other_bodies_are_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        mirror.read_hashes(body, 3)


def test_a_list_is_asked_for_as_at_civitai() -> None:
    assert mirror.read_query([]) == Query()
    params = [
        ("limit", "5"), ("query", " ink "), ("tag", "style"), ("types", "LORA"), ("types", "locon,DoRA"),
        ("baseModels", "SD 1.5"), ("baseModels[]", "Something New"), ("cursor", "75363|932023"),
        ("ids", "1,-7"), ("username", "Konan"), ("nsfw", "true"), ("sort", "Newest"), ("page", "1"),
    ]  # fmt: skip
    assert mirror.read_query(params) == Query(
        query="ink",
        tag="style",
        username="Konan",
        ids=(1, -7),
        types=("LORA", "LoCon", "DoRA"),
        base_models=("SD 1.5", "Something New"),
        nsfw=True,
        limit=5,
        cursor="75363|932023",
    )
    assert mirror.read_query([("limit", "0")]).limit == 0


@pytest.mark.parametrize(
    "odd",
    [("limit", "101"), ("limit", "-1"), ("limit", "x"), ("types", "Lycoris"), ("ids", "x"), ("page", "2"),
     ("favorites", "true"), ("hidden", "true"), ("nsfw", "maybe"), ("query", "x" * 501),
     ("cursor", "x" * 2_001)],
)  # fmt: skip
def test_what_cannot_be_is_refused(odd: tuple[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        mirror.read_query([odd])
    assert list(mirror.failed(refused.value)) == ["error"]


@given(st.lists(st.tuples(st.sampled_from(["limit", "types", "ids", "query", "nsfw", "x"]), st.text())))
def test_any_parameters_are_read_or_refused(params: list[tuple[str, str]]) -> None:
    with contextlib.suppress(BadRequest):
        assert 0 <= mirror.read_query(params).limit <= mirror.MAX_LIMIT


def test_what_is_missing_is_said_in_the_words_of_civitai() -> None:
    assert mirror.failed(mirror.missing()) == {"error": "Model not found"}
    assert mirror.failed(mirror.missing(5)) == {"error": "No model with id 5"}


def test_answers_are_json() -> None:
    odd = entry(SAID, added=10**18, modified=-(10**18))
    for told in (version(None, odd), mirror.model([odd], download_url=link)):
        assert json.loads(json.dumps(told, allow_nan=False)) == told
