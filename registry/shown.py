"""What is shown of a lora, and who said it: the user before sidecars, Civitai and the header.

Pure values that cross rooms. `Shown` is one set of weights, `Entry` one file of it as other tools are told.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the document of the API is made from it
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.told import Licence, RemoteImage

if TYPE_CHECKING:
    from registry.told import RemoteModel, RemoteVersion


@dataclass(frozen=True, slots=True)
class Source:
    """Who said something: `user`, `sidecar`, `civitai`, `header`, `file` or `estimate`.

    `tool` wrote the sidecar; `at` is when it was said or fetched, in milliseconds since the epoch.
    """

    kind: str
    tool: str | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of one lora, each fact once; `sources` tells who said it, by the name of the field.

    `name` is never empty. `triggers` are groups of words in the order in which they are to be used.
    `description` and `version_description` may be HTML of strangers, all else is plain text of theirs.
    `base_model` is Civitai's word for it. `nsfw_level` is one of Civitai's bits, `None` if nothing tells.
    `gone_at` is since when Civitai no longer has it.
    """

    name: str
    model_name: str | None = None
    version_name: str | None = None
    model_id: int | None = None
    version_id: int | None = None
    model_type: str | None = None
    base_model: str | None = None
    description: str | None = None
    version_description: str | None = None
    notes: str | None = None
    triggers: tuple[tuple[str, ...], ...] = ()
    negative_text: str | None = None
    weight: float | None = None
    weight_min: float | None = None
    weight_max: float | None = None
    clip_weight: float | None = None
    clip_skip: int | None = None
    tags: tuple[str, ...] = ()
    user_tags: tuple[str, ...] = ()
    creator: str | None = None
    licence: Licence = field(default_factory=Licence)
    nsfw_level: int | None = None
    rating: int | None = None
    favorite: bool = False
    hidden: bool = False
    images: tuple[RemoteImage, ...] = ()
    source_url: str | None = None
    gone_at: int | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One present file of one lora, with all that the dialects of other tools tell of it.

    `root` is the place of its root in the order of who asks, from 0; `path` is relative to it, with `/`.
    `name` is the file name without `ext`, which has its dot. `size` in bytes, `modified` and `added` in
    milliseconds since the epoch. `hashes` are whole, in lower-case hex: `sha256`, `data_sha256`, `blake3`,
    `crc32`, `autov1`; none where it is not hashed yet. `architecture`, `adapter` and `base_model` are names
    of `registry.identify.names`, after corrections of the user. `header` has columns of the header by name.
    `version` and `model` are what Civitai answered, `preview` whether there is a picture that may be shown.
    """

    lora_id: int
    file_id: int
    root: int
    path: str
    name: str
    ext: str
    size: int
    modified: int
    added: int
    kind: str
    architecture: str
    adapter: str
    shown: Shown
    base_model: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, object] = field(default_factory=dict)
    version: RemoteVersion | None = None
    model: RemoteModel | None = None
    preview: bool = False
