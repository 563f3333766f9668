"""Records that are searched: what they hold, which loras have one, and that every change of one is logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from registry.catalog.detail import lora_detail
from registry.catalog.hashing import record_hash_failure
from registry.catalog.ingesting import Observation
from registry.catalog.presence import set_missing
from registry.catalog.roots import add_root, change_root, relocate_files, remove_root, set_root_state
from registry.catalog.searching import (
    COLUMNS,
    count_searchable,
    search_records,
    searchable_ids,
)
from registry.catalog.tables import TABLES
from registry.catalog.tag_lists import SAMPLE, TagNames, tags_sample
from registry.catalog.tags import pack_tags
from registry.search.fields import TABLE
from registry.views import CompanionSeen, Note
from tests.support.files import frame, kohya_tensors, tensor_entries
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.views import SearchRecord
    from tests.support.library import Clock, Library

PREVIEW = CompanionSeen(b"a.preview.png", "a.preview.png", "preview", "a1111")
PICTURE = CompanionSeen(b"a.png", "a.png", "preview", "a1111")
INFO = CompanionSeen(b"a.civitai.info", "a.civitai.info", "sidecar", "civitai_helper")
TAGS = {"10_sks girl": {"long hair": 7, "长发": 5, "1girl": 300}}
FULL = Model(
    "style/anime/a_b.safetensors",
    metadata={
        "ss_output_name": "a_b",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "8",
        "ss_learning_rate": "0.0001",
        "ss_training_comment": "hands\x00",
        "ss_tag_frequency": json.dumps(TAGS),
        "ss_dataset_dirs": '{"10_sks girl": {"n_repeats": 10, "img_count": 4}}',
        "modelspec.title": "Sks",
        "modelspec.description": "<b>soft</b>\x00 light " + "x" * 5000,
        "modelspec.trigger_phrase": 'sks, "tags":[x]',
        "sshs_model_hash": "0badf00d",
        "sshs_legacy_hash": "0badf00d",
    },
    companions=(PREVIEW, PICTURE, INFO),
)


def tagged(path: str, tags: Mapping[str, int], weights: str | None = None) -> Model:
    metadata = {"ss_tag_frequency": json.dumps({"1_x": tags})}
    return Model(path, weights=weights or path, metadata=metadata)


def records(library: Library, *lora_ids: int) -> list[SearchRecord]:
    with library.catalog.read() as conn:
        return search_records(conn, lora_ids or searchable_ids(conn, 0, 10_000))


def record(library: Library, path: str) -> SearchRecord:
    return records(library, int(library.row(path).lora_id))[0]


def test_a_record_holds_what_is_known_of_a_lora(library: Library) -> None:
    library.scan(FULL)
    library.hash(FULL)
    found = record(library, FULL.path)
    row = library.row(FULL.path)
    assert (found.id, found.kind, found.name) == (row.lora_id, "lora", "a_b")
    assert (found.size, found.date, found.added) == (
        FULL.stat.size,
        1_600_000_000_000,
        library.catalog.clock(),
    )
    (file,) = found.files
    assert (file.root_id, file.root, file.path, file.folder, file.name, file.state) == (
        library.root_id,
        "models",
        "style/anime/a_b.safetensors",
        "style/anime",
        "a_b",
        "present",
    )
    assert file.hashed
    assert set(file.hashes) == set(FULL.digests.values())
    assert (sorted(file.verdicts), sorted(file.companions)) == (["differs"], ["preview", "sidecar"])
    assert found.targets == ("te1",)
    assert found.claimed == ("sks", '"tags":[x]')
    assert found.datasets == ("sks girl",)
    assert found.tags == (("1girl", 300), ("long hair", 7), ("长发", 5))
    assert found.description == ("<b>soft</b>␀ light " + "x" * 5000)[:4000]
    assert found.header["comment"] == "hands␀"


def test_the_header_gives_what_views_of_the_lora_show(library: Library) -> None:
    library.scan(FULL)
    view, found = library.lora(FULL.path), record(library, FULL.path)
    names = (
        "architecture",
        "adapter",
        "rank",
        "alpha",
        "precision",
        "key_layout",
        "trainer",
        "title",
        "output_name",
    )
    shown = {name: getattr(view, name) for name in (*names, "base_model")} | view.training
    assert found.header == {name: value for name, value in shown.items() if value is not None}
    assert found.header["learning_rate"] == 0.0001


class Asked(dict[str, object]):
    """A header that notes which columns are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, _: object = None) -> None:
        self.names.add(name)


