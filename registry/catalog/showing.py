"""What is shown of loras, by the batch: all that is said of each, and which of the voices is heard."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.curation_rows import noted_of
from registry.catalog.digests import stored_digests
from registry.catalog.keys import in_chunks
from registry.catalog.links import links_of
from registry.catalog.reading import file_place
from registry.catalog.searching import claimed_texts, trigger_words
from registry.catalog.sidecars import is_hashed, told_of
from registry.catalog.tag_lists import TagNames, tags_of
from registry.curation import Curation, curation_from
from registry.formats.showing import Beside, Voices, level_of, show
from registry.formats.verdicts import DIFFERS, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row, Select

    from registry.curation import Noted
    from registry.formats.nsfw import Words
    from registry.links import Link
    from registry.shown import Shown

_TABLES = tables.TABLES
LORA, HEADER, FILE, ROOT = (_TABLES[name] for name in ("lora", "header", "file", "root"))


class Known(NamedTuple):
    """What is shown of a lora, and what Civitai and the user said of it."""

    shown: Shown
    link: Link | None
    curation: Curation | None


_LORAS: Select[Any] = select(
    LORA.c.id,
    LORA.c.name,
    HEADER.c.title,
    HEADER.c.output_name,
    HEADER.c.description,
    HEADER.c.triggers,
    HEADER.c.tags,
).select_from(LORA.outerjoin(HEADER, HEADER.c.id == LORA.c.header_id))
_KEPT = select(ROOT.c.id).where(ROOT.c.removed_at.is_(None))


def known_of(
    conn: Connection,
    lora_ids: Sequence[int],
    *,
    words: Words | None = None,
    names: TagNames | None = None,
) -> dict[int, Known]:
    """Return what is shown of these loras; without `words` no level is estimated.

    Callers that read more than one batch keep `names` between them.
    """
    names = names or TagNames()
    found: dict[int, Known] = {}
    for part in in_chunks(list(dict.fromkeys(lora_ids))):
        rows = conn.execute(_LORAS.where(LORA.c.id.in_(part))).all()
        files = _files(conn, part)
        beside = _sidecars(conn, files)
        noted = noted_of(conn, part)
        curations = {key: curation_from(some) for key, some in noted.items()}
        choices = {key: one.civitai for key, one in curations.items() if one.civitai is not None}
        ids = {key: [row.id for row in some] for key, some in files.items()}
        links = links_of(conn, ids, choices, images=True)
        voices = {
            row.id: _voices(
                row, beside.get(row.id, ()), links.get(row.id), curations.get(row.id), noted.get(row.id, {})
            )
            for row in rows
        }
        if words is not None:
            voices = _with_tags(conn, rows, voices, names)
        for row in rows:
            shown = show(voices[row.id], words)
            found[row.id] = Known(shown, links.get(row.id), curations.get(row.id))
    return found


def _voices(
    row: Row[Any],
    beside: Sequence[Beside],
    link: Link | None,
    curation: Curation | None,
    noted: Mapping[str, Noted],
) -> Voices:
    claimed = trigger_words(row.triggers).get("claimed", ()) if row.triggers else ()
    return Voices(
        file_name=row.name,
        header={"title": row.title, "output_name": row.output_name},
        description=row.description,
        claimed=claimed_texts(claimed),
        sidecars=beside,
        link=link,
        curation=curation,
        noted=noted,
    )


def _with_tags(
    conn: Connection, rows: Sequence[Row[Any]], voices: Mapping[int, Voices], names: TagNames
) -> dict[int, Voices]:
    """Add the training tags where nobody said a level, for then they tell it."""
    silent = [row for row in rows if level_of(voices[row.id]) is None]
    tagged = tags_of(conn, [row.tags or b"" for row in silent], names)
    found = dict(voices)
    for row, tags in zip(silent, tagged, strict=True):
        found[row.id] = voices[row.id].tagged(tags)
    return found


def _files(conn: Connection, lora_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    """Return the files of loras in roots of the catalog: the primary one first, then those present."""
    query: Select[Any] = (
        select(
            FILE.c.id,
            FILE.c.lora_id,
            FILE.c.verified,
            FILE.c.hash_state,
            FILE.c.state,
            FILE.c.first_seen,
            FILE.c.path,
            LORA.c.primary_file_id,
        )
        .join(LORA, LORA.c.id == FILE.c.lora_id)
        .where(FILE.c.lora_id.in_(lora_ids), FILE.c.root_id.in_(_KEPT))
    )
    found: dict[int, list[Any]] = {}
    for row in conn.execute(query.order_by(FILE.c.lora_id, FILE.c.id)):
        found.setdefault(row.lora_id, []).append(row)
    for some in found.values():
        some.sort(key=partial(file_place, some[0].primary_file_id))
    return found


def _sidecars(conn: Connection, files: Mapping[int, Sequence[Row[Any]]]) -> dict[int, list[Beside]]:
    """Return what the sidecars of each lora say, without those that were written for another file.

    Those of missing files say nothing where one of a file that is there does.
    """
    told = told_of(conn, [file.id for some in files.values() for file in some])
    digests = stored_digests(conn, list(told))
    found: dict[int, list[Beside]] = {}
    for lora_id, some in files.items():
        there = False
        for file in sorted(some, key=_is_missing):
            if there and _is_missing(file):
                break
            known = digests.get(file.id, {}).values()
            hashed = is_hashed(file.verified, file.hash_state)
            for row, facts in told.get(file.id, ()):
                if verdict(facts.hashes, known, hashed=hashed) != DIFFERS:
                    found.setdefault(lora_id, []).append(Beside(facts, row.read_at))
                    there = there or not _is_missing(file)
    return found


def _is_missing(file: Row[Any]) -> bool:
    return bool(file.state == "missing")
