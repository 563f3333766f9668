"""The model records of InvokeAI under `/api/v2/models/`, as its version 6 answers them.

Sources: invoke-ai/InvokeAI `invokeai/app/api/routers/model_manager.py`,
`invokeai/app/services/model_records/model_records_sql.py`, and `configs/base.py`, `configs/lora.py` and
`taxonomy.py` of `invokeai/backend/model_manager`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from registry.errors import BadRequest, NotFound, RegistryError
from registry.formats.markup import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from registry.shown import Entry, Shown

    Whole = Callable[[Sequence[Entry]], Iterable[Entry]]

# taxonomy.py, BaseModelType, by our architectures; every other one is UNKNOWN.
BASES: Final[Mapping[str, str]] = {
    "sd15": "sd-1",
    "sd2": "sd-2",
    "sd3": "sd-3",
    "sdxl": "sdxl",
    "flux1": "flux",
    "flux2": "flux2",
    "z_image": "z-image",
    "qwen_image": "qwen-image",
    "wan": "wan",
    "anima": "anima",
}
# ... and by those of our base models that are bases of their own there.
BASE_VARIANTS: Final[Mapping[str, str]] = {"sdxl-refiner": "sdxl-refiner"}
UNKNOWN: Final = "unknown"

# taxonomy.py, ModelType and ModelFormat of single files, by our kinds.
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "lora": ("lora", "lycoris"),
    "checkpoint": ("main", "checkpoint"),
    "embedding": ("embedding", "embedding_file"),
    "vae": ("vae", "checkpoint"),
    "controlnet": ("controlnet", "checkpoint"),
}
_CONTROL_LORA: Final = "control_lora"
# Files of these architectures whose keys are laid out so are LoRAs in the format of diffusers; any other
# single file is `lycoris`, whatever its adapter.
_DIFFUSERS_ARCHITECTURES: Final = frozenset({"flux1", "flux2"})
_DIFFUSERS_LAYOUTS: Final = frozenset({"diffusers", "peft"})

# configs/lora.py: the ends of the slider where no others are set.
SLIDER_MIN: Final = -1.0
SLIDER_MAX: Final = 2.0

_MAX_NAME: Final = 4096
_MAX_WORD: Final = 64
_MAX_BASES: Final = 100
_KEY: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HASH: Final = re.compile(r"(?:(blake3|sha256):)?([0-9a-f]{64})")
_MAX_ID: Final = 2**63 - 1
_DIRECTIONS: Final = ("ASC", "DESC")
# model_records_sql.py; texts are compared as SQLite's NOCASE does.
_ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "default": ("type", "base", "name", "format"),
    "type": ("type",),
    "base": ("base",),
    "name": ("name",),
    "format": ("format",),
    "size": ("file_size",),
    "created_at": (),
    "updated_at": (),
    "path": ("path",),
}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What a list is asked to hold; a name that InvokeAI does not know either finds nothing."""

    bases: tuple[str, ...] = ()
    type: str | None = None
    name: str | None = None
    format: str | None = None
    order: str = "name"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class AttributesRequest:
    """The three things that told models apart in former versions."""

    name: str
    type: str
    base: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are for who asks: the path of a file, and the address of a picture that may be shown."""

    path: Callable[[Entry], str]
    picture: Callable[[Entry], str | None]


def list_request(parameters: Mapping[str, Sequence[str]]) -> ListRequest:
    """Read the parameters of a list, each with all its values. Raises BadRequest."""
    order = _last(parameters, "order_by", _MAX_WORD) or "name"
    if order not in _ORDERS:
        raise BadRequest("order_by cannot be that.", remedy=f"It may be {', '.join(_ORDERS)}.")
    direction = _last(parameters, "direction", _MAX_WORD) or "ASC"
    if direction not in _DIRECTIONS:
        raise BadRequest("direction cannot be that.", remedy="It may be ASC or DESC.")
    bases = tuple(parameters.get("base_models", ()))
    if len(bases) > _MAX_BASES or any(len(base) > _MAX_WORD for base in bases):
        raise BadRequest("base_models are too many or too long.", remedy="Name those that you want.")
    return ListRequest(
        bases,
        _last(parameters, "model_type", _MAX_WORD),
        _last(parameters, "model_name", _MAX_NAME),
        _last(parameters, "model_format", _MAX_WORD),
        order,
        direction == "DESC",
    )


def attributes_request(parameters: Mapping[str, Sequence[str]]) -> AttributesRequest:
    """Read the parameters of `/get_by_attrs`. Raises BadRequest where one of the three is missing."""
    name = _last(parameters, "name", _MAX_NAME)
    kind = _last(parameters, "type", _MAX_WORD)
    base = _last(parameters, "base", _MAX_WORD)
    if name is None or kind is None or base is None:
        raise BadRequest("name, type and base are needed.", remedy="Name all three.")
    return AttributesRequest(name, kind, base)


def hash_request(parameters: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Read `hash` of `/get_by_hash` as the name and the digits of one of our digests.

    It may begin with `blake3:` or `sha256:`; without, it is BLAKE3. Raises NotFound for what is no hash, as
    nothing has it, and BadRequest where there is none.
    """
    given = _last(parameters, "hash", _MAX_NAME)
    if given is None:
        raise BadRequest("hash is needed.", remedy="For example hash=blake3:0123...")
    found = _HASH.fullmatch(given.lower())
    if found is None:
        raise NotFound("No model found with this hash")
    return found[1] or "blake3", found[2]


