"""Pictures that users added to loras, in and out of archives of notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.catalog.notes import pictures_given
from registry.catalog.picture_rows import USER, Looked, Tie, write_looked
from registry.errors import Conflict
from registry.notes.archive import MAX_PICTURE
from registry.notes.lines import MAX_PICTURES

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

    Each stands before those that were taken before it. A lora that has as many as an archive tells of gets no
    more: Conflict, once the others have it. Raises BadPicture and the other errors of `Studio.keep`.
    """
    last = 0

    def take(key: str, data: bytes, lora_ids: Sequence[int]) -> None:
        nonlocal last
        name = key.encode("ascii")
        with catalog.read() as conn:
            known = pictures_given(conn, lora_ids)
        lacking = [lora_id for lora_id in lora_ids if key not in known.get(lora_id, ())]
        fresh = [lora_id for lora_id in lacking if len(known.get(lora_id, ())) < MAX_PICTURES]
        if fresh:
            kept = studio.keep(data, original=True)
            with catalog.write(actor=actor) as unit:
                # Two can be taken within one millisecond.
                unit.now = last = max(unit.now, last + 1)
                write_looked(unit, [Looked(Tie(USER, lora_id, name), kept) for lora_id in fresh])
        if len(fresh) < len(lacking):
            raise Conflict(
                f"a lora has {MAX_PICTURES:,} given pictures already", remedy="take some back first"
            )

    return take
