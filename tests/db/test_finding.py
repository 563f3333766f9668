"""Single files as other tools name them, found by an index and told in the order of the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from registry.catalog.entries import FILE, bare_entries, listed_among, listed_files, plain_entries
from registry.catalog.finding import with_hash, with_ids, with_name, with_paths, with_underscored_name
from registry.catalog.ingesting import Observation
from registry.catalog.presence import set_missing
from registry.catalog.raw_headers import raw_header
from registry.catalog.roots import add_root
from tests.support.library import MACHINE, Model

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from tests.support.library import Library

ODD = "ä/\udcff\n.v1.safetensors"
PATHS = [
    "a.v1.safetensors",
    "a_v1.safetensors",
    "A.V1.safetensors",
    "deep/a.v1.pt",
    "av1.safetensors",
    "_.x.safetensors",
    "Ⅳ.ß_x.safetensors",
    "noext",
    ODD,
]


@pytest.fixture
def filled(library: Library) -> Library:
    library.scan(*(Model(path, weights=path) for path in PATHS))
    return library


def found(library: Library, which: ColumnElement[bool], *roots: int) -> list[str]:
    with library.catalog.read() as conn:
        return [one.path for one in listed_among(conn, roots or [library.root_id], which)]


def shown(path: str) -> str:
    return path.replace("\udcff", "\ufffd")


def test_every_path_is_found_as_it_is_shown_and_without_its_extension(filled: Library) -> None:
    for path in map(shown, PATHS):
        assert found(filled, with_paths([path])) == [path]
        stem = path.rpartition(".")[0] or path
        assert found(filled, with_paths([], [stem])) == [path]
    assert found(filled, with_paths(["a.v1", "A_V1.safetensors", "a.v1.pt", "", "/", "."])) == []


def test_names_are_exact_and_dots_in_them_underscores_where_that_is_asked(filled: Library) -> None:
    assert found(filled, with_name("a.v1")) == ["a.v1.safetensors", "deep/a.v1.pt"]
    assert sorted(found(filled, with_underscored_name("a_v1"))) == [
        "a.v1.safetensors",
        "a_v1.safetensors",
        "deep/a.v1.pt",
    ]
    assert found(filled, with_underscored_name("A_V1")) == ["A.V1.safetensors"]
    assert found(filled, with_underscored_name("__x")) == ["_.x.safetensors"]
    assert found(filled, with_underscored_name("Ⅳ_ß_x")) == ["Ⅳ.ß_x.safetensors"]
    assert found(filled, with_underscored_name("av1")) == ["av1.safetensors"]
    for name in ("a.v1", "", "_", "x" * 5000, "%", "a%v1", "a?v1", "\x00", "\ud800"):
        assert found(filled, with_underscored_name(name)) == []


def test_very_long_names_are_found_too(library: Library) -> None:
    names = ["y" * 220 + ".v1", "z_" + "y" * 210 + ".v1"]
    library.scan(*(Model(f"{name}.safetensors", weights=name) for name in names))
    for name in names:
        path = f"{name}.safetensors"
        assert found(library, with_underscored_name(name.replace(".", "_"))) == [path]
        assert found(library, with_paths([path])) == found(library, with_name(name)) == [path]


def test_a_file_is_found_by_its_hashes_and_its_id(filled: Library) -> None:
    model = Model("av1.safetensors", weights="av1.safetensors")
    assert found(filled, with_hash("sha256", model.digests["sha256"])) == []
    filled.hash(model)
    assert found(filled, with_hash("sha256", model.digests["sha256"])) == ["av1.safetensors"]
    assert found(filled, with_hash("blake3", model.digests["sha256"])) == []
    file_id = int(filled.row("av1.safetensors").id)
    assert found(filled, with_ids([file_id, 2**63 - 1])) == ["av1.safetensors"]


def test_what_is_missing_or_in_another_root_is_not_told_and_roots_come_in_their_order(
    filled: Library,
) -> None:
    with filled.catalog.write() as unit:
        other, _ = add_root(unit, MACHINE, "/other")
    with filled.catalog.read() as conn:
        assert len(listed_files(conn, [filled.root_id])) == len(PATHS)
    filled.record(*_observed("a.v1.safetensors"), root_id=other)
    both = with_name("a.v1")
    assert found(filled, both, other, filled.root_id) == ["a.v1.safetensors", *found(filled, both)]
    with filled.catalog.read() as conn:
        assert [one.root for one in listed_among(conn, [other, filled.root_id], both)] == [0, 1, 1]
    with filled.catalog.write() as unit:
        set_missing(unit, [int(filled.row("deep/a.v1.pt").id)])
    assert found(filled, both) == ["a.v1.safetensors"]


def test_bare_entries_tell_of_files_what_lists_are_sorted_by(filled: Library) -> None:
    with filled.catalog.read() as conn:
        files = listed_files(conn, [filled.root_id])
        plain, bare = plain_entries(files), bare_entries(conn, files)
        raw = raw_header(conn, int(filled.row("av1.safetensors").id))
        assert raw_header(conn, 2**40) is None
    assert [(one.path, one.name, one.ext, one.kind) for one in bare] == [
        (one.path, one.name, one.ext, one.kind) for one in plain
    ]
    row = filled.row("av1.safetensors")
    (one,) = (one for one in bare if one.path == "av1.safetensors")
    assert (one.size, one.modified, one.added) == (row.size, row.mtime_ns // 1_000_000, row.first_seen)
    assert one.header == {"key_layout": "kohya"}
    assert raw is not None
    assert raw.metadata == {}
    assert raw.length > 0


@pytest.mark.parametrize(
    "which",
    [
        with_ids([1, 2]),
        with_paths(["a/b.safetensors"]),
        with_paths(["a/b.safetensors"], ["a/b"]),
        with_name("b"),
        with_underscored_name("b"),
        with_underscored_name("a_b"),
        with_hash("sha256", "0" * 64),
    ],
)
def test_no_file_is_looked_for_by_looking_at_all(library: Library, which: ColumnElement[bool]) -> None:
    if not library.catalog.sqlite:
        pytest.skip("PostgreSQL plans by its statistics")
    with library.catalog.read() as conn:
        query = (
            select(FILE.c.id).where(which).compile(conn.engine, compile_kwargs={"render_postcompile": True})
        )
        values = tuple(query.params[name] for name in query.positiontup or ())
        plan = [str(row[3]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)]
    assert plan
    assert not any(step.startswith("SCAN") for step in plan), plan


def _observed(path: str) -> list[Observation]:
    model = Model(path, weights=f"other {path}")
    return [Observation(model.seen, model.facts)]
