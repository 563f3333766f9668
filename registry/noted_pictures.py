"""Pictures that users added to loras, in and out of archives of notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.picture_rows import USER, Looked, Tie, ties_of, write_looked
from registry.notes.archive import MAX_PICTURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.catalog.engine import Catalog
    from registry.noting import Original, TakePicture
    from registry.pictures.studio import Studio


def originals_of(studio: Studio) -> Original:
    """Make what gives the originals that a studio kept, those that fit into an archive."""

    def original(key: str) -> bytes | None:
        kept = studio.store.original(key)
        if kept is None:
            return None
        try:
            with kept.path.open("rb") as file:
                data = file.read(MAX_PICTURE + 1)
        except OSError:
            return None
        return data if len(data) <= MAX_PICTURE else None

    return original


def taker_for(catalog: Catalog, studio: Studio, actor: str | None = None) -> TakePicture:
    """Make what keeps a picture and gives it to loras, those that do not have it yet.

    Raises BadPicture and the other errors of `Studio.keep`.
    """

    def take(key: str, data: bytes, lora_ids: Sequence[int]) -> None:
        name = key.encode("ascii")
        with catalog.read() as conn:
            known = ties_of(conn, USER, lora_ids)
        fresh = [lora_id for lora_id in lora_ids if name not in known.get(lora_id, {})]
        if fresh:
            kept = studio.keep(data, original=True)
            with catalog.write(actor=actor) as unit:
                write_looked(unit, [Looked(Tie(USER, lora_id, name), kept) for lora_id in fresh])

    return take
