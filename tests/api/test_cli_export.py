"""`loras export` on real files: what it writes, says and leaves alone, in a shell and over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from registry.app import open_registry
from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.config import load_settings
from registry.curation import read_changes
from tests.support.program import Outcome, command_of, environment_of, run
from tests.support.served import served, until
from tests.support.shelf import later, lora

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import Service

ODD = "墨 v1.5 'q'"
BOTH = ("--to", "a1111", "--to", "lora-manager")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A catalog of two hashed loras in a writable root, one of which has notes."""
    ink = lora(tmp_path / "lib" / "ink.safetensors", 1)
    lora(tmp_path / "lib" / "风格" / f"{ODD}.safetensors", 2)
    data = tmp_path / "d"
    with open_registry(load_settings(data_dir=data, workers=0)) as registry:
        registry.scan(registry.add_root(str(tmp_path / "lib"), writable=True).id)
        registry.hash_all()
        notes = {"note": "mine", "weight": 0.8, "triggers": [["ink wash", "sumi-e"]]}
        with registry.catalog.write() as unit:
            edit(unit, [resolve(unit.conn, str(ink), registry.machine_id)], read_changes(notes))
    return data


def good(data: Path, *arguments: str) -> Outcome:
    done = run(data, arguments)
    assert done.code == 0, done.err
    return done


def told(data: Path, *arguments: str) -> Any:
    return good(data, *arguments, "--json").json()


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_notes_go_to_tools_and_are_claimed_by_none_of_them(data: Path) -> None:
    folder = data.parent / "lib"
    before = told(data, "show", "ink")
    planned = good(data, "export", *BOTH, "--dry-run")
    assert not (folder / "ink.json").exists()

    done = good(data, "export", *BOTH)

    assert done.out.replace("wrote", "would write") == planned.out
    lines = done.out.splitlines()
    assert f"{folder / 'ink.json'}: sd version, activation text, preferred weight, notes" in lines
    assert f"{folder / '风格' / ODD}.json: sd version" in lines
    assert lines[-1] == "wrote 3 files beside 2 models; 1 are as they should be"
    assert read(folder / "ink.json")["notes"] == "mine"
    written = bytes_of(folder)

    good(data, "scan")
    after = told(data, "show", "ink")
    assert after["shown"] == before["shown"]
    assert [(one["name"], one["ours"], one["offered"]) for one in after["sidecars"]] == [
        ("ink.json", True, {}),
        ("ink.metadata.json", True, {}),
    ]
    assert "as we wrote it" in good(data, "show", "ink").out
    again = told(data, "export", *BOTH)
    assert (again["written"], again["unchanged"], again["changes"]) == (0, 4, [])
    assert bytes_of(folder) == written


def test_what_a_tool_writes_later_is_offered(data: Path) -> None:
    path = data.parent / "lib" / "ink.json"
    good(data, "export", "ink", "--to", "a1111")
    path.write_text(json.dumps({**read(path), "notes": "theirs"}), encoding="utf-8")
    later(path)
    good(data, "scan")

    shown = told(data, "show", "ink")

    assert [(one["ours"], one["offered"]) for one in shown["sidecars"]] == [(False, {"note": "theirs"})]
    assert shown["shown"]["notes"] == "mine"
    (line,) = [one for one in good(data, "show", "ink").out.splitlines() if "says since" in one]
    assert line.split() == ["says", "since", "note:", "theirs"]


def test_words_are_references_if_all_of_them_are_and_a_query_if_not(data: Path) -> None:
    folder = data.parent / "lib"

    def names(*words: str) -> list[str]:
        found = told(data, "export", *words, "--to", "a1111", "--dry-run")["changes"]
        return sorted(os.path.basename(one["path"]) for one in found)  # noqa: PTH119 - text of any platform

    everything = ["ink.json", f"{ODD}.json"]
    assert names() == everything
    assert names("ink") == ["ink.json"]
    assert names(str(folder / "ink.safetensors"), f"{ODD}.safetensors") == everything
    assert names("rank:4", "-note:mine") == [f"{ODD}.json"]
    for missing in ("id:77", "gone.safetensors"):
        assert run(data, ["export", missing, "--to", "a1111"]).code == 3
    unclear = run(data, ["export", "rank:many", "--to", "a1111"])
    assert (unclear.code, "not clear" in unclear.err) == (2, True)
    assert not (folder / "ink.json").exists()


def test_what_is_left_alone_is_told_with_what_to_do(data: Path) -> None:
    folder = data.parent / "lib"
    (folder / "ink.json").write_text("no JSON", encoding="utf-8")
    done = good(data, "export", "--to", "a1111")
    assert f"loras: {folder / 'ink.json'}: it is not JSON: left alone" in done.err
    assert (folder / "风格" / f"{ODD}.json").exists()

    good(data, "roots", "add", "lib", "--no-writable")
    closed = run(data, ["export", "--to", "a1111"])
    assert closed.code == 6
    remedy = f"`loras roots add {folder} --writable` allows it."
    assert f"loras: 2 models were left alone: the root lib is not writable. {remedy}" in closed.err
    assert closed.err.count("not writable") == 1