def test_the_header_gives_all_columns_that_can_be_searched(library: Library) -> None:
    library.scan(FULL)
    header = Asked()
    empty = replace(record(library, FULL.path), header=header)
    for row in TABLE:
        for read in (row.read, row.facet, row.sort):
            if read is not None:
                value = read(empty)
                _ = list(value) if isinstance(value, Iterable) else value
    assert len(header.names) > 30
    assert header.names <= set(COLUMNS)


@pytest.mark.parametrize(
    ("metadata", "description"),
    [
        ({"modelspec.description": " \n", "ssmd_description": "theirs"}, "theirs"),
        ({"modelspec.description": "ours", "ssmd_description": "theirs"}, "ours"),
        ({"modelspec.description": ""}, None),
    ],
)
def test_the_description_is_what_the_author_wrote_wherever_that_stands(
    library: Library, metadata: dict[str, str], description: str | None
) -> None:
    model = Model(metadata=metadata)
    library.scan(model)
    assert record(library, model.path).description == description


class Escaped(Model):
    """A model whose metadata are escaped, so that they may hold what UTF-8 cannot."""

    @property
    def header(self) -> bytes:
        metadata, tensors = json.dumps(dict(self.metadata)), tensor_entries(kohya_tensors(modules=1))
        return frame(f'{{"__metadata__":{metadata},{tensors}}}')


def test_what_cannot_be_written_down_is_shown_otherwise(library: Library) -> None:
    model = Escaped(
        metadata={"modelspec.trigger_phrase": "a\ud800b, \x00", "modelspec.description": "\udfff"}
    )
    library.scan(model)
    found = record(library, model.path)
    assert (found.claimed, found.description) == (("a\ufffdb", "␀"), "\ufffd")


def test_a_file_without_a_header_is_found_by_its_name_and_says_so(library: Library) -> None:
    model = Model("page.safetensors", readable=False)
    library.scan(model)
    library.hash(model)
    found, view = record(library, model.path), library.lora(model.path)
    assert (found.kind, found.targets, found.claimed, found.tags, found.description) == (
        "other",
        (),
        (),
        (),
        None,
    )
    assert found.header == {"architecture": view.architecture, "adapter": view.adapter}
    assert view.data_sha256 is None
    assert set(found.files[0].hashes) == set(model.digests.values())


def test_the_primary_file_comes_first_and_the_others_as_lists_have_them(
    library: Library, clock: Clock
) -> None:
    models = [Model(f"{name}/{name}.safetensors", weights="same") for name in "dbac"]
    for model in models:
        library.scan(model)
        library.hash(model)
        clock.tick()
    for gone in ("d/d.safetensors", "b/b.safetensors"):
        lose(library, gone)
        found, view = record(library, models[2].path), library.lora(models[2].path)
        assert [file.path for file in found.files] == [file.path for file in view.files]
        assert [file.state for file in found.files] == [file.state for file in view.files]
        assert (found.name, found.files[0].name) == (view.name, view.name)
    assert [file.name for file in found.files] == ["a", "c", "d", "b"]


def lose(library: Library, *paths: str) -> None:
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(path).id for path in paths])


def test_only_files_in_roots_of_the_catalog_count(library: Library) -> None:
    with library.catalog.write() as unit:
        other, _ = add_root(unit, MACHINE, "/other")
    both = [Model(f"{name}.safetensors", weights="both") for name in ("one", "two")]
    alone = Model("alone.safetensors", weights="alone")
    library.scan(both[0])
    library.record(*(Observation(model.seen, model.facts) for model in (both[1], alone)), root_id=other)
    library.hash(*both, alone)
    assert [len(found.files) for found in records(library)] == [2, 1]
    with library.catalog.write() as unit:
        remove_root(unit, other)
    (found,) = records(library)
    assert [file.path for file in found.files] == ["one.safetensors"]
    assert records(library, int(library.row(alone.path).lora_id)) == []
    with library.catalog.read() as conn:
        assert searchable_ids(conn, 0, 10) == [found.id]
        assert count_searchable(conn) == 1


def test_a_lora_without_any_file_cannot_be_searched(library: Library) -> None:
    old = FULL.but(weights="old")
    library.scan(old)
    library.hash(old)
    gone = library.lora(old.path).id
    library.scan(FULL.but(weights="new", mtime_ns=FULL.mtime_ns + 1))
    assert library.loras(gone)[0].state == "gone"
    assert [found.id for found in records(library)] == [library.lora(FULL.path).id] != [gone]
    assert records(library, gone) == []


