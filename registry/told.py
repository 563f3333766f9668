"""What services and other tools say of a file, decoded and bounded; nothing of it is verified.

Texts are as they were written: descriptions may be HTML of strangers. Hashes are lower-case hex by our names
(`sha256`, `autov1`, `autov2`, `autov3` with 12 digits, `crc32`, `blake3`). Times are milliseconds since the
epoch, sizes bytes. NSFW levels are Civitai's bits: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX, 32 blocked.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the document of the API is made from it
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a version; `type` is `Model` for the weights, `primary` whether it is the main one."""

    id: int | None
    name: str | None
    size: int | None
    type: str | None
    format: str | None
    precision: str | None
    primary: bool
    hashes: Mapping[str, str]
    download_url: str | None


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An example image or video; `meta` is its generation data as sent, empty if there is none."""

    url: str
    width: int | None = None
    height: int | None = None
    nsfw_level: int | None = None
    video: bool = False
    blurhash: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Licence:
    """What the author of a model allows; `None` is what was not said."""

    no_credit: bool | None = None
    commercial_use: tuple[str, ...] | None = None
    derivatives: bool | None = None
    different_licence: bool | None = None


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """A version of a model, by itself or within its model.

    `mode` is `Archived` or `TakenDown` where the model is no longer whole. `early_access_until` is when
    everybody may have it. `images_level` is the highest level of its images, also where these are left out.
    """

    id: int | None
    model_id: int | None
    name: str | None
    model_name: str | None
    model_type: str | None
    base_model: str | None
    description: str | None
    trained_words: tuple[str, ...]
    created_at: int | None
    updated_at: int | None
    published_at: int | None
    availability: str | None
    early_access_until: int | None
    nsfw: bool | None
    nsfw_level: int | None
    mode: str | None
    stats: Mapping[str, float]
    files: tuple[RemoteFile, ...]
    images: tuple[RemoteImage, ...]
    images_level: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model with its versions as they were sent, the newest usually first."""

    id: int | None
    name: str | None
    type: str | None
    description: str | None
    creator: str | None
    tags: tuple[str, ...]
    nsfw: bool | None
    nsfw_level: int | None
    licence: Licence
    mode: str | None
    stats: Mapping[str, float]
    versions: tuple[RemoteVersion, ...]


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What a user noted in another tool.

    `clip_weight` is the strength for the text encoder, the other weights are those of the model.
    """

    title: str | None = None
    description: str | None = None
    notes: str | None = None
    activation_text: str | None = None
    negative_text: str | None = None
    weight: float | None = None
    weight_min: float | None = None
    weight_max: float | None = None
    clip_weight: float | None = None
    clip_skip: int | None = None
    base_model: str | None = None
    favorite: bool | None = None
    hidden: bool | None = None


@dataclass(frozen=True, slots=True)
class SidecarFacts:
    """What a sidecar says of the file beside it.

    `tool` wrote it. `hashes` has one mapping, never an empty one, for each file that it may be about: tools
    that computed hashes name one file, Civitai each file of weights of a version or of all versions. `user`
    is what a person typed, all else came from a service or was guessed. `images_level` is the highest level
    of its images, also where these are left out. `gone` says that the service no longer has it.
    """

    tool: str
    hashes: tuple[Mapping[str, str], ...] = ()
    model_id: int | None = None
    version_id: int | None = None
    name: str | None = None
    version_name: str | None = None
    model_type: str | None = None
    base_model: str | None = None
    description: str | None = None
    version_description: str | None = None
    trigger_words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    creator: str | None = None
    source_url: str | None = None
    nsfw: bool | None = None
    nsfw_level: int | None = None
    licence: Licence = field(default_factory=Licence)
    images: tuple[RemoteImage, ...] = ()
    images_level: int | None = None
    gone: bool = False
    user: UserFacts = field(default_factory=UserFacts)


class SidecarAnswer(NamedTuple):
    """What reading a sidecar gave: its stamp, who wrote it, packed facts and images, or what is wrong.

    With `keeps` it could not be read, and what was known of it is not wrong for that. `sha256` is that of its
    bytes, `None` where these were not read.
    """

    size: int
    mtime_ns: int
    inode: int
    tool: str | None = None
    facts: bytes | None = None
    images: bytes | None = None
    problem: str | None = None
    keeps: bool = False
    sha256: bytes | None = None
