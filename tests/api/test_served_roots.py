"""Roots that clients of a served catalog add, change, move and remove, with real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.app import open_registry
from registry.catalog.jobs import list_jobs, start_job
from registry.config import load_settings
from tests.support.served import served, until
from tests.support.shelf import lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.served import Served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "loras"
    lora(made / "a.safetensors", 1)
    lora(made / "inner" / "b.safetensors", 2)
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[Served]:
    with served(tmp_path / "data", str(folder)) as running:
        running.lists("a", "b")
        yield running


def test_the_files_of_a_nested_root_go_to_the_outer_one_when_it_is_removed(
    server: Served, folder: Path
) -> None:
    added = server.ask("POST", "/roots", json={"path": str(folder / "inner"), "label": "within"})
    assert added.status_code == 201
    until(lambda: server.get("/loras/b")["lora"]["roots"] == ["within"])
    assert server.ask("DELETE", f"/roots/{added.json()['id']}").status_code == 204
    server.lists("a", "b")
    lora(folder / "inner" / "c.safetensors", 3)
    server.lists("a", "b", "c")
    assert server.get("/loras/c")["lora"]["roots"] == ["loras"]


def test_a_root_that_moves_into_another_one_takes_its_files_over(
    server: Served, folder: Path, tmp_path: Path
) -> None:
    elsewhere = lora(tmp_path / "elsewhere" / "x.safetensors", 5).parent
    added = server.ask("POST", "/roots", json={"path": str(elsewhere), "label": "second"}).json()
    server.lists("a", "b", "x")
    moved = server.ask("POST", f"/roots/{added['id']}/relocate", json={"path": str(folder / "inner")})
    assert moved.json()["path"] == str(folder / "inner")
    server.lists("a", "b")
    until(lambda: server.get("/loras/b")["lora"]["roots"] == ["second"])
    lora(folder / "inner" / "c.safetensors", 3)
    server.lists("a", "b", "c")
    assert server.get("/loras/c")["lora"]["roots"] == ["second"]


def test_changed_options_take_effect_at_once(server: Served, folder: Path) -> None:
    (folder / "old.pt").write_bytes(b"pickled")
    server.watches(root_1="watching")
    answer = server.ask("PATCH", "/roots/1", json={"pickles": True})
    assert (answer.json()["pickles"], answer.json()["files"]) == (True, 2)
    server.lists("a", "b", "old")
    server.ask("PATCH", "/roots/1", json={"poll": "always"}).raise_for_status()
    server.watches(root_1="polling")
    server.ask("PATCH", "/roots/1", json={"poll": "never", "pickles": False}).raise_for_status()
    server.watches(root_1="watching")
    server.lists("a", "b")
    assert [root["files"] for root in server.get("/roots")["items"]] == [2]


def test_a_root_that_is_there_already_is_answered_with_200(server: Served, folder: Path) -> None:
    again = server.ask("POST", "/roots", json={"path": f"{folder}/", "label": "other"})
    assert (again.status_code, again.json()["id"], again.json()["label"]) == (200, 1, "other")
    assert server.ask("DELETE", "/roots/1").status_code == 204
    back = server.ask("POST", "/roots", json={"path": str(folder)})
    assert (back.status_code, back.json()["id"]) == (201, 1)
    server.lists("a", "b")


def test_a_scan_of_several_roots_starts_all_or_none_and_names_who_is_in_the_way(
    server: Served, tmp_path: Path
) -> None:
    other = lora(tmp_path / "other" / "x.safetensors", 5).parent
    second = server.ask("POST", "/roots", json={"path": str(other), "label": "second"}).json()["id"]
    server.lists("a", "b", "x")
    until(lambda: all(job["kind"] != "scan" for job in server.get("/jobs?live=true")["items"]))
    settings = load_settings(data_dir=server.data)
    with open_registry(settings) as registry:
        # As if another machine held it, whose process cannot be looked for.
        with registry.catalog.write() as unit:
            held = start_job(unit, "scan", str(second), "m2:77:x")
        answer = server.ask("POST", "/scan")
        with registry.catalog.read() as conn:
            live = [(job.id, job.key) for job in list_jobs(conn, live=True) if job.kind == "scan"]
    assert answer.status_code == 409
    assert (
        f"the scan of second ({other}) is running already, in process 77 on the machine m2"
        in (answer.json()["detail"])
    )
    assert f"/api/v1/jobs/{held}/cancel" in answer.json()["remedy"]
    assert live == [(held, str(second))]
    assert server.ask("POST", f"/jobs/{held}/cancel").status_code == 204
