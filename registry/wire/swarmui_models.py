"""The LoRA lists of SwarmUI: `/API/GetNewSession`, `ListModels`, `DescribeModel` and `GetModelHash`.

Sources: mcmonkeyprojects/SwarmUI `src/WebAPI/API.cs`, `BasicAPIFeatures.cs` and `ModelsAPI.cs`,
`src/Text2Image/T2IModel.cs` (ToNetObject). A name is the path within a root, with `/` and the extension; of
roots that have the same one, the first counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from registry.errors import BadRequest, Forbidden, NotFound, RegistryError, Unauthorized
from registry.formats.markup import readable
from registry.formats.sidecar_values import record, truth, whole
from registry.wire.swarmui_classes import class_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from registry.shown import Entry
    from registry.told import Licence

    Picture = Callable[[Entry], str | None]
    Whole = Callable[[Sequence[Entry]], Iterable[Entry]]

NO_PICTURE: Final = "imgs/model_placeholder.jpg"
OURS: Final = "LoRA"
BY_NAME: Final = "name"
"""The sort mode for which entries have to tell no more than where their files are."""
BY_TITLE: Final = "title"
"""The one for which they have to tell what is shown of the weights; all others go by times."""
# The other kinds of models SwarmUI has folders for; there is nothing of them here.
_OTHERS: Final = frozenset(
    {"Stable-Diffusion", "VAE", "Embedding", "ControlNet", "Clip", "ClipVision", "Wildcards"}
)
_SUPPORTED: Final = frozenset({".engine", ".gguf", ".safetensors", ".sft"})
_MAX_NAME: Final = 4096
_MAX_DEPTH: Final = 20
_MAX_SESSION: Final = 200
_ENDING: Final = ".safetensors"

# Sort modes in lower case: the key, and whether the greatest come first; names decide between equals.
_SORTS: Final[Mapping[str, tuple[Callable[[Entry], Any], bool]]] = {
    BY_NAME: (lambda entry: (entry.path.casefold(), entry.path), False),
    BY_TITLE: (lambda entry: entry.shown.name.casefold(), False),
    "datecreated": (lambda entry: entry.added, True),
    "datemodified": (lambda entry: entry.modified, True),
}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What `ListModels` asks for; `folder` is empty or ends with `/`.

    With `data_images` pictures are wanted in the answer itself, else as addresses.
    """

    folder: str
    depth: int
    subtype: str
    sort: str
    reverse: bool
    data_images: bool


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Which model `DescribeModel` or `GetModelHash` asks for."""

    name: str
    subtype: str


def session_of(body: object, header: str | None = None) -> str:
    """Return the session that a request belongs to, from its body or the header `X-Session-ID`.

    It says nothing of who asks, so it may be any text. Raises BadRequest where there is none.
    """
    if not isinstance(body, dict):
        raise BadRequest("null input", remedy="Send a JSON object.")
    given = body.get("session_id", header)
    if not isinstance(given, str) or not 0 < len(given) <= _MAX_SESSION:
        raise BadRequest("missing session id", remedy="Ask /API/GetNewSession for one.")
    return given


def list_request(body: object) -> ListRequest:
    """Read the body of `ListModels`. Raises BadRequest, and NotFound for sub-types that SwarmUI lacks."""
    sent = record(body)
    sort = _text(sent, "sortBy", "Name")
    if sort.lower() not in _SORTS:
        raise BadRequest(f"Invalid sort mode '{sort[:40]}'.", remedy="It may be Name, DateCreated, ...")
    depth = whole(sent.get("depth"), -(2**31), 2**31)
    if depth is None:
        raise BadRequest("Missing or invalid value for 'depth'.", remedy="It is a whole number.")
    return ListRequest(
        folder=_folder(_text(sent, "path")),
        depth=min(max(depth, 1), _MAX_DEPTH),
        subtype=_subtype(sent),
        sort=sort.lower(),
        reverse=truth(sent.get("sortReverse")) is True,
        data_images=truth(sent.get("dataImages")) is True,
    )


def model_request(body: object) -> ModelRequest:
    """Read the body of `DescribeModel` and `GetModelHash`. Raises BadRequest, NotFound as `list_request`."""
    sent = record(body)
    return ModelRequest(_folder(_text(sent, "modelName")).removesuffix("/"), _subtype(sent))


def paths_of(request: ModelRequest) -> tuple[str, ...]:
    """Return the paths that a model may have which is asked for; the first that is there counts."""
    return (request.name + _ENDING, request.name)


def session(session_id: str, *, user: str, version: str, server: str) -> dict[str, Any]:
    """Give the answer of `GetNewSession`; nothing is permitted but to look at models."""
    return {
        "session_id": session_id,
        "user_id": user,
        "output_append_user": False,
        "version": version,
        "server_id": server,
        "permissions": ["fundamental_model_access"],
    }


def list_models(
    entries: Iterable[Entry], request: ListRequest, picture: Picture, whole: Whole = iter
) -> dict[str, Any]:
    """Give the answer of `ListModels`: the folders below the one asked for, and the files in it and them.

    A depth of 1 means the files of the folder itself. No list is cut. `picture` gives an address or a
    `data:` one, or `None` where no picture may be shown. `files` is an iterator. `entries` may tell no more
    than what they are sorted by: those that are wanted go through `whole`.
    """
    folders: dict[str, None] = {}
    files: list[Entry] = []
    for entry in _each_once(entries) if request.subtype == OURS else ():
        if not entry.path.startswith(request.folder):
            continue
        above = entry.path[len(request.folder) :].split("/")[:-1]
        for depth in range(1, min(len(above), request.depth) + 1):
            folders["/".join(above[:depth])] = None
        if len(above) < request.depth:
            files.append(entry)
    by_name, _ = _SORTS[BY_NAME]
    key, greatest_first = _SORTS[request.sort]
    files.sort(key=by_name)
    files.sort(key=key, reverse=greatest_first)
    if request.reverse:
        files.reverse()
    return {"folders": list(folders), "files": (model(entry, picture) for entry in whole(files))}


def describe(entries: Iterable[Entry], request: ModelRequest, picture: Picture) -> dict[str, Any]:
    """Give the answer of `DescribeModel`. Raises NotFound."""
    return {"model": model(_find(entries, request), picture)}


def model_hash(entries: Iterable[Entry], request: ModelRequest) -> dict[str, Any]:
    """Give the answer of `GetModelHash`, null where the file is not hashed yet. Raises NotFound."""
    return {"hash": _hash(_find(entries, request)) or None}


def model(entry: Entry, picture: Picture) -> dict[str, Any]:
    """Give what SwarmUI tells of a model. Times are milliseconds since the epoch."""
    shown = entry.shown
    known = class_of(entry)
    side = known.side if known else 0
    digest = _hash(entry)
    return {
        "name": entry.path,
        "title": shown.name,
        "author": shown.creator,
        "description": _description(entry),
        "preview_image": picture(entry) or NO_PICTURE,
        "loaded": False,
        "architecture": known.id if known else None,
        "class": known.name if known else None,
        "compat_class": known.compat if known else None,
        "resolution": f"{side}x{side}",
        "standard_width": side,
        "standard_height": side,
        "license": _licence(shown.licence),
        "date": _date(entry),
        "prediction_type": None,
        "usage_hint": shown.notes,
        "trigger_phrase": ", ".join(word for group in shown.triggers for word in group) or None,
        "merged_from": None,
        "tags": list(dict.fromkeys((*shown.user_tags, *shown.tags))) or None,
        "is_supported_model_format": entry.ext.lower() in _SUPPORTED,
        "is_negative_embedding": False,
        "lora_default_weight": "" if shown.weight is None else f"{shown.weight:g}",
        "lora_default_confinement": "",
        "local": True,
        "time_created": entry.added,
        "time_modified": entry.modified,
        "hash": digest,
        "hash_sha256": digest,
        "special_format": "",
    }


def failure(error: RegistryError) -> tuple[int, dict[str, str]]:
    """Give the status and body of a refusal.

    What is not there is told with 200 and `error` alone, all else with the `error_id` that clients look at.
    """
    if isinstance(error, NotFound):
        return 200, {"error": str(error)}
    for kind, (status, error_id) in _ERRORS.items():
        if isinstance(error, kind):
            return status, {"error_id": error_id, "error": str(error)}
    return error.status, {"error_id": "internal_error", "error": "An internal error occurred"}


# The first that fits counts. A client that reads `invalid_session_id` asks for a session again.
_ERRORS: Final[Mapping[type[RegistryError], tuple[int, str]]] = {
    Unauthorized: (401, "invalid_session_id"),
    Forbidden: (403, "bad_permissions"),
    BadRequest: (400, "basic_api"),
}


def _each_once(entries: Iterable[Entry]) -> Iterator[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        kept = first.setdefault(entry.path, entry)
        if entry.root < kept.root:
            first[entry.path] = entry
    return iter(first.values())


def _find(entries: Iterable[Entry], request: ModelRequest) -> Entry:
    if request.subtype == OURS:
        wanted = paths_of(request)
        found = {entry.path: entry for entry in _each_once(entries) if entry.path in wanted}
        for path in wanted:
            if path in found:
                return found[path]
    raise NotFound("Model not found.")


def _hash(entry: Entry) -> str:
    digest = entry.hashes.get("data_sha256")
    return f"0x{digest}" if digest else ""


def _description(entry: Entry) -> str | None:
    shown = entry.shown
    parts = (shown.version_name, shown.version_description, shown.description)
    return "\n\n".join(text for text in (readable(part) for part in parts if part) if text) or None


def _date(entry: Entry) -> str | None:
    """Return when the file was made, else when it was published, in ISO 8601."""
    moment = entry.header.get("finished_at") or (entry.version and entry.version.published_at)
    if not isinstance(moment, int):
        return None
    try:
        return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None


def _licence(licence: Licence) -> str | None:
    """Return in words what an author allows, as far as it was said."""
    said: list[str] = []
    if licence.no_credit is not None:
        said.append("no credit needed" if licence.no_credit else "credit the author")
    if licence.commercial_use is not None:
        said.append(f"commercial use: {', '.join(licence.commercial_use) or 'none'}")
    if licence.derivatives is not None:
        said.append("derivatives allowed" if licence.derivatives else "no derivatives")
    if licence.different_licence is not None:
        said.append("any licence for derivatives" if licence.different_licence else "same licence")
    return "; ".join(said) or None


def _subtype(sent: Mapping[str, object]) -> str:
    subtype = _text(sent, "subtype", "Stable-Diffusion")
    if subtype != OURS and subtype not in _OTHERS:
        raise NotFound("Invalid sub-type.")
    return subtype


def _text(sent: Mapping[str, object], name: str, default: str | None = None) -> str:
    given = sent.get(name, default)
    if not isinstance(given, str) or len(given) > _MAX_NAME:
        raise BadRequest(f"Missing or invalid value for '{name}'.", remedy="It is a text.")
    return given


def _folder(path: str) -> str:
    """Return a path with single slashes, none in front and one at its end; empty for the root."""
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    return "/".join((*parts, "")) if parts else ""