def test_one_file_that_cannot_be_written_ends_in_an_error_after_all_others(data: Path) -> None:
    folder = data.parent / "lib"
    (folder / "ink.json").mkdir()
    done = run(data, ["export", "--to", "a1111", "--json"])
    assert done.code == 8
    tally = json.loads(done.out)
    assert (tally["written"], tally["failed"]) == (1, 1)
    assert json.loads(done.err)["error"] == "unwritable-file"


def test_hiding_from_lora_manager_is_warned_of(data: Path) -> None:
    good(data, "edit", "ink", "--hidden")
    done = good(data, "export", "--to", "lora-manager", "--dry-run")
    assert "ink.metadata.json" in done.out
    assert "whose pages cannot take that back" in done.err


def test_nothing_is_written_for_a_tool_that_nobody_knows(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["export", "--to", "notepad"])
    assert done.code == 2
    assert "swarmui" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_tells_what_was_written_and_the_next_export_does_the_rest(tmp_path: Path) -> None:
    folder, data = tmp_path / "lib", tmp_path / "d"
    count = 400
    for number in range(count):
        lora(folder / f"{number:03}.safetensors", number)
    with open_registry(load_settings(data_dir=data, workers=0)) as registry:
        registry.scan(registry.add_root(str(folder), writable=True).id)
    export = subprocess.Popen(
        command_of("export", "--to", "a1111"),
        env=environment_of(data),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: any(folder.glob("*.json")) or export.poll() is not None)
    export.send_signal(signal.SIGINT)
    out, err = export.communicate(timeout=60)

    assert (export.returncode, "what was done stays" in err) == (130, True)
    written = sorted(folder.glob("*.json"))
    assert 0 < len(written) < count
    assert sorted(out.splitlines()[:-1]) == [f"{path}: sd version" for path in written]
    assert all(read(path) == {"sd version": "SD2"} for path in written)
    assert not list(folder.glob(".loras-*"))
    rest = told(data, "export", "--to", "a1111")
    assert (rest["written"], rest["unchanged"]) == (count - len(written), len(written))


def test_a_server_exports_in_the_background_and_reads_what_it_wrote(data: Path) -> None:
    folder = data.parent / "lib"
    with served(data) as server:
        body = {"query": "note:mine", "to": ["a1111"]}
        until(lambda: server.ask("GET", "/search?q=note:mine").json().get("total") == 1)
        planned = server.ask("POST", "/export", json={**body, "dry_run": True})
        assert (planned.status_code, planned.json()["written"]) == (200, 1)
        assert not (folder / "ink.json").exists()

        started = server.ask("POST", "/export", json=body)

        assert started.status_code == 202
        until(lambda: finished(server.get("/jobs")["items"], started.json()["job"]) is not None)
        result = finished(server.get("/jobs")["items"], started.json()["job"])
        assert result["changes"] == planned.json()["changes"]
        until(lambda: [one["ours"] for one in server.get("/loras/ink")["sidecars"]] == [True])
        assert server.get("/loras/ink")["shown"]["sources"]["notes"]["kind"] == "user"


def finished(jobs: list[dict[str, Any]], job_id: int) -> Any:
    """Return the result of a job, `None` while it runs."""
    return next(job["result"] for job in jobs if job["id"] == job_id)


def test_the_api_exports_for_who_may_write(service: Service) -> None:
    wish = {"ids": [1, 2], "to": ["a1111", "swarmui"], "previews": True}
    started = service.ask("POST", "/api/v1/export", json=wish)
    assert (started.status_code, started.json()) == (202, {"job": 11})
    ((_, asked, _),) = service.actions.asked
    assert vars_of(asked) == {**wish, "ids": (1, 2), "tools": ("a1111", "swarmui"), "query": ""}
    planned = service.ask("POST", "/api/v1/export", json={"query": "", "to": ["a1111"], "dry_run": True})
    assert (planned.status_code, planned.json()["changes"][0]["keys"]) == (200, ["notes"])
    service.actions.busy = True
    assert service.ask("POST", "/api/v1/export", json=wish).status_code == 409


def vars_of(wish: Any) -> dict[str, Any]:
    """Return what was asked for, as its fields and as the body has it."""
    found = {name: getattr(wish, name) for name in ("ids", "tools", "query", "previews")}
    return {**found, "to": list(wish.tools)}


@pytest.mark.parametrize(
    "body", [{}, {"query": "x", "ids": [1]}, {"query": 1}, {"ids": ["a"]}, {"ids": [-1]}, {"quer": "x"}]
)
def test_the_api_wants_a_query_or_ids(service: Service, body: dict[str, Any]) -> None:
    answer = service.ask("POST", "/api/v1/export", json={"to": ["a1111"], **body})
    assert (answer.status_code, service.actions.asked) == (400, [])
