"""All that is known of one lora."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select

from registry.catalog import tables
from registry.catalog.curation_rows import noted_of
from registry.catalog.digests import stored_digests
from registry.catalog.fingerprints import fingerprint_of
from registry.catalog.problems import list_problems_of
from registry.catalog.reading import lora_views
from registry.catalog.showing import known_of
from registry.catalog.sidecars import facts_json, is_hashed, sidecars_of, unpack_facts
from registry.catalog.tags import tag_names, unpack_tags
from registry.catalog.written import ours_of
from registry.curation import noted_fields, plain
from registry.errors import NotFound
from registry.formats.offering import offered
from registry.formats.packing import pack_json, unpack_json, unpack_metadata
from registry.formats.verdicts import DIFFERS, verdict
from registry.views import LoraDetail, SidecarView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

    from registry.catalog.written import Ours
    from registry.curation import Noted
    from registry.formats.nsfw import Words
    from registry.views import FileView

LORA, HEADER = tables.TABLES["lora"], tables.TABLES["header"]


def lora_detail(conn: Connection, lora_id: int, machine_id: str, words: Words | None = None) -> LoraDetail:
    """Return everything known about one lora; NotFound if there is none."""
    views = lora_views(conn, [lora_id], machine_id)
    if not views:
        raise NotFound(f"there is no lora {lora_id}")
    view = views[0]
    query = (
        select(
            HEADER.c.identification,
            HEADER.c.triggers,
            HEADER.c.tags,
            HEADER.c.metadata_packed,
            HEADER.c.notes,
        )
        .join(LORA, LORA.c.header_id == HEADER.c.id)
        .where(LORA.c.id == lora_id)
    )
    row = conn.execute(query).first()
    problems = list_problems_of(conn, [file.id for file in view.files])
    sidecars = _sidecar_views(conn, view.files, noted_of(conn, [lora_id]).get(lora_id, {}))
    known = known_of(conn, [lora_id], words=words)[lora_id]
    noted = {} if known.curation is None else noted_fields(known.curation)
    curation = {name: plain(value) for name, value in noted.items()}
    if row is None:
        return LoraDetail(view, {}, {}, [], {}, [], problems, sidecars, known.shown, known.link, curation)
    weights = fingerprint_of(conn, lora_id)
    pairs = unpack_tags(row.tags)
    names = tag_names(conn, [tag_id for tag_id, _ in pairs])
    return LoraDetail(
        lora=view,
        identification=cast("dict[str, object]", unpack_json(row.identification)),
        trigger_words=cast("dict[str, object]", unpack_json(row.triggers)),
        tags=[{"tag": names[tag_id], "count": count} for tag_id, count in pairs if tag_id in names],
        metadata=unpack_metadata(row.metadata_packed),
        notes=cast("list[dict[str, str]]", unpack_json(row.notes)),
        problems=problems,
        sidecars=sidecars,
        shown=known.shown,
        link=known.link,
        curation=curation,
        weights=weights,
    )


def _sidecar_views(
    conn: Connection, files: Sequence[FileView], noted: Mapping[str, Noted]
) -> list[SidecarView]:
    rows = sidecars_of(conn, [file.id for file in files])
    digests = stored_digests(conn, list(rows))
    ours = ours_of(conn, list(rows))
    found = []
    for file in files:
        known = digests.get(file.id, {}).values()
        hashed = is_hashed(file.verified, file.hash_state)
        for row in rows.get(file.id, ()):
            facts = None if row.facts is None else facts_json(row.facts, row.images)
            claimed = () if facts is None else facts["hashes"]
            view = SidecarView(
                file_id=file.id,
                name=row.name,
                family=row.family,
                tool=row.tool,
                verdict=verdict(claimed, known, hashed=hashed),
                read_at=row.read_at,
                problem=row.problem,
                facts=facts,
            )
            found.append(_parted(view, row, ours.get((file.id, row.family)), noted))
    return found


def _parted(view: SidecarView, row: Row[Any], ours: Ours | None, noted: Mapping[str, Noted]) -> SidecarView:
    """Take what we wrote from what a sidecar says, and tell what of the rest is offered."""
    if row.facts is None or (ours is None and not noted):
        return view
    facts = unpack_facts(row.facts, row.images)
    theirs = facts if ours is None else ours.taken_from(facts)
    names = {} if ours is None else ours.facts
    offers = (
        {} if view.verdict == DIFFERS else offered(facts, theirs, noted, row.mtime_ns // 1_000_000, names)
    )
    return replace(
        view,
        ours=ours is not None and row.sha256 in ours.whole,
        offered=offers,
        facts=view.facts if theirs is facts else cast("dict[str, object]", unpack_json(pack_json(theirs))),
    )
