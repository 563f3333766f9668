"""Better rules: a catalog of an older version, read again, equals one that was made by the new version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from registry.catalog.collisions import SLUG, refresh_collisions
from registry.catalog.detail import lora_detail
from registry.catalog.hashing import record_hash_failure
from registry.catalog.ingesting import Observation
from registry.catalog.presence import set_missing
from registry.catalog.problems import list_problems
from registry.catalog.reading import list_loras
from registry.catalog.tables import TABLES
from registry.formats.packing import pack_json
from registry.hashing.claims import DIFFERS
from registry.views import Claim, Note
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
CLAIMING = Model(
    "z/claims.safetensors",
    weights="claims",
    metadata={"sshs_model_hash": "0badf00d", "sshs_legacy_hash": "0badf00d", "modelspec.hash_sha256": "?"},
)


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
    models = [*MODELS, CLAIMING]
    library.record(*(judged(model, "other", "unknown") for model in models), version=1)
    library.hash(*models)
    hashes = {file.path: file.hashes for detail in content(library) for file in detail.lora.files}
    library.record(*(judged(model, "lora", "locon") for model in models), version=2)
    upgraded = content(library)
    assert {file.path: file.hashes for detail in upgraded for file in detail.lora.files} == hashes
    assert {detail.lora.adapter for detail in upgraded} == {"locon", "none"}
    with library.catalog.write() as unit:
        for name in ("problem", "companion", "digest", "file", "lora", "lora_redirect", "header"):
            unit.conn.execute(TABLES[name].delete())
    library.tags.forget()
    library.record(*(judged(model, "lora", "locon") for model in models), version=2)
    library.hash(*models)
    assert [without_ids(detail) for detail in content(library)] == [
        without_ids(detail) for detail in upgraded
    ]


def without_ids(detail: LoraDetail) -> LoraDetail:
    files = [replace(file, id=0) for file in detail.lora.files]
    problems = [replace(problem, id=0, file_id=0, lora_id=0) for problem in detail.problems]
    return replace(detail, lora=replace(detail.lora, id=0, files=files), problems=problems)


def judge_as_before(library: Library, *claims: Claim) -> None:
    """Let all files have verdicts of older rules, which found no problem with them."""
    with library.catalog.write() as unit:
        unit.conn.execute(update(TABLES["file"]).values(claims=pack_json(claims)))
        unit.conn.execute(delete(TABLES["problem"]).where(TABLES["problem"].c.stage == "hash"))


def test_claims_are_judged_again_by_the_stored_hashes(library: Library) -> None:
    library.scan(*MODELS, CLAIMING, version=1)
    library.hash(*MODELS, CLAIMING)
    fresh = content(library)
    assert sum(one.slug == DIFFERS for detail in fresh for one in detail.problems) == 1
    judge_as_before(library, Claim("sshs_model_hash", "0badf00d", None, "unverifiable"))
    library.scan(*MODELS, CLAIMING, version=2)
    assert [without_ids(detail) for detail in content(library)] == [without_ids(detail) for detail in fresh]


def test_claims_of_files_that_are_not_hashed_are_made_up_for(library: Library) -> None:
    library.scan(*MODELS, CLAIMING, version=1)
    fresh = content(library)
    with library.catalog.write() as unit:
        unit.conn.execute(update(TABLES["file"]).values(claims=None))
    assert content(library) != fresh
    library.scan(*MODELS, CLAIMING, version=2)
    assert content(library) == fresh


def test_a_problem_that_better_rules_do_not_find_goes(library: Library) -> None:
    model = CLAIMING.but(metadata={"ss_output_name": "claims nothing"})
    library.scan(model, version=1)
    library.hash(model, problems=[Note(DIFFERS, "older rules said so")])
    library.scan(model, version=2)
    with library.catalog.read() as conn:
        assert list_problems(conn) == []


def test_a_claim_is_left_as_it_is_where_an_older_catalog_lacks_the_hash_to_judge_it(library: Library) -> None:
    model = CLAIMING
    library.scan(model, version=1)
    library.hash(model)
    with library.catalog.write() as unit:
        unit.conn.execute(delete(TABLES["digest"]).where(TABLES["digest"].c.kind == "sshs_legacy_other"))
    judge_as_before(
        library,
        Claim("sshs_model_hash", "0badf00d", None, "unverifiable"),
        Claim("sshs_legacy_hash", "0badf00d", "0badf00d", "match"),
    )
    library.scan(model, version=2)
    claims = library.lora(model.path).files[0].claims
    assert [(claim["computed"], claim["verdict"]) for claim in claims] == [
        (model.digests["data_sha256"], "differs"),
        ("0badf00d", "match"),
        (None, "malformed"),
    ]


def test_why_a_file_could_not_be_hashed_stays_known(library: Library) -> None:
    model = CLAIMING
    library.scan(model, version=1)
    with library.catalog.write() as unit:
        record_hash_failure(unit, library.row(model.path).id, Note("unreadable-file", "Input/output error"))
    library.scan(model, version=2)
    with library.catalog.read() as conn:
        assert [one.slug for one in list_problems(conn)] == ["unreadable-file"]


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