def key_of(file_id: int) -> str:
    """Give the key of a file in the form of InvokeAI's: it stays when the file is moved or edited."""
    digits = f"{file_id:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def file_id_of(key: str) -> int:
    """Return the file that a key of `key_of` names. Raises NotFound for any other text."""
    number = int(key.replace("-", ""), 16) if _KEY.fullmatch(key) else 0
    if not 0 < number <= _MAX_ID:
        raise NotFound("model not found")
    return number


def model_list(
    entries: Iterable[Entry], request: ListRequest, places: Places, whole: Whole = iter
) -> dict[str, Any]:
    """Give the answer of the list: with several bases, the models of each in the order they were named.

    `models` is an iterator. `entries` may tell no more than of the files and their headers: those that are
    wanted go through `whole`.
    """
    # Records of a large library would fill the memory: of each only the key is held.
    kept = [
        (_key(model, entry, request.order), model["base"], entry)
        for entry in entries
        if _wanted(model := record(entry, places), request)
    ]
    kept.sort(key=itemgetter(0), reverse=request.descending)
    if request.bases:
        kept = [row for base in request.bases for row in kept if row[1] == base]
    return {"models": (record(entry, places) for entry in whole([entry for *_, entry in kept]))}


def by_attributes(entries: Iterable[Entry], request: AttributesRequest, places: Places) -> dict[str, Any]:
    """Give the answer of `/get_by_attrs`: the first that fits. Raises NotFound."""
    for entry in entries:
        kind, _ = _type(entry)
        if (entry.name, kind, _base(entry)) == (request.name, request.type, request.base):
            return record(entry, places)
    raise NotFound("No model found with these attributes")


def record(entry: Entry, places: Places) -> dict[str, Any]:
    """Give what InvokeAI tells of a model: `hash` is empty where the file is not hashed yet."""
    shown = entry.shown
    kind, layout = _type(entry)
    digest = entry.hashes.get("blake3")
    path = places.path(entry)
    return {
        "key": key_of(entry.file_id),
        "hash": f"blake3:{digest}" if digest else "",
        "path": path,
        "file_size": entry.size,
        "name": entry.name,
        "description": readable(shown.description or shown.version_description or "") or None,
        "source": path,
        "source_type": "path",
        "source_api_response": None,
        "source_url": shown.source_url,
        "cover_image": places.picture(entry),
        "base": _base(entry),
        "type": kind,
        "format": layout,
        "trigger_phrases": list(dict.fromkeys(filter(None, map(", ".join, shown.triggers)))) or None,
        "default_settings": default_settings(shown),
    }


def default_settings(shown: Shown) -> dict[str, float | None] | None:
    """Give the weight and the ends of its slider, `None` where none is known.

    InvokeAI refuses ends in the wrong order and a weight beyond them, where an end that is not set is that of
    its own slider: such ends are left out, and the weight is moved to the nearer one.
    """
    weight, low, high = shown.weight, shown.weight_min, shown.weight_max
    if _or(low, SLIDER_MIN) >= _or(high, SLIDER_MAX):
        low = high = None
    if weight is not None:
        weight = min(max(weight, _or(low, SLIDER_MIN)), _or(high, SLIDER_MAX))
    if weight is None and low is None and high is None:
        return None
    return {"weight": weight, "weight_min": low, "weight_max": high}


def failure(error: RegistryError) -> tuple[int, dict[str, Any]]:
    """Give the status and body of a refusal; 422 is what FastAPI makes of parameters that cannot be used."""
    if isinstance(error, BadRequest):
        said = f"{error} {error.remedy}".strip()
        return 422, {"detail": [{"type": "value_error", "loc": ["query"], "msg": said}]}
    return error.status, {"detail": str(error)}


def _last(parameters: Mapping[str, Sequence[str]], name: str, longest: int) -> str | None:
    values = parameters.get(name, ())
    if not values or not values[-1]:
        return None
    if len(values[-1]) > longest:
        raise BadRequest(f"{name} is too long.", remedy=f"{longest} characters at most.")
    return values[-1]


def _type(entry: Entry) -> tuple[str, str]:
    kind, layout = _TYPES.get(entry.kind, (UNKNOWN, UNKNOWN))
    if entry.kind != "lora":
        return kind, layout
    if entry.adapter == _CONTROL_LORA:
        return _CONTROL_LORA, layout
    laid_out = entry.header.get("key_layout") in _DIFFUSERS_LAYOUTS
    return kind, "diffusers" if laid_out and entry.architecture in _DIFFUSERS_ARCHITECTURES else layout


def _base(entry: Entry) -> str:
    return BASE_VARIANTS.get(entry.base_model or "") or BASES.get(entry.architecture, UNKNOWN)


def _wanted(model: Mapping[str, Any], request: ListRequest) -> bool:
    asked = (("type", request.type), ("name", request.name), ("format", request.format))
    return all(value is None or model[key] == value for key, value in asked)


def _key(model: Mapping[str, Any], entry: Entry, order: str) -> tuple[Any, ...]:
    if order == "created_at":
        return (entry.added,)
    if order == "updated_at":
        return (entry.modified,)
    return tuple(_folded(model[name]) for name in _ORDERS[order])


def _folded(value: str | int) -> bytes | int:
    return value.encode("utf-8", "surrogatepass").lower() if isinstance(value, str) else value


def _or(number: float | None, default: float) -> float:
    return default if number is None else number
