"""Which file belongs to which model, judged by names alone; the contents decide later what a sidecar is.

Sources of the naming rules: AUTOMATIC1111 `modules/ui_extra_networks.py` and
`ui_extra_networks_user_metadata.py`; vladmandic/sdnext; SwarmUI `T2IModel.cs`; willmiao/
ComfyUI-Lora-Manager; LykosAI/StabilityMatrix; butaixianran Civitai Helper; BlafKing/sd-civitai-browser-plus;
pythongosssss/ComfyUI-Custom-Scripts; rgthree/rgthree-comfy `utils_info.py`.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MODEL_EXTENSIONS = (".safetensors", ".sft")
# Listed and hashed where a root asks for it, never opened.
PICKLE_EXTENSIONS = (".pt", ".ckpt", ".bin")

PREVIEW = "preview"
SIDECAR = "sidecar"

# Endings of sidecars and the family that writes them. `<stem>.json` and `<stem>.txt` are shared by several
# tools with different contents.
SIDECAR_FAMILIES = {
    ".json": "user_json",
    ".txt": "text",
    ".description.txt": "a1111",
    ".civitai.info": "civitai_helper",
    ".metadata.json": "lora_manager",
    ".cm-info.json": "stability_matrix",
    ".swarm.json": "swarmui",
    ".api_info.json": "civitai_browser_plus",
    ".rgthree-info.json": "rgthree",
}
# These come after the whole name of the model file, its extension included; all others after the stem.
AFTER_WHOLE_NAME = frozenset({".rgthree-info.json"})

# What stands between stem and extension of a preview, and who writes it so; better ones first.
PREVIEW_INFIXES = {"": "plain", ".preview": "preview", ".thumb": "thumb", ".example.0": "lora_manager"}
PREVIEW_EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl", ".jp2", ".tiff", ".mp4", ".webm",
)  # fmt: skip

# Left behind by downloads, editors and other tools; a finished file is renamed to a name without them.
TEMPORARY_ENDINGS = (
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".incomplete", ".filepart", ".aria2",
    ".!qb", ".!ut", ".tmp", ".tmp2", ".temp", ".backup", ".bak", ".swp", "~",
)  # fmt: skip
HIDDEN_STARTS = (".", "~$")
# Folders and files that systems keep for themselves.
SYSTEM_NAMES = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__macosx", "thumbs.db",
     "desktop.ini"}
)  # fmt: skip


class Companion(NamedTuple):
    """What a file name may be to a model.

    `kind` is `preview` or `sidecar`, `family` one of the tables' values. `owner` is the stem of the model,
    or with `whole_name` its full file name. `rank` orders the companions of one model, best first.
    """

    kind: str
    family: str
    owner: str
    whole_name: bool
    rank: int


class Owned(NamedTuple):
    """A companion that was found beside its model; `file_name` as the folder spells it."""

    file_name: str
    kind: str
    family: str


def ignored(name: str) -> bool:
    """Tell whether a file or folder name is hidden, temporary or the system's own."""
    folded = name.lower()
    return folded.startswith(HIDDEN_STARTS) or folded.endswith(TEMPORARY_ENDINGS) or folded in SYSTEM_NAMES


def is_model(file_name: str, *, pickles: bool = False) -> bool:
    """Tell by its name whether a file is a model; `.pt`, `.ckpt` and `.bin` count only with `pickles`."""
    endings = MODEL_EXTENSIONS + PICKLE_EXTENSIONS if pickles else MODEL_EXTENSIONS
    return not ignored(file_name) and file_name.lower().endswith(endings)


def classify(file_name: str) -> tuple[Companion, ...]:
    """Give all that a file may be, the longest owner first: `x.preview.png` may belong to `x.preview` or `x`.

    Extensions are compared without regard to case; nothing is given for models and names to ignore.
    """
    if ignored(file_name):
        return ()
    folded = file_name.lower()
    rules = _RULES_BY_EXTENSION.get(folded[folded.rfind(".") :], ())
    return tuple(
        Companion(rule.kind, rule.family, file_name[: -len(rule.ending)], rule.whole_name, rule.rank)
        for rule in rules
        if folded.endswith(rule.ending) and len(file_name) > len(rule.ending)
    )


def pair(names: Iterable[str], models: Iterable[str]) -> dict[str, tuple[Owned, ...]]:
    """Give each model file its companions among the other names of its folder, in one pass.

    A companion belongs to the longest owner that exists, spelled exactly if possible, else regardless of
    case and Unicode form; to all models that share this stem. Models without companions are left out.
    """
    exact: dict[tuple[str, bool], list[str]] = {}
    alike: dict[tuple[str, bool], list[str]] = {}
    for model in models:
        stem = model.rpartition(".")[0]
        for owner, whole_name in ((stem, False), (model, True)):
            exact.setdefault((owner, whole_name), []).append(model)
            alike.setdefault((_fold(owner), whole_name), []).append(model)
    found: dict[str, list[tuple[int, Owned]]] = {}
    for name in names:
        for candidate in classify(name):
            owner, whole_name = candidate.owner, candidate.whole_name
            owners = exact.get((owner, whole_name)) or alike.get((_fold(owner), whole_name))
            if owners:
                for model in owners:
                    row = (candidate.rank, Owned(name, candidate.kind, candidate.family))
                    found.setdefault(model, []).append(row)
                break
    return {model: tuple(owned for _, owned in sorted(rows)) for model, rows in found.items()}


class _Rule(NamedTuple):
    ending: str
    kind: str
    family: str
    whole_name: bool
    rank: int


def _rules() -> tuple[_Rule, ...]:
    previews = [
        (infix + extension, PREVIEW, family)
        for extension in PREVIEW_EXTENSIONS
        for infix, family in PREVIEW_INFIXES.items()
    ]
    sidecars = [(ending, SIDECAR, family) for ending, family in SIDECAR_FAMILIES.items()]
    return tuple(
        _Rule(ending, kind, family, ending in AFTER_WHOLE_NAME, rank)
        for rank, (ending, kind, family) in enumerate(previews + sidecars)
    )


def _by_extension(rules: Iterable[_Rule]) -> dict[str, tuple[_Rule, ...]]:
    """Group the rules by last extension, shortest ending (so longest owner) first."""
    groups: dict[str, list[_Rule]] = {}
    for rule in sorted(rules, key=lambda rule: len(rule.ending)):
        groups.setdefault(rule.ending[rule.ending.rindex(".") :], []).append(rule)
    return {extension: tuple(group) for extension, group in groups.items()}


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


_RULES_BY_EXTENSION = _by_extension(_rules())
