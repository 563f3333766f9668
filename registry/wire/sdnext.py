"""The single LoRA of SD.Next, `GET /sdapi/v1/lora?lora=NAME`, which no other web UI of the family has.

Sources: vladmandic/sdnext `modules/api/loras.py`, `modules/lora/network.py` (NetworkOnDisk),
`modules/lora/lora_load.py` and `modules/sd_checkpoint.py` (read_metadata_from_safetensors).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from registry.errors import BadRequest, NotFound, RegistryError
from registry.formats.json_rules import depth_exceeds
from registry.formats.values import OddValueError, json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.shown import Entry

# lora_load.py, list_available_networks.
EXTENSIONS: Final = frozenset({".ckpt", ".pt", ".safetensors"})
MAX_NAME: Final = 1000
MAX_NESTING: Final = 100
"""Levels of a parsed value; what nests deeper stays text, as many readers give up at 128."""

_SAFETENSORS: Final = ".safetensors"
_SHORT: Final = 8
_SHOWN: Final = 200
# network.py, metadata_tags_order: these come first, in this order.
_FIRST_KEYS: Final = (
    "ss_sd_model_name", "ss_resolution", "ss_clip_skip", "ss_num_train_images", "ss_tag_frequency",
)  # fmt: skip
# sd_checkpoint.py: characters beyond which a value is large, and what is left out if it is.
_LARGE: Final = 2048
_DROPPED_IF_LARGE: Final = frozenset({"prompt", "sd_metadata_file", "ss_bucket_info", "ss_datasets"})
_TAGS: Final = "ss_tag_frequency"
_WORKFLOW: Final = "workflow"
# network.py, detect_version, by our architectures; where it knows none it says "".
VERSIONS: Final[Mapping[str, str]] = {
    "sd15": "sd1",
    "sd2": "sd2",
    "sdxl": "xl",
    "sd3": "sd3",
    "cascade": "sc",
    "flux1": "f1",
    "chroma": "chroma",
    "hunyuan_video": "hv",
    "z_image": "zimage",
    "qwen_image": "qwen",
}


def name_of(entry: Entry) -> str:
    """Give the name of a LoRA: that of the file without extension, with `_` for every dot in it."""
    return entry.name.replace(".", "_")


def lora_request(name: str | None) -> str:
    """Read the parameter `lora`. Raises BadRequest where there is none."""
    if not name:
        raise BadRequest("lora is needed.", remedy="For example lora=NAME, a name of the list.")
    return name


def find(entries: Iterable[Entry], name: str) -> Entry:
    """Return the LoRA of a name, the last of those that share it. Raises NotFound."""
    found = None
    for entry in entries if len(name) <= MAX_NAME else ():
        if entry.ext.lower() in EXTENSIONS and name_of(entry) == name:
            found = entry
    if found is None:
        raise NotFound(f"Lora '{name[:_SHOWN]}' not found")
    return found


def network(entry: Entry, *, relative: str, absolute: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Give the whole object of a LoRA.

    `relative` and `absolute` are its path within its root and from the top, as the tool sees them;
    `metadata` are those of the header, empty where there are none.
    """
    digest = entry.hashes.get("sha256") or entry.hashes.get("data_sha256") or ""
    is_safetensors = entry.ext.lower() == _SAFETENSORS
    read = metadata if is_safetensors else {}
    name = name_of(entry)
    return {
        "shorthash": digest[:_SHORT],
        "hash": digest,
        "name": name,
        "filename": absolute,
        "fullname": relative.removesuffix(entry.ext),
        "metadata": shown_metadata(read),
        "is_safetensors": is_safetensors,
        "alias": read.get("ss_output_name", name),
        "sd_version": VERSIONS.get(entry.architecture, ""),
    }


def shown_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Give the metadata of a header as SD.Next keeps them: without what is large, odd or a picture.

    Of a value that begins with `{` and is JSON what it says; objects that hold NaN or infinities are left
    out.
    """
    ordered = {key: metadata[key] for key in _FIRST_KEYS if key in metadata} | dict(metadata)
    shown: dict[str, Any] = {}
    for key, text in ordered.items():
        value = _value(key, text)
        if value is not None:
            shown[key] = value
    return shown


def failure(error: RegistryError) -> tuple[int, dict[str, Any]]:
    """Give the status and body of a refusal; 422 is what FastAPI makes of a missing parameter."""
    if isinstance(error, BadRequest):
        return 422, {"detail": [{"type": "missing", "loc": ["query", "lora"], "msg": str(error)}]}
    return error.status, {"detail": str(error)}


def _value(key: str, text: str) -> Any:
    """Return what is kept of one value, `None` for nothing."""
    large = len(text) > _LARGE
    if text.startswith("data:"):
        return "data"
    if key == _WORKFLOW:
        return _WORKFLOW
    if (key, text) == ("format", "pt") or text == "NaN" or (large and key in _DROPPED_IF_LARGE):
        return None
    if not text.startswith("{") or depth_exceeds(text, MAX_NESTING):
        return text
    try:
        value = json_value(text)
    except OddValueError:
        return text
    if large and key == _TAGS and isinstance(value, dict):
        value = _counts(value)
    return value if _sayable(value) else None


def _counts(folders: Mapping[str, Any]) -> dict[str, int]:
    """Return how many tags each folder has, which is all that is kept of many."""
    return {folder: len(tags) for folder, tags in folders.items() if isinstance(tags, dict)}


def _sayable(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True
