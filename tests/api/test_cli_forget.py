"""`loras forget` and `DELETE /api/v1/loras/{ref}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.catalog.roots import remove_root
from tests.support.files import kohya_lora
from tests.support.program import run
from tests.support.schemas import violations
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.catalogs import Builder
    from tests.support.serving import Service


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog of three loras, of which the files of two are gone."""
    folder, data = tmp_path / "library", tmp_path / "d"
    for seed, name in enumerate(("ink", "wash", "pen"), start=1):
        kohya_lora(folder / f"{name}.safetensors", modules=6, seed=seed)
    assert run(data, ["scan", str(folder)]).code == 0
    assert run(data, ["edit", "ink", "--rating", "4"]).code == 0
    for name in ("ink", "wash"):
        (folder / f"{name}.safetensors").unlink()
    assert run(data, ["scan"]).code == 0
    return data


def names(data: Path) -> list[str]:
    return [one["name"] for one in run(data, ["list", "--state", "all", "--json"]).json()["items"]]


def test_it_is_shown_first_and_done_when_it_is_said(catalog: Path) -> None:
    shown = run(catalog, ["forget", "ink"])
    assert shown.code == 0
    assert "library/ink.safetensors" in shown.out
    assert "rows that would go" in shown.out
    assert "--yes" in shown.err
    assert names(catalog) == ["ink", "pen", "wash"]
    done = run(catalog, ["forget", "ink", "--yes", "--json"]).json()
    assert (done["dry_run"], done["rows"]["file"], done["rows"]["curation"]) == (False, 1, 1)
    assert done["archive"].startswith(str(catalog / "notes" / "forgotten-"))
    assert names(catalog) == ["pen", "wash"]
    assert run(catalog, ["forget", "ink", "--yes"]).code == 3


def test_a_lora_with_a_file_is_refused_and_none_of_those_named_goes(catalog: Path) -> None:
    refused = run(catalog, ["forget", "ink", "pen", "--yes", "--json"])
    assert refused.code == 5
    assert "next scan" in json.loads(refused.err)["remedy"]
    assert names(catalog) == ["ink", "pen", "wash"]


def test_of_what_a_query_finds_those_with_files_are_passed_over(catalog: Path) -> None:
    told = run(catalog, ["forget", "--query", "name:*", "--yes", "--json"]).json()
    assert [one["name"] for one in told["loras"]] == ["ink", "wash"]
    assert len(told["passed_over"]) == 1
    assert names(catalog) == ["pen"]
    assert run(catalog, ["forget", "--query", "missing:yes", "--yes", "--json"]).json()["loras"] == []


@pytest.mark.parametrize("arguments", [[], ["ink", "--query", "ink"]])
def test_it_must_be_said_which(catalog: Path, arguments: list[str]) -> None:
    assert run(catalog, ["forget", *arguments]).code == 2


# Over HTTP


@pytest.fixture
def gone(builder: Builder) -> int:
    """The id of a lora whose root was removed."""
    root = builder.root("/models")
    builder.file(root, "a.safetensors")
    builder.write()
    builder.hash("a", "1" * 64, "2" * 64)
    with builder.catalog.write() as unit:
        remove_root(unit, root)
    return 1


def test_one_is_forgotten_by_delete(service: Service, gone: int) -> None:
    path = f"/api/v1/loras/{gone}"
    dry = service.ask("DELETE", f"{path}?dry_run=true").json()
    assert (dry["dry_run"], dry["loras"][0]["name"]) == (True, "a")
    done = service.ask("DELETE", path)
    assert (done.status_code, done.json()["rows"]) == (200, dry["rows"])
    assert service.ask("DELETE", path).status_code == 404
    assert service.ask("GET", path).status_code == 404
    document = service.get("/openapi.json")
    operation = document["paths"]["/api/v1/loras/{ref}"]["delete"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert violations(done.json(), schema, document) == []


def test_one_with_a_file_is_a_conflict(service: Service, builder: Builder) -> None:
    builder.file(builder.root("/models"), "a.safetensors")
    builder.write()
    assert service.ask("DELETE", "/api/v1/loras/a").status_code == 409
    assert service.ask("GET", "/api/v1/loras/a").status_code == 200


def test_only_an_administrator_forgets(service: Service, gone: int) -> None:
    for role, status in (("read", 403), ("write", 403), ("admin", 200)):
        headers = {"Authorization": f"Bearer {service.token(role, role)}"}
        answer = service.ask("DELETE", f"/api/v1/loras/{gone}", peer=REMOTE, headers=headers)
        assert answer.status_code == status
