"""The LoRA routes of AUTOMATIC1111/stable-diffusion-webui, as version 1.10.1 answers them.

Sources: `extensions-builtin/Lora/scripts/lora_script.py`, `network.py` and `networks.py`, and
`modules/sd_models.py` of that repository.
"""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import orjson

from registry.wire import Auth, Operation, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# network.py, metadata_tags_order: these come first, in this order; the rest keeps the order of the header.
FIRST_KEYS = ("ss_sd_model_name", "ss_resolution", "ss_clip_skip", "ss_num_train_images", "ss_tag_frequency")
# Sent by A1111 since 1.9 only: base64 images of several megabytes each.
COVER_KEY = "ssmd_cover_images"
NO_METADATA = b"{}"
# Of metadata that may be seen, but are left out for what is in them: longer, so that they are told apart.
ALL_LEFT_OUT = b"{ }"
# Strict readers (serde_json) give up at 128 levels and would lose the whole list to one file.
MAX_NESTING = 100
# orjson reads integers beyond 64 bits as floats, which are then at least this large.
_FIRST_INEXACT = 2.0**63
# networks.py, list_available_networks; `.sft` and `.bin` are not listed.
LISTED_EXTENSIONS = (".pt", ".ckpt", ".safetensors")


class Item(NamedTuple, Generic[T_co]):
    """One entry of the list: three texts and the `metadata` object, rendered before in whatever form."""

    name: str
    alias: str
    path: str
    metadata: T_co


def name_of(file_name: str) -> str:
    """Give the entry's name: the file name (no folder) without its last extension, as `os.path.splitext`."""
    stem, _, _ = file_name.rpartition(".")
    return stem if stem.strip(".") else file_name


def alias_of(metadata: Mapping[str, str], name: str) -> str:
    """Give the entry's alias: `ss_output_name` where the key is present, whatever it says, else the name."""
    return metadata.get("ss_output_name", name)


def metadata_visible(header_start: bytes, extension: str, *, accepted: bool) -> bool:
    """Tell whether A1111 would show a file's metadata; where it would not, the entry has `{}`.

    `header_start` are the first bytes of the header after its 8 length bytes, never more than the header
    holds; `accepted` says that its JSON could be read (modules/sd_models.py, read_metadata_from_safetensors).
    """
    return accepted and extension.lower() == ".safetensors" and header_start[:2] in (b'{"', b"{'")


def metadata_json(metadata: Mapping[str, str], *, keep_covers: bool = False) -> bytes:
    """Render the `metadata` object of an entry as UTF-8 JSON.

    A value is parsed if it starts with `{` and is JSON as Python reads it; NaN and infinities become null
    (A1111 fails on them), what nests deeper than `MAX_NESTING` stays text, lone surrogates are escaped.
    """
    shown: dict[str, Any] = {key: metadata[key] for key in FIRST_KEYS if key in metadata}
    shown.update(metadata)
    if not keep_covers:
        shown.pop(COVER_KEY, None)
    for key, text in shown.items():
        if text[:1] == "{":
            shown[key] = _parsed(text)
    return _dump(shown)


def item_prefix(name: str, alias: str, path: str) -> bytes:
    """Render everything of an entry before its `metadata` object; `ITEM_SUFFIX` closes it."""
    return _dump({"name": name, "alias": alias, "path": path})[:-1] + b',"metadata":'


ITEM_SUFFIX = b"}"


def encode_item(item: Item[bytes]) -> bytes:
    """Render one entry: exactly `name`, `alias`, `path` and `metadata`, in this order."""
    return b"%b%b%b" % (item_prefix(item.name, item.alias, item.path), item.metadata, ITEM_SUFFIX)


def encode_entries(items: Iterable[Item[T]]) -> Iterator[bytes | T]:
    """Render entries of the list in pieces, with each item's `metadata` passed through as it is."""
    before = b""
    for item in items:
        yield before + item_prefix(item.name, item.alias, item.path)
        yield item.metadata
        before = ITEM_SUFFIX + b","
    if before:
        yield ITEM_SUFFIX


def encode_refresh(_rows: Iterable[object]) -> Iterator[bytes]:
    """Render the answer to a refresh: JSON `null`."""
    yield b"null"


def arrange(rows: Iterable[tuple[str, T]], winners: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """Give (name, row) pairs in listing order as a Python dict would keep them, holding no list of them.

    Of files with one name the last supplies the content and the first the position (networks.py,
    list_available_networks). `winners` maps each name that several files have to the last of its rows.
    """
    given: set[str] = set()
    for name, row in rows:
        if name not in winners:
            yield name, row
        elif name not in given:
            given.add(name)
            yield name, winners[name]


def join_path(root: str, relative: str) -> str:
    r"""Join a root and a path in it with the separator that the root itself uses.

    A drive letter or a leading `\\` makes it a Windows path, whose slashes all become backslashes, as
    `os.path.abspath` leaves them there; in any other root a backslash is part of a name.
    """
    if root[1:2] == ":" or root.startswith("\\\\"):
        return root.replace("/", "\\").rstrip("\\") + "\\" + relative.replace("/", "\\")
    return root.rstrip("/") + "/" + relative


def hidden_directory(directory: str) -> bool:
    r"""Tell whether A1111 hides the files of a directory, given by full path: `/.` or `\.` anywhere in it."""
    return "/." in directory or "\\." in directory


class _Verdict(Enum):
    FINE = auto()
    INEXACT = auto()
    TOO_DEEP = auto()


def _parsed(text: str) -> Any:
    for parse in (orjson.loads, _DECODER.decode):
        try:
            value = parse(text)
        except (ValueError, RecursionError):
            continue  # orjson refuses NaN, infinities, lone surrogates and great depth; the other one judges
        verdict = _judge(value)
        if verdict is _Verdict.TOO_DEEP:
            return text
        if verdict is _Verdict.FINE or parse is not orjson.loads:
            return value
    return text


def _judge(value: Any) -> _Verdict:
    """Look through a parsed value level by level for too much depth and numbers that lost digits."""
    verdict = _Verdict.FINE
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        below: list[Any] = []
        for container in level:
            children = container.values() if isinstance(container, dict) else container
            kinds = set(map(type, children))
            if float in kinds and any(type(x) is float and abs(x) >= _FIRST_INEXACT for x in children):
                verdict = _Verdict.INEXACT
            if dict in kinds or list in kinds:
                below.extend(x for x in children if isinstance(x, (dict, list)))
        if not below:
            return verdict
        level = below
    return _Verdict.TOO_DEEP


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) != float("inf") else None


_DECODER = json.JSONDecoder(parse_constant=lambda _name: None, parse_float=_finite)


def _dump(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits and lone surrogates
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


ROUTES = (
    Route("GET", "/sdapi/v1/loras", Operation.LIST_LORAS, Auth.BASIC, encode_entries, (b"[", b"]")),
    Route("POST", "/sdapi/v1/refresh-loras", Operation.REFRESH_LORAS, Auth.BASIC, encode_refresh),
)
