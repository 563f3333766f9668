"""What was read in sidecars, as the catalog keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.reading import lora_detail
from registry.catalog.searching import search_records
from registry.catalog.sidecars import (
    SidecarRead,
    SidecarSeen,
    sidecars_after,
    sidecars_at,
    unpack_facts,
    verdict,
    write_sidecars,
)
from registry.formats.packing import pack_json
from registry.search.matcher import matches
from registry.search.query import parse
from registry.told import Licence, RemoteImage, SidecarFacts, UserFacts
from registry.views import CompanionSeen
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from tests.support.library import Library

RULES = 3
INFO = CompanionSeen(b"a.civitai.info", "a.civitai.info", "sidecar", "civitai_helper")
NOTES = CompanionSeen(b"a.json", "a.json", "sidecar", "user_json")
PICTURE = CompanionSeen(b"a.png", "a.png", "preview", "plain")
MODEL = Model(companions=(INFO, NOTES, PICTURE))
FACTS = SidecarFacts(
    "civitai-helper",
    hashes={"sha256": "f" * 64},
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
    library: Library, seen: SidecarSeen, facts: SidecarFacts | None, problem: str | None = None
) -> None:
    tool, packed = (None, None) if facts is None else (facts.tool, pack_json(facts))
    with library.catalog.write() as unit:
        write_sidecars(unit, library.root_id, [SidecarRead(seen, 9, 8, tool, packed, problem)], RULES)


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
    assert {one.name: (one.size, one.mtime_ns, one.rules) for one in beside(library)} == {
        "a.civitai.info": (9, 8, RULES),
        "a.json": (None, None, None),
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

    write(library, first, None, "it is not JSON")
    assert [change.entity for change in library.changes(before)] == ["lora"]


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
        after = found[-1].file_id if found else 0
        with library.catalog.read() as conn:
            page = sidecars_after(conn, library.root_id, after, 2)
        if not page:
            break
        found += page

    assert len(found) == len({one.key for one in found}) == sum(1 + number % 3 for number in range(7))


def test_files_that_are_missing_have_no_sidecars_to_read(library: Library) -> None:
    library.scan(MODEL)
    with library.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE file SET state = 'missing'")

    assert beside(library) == []


HASHES = st.dictionaries(st.sampled_from(["sha256", "crc32", "autov3"]), st.sampled_from(["a", "b"]))


@given(HASHES, HASHES)
def test_a_verdict_needs_a_hash_of_both(claimed: dict[str, str], computed: dict[str, str]) -> None:
    both = claimed.keys() & computed.keys()
    found = verdict(claimed, computed)

    assert (found == "unsaid") == (not claimed)
    assert (found in {"match", "differs"}) == bool(both)
    assert (found == "differs") == any(claimed[name] != computed[name] for name in both)