def test_ids_come_in_pages_and_records_in_the_order_they_are_asked_for(library: Library) -> None:
    library.scan(*(Model(f"{number}.safetensors", weights=str(number)) for number in range(5)))
    with library.catalog.read() as conn:
        every = searchable_ids(conn, 0, 100)
        assert every == sorted(every)
        assert count_searchable(conn) == len(every) == 5
        assert [*searchable_ids(conn, 0, 2), *searchable_ids(conn, every[1], 9)] == every
        assert searchable_ids(conn, every[-1], 9) == []
        asked = [every[3], 10**9, every[0], every[3]]
        assert [found.id for found in search_records(conn, asked)] == [every[3], every[0], every[3]]
        assert search_records(conn, []) == []


def test_a_lora_is_found_by_the_hash_that_names_it_while_its_file_waits(
    library: Library, clock: Clock
) -> None:
    library.scan(FULL)
    assert (record(library, FULL.path).files[0].hashes, record(library, FULL.path).files[0].hashed) == (
        (),
        False,
    )
    library.hash(FULL)
    clock.tick()
    copy = FULL.but(path="copy.safetensors")
    library.scan(copy)
    first, second = record(library, copy.path).files
    assert (first.hashed, second.hashed, second.hashes) == (True, False, ())
    rewritten = FULL.but(metadata={**FULL.metadata, "ss_epoch": "2"}, mtime_ns=FULL.mtime_ns + 1)
    library.scan(rewritten)
    (file,) = (file for file in record(library, FULL.path).files if file.path == FULL.path)
    assert (file.hashed, file.hashes) == (False, (FULL.digests["data_sha256"],))


def test_tags_are_those_of_the_header_however_many_and_large(library: Library) -> None:
    models = [
        tagged("none.safetensors", {}),
        tagged("one.safetensors", {"a": 1}),
        tagged("big.safetensors", {"a": 127, "b": 128, "c": 2**14, "d": 2**62, "e": 2**63 - 1}),
        tagged("many.safetensors", {f"tag {number}": number + 1 for number in range(700)}),
    ]
    library.scan(*models)
    names = TagNames(keep=3)
    with library.catalog.read() as conn:
        for ids in (searchable_ids(conn, 0, 10), [int(library.row(model.path).lora_id) for model in models]):
            for found in search_records(conn, ids, names):
                told = lora_detail(conn, found.id, MACHINE).tags
                assert [{"tag": tag, "count": count} for tag, count in found.tags] == told
        assert [len(found.tags) for found in search_records(conn, ids, names)] == [0, 1, 5, 700]


def test_tags_are_counted_by_loras(library: Library) -> None:
    library.scan(
        *(
            tagged(
                f"{number}.safetensors",
                {"every": 900, f"own {number}": 1, "even" if number % 2 == 0 else "odd": 3},
            )
            for number in range(5)
        ),
        tagged("none.safetensors", {}),
        Model("page.safetensors", readable=False),
    )
    with library.catalog.read() as conn:
        ids = searchable_ids(conn, 0, 10)
        found = tags_sample(conn, ids)
        assert found.tags[:3] == [("every", 5), ("even", 3), ("odd", 2)]
        assert sorted(found.tags[3:]) == [(f"own {number}", 1) for number in range(5)]
        assert (found.distinct, found.loras) == (8, 7)
        assert tags_sample(conn, ids, top=2) == (found.tags[:2], 8, 7)
        assert tags_sample(conn, []) == ([], 0, 0)
        assert tags_sample(conn, ids[-2:]) == ([], 0, 2)
        # One is enough to tell, and of more than so many nothing is looked at.
        assert tags_sample(conn, [10**9] * SAMPLE + ids) == ([], 0, SAMPLE)


def test_what_stands_between_full_width_commas_is_no_tag_to_choose(library: Library) -> None:
    library.scan(tagged("a.safetensors", {"一只猫，坐着": 9, "猫": 3}), tagged("b.safetensors", {"猫": 1}))
    with library.catalog.read() as conn:
        assert tags_sample(conn, searchable_ids(conn, 0, 9)) == ([("猫", 2)], 1, 2)


def test_a_tag_that_is_in_no_dictionary_has_no_name(library: Library) -> None:
    model = tagged("a.safetensors", {"a": 1})
    library.scan(model)
    with library.catalog.write() as unit:
        unit.conn.execute(update(TABLES["header"]).values(tags=pack_tags([(10**6, 2), (1, 3)])))
    assert record(library, model.path).tags == (("", 2), ("a", 3))
    with library.catalog.read() as conn:
        assert tags_sample(conn, searchable_ids(conn, 0, 9)).tags == [("a", 1)]


A = FULL
B = Model("b.safetensors", weights="b", metadata=FULL.metadata)
C = Model("c.safetensors", weights="c", metadata={"ss_output_name": "c"}, inode=99)


