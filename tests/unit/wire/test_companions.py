"""Which files belong to which model, by name."""

from __future__ import annotations

import unicodedata

import pytest

from registry.wire import companions
from registry.wire.companions import Owned, classify, ignored, is_model, pair


def belongs(file_name: str) -> set[tuple[str, str, str, bool]]:
    return {(found.kind, found.family, found.owner, found.whole_name) for found in classify(file_name)}


@pytest.mark.parametrize(
    ("file_name", "kind", "family", "owner"),
    [
        ("x.v1.json", "sidecar", "user_json", "x.v1"),
        ("x.v1.txt", "sidecar", "text", "x.v1"),
        ("x.v1.description.txt", "sidecar", "a1111", "x.v1"),
        ("x.v1.civitai.info", "sidecar", "civitai_helper", "x.v1"),
        ("x.v1.Metadata.JSON", "sidecar", "lora_manager", "x.v1"),
        ("x.v1.cm-info.json", "sidecar", "stability_matrix", "x.v1"),
        ("x.v1.swarm.json", "sidecar", "swarmui", "x.v1"),
        ("x.v1.api_info.json", "sidecar", "civitai_browser_plus", "x.v1"),
        ("x.v1.png", "preview", "plain", "x.v1"),
        ("x.v1.PREVIEW.Png", "preview", "preview", "x.v1"),
        ("x.v1.thumb.jpg", "preview", "thumb", "x.v1"),
        ("x.v1.example.0.jpeg", "preview", "lora_manager", "x.v1"),
        ("x.v1.preview.mp4", "preview", "preview", "x.v1"),
        ("盲盒İ.preview.webp", "preview", "preview", "盲盒İ"),
    ],
)
def test_a_name_tells_kind_family_and_stem(file_name: str, kind: str, family: str, owner: str) -> None:
    assert (kind, family, owner, False) in belongs(file_name)


def test_rgthree_keeps_the_whole_name_of_the_model() -> None:
    assert ("sidecar", "rgthree", "x.safetensors", True) in belongs("x.safetensors.rgthree-info.json")
    assert pair(["x.safetensors.rgthree-info.json"], ["x.safetensors", "x.ckpt"]) == {
        "x.safetensors": (Owned("x.safetensors.rgthree-info.json", "sidecar", "rgthree"),)
    }


def test_the_longest_owner_is_named_first() -> None:
    assert [found.owner for found in classify("x.preview.png")] == ["x.preview", "x"]
    assert [found.family for found in classify("x.metadata.json")] == ["user_json", "lora_manager"]


@pytest.mark.parametrize(
    "file_name", ["x.safetensors", ".png", "png", "", ".", "x.", "x.exe", "x.png.part", ".x.png"]
)
def test_other_names_are_no_companions(file_name: str) -> None:
    assert classify(file_name) == ()


def test_a_folder_is_paired_in_one_pass() -> None:
    models = ["a.safetensors", "b.v2.safetensors", "lonely.sft"]
    names = ["a.metadata.json", "a.preview.png", "a.png", "a.json", "b.v2.civitai.info", "b.png", "notes.txt"]
    assert pair(names, models) == {
        "a.safetensors": (
            Owned("a.png", "preview", "plain"),
            Owned("a.preview.png", "preview", "preview"),
            Owned("a.json", "sidecar", "user_json"),
            Owned("a.metadata.json", "sidecar", "lora_manager"),
        ),
        "b.v2.safetensors": (Owned("b.v2.civitai.info", "sidecar", "civitai_helper"),),
    }


def test_a_companion_goes_to_the_longest_owner_that_exists() -> None:
    assert pair(["a.preview.png"], ["a.safetensors", "a.preview.safetensors"]) == {
        "a.preview.safetensors": (Owned("a.preview.png", "preview", "plain"),)
    }


def test_models_that_share_a_stem_share_companions() -> None:
    assert pair(["a.png"], ["a.safetensors", "a.ckpt"]).keys() == {"a.safetensors", "a.ckpt"}


def test_the_exact_spelling_wins_over_another_case() -> None:
    found = pair(["a.png", "A.txt"], ["a.safetensors", "A.safetensors"])
    assert [owned.file_name for owned in found["a.safetensors"]] == ["a.png"]
    assert [owned.file_name for owned in found["A.safetensors"]] == ["A.txt"]


def test_case_and_unicode_form_are_forgiven() -> None:
    composed = unicodedata.normalize("NFC", "Café")
    decomposed = unicodedata.normalize("NFD", "CAFÉ")
    assert pair([f"{decomposed}.PNG"], [f"{composed}.SafeTensors"]) == {
        f"{composed}.SafeTensors": (Owned(f"{decomposed}.PNG", "preview", "plain"),)
    }


@pytest.mark.parametrize(
    "name",
    [
        "x.safetensors.part", "x.safetensors.CRDOWNLOAD", "x.safetensors.tmp", "x.safetensors.tmp2",
        "x.safetensors.aria2", "x.safetensors.backup", "x.safetensors.download", "x.safetensors.incomplete",
        "x.safetensors.!qB", "x.safetensors~", "._x.safetensors", ".x.safetensors", ".git", "@eaDir",
        "Thumbs.db", "$RECYCLE.BIN", "~$x.txt",
    ],
)  # fmt: skip
def test_temporary_hidden_and_system_names_are_ignored(name: str) -> None:
    assert ignored(name)
    assert not is_model(name, pickles=True)


@pytest.mark.parametrize(
    "name", ["x.safetensors", "part.safetensors", "tmp", "x.tmp.safetensors", "x.partial.png", ""]
)
def test_ordinary_names_are_not_ignored(name: str) -> None:
    assert not ignored(name)


@pytest.mark.parametrize(
    ("file_name", "always", "with_pickles"),
    [
        ("x.safetensors", True, True),
        ("x.SFT", True, True),
        ("x.SafeTensors", True, True),
        ("x.pt", False, True),
        ("x.CKPT", False, True),
        ("x.bin", False, True),
        ("x.gguf", False, False),
        ("safetensors", False, False),
        ("x.\u017fafetensors", False, False),
    ],
)
def test_models_are_told_by_extension(*, file_name: str, always: bool, with_pickles: bool) -> None:
    assert is_model(file_name) is always
    assert is_model(file_name, pickles=True) is with_pickles


def test_every_ending_of_the_tables_is_lower_case_and_begins_with_a_dot() -> None:
    endings = [*companions.SIDECAR_FAMILIES, *companions.PREVIEW_EXTENSIONS, *companions.MODEL_EXTENSIONS]
    assert all(ending.startswith(".") and ending == ending.lower() for ending in endings)
    assert set(companions.SIDECAR_FAMILIES) >= companions.AFTER_WHOLE_NAME
    assert all(ending == ending.lower() for ending in companions.TEMPORARY_ENDINGS)
