"""The model routes of ComfyUI, as its server and its experimental model browser answer them.

Sources: comfyanonymous/ComfyUI `server.py`, `folder_paths.py`, `nodes.py` (LoraLoader) and
`app/model_manager.py`. Names are paths within a root, with the extension and the separator of the tool's
system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from registry.errors import BadRequest, NotFound, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registry.shown import Entry

FOLDER: Final = "loras"
# folder_paths.py, supported_pt_extensions.
EXTENSIONS: Final = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"})
MAX_HEADER: Final = 1024 * 1024
"""Bytes of a header, beyond which ComfyUI shows no metadata."""

_METADATA_EXTENSION: Final = ".safetensors"
_SKIPPED: Final = ".git"
_MAX_NAME: Final = 4096
_MAX_ROOTS: Final = 1000


class _Socket(NamedTuple):
    type: str
    hint: str


class _Node(NamedTuple):
    title: str
    description: str
    sockets: tuple[str, ...]
    strengths: tuple[str, ...]


_SOCKETS: Final[Mapping[str, _Socket]] = {
    "model": _Socket("MODEL", "The model to which the LoRA is added."),
    "clip": _Socket("CLIP", "The text encoder to which the LoRA is added."),
}
_STRENGTHS: Final[Mapping[str, str]] = {
    "strength_model": "How much of the LoRA goes to the model; below zero works against it.",
    "strength_clip": "How much of the LoRA goes to the text encoder; below zero works against it.",
}
_NODES: Final[Mapping[str, _Node]] = {
    "LoraLoader": _Node(
        "Load LoRA (Model and CLIP)",
        "Adds a LoRA to a model and its text encoder.",
        ("model", "clip"),
        ("strength_model", "strength_clip"),
    ),
    "LoraLoaderModelOnly": _Node(
        "Load LoRA", "Adds a LoRA to a model alone.", ("model",), ("strength_model",)
    ),
}


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """Whose picture is asked for: the place of a root, and a path within it with `/`."""

    root: int
    path: str


def folders() -> list[str]:
    """Give the answer of `/models`: the kinds of folders there are."""
    return [FOLDER]


def folder_paths(prefixes: Sequence[str]) -> list[dict[str, Any]]:
    """Give the answer of `/experiment/models`, with the roots where the tool sees them."""
    return [{"name": FOLDER, "folders": list(prefixes)}]


def check_folder(folder: str) -> None:
    """Raise NotFound for any folder but that of LoRAs."""
    if folder != FOLDER:
        raise NotFound("There is no such folder.", remedy=f"The only one is {FOLDER}.")


def listed(entry: Entry) -> bool:
    """Tell whether ComfyUI lists such a file."""
    return entry.ext.lower() in EXTENSIONS and _SKIPPED not in entry.path.split("/")[:-1]


def file_names(entries: Iterable[Entry], relative: Callable[[Entry], str]) -> list[str]:
    """Give the answer of `/models/loras`: the names over all roots by code points, each once."""
    return sorted({relative(entry) for entry in entries if listed(entry)})


def path_of(file_name: str, separator: str = "/") -> str:
    """Return the path within a root that a name stands for; raises NotFound where it is too long.

    It is without empty parts and `.`, and `..` leads up to the root at most.
    """
    if len(file_name) > _MAX_NAME:
        raise NotFound("There is no such file.")
    parts: list[str] = []
    for part in _slashed(file_name, separator).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def find(entries: Iterable[Entry], file_name: str, separator: str = "/") -> Entry:
    """Return the file that a name stands for: of several roots that have it, the first.

    A name is taken as a path below the root, whatever it begins with or climbs out of, as ComfyUI does.
    Raises NotFound.
    """
    path = path_of(file_name, separator)
    found = [entry for entry in entries if entry.path == path and listed(entry)]
    if not found:
        raise NotFound("There is no such file.")
    return min(found, key=lambda entry: entry.root)


def view_metadata(
    file_name: str, metadata: Mapping[str, str] | None, header_length: int
) -> Mapping[str, str]:
    """Give the answer of `/view_metadata/loras`: the metadata of a header as they stand, nothing parsed.

    `metadata` is `None` where the header has none or cannot be read, `header_length` its bytes. Raises
    NotFound for these, for other extensions and for headers above `MAX_HEADER`.
    """
    if not file_name.endswith(_METADATA_EXTENSION) or metadata is None or header_length > MAX_HEADER:
        raise NotFound("That file shows no metadata.")
    return metadata


def detailed_list(entries: Iterable[Entry], relative: Callable[[Entry], str]) -> Iterator[dict[str, Any]]:
    """Yield the answer of `/experiment/models/loras`: every file of every root, in the order given.

    Files and folders whose names begin with a dot are left out here, and here only. Times are seconds since
    the epoch; `created` is when the file was first seen.
    """
    for entry in entries:
        if listed(entry) and not any(part.startswith(".") for part in entry.path.split("/")):
            yield {
                "name": relative(entry),
                "pathIndex": entry.root,
                "modified": entry.modified / 1000,
                "created": entry.added / 1000,
                "size": entry.size,
            }


def preview_request(root: str, file_name: str, separator: str = "/") -> PreviewRequest:
    """Read the end of `/experiment/models/preview/loras/{pathIndex}/{filename}`, already unquoted.

    Raises BadRequest for a place that is no small number, NotFound for a path that leads out of its root.
    """
    if not (root.isascii() and root.isdigit() and len(root) <= len(str(_MAX_ROOTS))):
        raise BadRequest("The place of a root is a whole number from 0.")
    path = _slashed(file_name, separator)
    if len(path) > _MAX_NAME or ".." in path.split("/"):
        raise NotFound("There is no such file.")
    return PreviewRequest(int(root), path_of(path, "/"))


def previewed(entries: Iterable[Entry], request: PreviewRequest) -> Entry:
    """Return the file whose picture is asked for, by its name with or without extension. Raises NotFound."""
    here = [entry for entry in entries if entry.root == request.root and listed(entry)]
    for entry in here:
        if entry.path == request.path:
            return entry
    for entry in here:
        if entry.path.removesuffix(entry.ext) == request.path:
            return entry
    raise NotFound("There is no such file.")


def object_info(node: str, names: Sequence[str]) -> dict[str, Any]:
    """Give the answer of `/object_info/{node}`: how a loader of LoRAs looks, `{}` for any other node."""
    row = _NODES.get(node)
    if row is None:
        return {}
    required: dict[str, list[Any]] = {
        name: [_SOCKETS[name].type, {"tooltip": _SOCKETS[name].hint}] for name in row.sockets
    }
    required["lora_name"] = [list(names), {"tooltip": "The file of the LoRA."}]
    for name in row.strengths:
        numbers = {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01}
        required[name] = ["FLOAT", {**numbers, "tooltip": _STRENGTHS[name]}]
    given = [_SOCKETS[name].type for name in row.sockets]
    return {
        node: {
            "input": {"required": required},
            "input_order": {"required": list(required)},
            "is_input_list": False,
            "output": given,
            "output_is_list": [False] * len(given),
            "output_name": given,
            "name": node,
            "display_name": row.title,
            "description": row.description,
            "python_module": "nodes",
            "category": "loaders",
            "output_node": False,
            "has_intermediate_output": False,
            "output_tooltips": [f"What came in as {name}, with the LoRA." for name in row.sockets],
            "search_aliases": [],
        }
    }


def failure(error: RegistryError) -> tuple[int, None]:
    """Give the status of an answer that says nothing else, as ComfyUI's refusals are empty."""
    return error.status, None


def _slashed(file_name: str, separator: str) -> str:
    return file_name.replace("\\", "/") if separator == "\\" else file_name
