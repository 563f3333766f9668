"""Workflows of ComfyUI with places to be filled: `%prompt%`, `%lora%` and others. Pure.

The API format of ComfyUI: nodes by their id, each with a `class_type` and `inputs`, which are values or links
`[id, slot]` to what another node puts out. Whole texts become values of a type, places within a text become
text; what is filled in is never read as a place again, nor as JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Value = str | int | float
    Nodes = Mapping[str, Mapping[str, Any]]

NAMES: Final = (
    "prompt",
    "negative",
    "seed",
    "steps",
    "cfg",
    "sampler",
    "scheduler",
    "width",
    "height",
    "lora",
    "weight",
    "checkpoint",
    "denoise",
    "start",
)
_PLACE: Final = re.compile(f"%({'|'.join(NAMES)})%")
_OUTPUT: Final = re.compile(r"save|preview|send|output|write", re.IGNORECASE)
_LARGEST: Final = 1_000_000
_CANVAS: Final = (
    "choose Export (API) in ComfyUI, or Save (API Format) with the developer mode of older versions"
)
# Loaders, and which of their inputs each slot is without them.
_LOADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "LoraLoader": ("model", "clip"),
    "LoraLoaderModelOnly": ("model",),
}
_EMPTY: Final = frozenset({"EmptyLatentImage", "EmptySD3LatentImage", "EmptyFlux2LatentImage"})


def parse_workflow(text: str) -> Nodes:
    """Return the nodes of a workflow; BadRequest says what is wrong with it and what to do."""
    if len(text) > _LARGEST:
        raise BadRequest(f"a workflow has {_LARGEST:,} characters at most")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the workflow is no JSON ({error})", remedy=_CANVAS) from error
    if isinstance(found, dict) and isinstance(found.get("nodes"), list):
        raise BadRequest("the workflow is in the format of the canvas, which is only drawn", remedy=_CANVAS)
    if not isinstance(found, dict) or not found or not all(map(_is_node, found.values())):
        raise BadRequest("the workflow is not in the API format of ComfyUI", remedy=_CANVAS)
    if "lora" not in set(_names(found)):
        raise BadRequest(
            "the workflow has no place for a lora",
            remedy="write %lora% where the name of the lora stands, and %weight% for its strengths",
        )
    if not any(_OUTPUT.search(node["class_type"]) for node in found.values()):
        raise BadRequest(
            "the workflow puts out no picture", remedy="end it with a node PreviewImage or SaveImage"
        )
    return found


def has_place(nodes: Nodes, name: str) -> bool:
    """Whether there is a place of this name."""
    return name in set(_names(nodes))


def input_of(nodes: Nodes, name: str) -> tuple[str, str] | None:
    """Return the class and the input that is the place of this name and nothing else, `None` without one."""
    for node in nodes.values():
        for key, value in node["inputs"].items():
            if value == f"%{name}%":
                return node["class_type"], key
    return None


def filled(nodes: Nodes, values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """Return the nodes with all places filled that have a value."""
    return {key: {**node, "inputs": _filled(node["inputs"], values)} for key, node in nodes.items()}


def without_lora(nodes: Nodes) -> dict[str, Mapping[str, Any]]:
    """Return the nodes without those that load the lora, linked as if these let everything through.

    A strength of zero would do as little, but the loader wants the name of a lora that is there. Raises
    BadRequest where it is no loader of ComfyUI's own.
    """
    around: dict[tuple[str, int], Any] = {}
    for key, node in nodes.items():
        if "lora" not in set(_places(node["inputs"])):
            continue
        inputs = _LOADERS.get(node["class_type"])
        if inputs is None:
            raise BadRequest(
                f"a picture without a lora needs the workflow without its {node['class_type'][:60]}",
                remedy=f"load the lora with {' or '.join(_LOADERS)}",
            )
        around |= {(key, slot): node["inputs"].get(name) for slot, name in enumerate(inputs)}
    gone = {key for key, _ in around}
    return {
        key: {**node, "inputs": {name: _past(value, around) for name, value in node["inputs"].items()}}
        for key, node in nodes.items()
        if key not in gone
    }


def starting_with(nodes: Nodes) -> dict[str, Mapping[str, Any]]:
    """Return the nodes so that they begin with a picture, at the place `start`, instead of with nothing.

    Raises BadRequest where it is not clear how.
    """
    if not has_place(nodes, "denoise"):
        raise BadRequest("the workflow cannot begin with a picture", remedy="write %denoise% at its sampler")
    if has_place(nodes, "start"):
        return dict(nodes)
    empty = [key for key, node in nodes.items() if node["class_type"] in _EMPTY]
    vae = next((node["inputs"].get("vae") for node in nodes.values() if "vae" in node["inputs"]), None)
    if len(empty) != 1 or vae is None:
        raise BadRequest(
            "the workflow cannot begin with a picture",
            remedy="write %start% where the name of that picture stands, in a LoadImage",
        )
    load, scale = _unused(nodes, "start-load"), _unused(nodes, "start-scale")
    return {
        **nodes,
        load: {"class_type": "LoadImage", "inputs": {"image": "%start%"}},
        scale: {
            "class_type": "ImageScale",
            "inputs": {
                "image": [load, 0],
                "upscale_method": "lanczos",
                "width": "%width%",
                "height": "%height%",
                "crop": "center",
            },
        },
        empty[0]: {"class_type": "VAEEncode", "inputs": {"pixels": [scale, 0], "vae": vae}},
    }


def _is_node(node: object) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
    )


def _names(nodes: Nodes) -> Iterator[str]:
    for node in nodes.values():
        yield from _places(node["inputs"])


def _places(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACE.findall(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _places(each)


def _filled(value: Any, values: Mapping[str, Value]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if not isinstance(value, str):
        return value
    whole = _PLACE.fullmatch(value)
    if whole is not None:
        return values.get(whole[1], value)
    return _PLACE.sub(lambda place: _written(values.get(place[1], place[0])), value)


def _written(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _past(value: Any, around: Mapping[tuple[str, int], Any]) -> Any:
    """Return a link that leads past what is left out."""
    for _ in range(len(around)):
        if not (isinstance(value, list) and len(value) == 2):
            break
        link = (value[0], value[1])
        if not (isinstance(link[0], str) and isinstance(link[1], int)) or link not in around:
            break
        value = around[link]
    return value


def _unused(nodes: Nodes, name: str) -> str:
    while name in nodes:
        name += "-"
    return name
