"""Pages, filters, duplicates, details: what is read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from registry.catalog.dedupe import duplicates
from registry.catalog.detail import lora_detail
from registry.catalog.presence import set_missing
from registry.catalog.problems import (
    count_problems,
    list_problems,
    list_problems_of,
    replace_problems,
    replace_root_problems,
)
from registry.catalog.reading import SORTS, list_loras
from registry.catalog.tags import TagIds, pack_tags, tag_names, unpack_tags
from registry.errors import BadRequest, NotFound
from registry.hashing.lookup import NOTHING
from registry.views import Note
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.catalog.engine import Catalog, Unit
    from registry.views import LoraView
    from tests.support.library import Library

NAMES = ["a", "B", "b", "Ä", "ä", "z", "10", "9", "_", "日本", "a b", "ß", "SS", "ﬁ", "i", "İ"]


def pages(catalog: Catalog, sort: str, *, descending: bool, limit: int) -> list[LoraView]:
    found: list[LoraView] = []
    after = None
    while True:
        with catalog.read() as conn:
            page = list_loras(
                conn,
                machine_id=MACHINE,
                sort=sort,
                descending=descending,
                after=after,
                limit=limit,
                state="all",
            )
        found += page.items
        if page.next is None:
            assert page.total == len(found)
            return found
        assert len(page.items) == limit
        after = page.next


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12
    ),
    limit=st.integers(1, 5),
)
def test_pages_of_every_sort_are_the_sorted_list_whatever_ties(
    library: Library, rows: list[tuple[str, int, int]], limit: int
) -> None:
    with library.catalog.write() as unit:
        for table in ("file", "lora"):
            unit.conn.execute(text(f"DELETE FROM {table}"))
    library.scan(
        *(
            Model(f"{number}/{name}.safetensors", weights=str(number), data_size=size, mtime_ns=mtime)
            for number, (name, size, mtime) in enumerate(rows)
        )
    )
    for sort, column in SORTS.items():
        with library.catalog.read() as conn:
            stored = [tuple(row) for row in conn.execute(text(f"SELECT {column.name}, id FROM lora"))]
        for descending in (False, True):
            expected = [key for _, key in sorted(stored, reverse=descending)]
            assert [
                lora.id for lora in pages(library.catalog, sort, descending=descending, limit=limit)
            ] == expected


def test_a_page_holds_present_loras_unless_others_are_asked_for(library: Library) -> None:
    library.scan(Model("a.safetensors", weights="a"), Model("b.safetensors", weights="b"))
    with library.catalog.write() as unit:
        set_missing(unit, [library.row("a.safetensors").id])
    names = {}
    for state in ("present", "missing", "all"):
        with library.catalog.read() as conn:
            page = list_loras(conn, machine_id=MACHINE, state=state)
        names[state] = [lora.name for lora in page.items]
        assert page.total == len(page.items)
    assert names == {"present": ["b"], "missing": ["a"], "all": ["a", "b"]}


def test_filters_compare_what_a_lora_and_its_header_say(library: Library) -> None:
    library.scan(
        Model("a.safetensors", weights="a", metadata={"ss_network_module": "networks.lora"}),
        Model("b.safetensors", weights="b", readable=False),
    )
    lora = library.lora("a.safetensors")
    filters = {
        "kind": lora.kind,
        "architecture": lora.architecture,
        "adapter": lora.adapter,
        "root": str(library.root_id),
    }
    for chosen in (filters, *({name: value} for name, value in filters.items() if name != "root")):
        with library.catalog.read() as conn:
            page = list_loras(conn, machine_id=MACHINE, filters=chosen)
        assert ([one.id for one in page.items], page.total) == ([lora.id], 1)
    for nothing in (
        {"architecture": "a\x00\ud800"},
        {"kind": "\x00"},
        {"root": "77"},
        {"trainer": "' OR 1=1 --"},
    ):
        with library.catalog.read() as conn:
            assert list_loras(conn, machine_id=MACHINE, filters=nothing).total == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"sort": "colour"},
        {"state": "gone"},
        {"filters": {"colour": "red"}},
        {"filters": {"root": "x"}},
        {"filters": {"root": "9" * 30}},
        {"sort": "size", "after": ("a", 1)},
        {"sort": "name", "after": (1, 1)},
        {"sort": "size", "after": (1 << 70, 1)},
        {"sort": "size", "after": (None, 1)},
        {"sort": "size", "after": (1, 1 << 70)},
    ],
)
def test_what_a_list_does_not_know_is_refused(library: Library, wrong: dict[str, object]) -> None:
    with library.catalog.read() as conn, pytest.raises(BadRequest):
        list_loras(conn, machine_id=MACHINE, **wrong)  # type: ignore[arg-type] # wrong on purpose


def test_a_detail_holds_everything_a_header_says_even_what_databases_refuse(library: Library) -> None:
    metadata = {
        "z": "last first",
        "ss_tag_frequency": '{"1_x": {"nul\\u0000": 3, "lone\\ud800": 2, "ok": 1}}',
        "nul\x00": "a\x00b",
        "ss_training_comment": "c\x00d",
        "modelspec.title": "t\x00\U0001f600",
    }
    library.scan(Model(metadata=metadata))
    with library.catalog.read() as conn:
        detail = lora_detail(conn, library.lora("a.safetensors").id, MACHINE)
    assert list(detail.metadata.items()) == list(metadata.items())
    assert [(tag["tag"], tag["count"]) for tag in detail.tags] == [("nul␀", 3), ("lone\ufffd", 2), ("ok", 1)]
    assert detail.lora.title == "t␀\U0001f600"
    with library.catalog.read() as conn, pytest.raises(NotFound):
        lora_detail(conn, 4711, MACHINE)


def test_a_lora_that_is_not_there_is_left_out(library: Library) -> None:
    library.scan(Model())
    lora_id = library.lora("a.safetensors").id
    assert [lora.id for lora in library.loras(lora_id, 99, lora_id)] == [lora_id, lora_id]


@given(pairs=st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))))
@settings(max_examples=50, deadline=None)
def test_packed_tags_come_back(pairs: list[tuple[int, int]]) -> None:
    assert unpack_tags(pack_tags(pairs)) == pairs


def fail_after(catalog: Catalog, action: Callable[[Unit], object]) -> None:
    with catalog.write() as unit:
        action(unit)
        raise RuntimeError("stop")


def test_tag_ids_are_given_once_and_not_remembered_from_a_unit_that_failed(library: Library) -> None:
    tags = TagIds(keep=3)
    with pytest.raises(RuntimeError, match="stop"):
        fail_after(library.catalog, lambda unit: tags.resolve(unit, {"a"}))
    with library.catalog.write() as unit:
        first = dict(tags.resolve(unit, {"a", "b"}))
        again = dict(tags.resolve(unit, {"b", "c", "d"}))
    with library.catalog.write() as unit:
        assert tags.resolve(unit, {"a", "b", "c", "d"}) == first | again
    with library.catalog.read() as conn:
        assert tag_names(conn, [*(first | again).values()]) == {
            key: name for name, key in (first | again).items()
        }


def groups(library: Library, kind: str, **options: object) -> list[tuple[list[str], int]]:
    with library.catalog.read() as conn:
        found = duplicates(conn, kind, MACHINE, **options)  # type: ignore[arg-type] # the test's own options
    return [(sorted(file.path for file in group.files), group.reclaimable) for group in found]


def test_each_kind_of_duplicates_is_listed_apart_with_what_could_be_saved(library: Library) -> None:
    original = Model("a", weights="ab")
    copy = original.but(path="copy")
    other_header = original.but(path="header", metadata={"ss_output_name": "other", "pad": "x" * 100})
    reordered = original.but(path="reordered", weights="ba")
    alone = Model("alone", weights="zz")
    models = (original, copy, other_header, reordered, alone)
    library.scan(*models)
    library.hash(*models)
    assert groups(library, "same_bytes") == [(["a", "copy"], original.stat.size)]
    assert groups(library, "same_weights") == [(["a", "copy", "header"], 2 * original.stat.size)]
    sizes = sorted(model.stat.size for model in models[:4])
    assert groups(library, "same_tensors") == [(["a", "copy", "header", "reordered"], sum(sizes[:-1]))]


def test_files_that_are_gone_are_no_duplicates(library: Library) -> None:
    models = [Model(name) for name in "abc"]
    library.scan(*models)
    library.hash(*models)
    with library.catalog.write() as unit:
        set_missing(unit, [library.row("c").id])
    assert groups(library, "same_bytes") == [(["a", "b"], models[0].stat.size)]
    with library.catalog.write() as unit:
        set_missing(unit, [library.row("b").id])
    assert groups(library, "same_bytes") == []


def test_pages_of_duplicates_go_on_after_a_hash_and_skip_those_of_nothing(library: Library) -> None:
    models = [Model(f"{name}{copy}", weights=name) for name in "wxyz" for copy in (1, 2)]
    library.scan(*models)
    library.hash(*models)
    with library.catalog.write() as unit:
        ids = ", ".join(str(library.row(f"w{copy}").id) for copy in (1, 2))
        unit.conn.execute(
            text(f"UPDATE digest SET value = '{NOTHING[0]}' WHERE kind = 'sha256' AND file_id IN ({ids})")
        )
    everything = groups(library, "same_bytes")
    assert len(everything) == 3
    with library.catalog.read() as conn:
        first = duplicates(conn, "same_bytes", MACHINE, limit=1)[0].value
    assert groups(library, "same_bytes", limit=1) + groups(library, "same_bytes", after=first) == everything
    with library.catalog.read() as conn, pytest.raises(BadRequest):
        duplicates(conn, "same_colour", MACHINE)


def test_problems_found_again_keep_their_row_and_those_not_found_go(library: Library, clock: object) -> None:
    library.scan(Model())
    file_id = library.row("a.safetensors").id

    def found(*notes: Note, stage: str = "header") -> None:
        with library.catalog.write() as unit:
            replace_problems(unit, stage, library.root_id, [(file_id, "a.safetensors", notes)])

    def listed() -> list[tuple[int, str, str]]:
        with library.catalog.read() as conn:
            assert list_problems(conn) == list_problems_of(conn, [file_id])
            return [(one.id, one.slug, one.text) for one in list_problems(conn)]

    found(Note("one", "first"), Note("two", "second"))
    first, second = listed()
    found(Note("three", "third"), stage="hash")
    found(Note("two", "second, again \x00\ud800"))
    assert listed()[0] == (second[0], "two", "second, again ␀\ufffd")
    assert [slug for _, slug, _ in listed()] == ["two", "three"]
    for _ in range(2):
        found(Note("four", "said twice"), Note("four", "the last word"))
        assert [text for _, slug, text in listed() if slug == "four"] == ["the last word"]
    found()
    found(stage="hash")
    assert listed() == []
    assert first[0] != second[0]


def test_problems_of_a_root_are_replaced_by_stage_folder_and_path_and_the_log_says_so(
    library: Library,
) -> None:
    def found(*paths: str, **options: object) -> bool:
        before = library.generation()
        with library.catalog.write() as unit:
            notes = [(path, Note("unreadable-folder", path[:10])) for path in paths]
            replace_root_problems(unit, "scan", library.root_id, notes, **options)  # type: ignore[arg-type]
        return library.generation() > before

    def listed() -> list[str]:
        with library.catalog.read() as conn:
            return sorted(str(one.path) for one in list_problems(conn, slug="unreadable-folder"))

    long = "d/" * 2000
    assert found("a", "a/b", "ab", "c\ud800", long)
    assert listed() == ["a", "a/b", "ab", "c\ufffd", long]
    assert not found("a", "a/b", "ab", "c\ud800", long)
    assert found(under="a")
    assert listed() == ["ab", "c\ufffd", long]
    assert found(paths=["ab", "nothing"])
    assert listed() == ["c\ufffd", long]
    with library.catalog.read() as conn:
        assert count_problems(conn) == {"unreadable-folder": 2}
        assert list_problems(conn, slug="\x00") == []
        page = list_problems(conn, limit=1)
        assert len(list_problems(conn, after=page[0].id)) == 1
    assert found()
    assert listed() == []
