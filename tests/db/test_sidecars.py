"""What was read in sidecars, as the catalog keeps it."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.catalog.detail import lora_detail
from registry.catalog.digests import stored_digests
from registry.catalog.searching import search_records
from registry.catalog.sidecars import (
    SidecarRead,
    SidecarSeen,
    page_query,
    sidecars_after,
    sidecars_at,
    sidecars_of,
    unpack_facts,
    write_sidecars,
)
from registry.formats.packing import pack_json
from registry.search.matcher import matches
from registry.search.query import parse
from registry.told import Licence, RemoteImage, SidecarAnswer, SidecarFacts, UserFacts
from registry.views import CompanionSeen
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from registry.views import SidecarView
    from tests.support.library import Library

RULES = 3
INFO = CompanionSeen(b"a.civitai.info", "a.civitai.info", "sidecar", "civitai_helper")
NOTES = CompanionSeen(b"a.json", "a.json", "sidecar", "user_json")
PICTURE = CompanionSeen(b"a.png", "a.png", "preview", "plain")
MODEL = Model(companions=(INFO, NOTES, PICTURE))
FACTS = SidecarFacts(
    "civitai-helper",
    hashes=({"sha256": "f" * 64}, {"sha256": "e" * 64, "autov3": "d" * 12}),
    model_id=2**40,
    version_id=12,
    name="Tweaker of Details",
    description="<p>soft <i>light</i></p>",
    trigger_words=("sks", "漢服"),
    tags=("style",),
    creator="Konan",
    licence=Licence(no_credit=True, commercial_use=("Image", "Rent")),
    images=(RemoteImage("https://x/y.png", 1, 2, 4, meta={"prompt": "1girl", "seed": 2**70}),),
    user=UserFacts(notes="mine", favorite=True, weight=0.5),
)


def beside(library: Library, *rels: str) -> list[SidecarSeen]:
    with library.catalog.read() as conn:
        return sidecars_at(conn, library.root_id, [rel.encode() for rel in rels or ("a.safetensors",)])


def write(
    library: Library,
    seen: SidecarSeen,
    facts: SidecarFacts | None,
    problem: str | None = None,
    *,
    keeps: bool = False,
) -> None:
    tool, packed, images = None, None, None
    if facts is not None:
        tool, packed = facts.tool, pack_json(replace(facts, images=()))
        images = zlib.compress(pack_json(facts.images)) if facts.images else None
    read = SidecarRead(seen, SidecarAnswer(9, 8, 7, tool, packed, images, problem, keeps))
    with library.catalog.write() as unit:
        write_sidecars(unit, library.root_id, [read], RULES)


def shown_of(library: Library) -> list[SidecarView]:
    with library.catalog.read() as conn:
        return lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).sidecars


def finds(library: Library, text: str) -> bool:
    with library.catalog.read() as conn:
        (record,) = search_records(conn, [library.row("a.safetensors").lora_id])
    parsed = parse(text, 0)
    assert not parsed.warnings
    return matches(parsed.query.where, record)


def test_sidecars_that_were_not_read_are_there_without_a_stamp(library: Library) -> None:
    library.scan(MODEL)

    first, second = beside(library)

    assert (first.name, first.family, first.size, first.rules) == (
        "a.civitai.info",
        "civitai_helper",
        None,
        None,
    )
    assert second.name_raw == b"a.json"
    write(library, first, FACTS)
    assert {one.name: (one.size, one.mtime_ns, one.inode, one.rules) for one in beside(library)} == {
        "a.civitai.info": (9, 8, 7, RULES),
        "a.json": (None, None, None, None),
    }


def test_facts_come_back_as_they_were(library: Library) -> None:
    library.scan(MODEL)
    write(library, beside(library)[0], FACTS)

    with library.catalog.read() as conn:
        (shown,) = lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).sidecars

    assert (shown.name, shown.tool, shown.verdict, shown.problem) == (
        "a.civitai.info", "civitai-helper", "unchecked", None,
    )  # fmt: skip
    assert unpack_facts(pack_json(shown.facts)) == FACTS


@pytest.mark.parametrize(
    "query",
    [
        'name:"tweaker of details"',
        "tweaker",
        "trigger:sks",
        "汉服",
        "creator:konan",
        "ctag:style",
        f"civitai:{2**40}",
        "civitai:12",
        'comment:"soft light"',
        "comment:mine",
        "has:civitai has:notes has:triggers",
    ],
)
def test_what_a_sidecar_says_is_found(library: Library, query: str) -> None:
    library.scan(MODEL)
    assert not finds(library, query)

    write(library, beside(library)[0], FACTS)

    assert finds(library, query)


def test_what_was_written_for_another_file_is_not_found_once_that_is_known(library: Library) -> None:
    library.scan(MODEL)
    write(library, beside(library)[0], FACTS)
    library.hash(MODEL)

    assert not finds(library, "tweaker")
    with library.catalog.read() as conn:
        (shown,) = lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).sidecars
    assert shown.verdict == "differs"


def test_only_what_is_news_is_logged(library: Library) -> None:
    library.scan(MODEL)
    first, second = beside(library)
    write(library, first, FACTS)
    before = library.generation()

    write(library, first, FACTS)
    write(library, second, None)
    assert library.generation() == before

    write(library, first, replace(FACTS, images=FACTS.images * 2))
    assert [change.entity for change in library.changes(before)] == ["lora"]
    before = library.generation()

    write(library, first, None, "it is not JSON")
    assert [change.entity for change in library.changes(before)] == ["lora"]


def test_what_cannot_be_read_for_now_keeps_what_was_known(library: Library) -> None:
    library.scan(MODEL)
    first, _ = beside(library)
    write(library, first, FACTS)

    write(library, first, None, "it cannot be read", keeps=True)

    before = library.generation()
    (shown,) = shown_of(library)
    assert (shown.tool, shown.problem) == ("civitai-helper", "it cannot be read")
    assert unpack_facts(pack_json(shown.facts)) == FACTS
    write(library, first, None, "it cannot be read", keeps=True)
    assert library.generation() == before
    write(library, first, FACTS)
    assert library.generation() > before
    assert shown_of(library)[0].problem is None


def test_a_sidecar_that_went_while_it_was_read_is_not_stored(library: Library) -> None:
    library.scan(MODEL)
    _, notes = beside(library)
    library.scan(MODEL.but(companions=(INFO,)))

    write(library, notes, FACTS)
    write(library, notes, None, "it is empty")

    assert library.count("sidecar") == 0
    with library.catalog.read() as conn:
        assert lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).problems == []


def test_what_was_left_behind_is_not_shown(library: Library) -> None:
    library.scan(MODEL)
    write(library, beside(library)[0], FACTS)
    with library.catalog.write() as unit:
        unit.conn.exec_driver_sql("DELETE FROM companion")

    assert shown_of(library) == []
    assert not finds(library, "tweaker")
    with library.catalog.read() as conn:
        assert sidecars_of(conn, [library.row("a.safetensors").id]) == {}


def test_images_are_kept_apart_from_what_is_searched(library: Library) -> None:
    library.scan(MODEL)
    write(library, beside(library)[0], FACTS)

    with library.catalog.read() as conn:
        (record,) = search_records(conn, [library.row("a.safetensors").lora_id])
        (row,) = sidecars_of(conn, [library.row("a.safetensors").id])[library.row("a.safetensors").id]

    assert record.sidecars == (replace(FACTS, images=()),)
    assert b"https://x/y.png" not in row.facts
    assert unpack_facts(row.facts, row.images) == FACTS


@pytest.mark.parametrize(
    ("kind", "digits"),
    [("sha256", 64), ("sha256", 10), ("data_sha256", 12), ("tensor_hash", 12), (None, 64)],
)
@pytest.mark.parametrize("hashed", [True, False])
def test_the_page_says_of_a_sidecar_what_the_search_believes(
    library: Library,
    kind: str | None,
    digits: int,
    hashed: bool,  # noqa: FBT001 - a case
) -> None:
    library.scan(MODEL)
    library.hash(MODEL)
    file_id = library.row("a.safetensors").id
    with library.catalog.write() as unit:
        if not hashed:
            unit.conn.exec_driver_sql("UPDATE file SET hash_state = 'pending', verified = 0")
        digests = stored_digests(unit.conn, [file_id])[file_id]
    named = digests[kind][:digits] if kind else "a" * digits
    claimed = {"autov2": named} if digits == 10 else {"sha256" if digits == 64 else "autov3": named}
    write(library, beside(library)[0], replace(FACTS, hashes=({"sha256": "b" * 64}, claimed)))

    (shown,) = shown_of(library)

    assert shown.verdict == ("match" if kind else "differs" if hashed else "unchecked")
    assert finds(library, "tweaker") == (shown.verdict != "differs")


def test_bad_sidecars_of_a_file_are_one_problem_that_names_them(library: Library) -> None:
    library.scan(MODEL)
    first, second = beside(library)
    write(library, first, None, "it is not JSON")
    write(library, second, None, "it is empty")

    with library.catalog.read() as conn:
        (problem,) = lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).problems

    assert (problem.slug, problem.stage) == ("bad-sidecar", "sidecar")
    assert problem.text == "a.civitai.info: it is not JSON; a.json: it is empty"


def test_what_lies_there_no_longer_says_nothing(library: Library) -> None:
    library.scan(MODEL)
    first, second = beside(library)
    write(library, first, FACTS)
    write(library, second, None, "it is empty")

    library.scan(MODEL.but(companions=(INFO,)))

    assert library.count("sidecar") == 1
    with library.catalog.read() as conn:
        assert lora_detail(conn, library.row("a.safetensors").lora_id, MACHINE).problems == []


def test_pages_hold_all_sidecars_of_a_file(library: Library) -> None:
    some = [
        Model(
            f"{number}.safetensors",
            weights=str(number),
            companions=tuple(
                CompanionSeen(name.encode(), name, "sidecar", "user_json")
                for name in (f"{number}.{letter}.json" for letter in "abc"[: 1 + number % 3])
            ),
        )
        for number in range(7)
    ]
    library.scan(*some)
    found: list[SidecarSeen] = []
    while True:
        after = found[-1].rel if found else b""
        with library.catalog.read() as conn:
            page = sidecars_after(conn, library.root_id, after, None, 2)
        if not page:
            break
        assert found == [] or {one.rel for one in page}.isdisjoint(one.rel for one in found)
        found += page

    assert len(found) == len({one.key for one in found}) == sum(1 + number % 3 for number in range(7))
    assert [one.rel for one in found] == sorted(one.rel for one in found)


def test_pages_of_a_folder_hold_no_others(library: Library) -> None:
    rels = ("a-b/c.safetensors", "a/b.safetensors", "a/c/d.safetensors", "a0/b.safetensors", "b.safetensors")
    beside_all = (CompanionSeen(b"x.json", "x.json", "sidecar", "user_json"),)
    library.scan(*(Model(rel, weights=rel, companions=beside_all) for rel in rels))

    with library.catalog.read() as conn:
        found = sidecars_after(conn, library.root_id, b"a/", b"a0", 10)

    assert [one.rel for one in found] == [b"a/b.safetensors", b"a/c/d.safetensors"]


@pytest.mark.parametrize("before", [None, b"a0"])
def test_pages_come_in_the_order_of_an_index(library: Library, before: bytes | None) -> None:
    if not library.catalog.sqlite:
        pytest.skip("PostgreSQL plans by its statistics")
    with library.catalog.read() as conn:
        query = page_query(library.root_id, b"a/", before, 2000).compile(
            conn.engine, compile_kwargs={"render_postcompile": True}
        )
        values = tuple(query.params[name] for name in query.positiontup or ())
        plan = [str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)]

    assert plan[0].startswith("SEARCH file USING INDEX")
    assert "path_raw>?" in plan[0]
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan)


def test_files_that_are_missing_have_no_sidecars_to_read(library: Library) -> None:
    library.scan(MODEL)
    with library.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE file SET state = 'missing'")

    assert beside(library) == []
