"""What is written into the sidecars of other tools, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.errors import BadRequest
from registry.shown import Source
from registry.wire.exports import TABLE, Planned, plan, remembered, sidecar_name
from registry.wire.sidecars import MAX_SIDECAR
from tests.support.exporting import CIVITAI, MODEL, SHA256, VERSION, from_civitai, outgoing, shown

TOOLS = sorted(TABLE)


def new(tool: str, out: Any, there: object = None) -> dict[str, Any]:
    """What the file says afterwards."""
    planned = plan(tool, None if there is None else json.dumps(there).encode(), out)
    assert planned.problem is None
    assert planned.data is not None
    found: dict[str, Any] = json.loads(planned.data)
    return found


def unchanged(tool: str, out: Any, there: object) -> bool:
    return plan(tool, json.dumps(there).encode(), out) == Planned()


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("a1111", "a.b.json"),
        ("civitai-helper", "a.b.civitai.info"),
        ("lora-manager", "a.b.metadata.json"),
        ("stability-matrix", "a.b.cm-info.json"),
        ("swarmui", "a.b.swarm.json"),
        ("rgthree", "a.b.safetensors.rgthree-info.json"),
    ],
)
def test_each_tool_has_its_name(tool: str, name: str) -> None:
    assert sidecar_name(tool, "a.b.safetensors") == name
    assert sidecar_name(tool, "a.b.safetensors", ["a.json", name.upper()]) == name.upper()
    assert sidecar_name(tool, "a.b.safetensors", [name.upper(), name]) == name


def test_a_tool_that_keeps_no_sidecars_is_refused() -> None:
    with pytest.raises(BadRequest, match="comfyui") as caught:
        plan("comfyui", None, outgoing())
    assert "lora-manager" in caught.value.remedy


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "out",
    [
        outgoing(),
        outgoing(shown(Source("header"), triggers=(("hat",),), description="d")),
        outgoing(shown(Source("estimate"), nsfw_level=4)),
    ],
)
def test_what_neither_user_nor_civitai_nor_a_sidecar_says_is_written_nowhere(tool: str, out: Any) -> None:
    assert plan(tool, None, out) == Planned()
    assert plan(tool, b"{}", out) == Planned()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("original", "problem"),
    [
        (b"", "it is empty: left alone"),
        (b"\0\0\0", "it is empty: left alone"),
        (b"{", "it is not JSON: left alone"),
        (b"\x89PNG\r\n\x1a\n\0", "it is not text: left alone"),
        (b"[]", "it is not a JSON object: left alone"),
        (b"null", "it is not a JSON object: left alone"),
        (b" " * (MAX_SIDECAR + 1), "it is larger than 16 MiB: left alone"),
        (b"[" * 200_000, "it is not JSON: left alone"),
    ],
)
def test_what_is_no_sidecar_is_left_alone(tool: str, original: bytes, problem: str) -> None:
    assert plan(tool, original, from_civitai(notes="mine")) == Planned(problem=problem)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "there",
    [
        {"nodes": [], "links": 3, "version": 0.4},
        {"trigger_words": "hat", "hash": SHA256, "is_favorite": False},
        {"main": "package", "version": "1.0.0", "dependencies": {}},
    ],
)
def test_json_of_another_kind_is_left_alone(tool: str, there: dict[str, Any]) -> None:
    planned = plan(tool, json.dumps(there).encode(), from_civitai(notes="mine"))
    assert (planned.data, planned.changed) == (None, ())
    assert planned.problem == f"it is no file of {tool}: left alone"


@pytest.mark.parametrize(
    ("tool", "there"),
    [
        ("a1111", {"sd version": "SDXL", "sha256": "12" * 32}),
        ("civitai-helper", {**VERSION, "files": [{"type": "Model", "hashes": {"SHA256": "12" * 32}}]}),
        ("lora-manager", {"model_name": "y", "sha256": "12" * 32}),
        ("stability-matrix", {"ModelName": "y", "Hashes": {"BLAKE3": "12" * 32}}),
        ("rgthree", {"raw": {}, "sha256": "12" * 32}),
    ],
)
def test_the_file_of_another_model_is_left_alone(tool: str, there: dict[str, Any]) -> None:
    later = {**VERSION, "updatedAt": "2025-01-01T00:00:00.000Z"}
    out = from_civitai(later, notes="mine")
    assert plan(tool, json.dumps(there).encode(), out).problem == (
        "it names the hashes of another file: left alone"
    )
    unhashed = outgoing(shown(notes="mine"), hashes={})
    assert plan(tool, json.dumps(there).encode(), unhashed).problem is None


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_that_says_it_all_is_not_written_again(tool: str) -> None:
    out = from_civitai(notes="mine", weight=0.8, user_tags=("my hat",), name="Mine", nsfw_level=4)
    written = plan(tool, None, out).data
    assert written is not None
    assert plan(tool, written, out) == Planned()


@pytest.mark.parametrize("tool", ["a1111", "lora-manager", "swarmui", "rgthree"])
def test_only_the_user_changes_what_another_user_typed(tool: str) -> None:
    there = json.loads(plan(tool, None, outgoing(shown(notes="theirs"))).data or b"")
    assert unchanged(tool, outgoing(shown(CIVITAI, notes="ours")), there)
    assert unchanged(tool, outgoing(shown(Source("sidecar", "other"), notes="ours")), there)
    found = new(tool, outgoing(shown(notes="ours")), there)
    changed = [key for key in there if there[key] != found[key]]
    assert [found[key] for key in changed] == ["ours"]


@pytest.mark.parametrize(
    ("tool", "mark", "key"),
    [
        ("a1111", "sd version", "notes"),
        ("lora-manager", "model_name", "notes"),
        ("swarmui", "modelspec.title", "modelspec.usage_hint"),
        ("rgthree", "raw", "userNote"),
    ],
)
@pytest.mark.parametrize("indent", [None, 3, "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_all_else_stays_byte_for_byte(tool: str, mark: str, key: str, indent: Any, newline: str) -> None:
    there = {
        "more": [1.5, {"é": "e"}],
        mark: "y",
        key: "",
        "last": 12345678901234567890123,
        "z": {"b": [], "a": 1},
    }
    text = json.dumps(there, indent=indent, ensure_ascii=False)
    text = text.replace("1.5", "1.50e400").replace("\n", newline) + newline
    out = outgoing(shown(notes="mine \n"))
    changed = plan(tool, text.encode(), out)
    expected = text.replace(f'"{key}": ""', f'"{key}": "mine \\n"')
    assert changed == Planned(expected.encode(), (key,))
    without = text.replace(f'"{key}": "",', "")
    added = plan(tool, without.encode(), out).data
    assert added is not None
    tail = newline + "}" + newline if indent else "}" + newline
    assert added.decode().startswith(without.removesuffix(tail) + ",")
    assert added.decode().endswith(f'"{key}": "mine \\n"' + tail)


@pytest.mark.parametrize(
    ("tool", "there"),
    [
        ("lora-manager", {"model_name": "y", "civitai": VERSION}),
        ("stability-matrix", {"ModelName": "y", "ModelId": 2, "VersionId": 3}),
        ("rgthree", {"raw": {"civitai": VERSION}}),
    ],
)
def test_our_hashes_vouch_for_nothing_that_others_wrote(tool: str, there: dict[str, Any]) -> None:
    found = new(tool, from_civitai(notes="mine", name="Mine"), there)
    assert SHA256 not in json.dumps({key: item for key, item in found.items() if key not in there}).lower()


def test_groups_of_words_are_one_text_for_a1111() -> None:
    out = outgoing(shown(triggers=(("red hat", "1girl"), ("blue hat",))))
    assert new("a1111", out) == {"activation text": "red hat, 1girl, blue hat"}
    assert unchanged("a1111", out, {"activation text": "red hat,1girl || blue hat"})
    assert new("a1111", out, {"activation text": "hat", "x": 1}) == {
        "activation text": "red hat, 1girl, blue hat",
        "x": 1,
    }


@pytest.mark.parametrize(
    ("architecture", "there", "version"),
    [
        ("sdxl", {}, "SDXL"),
        ("sd15", {"sd version": "Unknown"}, "SD1"),
        ("sd2", {"sd version": "Other"}, "SD2"),
        ("sdxl", {"sd version": "Pony"}, "Pony"),
        ("flux1", {"sd version": "Unknown"}, "Unknown"),
    ],
)
def test_the_architecture_is_told_to_a1111_where_it_is_not_known_there(
    architecture: str, there: dict[str, Any], version: str
) -> None:
    out = outgoing(shown(notes="mine"), architecture=architecture)
    assert new("a1111", out, there)["sd version"] == version


def test_a_correction_of_the_architecture_is_the_users() -> None:
    by_user = shown(notes="mine")
    out = outgoing(
        by_user.__class__("x", notes="mine", sources={"architecture": Source("user")}), architecture="sd15"
    )
    assert new("a1111", out, {"sd version": "SDXL"}) == {"sd version": "SD1"}


def test_weights_that_the_editor_of_a1111_has_no_place_for_are_left_out() -> None:
    assert new("a1111", outgoing(shown(weight=1.5))) == {"preferred weight": 1.5}
    assert plan("a1111", None, outgoing(shown(weight=-1.0))) == Planned()
    assert new("a1111", outgoing(shown(weight=0.5)), {"preferred weight": 0}) == {"preferred weight": 0.5}


def test_a_description_of_civitai_is_text_and_hides_none_that_is_there() -> None:
    assert new("a1111", from_civitai())["description"] == "All hats."
    for name in ("x.txt", "x.description.txt"):
        out = outgoing(shown(CIVITAI, description="<p>A</p>"), beside=frozenset({name}))
        assert plan("a1111", None, out) == Planned()
    typed = outgoing(shown(description="<p>A</p>"), beside=frozenset({"x.txt"}))
    assert new("a1111", typed) == {"description": "<p>A</p>"}


@pytest.mark.parametrize("there", [MODEL, {"modelId": 2, "files": [], "description": "<p>First.</p>"}])
def test_a_kept_answer_keeps_its_description(there: dict[str, Any]) -> None:
    found = new("a1111", outgoing(shown(description="mine", notes="mine")), there)
    assert found == {**there, "notes": "mine"}


def test_keys_of_swarmui_in_the_shared_file_stay() -> None:
    there = {"modelspec.title": "Hats", "modelspec.trigger_phrase": "red hat, blue hat"}
    found = new("a1111", from_civitai(notes="mine"), there)
    assert found == {**there, "description": "All hats.", "notes": "mine"}


def test_civitai_helper_keeps_the_answer_as_it_is() -> None:
    assert new("civitai-helper", from_civitai(notes="mine")) == VERSION
    assert plan("civitai-helper", None, outgoing(shown(notes="mine"))) == Planned()


def test_what_forks_of_civitai_helper_added_stays() -> None:
    image = {**VERSION["images"][0], "local_file": "x.png", "nsfwLevel": 2}
    there = {
        **VERSION,
        "name": "old",
        "updatedAt": "2023-01-01T00:00:00.000Z",
        "model": {**VERSION["model"], "description": "<p>Kept.</p>"},
        "images": [image, {"url": "https://image.civitai.com/gone.jpeg"}],
        "extensions": {"sd_civitai_helper": {"version": "1.8"}},
    }
    found = new("civitai-helper", from_civitai(), there)
    assert list(found) == list(there)
    assert (found["name"], found["updatedAt"]) == ("v1", VERSION["updatedAt"])
    assert (found["model"], found["extensions"]) == (there["model"], there["extensions"])
    assert found["images"] == [{**VERSION["images"][0], "local_file": "x.png"}]


def test_a_later_answer_is_not_replaced_by_an_earlier_one() -> None:
    later = {
        **VERSION,
        "updatedAt": "2025-01-01T00:00:00.000Z",
        "name": "v1.1",
        "stats": {"downloadCount": 9},
    }
    assert unchanged("civitai-helper", from_civitai(), later)


def test_a_skeleton_becomes_an_answer() -> None:
    skeleton = {
        "id": "",
        "modelId": "",
        "name": "",
        "extensions": {"sd_civitai_helper": {"skeleton_file": True}},
    }
    found = new("civitai-helper", from_civitai(), skeleton)
    assert found == {**VERSION, "extensions": skeleton["extensions"]}


def test_a_whole_model_is_not_made_a_version() -> None:
    there = {**MODEL, "modelVersions": [{"id": 3}, {"id": 4}]}
    planned = plan("civitai-helper", json.dumps(there).encode(), from_civitai())
    assert planned.problem == "it is no file of civitai-helper: left alone"


@pytest.mark.parametrize(
    ("tool", "there", "ids"),
    [
        ("civitai-helper", {**VERSION, "id": 9}, lambda file: (file["modelId"], file["id"])),
        (
            "lora-manager",
            {"model_name": "y", "civitai": {**VERSION, "id": 9, "customImages": [1]}},
            lambda file: (file["civitai"]["modelId"], file["civitai"]["id"]),
        ),
        (
            "stability-matrix",
            {"ModelId": 8, "VersionId": 9},
            lambda file: (file["ModelId"], file["VersionId"]),
        ),
        (
            "rgthree",
            {"raw": {"civitai": {**VERSION, "id": 9}}},
            lambda file: (file["raw"]["civitai"]["modelId"], file["raw"]["civitai"]["id"]),
        ),
    ],
)
def test_another_version_stays_unless_the_user_chose_ours(tool: str, there: dict[str, Any], ids: Any) -> None:
    assert unchanged(tool, from_civitai(), there)
    found = new(tool, from_civitai(version_id=3), there)
    assert ids(found) == (2, 3)
    if tool == "lora-manager":
        assert found["civitai"]["customImages"] == [1]


def test_a_new_file_of_lora_manager_has_all_that_it_expects() -> None:
    out = from_civitai(
        notes="mine", weight=0.8, weight_min=0.1, clip_skip=2, favorite=True, user_tags=("Mine", "HAT")
    )
    found = new("lora-manager", out)
    assert found["civitai"] == {
        **VERSION,
        "model": {
            **VERSION["model"],
            "description": "<p>All hats.</p>",
            "tags": MODEL["tags"],
            "allowNoCredit": True,
        },
        "creator": {"username": "Konan"},
    }
    assert json.loads(found["usage_tips"]) == {"strength_min": 0.1, "strength": 0.8, "clip_skip": 2}
    assert {key: item for key, item in found.items() if key not in {"civitai", "usage_tips"}} == {
        "file_name": "x",
        "model_name": "Häts",
        "file_path": "/loras/x.safetensors",
        "size": 5,
        "modified": 1_700_000_000.0,
        "sha256": SHA256,
        "base_model": "SDXL 1.0",
        "preview_url": "",
        "preview_nsfw_level": 0,
        "notes": "mine",
        "from_civitai": True,
        "tags": ["hat", "clothing", "Mine"],
        "modelDescription": "<p>All hats.</p>",
        "civitai_deleted": False,
        "favorite": True,
        "exclude": False,
        "db_checked": False,
        "skip_metadata_refresh": False,
        "metadata_source": "civitai_api",
        "last_checked_at": 1_699_999_995.0,
        "hash_status": "completed",
        "autov3": "cdcdcdcdcdcd",
    }


def test_paths_of_windows_are_written_with_slashes() -> None:
    out = outgoing(shown(notes="mine"), path="D:\\loras\\x.safetensors", preview="x.png", hashes={})
    found = new("lora-manager", out)
    assert (found["file_path"], found["preview_url"]) == ("D:/loras/x.safetensors", "D:/loras/x.png")
    assert (found["sha256"], found["hash_status"], "autov3" in found) == ("", "pending", False)


def test_words_that_users_of_lora_manager_typed_stay() -> None:
    there = {"model_name": "y", "civitai": {"id": 3, "modelId": 2, "trainedWords": ["green hat"]}}
    found = new("lora-manager", from_civitai(), there)
    assert found["civitai"]["trainedWords"] == ["green hat"]
    found = new("lora-manager", from_civitai(triggers=(("a", "b"), ("c",))), there)
    assert found["civitai"]["trainedWords"] == ["a, b", "c"]


@pytest.mark.parametrize("tips", ["{", '{"more": 1e400}', "[1]", 5])
def test_tips_that_cannot_be_written_again_stay(tips: object) -> None:
    assert unchanged(
        "lora-manager", outgoing(shown(weight=0.5)), {"model_name": "y", "usage_tips": tips, "autov3": None}
    )


def test_tips_keep_what_they_hold_beside() -> None:
    there = {"model_name": "y", "usage_tips": '{"more": "é", "strength_range": "0.1-0.5"}', "autov3": None}
    assert unchanged("lora-manager", outgoing(shown(CIVITAI, weight_min=0.3)), there)
    found = new("lora-manager", outgoing(shown(weight_min=0.3)), there)
    assert found == {**there, "usage_tips": '{"more":"é","strength_range":"0.1-0.5","strength_min":0.3}'}


def test_lora_manager_is_told_that_a_model_is_gone() -> None:
    there = new("lora-manager", from_civitai())
    out = from_civitai(gone_at=5)
    assert new("lora-manager", out, there) == {**there, "civitai_deleted": True}


def test_stability_matrix_gets_the_file_that_is_ours() -> None:
    other = {"id": 8, "name": "other.safetensors", "primary": True, "hashes": {"SHA256": "12" * 32}}
    found = new("stability-matrix", from_civitai({**VERSION, "files": [other, *VERSION["files"]]}))
    assert (found["RemoteFileId"], found["RemoteFileName"]) == (7, "hats.safetensors")
    assert found["FileMetadata"] == {"fp": "fp16", "format": "SafeTensor"}
    assert found["Stats"] == {"downloadCount": 50, "rating": 4.5}
    assert found["ImportedAt"] == "2023-11-14T22:13:20+00:00"
    assert found["SourceUrl"] == "https://civitai.com/models/2?modelVersionId=3"


def test_stability_matrix_gets_a_title_without_civitai() -> None:
    found = new("stability-matrix", outgoing(shown(name="Mine"), kind="checkpoint"))
    assert (found["UserTitle"], found["ModelName"], found["ModelType"]) == ("Mine", "Mine", "Checkpoint")
    assert (found["ModelId"], found["Tags"], found["Hashes"]["CRC32"]) == (None, [], "0123ABCD")


def test_swarmui_gets_what_it_shows() -> None:
    found = new("swarmui", from_civitai(notes="mine", weight=0.8))
    assert found == {
        "modelspec.title": "Häts",
        "modelspec.author": "Konan",
        "modelspec.description": "<p>All hats.</p>",
        "modelspec.trigger_phrase": "red hat, blue hat",
        "modelspec.usage_hint": "mine",
        "modelspec.lora_default_weight": "0.8",
        "modelspec.tags": ["hat", "clothing"],
    }


def test_tags_that_swarmui_keeps_as_a_text_become_a_list() -> None:
    found = new("swarmui", outgoing(shown(user_tags=("mine",))), {"modelspec.tags": "a, b"})
    assert found == {"modelspec.tags": ["a", "b", "mine"]}


def test_rgthree_is_told_who_says_a_word() -> None:
    words = [{"word": "red hat", "count": 5, "metadata": True}, {"word": "cap", "user": True}]
    there = {"trainedWords": words}
    found = new("rgthree", outgoing(shown(CIVITAI, triggers=(("red hat, blue hat",),))), there)
    assert found["trainedWords"] == [
        {**words[0], "civitai": True},
        words[1],
        {"word": "blue hat", "civitai": True},
    ]
    found = new("rgthree", outgoing(shown(triggers=(("cap", "green hat"),))), there)
    assert found["trainedWords"] == [*words, {"word": "green hat", "user": True}]


def test_rgthree_gets_answer_pages_and_images() -> None:
    found = new("rgthree", from_civitai(notes="mine", name="Mine", weight_min=0.5))
    assert found["raw"] == {"civitai": VERSION}
    assert found["links"] == ["https://civitai.com/models/2?modelVersionId=3"]
    (image,) = found["images"]
    assert (image["civitaiUrl"], image["positive"], image["seed"]) == (
        "https://civitai.com/images/12",
        "a hat",
        5,
    )
    assert (found["name"], found["userNote"], found["strengthMin"]) == ("Mine", "mine", "0.5")


def test_pictures_that_rgthree_found_itself_stay() -> None:
    local = {"url": "/rgthree/api/loras/img?file=x.safetensors"}
    found = new("rgthree", from_civitai(), {"raw": {}, "images": [local]})
    assert [image["url"] for image in found["images"]] == [local["url"], VERSION["images"][0]["url"]]


def test_numbers_that_json_has_not_are_not_written() -> None:
    out = outgoing(shown(user_tags=("mine",)))
    planned = plan("swarmui", b'{"modelspec.tags": [NaN]}', out)
    assert planned.data == b'{"modelspec.tags": [NaN, "mine"]}'
    planned = plan("swarmui", b"{}", outgoing(shown(notes="n", weight=0.5)))
    assert planned.data is not None


def test_what_would_be_too_large_to_be_read_again_is_left_alone() -> None:
    there = json.dumps({"modelspec.title": "y", "more": "x" * (MAX_SIDECAR - 100)}).encode()
    planned = plan("swarmui", there, outgoing(shown(description="d" * 100)))
    assert planned.problem == "it would be larger than 16 MiB: left alone"


def test_text_of_other_encodings_becomes_utf_8() -> None:
    there = json.dumps({"notes": "", "description": "日本語の説明です"}, ensure_ascii=False)
    for data in (there.encode("cp932"), there.encode("utf-8-sig"), there.encode("utf-16")):
        changed = plan("a1111", data, outgoing(shown(notes="é"))).data
        assert changed == there.replace('"notes": ""', '"notes": "é"').encode()
        assert plan("a1111", data, outgoing()) == Planned()


def test_escapes_are_kept_as_the_file_has_them() -> None:
    out = outgoing(shown(notes="é"))
    assert plan("a1111", b'{"notes":"","description":"\\u00e9"}', out).data == (
        b'{"notes":"\\u00e9","description":"\\u00e9"}'
    )


def test_what_we_wrote_is_remembered_for_as_long_as_it_stands_there() -> None:
    there = b'{"model_name": "y", "tags": ["a"], "notes": "", "autov3": null}'
    first = plan("lora-manager", there, outgoing(shown(notes="mine", user_tags=("b",)))).data
    assert first is not None
    ours = remembered("lora-manager", there, first)
    assert set(ours) == {"tags", "user.notes"}
    second = plan("lora-manager", first, outgoing(shown(notes="other", user_tags=("b",)))).data
    assert second is not None
    again = remembered("lora-manager", first, second, ours)
    assert (again["tags"], set(again)) == (ours["tags"], {"tags", "user.notes"})
    assert again["user.notes"] != ours["user.notes"]
