"""Files as the dialects are told of them, with what Civitai said of them or with nothing of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from registry.shown import Entry, Shown
from registry.told import Licence

if TYPE_CHECKING:
    from registry.told import RemoteModel, RemoteVersion

SHA256: Final = "0123456789abcdef" * 4
DATA: Final = "fedcba9876543210" * 4
HASHES: Final = {
    "sha256": SHA256,
    "data_sha256": DATA,
    "blake3": "ab" * 32,
    "crc32": "bf967a66",
    "autov1": "6dc5f47a",
}
NOON: Final = 1_701_259_200_250
"""2023-11-29 12:00:00.250 UTC"""


def entry(shown: Shown | None = None, **changes: Any) -> Entry:
    """Return a file of which only we know, but for the changes."""
    plain = Entry(
        lora_id=7,
        file_id=9,
        root=0,
        path="style/ink.safetensors",
        name="ink",
        ext=".safetensors",
        size=1_234_567,
        modified=NOON,
        added=NOON - 86_400_000,
        kind="lora",
        architecture="sdxl",
        adapter="lora",
        shown=shown or Shown("ink"),
        hashes=HASHES,
    )
    return replace(plain, **changes)


def shown_of(version: RemoteVersion, model: RemoteModel | None = None) -> Shown:
    """Return what is shown of a lora of which nobody but Civitai says anything."""
    return Shown(
        name=version.model_name or "x",
        model_name=version.model_name,
        version_name=version.name,
        model_id=version.model_id,
        version_id=version.id,
        model_type=version.model_type,
        base_model=version.base_model,
        description=model.description if model else None,
        version_description=version.description,
        triggers=tuple((word,) for word in version.trained_words),
        tags=model.tags if model else (),
        creator=model.creator if model else None,
        licence=model.licence if model else Licence(),
        nsfw_level=version.nsfw_level,
        images=version.images,
    )


def entry_of(version: RemoteVersion, model: RemoteModel | None = None, **changes: Any) -> Entry:
    """Return the first file of a version of Civitai, as if it lay here."""
    file = version.files[0]
    known = {kind: digest for kind, digest in file.hashes.items() if kind in HASHES}
    whole = {"data_sha256": file.hashes["autov3"] + "0" * 52} if "autov3" in file.hashes else {}
    told = entry(shown_of(version, model), hashes={**known, **whole}, version=version, model=model)
    return replace(told, **changes)
