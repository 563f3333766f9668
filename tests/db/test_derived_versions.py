"""Better rules: a catalog of an older version, read again, equals one that was made by the new version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from registry.catalog.collisions import SLUG, refresh_collisions
from registry.catalog.ingesting import Observation
from registry.catalog.presence import set_missing
from registry.catalog.problems import list_problems
from registry.catalog.reading import list_loras, lora_detail
from registry.catalog.tables import TABLES
from registry.views import Note
from tests.support.library import MACHINE, Library, Model

if TYPE_CHECKING:
    from registry.views import LoraDetail

MODELS = [
    Model("x/a.safetensors", weights="a", metadata={"ss_tag_frequency": '{"1_a": {"one": 3, "two": 1}}'}),
    Model(
        "y/b.safetensors",
        weights="a",
        metadata={"ss_output_name": "b"},
        problems=(Note("truncated", "short"),),
    ),
    Model("y/c.safetensors", weights="c", metadata={"ss_output_name": "b"}),
    Model("z/d.safetensors", weights="d", readable=False),
]


def judged(model: Model, kind: str, adapter: str) -> Observation:
    """What rules that know that kind and adapter make of a file."""
    facts = model.facts
    header = facts.header
    if header is not None:
        columns = {**header.columns, "kind": kind, "adapter": adapter}
        header = replace(header, columns=columns, tags=(*header.tags, ("new tag", 1)))
    return Observation(model.seen, replace(facts, header=header))


def content(library: Library) -> list[LoraDetail]:
    with library.catalog.read() as conn:
        page = list_loras(conn, machine_id=MACHINE, state="all")
        return [lora_detail(conn, lora.id, MACHINE) for lora in page.items]


def test_an_upgraded_catalog_equals_a_fresh_one(library: Library) -> None:
    library.record(*(judged(model, "other", "unknown") for model in MODELS), version=1)
    library.hash(*MODELS)
    hashes = {file.path: file.hashes for detail in content(library) for file in detail.lora.files}
    library.record(*(judged(model, "lora", "locon") for model in MODELS), version=2)
    upgraded = content(library)
    assert {file.path: file.hashes for detail in upgraded for file in detail.lora.files} == hashes
    assert {detail.lora.adapter for detail in upgraded} == {"locon", "none"}
    with library.catalog.write() as unit:
        for name in ("problem", "companion", "digest", "file", "lora", "lora_redirect", "header"):
            unit.conn.execute(TABLES[name].delete())
    library.tags.forget()
    library.record(*(judged(model, "lora", "locon") for model in MODELS), version=2)
    library.hash(*MODELS)
    assert [without_ids(detail) for detail in content(library)] == [
        without_ids(detail) for detail in upgraded
    ]


def without_ids(detail: LoraDetail) -> LoraDetail:
    files = [replace(file, id=0) for file in detail.lora.files]
    problems = [replace(problem, id=0, file_id=0, lora_id=0) for problem in detail.problems]
    return replace(detail, lora=replace(detail.lora, id=0, files=files), problems=problems)


def test_every_header_row_is_of_the_new_version_and_none_is_left_over(library: Library) -> None:
    library.scan(*MODELS, version=1)
    library.scan(*MODELS, version=2)
    with library.catalog.read() as conn:
        versions = conn.execute(select(TABLES["header"].c.derived_version)).scalars().all()
    assert sorted(versions) == [2, 2]


def test_names_that_files_share_are_problems_as_long_as_they_share_them(library: Library) -> None:
    models = [Model(f"{folder}/same.safetensors", weights=folder) for folder in "ab"]
    library.scan(*models, Model("a/other.safetensors", weights="o"))

    def refreshed() -> tuple[int, list[str | None], bool]:
        before = library.generation()
        with library.catalog.write() as unit:
            count = refresh_collisions(unit)
        with library.catalog.read() as conn:
            return count, [one.path for one in list_problems(conn, slug=SLUG)], library.generation() > before

    assert refreshed() == (2, ["a/same.safetensors", "b/same.safetensors"], True)
    assert refreshed() == (2, ["a/same.safetensors", "b/same.safetensors"], False)
    with library.catalog.write() as unit:
        set_missing(unit, [library.row(models[0].path).id])
    assert refreshed() == (0, [], True)
