"""What is known of one file and its lora when a sidecar of another tool is written beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.shown import Shown
    from registry.told import RemoteModel, RemoteVersion


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One file of one lora, with all that may be written into the sidecars beside it.

    `file_name` is the name of the model with its extension, `path` its absolute path as the system spells it,
    `beside` the names of what else is there for it. `size` in bytes, `modified` and `now` in milliseconds
    since the epoch. `hashes` are whole, in lower-case hex: `sha256`, `data_sha256`, `blake3`, `crc32`,
    `autov1`; none where the file is not hashed yet. `kind` and `architecture` are names of
    `registry.identify.names`; `metadata` is what the header says, as written. `version_raw` and `model_raw`
    are what Civitai answered, parsed, of the version and model that `shown` names; `version` and `model` the
    same decoded. `preview` is the file name of the picture beside the model.
    """

    shown: Shown
    file_name: str
    path: str
    size: int
    modified: int
    now: int
    kind: str = "lora"
    architecture: str = "unknown"
    hashes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    version_raw: Mapping[str, object] | None = None
    model_raw: Mapping[str, object] | None = None
    version: RemoteVersion | None = None
    model: RemoteModel | None = None
    preview: str | None = None
    beside: frozenset[str] = frozenset()

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return self.file_name.rpartition(".")[0] or self.file_name
