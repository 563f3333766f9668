"""The model routes of ComfyUI."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import pytest

from registry.errors import BadRequest, NotFound
from registry.wire import comfyui
from tests.support.dialect_entries import entry

if TYPE_CHECKING:
    from registry.shown import Entry


def on_linux(each: Entry) -> str:
    return each.path


def on_windows(each: Entry) -> str:
    return each.path.replace("/", "\\")


def test_the_only_kind_of_folder_is_that_of_loras() -> None:
    assert comfyui.folders() == ["loras"]
    assert comfyui.folder_paths(["/a", "/b"]) == [{"name": "loras", "folders": ["/a", "/b"]}]
    comfyui.check_folder("loras")
    with pytest.raises(NotFound):
        comfyui.check_folder("checkpoints")


def test_names_have_folders_and_extensions_and_the_separator_of_the_tool() -> None:
    files = [entry("style/ink.safetensors"), entry("hat.safetensors")]
    assert comfyui.file_names(files, on_linux) == ["hat.safetensors", "style/ink.safetensors"]
    assert comfyui.file_names(files, on_windows) == ["hat.safetensors", "style\\ink.safetensors"]


def test_names_over_all_roots_are_a_set_sorted_by_code_points() -> None:
    paths = ["b.safetensors", "a10.pt", "Z.sft", "a2.ckpt", "ä.bin", "_.safetensors"]
    files = [entry(path) for path in paths] + [entry("b.safetensors", root=1)]
    assert comfyui.file_names(files, on_linux) == sorted(paths)


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("a.safetensors", True),
        ("a.SafeTensors", True),
        ("a.pt2", True),
        ("a.gguf", False),
        ("a.txt", False),
        (".git/a.safetensors", False),
        ("x/.git/y/a.safetensors", False),
        ("x.git/a.safetensors", True),
        (".hidden/a.safetensors", True),
    ],
)
def test_what_is_listed_goes_by_the_extension_and_the_folder(path: str, *, listed: bool) -> None:
    assert comfyui.listed(entry(path)) is listed


def test_of_roots_that_have_a_name_the_first_wins() -> None:
    second, first = entry("a/b.safetensors", root=1), entry("a/b.safetensors", root=0)
    assert comfyui.find([second, first], "a/b.safetensors") is first
    assert comfyui.find([second, first], "a\\b.safetensors", "\\") is first
    with pytest.raises(NotFound):
        comfyui.find([second, first], "a\\b.safetensors")


@pytest.mark.parametrize("name", ["/a/b.pt", "../../a/b.pt", "a//b.pt", "./a/x/../b.pt", "//..//a/b.pt"])
def test_a_name_never_leads_out_of_its_root(name: str) -> None:
    inside = posixpath.relpath(posixpath.join("/", name), "/")
    assert inside == "a/b.pt"
    found = entry("a/b.pt")
    assert comfyui.find([found], name) is found


@pytest.mark.parametrize("name", ["", "/", "..", "b.pt", "a/b.pt" * 1000])
def test_what_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        comfyui.find([entry("a/b.pt")], name)


def test_metadata_are_shown_as_they_stand() -> None:
    metadata = {"ss_tag_frequency": '{"a": {"b": 1}}', "modelspec.title": "T"}
    assert comfyui.view_metadata("a.safetensors", metadata, 1 << 20) == metadata
    assert comfyui.view_metadata("a.safetensors", {}, 2) == {}


@pytest.mark.parametrize(
    ("name", "metadata", "length"),
    [
        ("a.sft", {"a": "b"}, 10),
        ("a.SAFETENSORS", {"a": "b"}, 10),
        ("a.safetensors", None, 10),
        ("a.safetensors", {"a": "b"}, (1 << 20) + 1),
    ],
)
def test_metadata_are_not_shown_of(name: str, metadata: dict[str, str] | None, length: int) -> None:
    with pytest.raises(NotFound):
        comfyui.view_metadata(name, metadata, length)


def test_the_detailed_list_has_every_root_and_seconds() -> None:
    files = [entry("b.pt"), entry("x/b.pt", root=1, size=7), entry(".x/c.pt"), entry("x/.d.pt")]
    assert list(comfyui.detailed_list(files, on_windows)) == [
        {"name": "b.pt", "pathIndex": 0, "modified": 1700000000.5, "created": 1690000000.0, "size": 1000},
        {"name": "x\\b.pt", "pathIndex": 1, "modified": 1700000000.5, "created": 1690000000.0, "size": 7},
    ]


def test_a_picture_is_asked_for_by_root_and_name_with_or_without_extension() -> None:
    files = [entry("a/b.v1.safetensors"), entry("a/b.v1.safetensors", root=1), entry("a/b.pt", root=1)]
    for name, found in [
        ("a/b.v1.safetensors", files[1]),
        ("a/b.v1", files[1]),
        ("a/b", files[2]),
        ("/a//b.pt", files[2]),
    ]:
        assert comfyui.previewed(files, comfyui.preview_request("1", name)) is found
    assert comfyui.preview_request("01", "a\\b", "\\") == comfyui.PreviewRequest(1, "a/b")
    with pytest.raises(NotFound):
        comfyui.previewed(files, comfyui.preview_request("2", "a/b"))


@pytest.mark.parametrize("root", ["", "-1", "x", "1.0", "١", "9" * 30, " 1"])
def test_the_place_of_a_root_is_a_small_number(root: str) -> None:
    with pytest.raises(BadRequest):
        comfyui.preview_request(root, "a.pt")


@pytest.mark.parametrize("name", ["../a.pt", "x/../../a.pt", "x" * 5000])
def test_a_picture_of_what_is_outside_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        comfyui.preview_request("0", name)


def test_a_loader_offers_the_names_and_the_strengths() -> None:
    answer = comfyui.object_info("LoraLoader", ["a.pt", "b.pt"])
    assert list(answer) == ["LoraLoader"]
    node = answer["LoraLoader"]
    required = node["input"]["required"]
    assert list(required) == ["model", "clip", "lora_name", "strength_model", "strength_clip"]
    assert node["input_order"] == {"required": list(required)}
    assert required["model"][0] == "MODEL"
    assert required["lora_name"][0] == ["a.pt", "b.pt"]
    kind, options = required["strength_clip"]
    numbers = (options["default"], options["min"], options["max"], options["step"])
    assert (kind, numbers) == ("FLOAT", (1.0, -100.0, 100.0, 0.01))
    assert node["output"] == node["output_name"] == ["MODEL", "CLIP"]
    assert (node["output_is_list"], node["output_node"]) == ([False, False], False)
    assert len(node["output_tooltips"]) == 2
    assert {"name", "display_name", "description", "python_module", "category"} < node.keys()


def test_a_loader_for_the_model_alone_has_no_text_encoder() -> None:
    node = comfyui.object_info("LoraLoaderModelOnly", [])["LoraLoaderModelOnly"]
    assert list(node["input"]["required"]) == ["model", "lora_name", "strength_model"]
    assert node["output"] == ["MODEL"]


def test_an_unknown_node_is_an_empty_object() -> None:
    assert comfyui.object_info("KSampler", ["a.pt"]) == {}


def test_a_refusal_has_no_body() -> None:
    assert comfyui.failure(NotFound("x")) == (404, None)