def _scan(*models: Model, version: int = 1) -> Callable[[Library], None]:
    return lambda library: _nothing(library.scan(*models, version=version))


def _hash(*models: Model) -> Callable[[Library], None]:
    return lambda library: library.hash(*models)


def _nothing(_: object) -> None:
    return


def _moved(library: Library) -> None:
    lose(library, C.path)
    seen = C.but(path="moved/c2.safetensors").seen
    library.record(Observation(seen, moved_from=int(library.row(C.path).id)))


def _linked(library: Library) -> None:
    library.record(
        Observation(C.but(path="link.safetensors", nlink=2).seen, twin=int(library.row(C.path).id))
    )


def _failed(library: Library) -> None:
    with library.catalog.write() as unit:
        record_hash_failure(unit, int(library.row(C.path).id), Note("unreadable-file", "no"))


def _better_rules(library: Library) -> None:
    facts = A.facts
    assert facts.header is not None
    columns = {**facts.header.columns, "kind": "other", "description": "better"}
    facts = replace(facts, header=replace(facts.header, columns=columns, tags=(("new", 1),)))
    library.record(Observation(A.seen, facts), version=2)


def _of_root(
    action: Callable[..., object], *arguments: object, **options: object
) -> Callable[[Library], None]:
    def act(library: Library) -> None:
        with library.catalog.write() as unit:
            action(unit, library.root_id, *arguments, **options)

    return act


def _removed_and_back(library: Library) -> None:
    _of_root(remove_root)(library)
    with library.catalog.write() as unit:
        add_root(unit, MACHINE, "/models")


EVENTS: dict[str, Sequence[Callable[[Library], None]]] = {
    "new": [_scan(Model("new.safetensors", weights="new"))],
    "hashed": [_hash(B)],
    "merged": [_scan(B.but(path="new.safetensors")), _hash(B.but(path="new.safetensors"))],
    "copied": [_hash(C), _scan(C.but(path="copy.safetensors"))],
    "linked": [_linked],
    "hashing failed": [_hash(C), _scan(C.but(mtime_ns=5)), _failed],
    "missing": [lambda library: lose(library, C.path)],
    "restored": [lambda library: lose(library, C.path), _scan(C)],
    "moved": [_moved],
    "moved and hashed": [_hash(C), _moved],
    "companions": [_scan(C.but(companions=(PREVIEW,))), _scan(C.but(companions=(INFO,)))],
    "companions alone": [
        lambda library: _nothing(library.record(Observation(C.but(companions=(INFO,)).seen)))
    ],
    "replaced": [_hash(C), _scan(C.but(weights="other", mtime_ns=5))],
    "header rewritten": [
        _hash(B),
        _scan(B.but(metadata={}, mtime_ns=5)),
        _hash(B.but(metadata={}, mtime_ns=5)),
    ],
    "better rules": [_better_rules],
    "better rules for one of two with that header": [lambda library: lose(library, B.path), _better_rules],
    "label": [_of_root(change_root, label="other")],
    "unreachable": [_of_root(set_root_state, "unreachable"), _of_root(set_root_state, "ok")],
    "root removed": [_of_root(remove_root)],
    "root removed whose files were missing": [lambda library: lose(library, C.path), _of_root(remove_root)],
    "root removed and back": [_removed_and_back],
    "relocated": [_of_root(relocate_files)],
}
UNSEEN = {"relocated"}


@pytest.mark.parametrize("event", EVENTS)
def test_whatever_changes_a_record_is_logged(library: Library, clock: Clock, event: str) -> None:
    library.scan(A, B, C)
    library.hash(A)
    seen = False
    for act in EVENTS[event]:
        before, generation = {found.id: found for found in records(library)}, library.generation()
        clock.tick()
        act(library)
        after = {found.id: found for found in records(library)}
        changes = library.changes(generation)
        told = {change.lora_id for change in changes}
        told |= {change.entity_id for change in changes if change.entity == "lora"}
        roots = {change.entity_id for change in changes if change.entity == "root" and not change.apart}
        for lora_id in before.keys() | after.keys():
            if before.get(lora_id) != after.get(lora_id):
                seen = True
                files = [file for each in (before, after) if lora_id in each for file in each[lora_id].files]
                assert lora_id in told or {file.root_id for file in files} & roots
    assert seen == (event not in UNSEEN)


def test_better_rules_are_told_of_loras_whose_files_are_not_there(library: Library) -> None:
    library.scan(A, B)
    lose(library, B.path)
    _better_rules(library)
    assert [(found.kind, found.description, found.tags) for found in records(library)] == [
        ("other", "better", (("new", 1),))
    ] * 2
