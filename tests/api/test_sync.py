"""Syncs over the API, and the command line program against a stand-in for Civitai."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import civitai_faults as faults
from tests.support.civitai import civitai_server
from tests.support.civitai_answers import file_answer, model_answer, version_answer
from tests.support.civitai_library import DETAILS, IDS
from tests.support.program import command_of, environment_of, run
from tests.support.served import until
from tests.support.shelf import lora

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder
    from tests.support.civitai import FakeCivitai
    from tests.support.serving import Service


@pytest.fixture
def fake() -> Iterator[FakeCivitai]:
    with civitai_server() as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A catalog of two files, one of them with a Chinese name."""
    lora(tmp_path / "库" / "墨水 ink.safetensors", 1)
    folder = lora(tmp_path / "库" / "other.safetensors", 2).parent
    assert run(tmp_path / "d", ["scan", str(folder)]).code == 0
    return tmp_path / "d"


def sha256(data: Path, name: str) -> str:
    files = run(data, ["show", name, "--json"]).json()["lora"]["files"]
    return str(files[0]["hashes"]["sha256"])


def known(fake: FakeCivitai, data: Path, name: str, number: int = 7) -> None:
    version = version_answer(number * 10, [file_answer(sha256(data, name))])
    fake.add(model_answer(number, [version], name="Ink <b>&", tags=["画风"]))


def at(fake: FakeCivitai) -> dict[str, str]:
    return {"LORAS_CIVITAI_URL": fake.url}


def test_a_sync_tells_what_came_of_it_and_what_is_known_now(data: Path, fake: FakeCivitai) -> None:
    known(fake, data, "墨水 ink")
    told = run(data, ["sync", "--json"], at(fake)).json()
    counts = ("asked", "found", "not_found", "ambiguous", "gone", "failed")
    assert [told[name] for name in counts] == [2, 1, 1, 0, 0, 0]
    assert told["requests"] == len(fake.asked)
    shown = run(data, ["show", "墨水 ink", "--json"]).json()
    assert shown["shown"]["name"] == "Ink <b>&"
    assert shown["shown"]["tags"] == ["画风"]
    assert shown["link"]["state"] == "found"
    found = run(data, ["search", "ctag:画风", "--json"]).json()
    assert [one["name"] for one in found["items"]] == ["墨水 ink"]
    states = run(data, ["search", "--facets", "sync", "--json"]).json()["facets"][0]["values"]
    assert {value["value"]: value["count"] for value in states} == {"found": 1, "not_found": 1}


def test_a_dry_run_asks_for_nothing_and_a_query_narrows(data: Path, fake: FakeCivitai) -> None:
    plan = run(data, ["sync", "--dry-run", "--json"], at(fake)).json()
    assert (plan["files"], plan["reasons"]) == (2, {"never": 2})
    assert fake.asked == []
    assert run(data, ["sync", "name:other", "--json"], at(fake)).json()["asked"] == 1
    assert run(data, ["sync", "-name:other", "--json"], at(fake)).json()["asked"] == 1
    assert run(data, ["sync", "--json"], at(fake)).json()["asked"] == 0


@pytest.mark.parametrize(("more", "settings"), [(["--offline"], {}), ([], {"LORAS_OFFLINE": "1"})])
def test_nothing_leaves_while_offline(
    data: Path, fake: FakeCivitai, more: list[str], settings: dict[str, str]
) -> None:
    outcome = run(data, ["sync", *more], at(fake) | settings)
    assert outcome.code == 11
    assert "switched off" in outcome.err
    assert fake.asked == []


def test_the_token_goes_to_civitai_and_into_no_output(data: Path, fake: FakeCivitai) -> None:
    known(fake, data, "other")
    secret = {"LORAS_CIVITAI_TOKEN": "hush-hush"}
    told = run(data, ["sync", "--json"], at(fake) | secret)
    assert set(fake.bearers) == {"Bearer hush-hush"}
    fake.fail("*", faults.answering(401, {"error": "no"}), times=None)
    refused = run(data, ["sync", "--all", "--json"], at(fake) | secret)
    for outcome in (told, refused, run(data, ["doctor", "--json"], secret)):
        assert "hush-hush" not in outcome.out + outcome.err


def test_a_sync_that_is_killed_goes_on_without_asking_again(data: Path, fake: FakeCivitai) -> None:
    known(fake, data, "other")
    # The ids are there, the details never come.
    fake.fail(DETAILS, faults.stalled(), times=None)
    program = subprocess.Popen(
        command_of("sync"), env=environment_of(data, at(fake)), stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    until(lambda: any(one.path == DETAILS for one in fake.asked))
    program.kill()
    program.communicate()
    fake.mend()
    fake.release()
    before = len(fake.asked)
    told = run(data, ["sync", "--json"], at(fake)).json()
    assert told["found"] == 1
    assert [one.path for one in fake.asked[before:]].count(IDS) == 0


def test_ctrl_c_stops_a_sync_and_says_so(data: Path, fake: FakeCivitai) -> None:
    fake.fail("*", faults.too_fast("60"), times=None)
    program = subprocess.Popen(
        command_of("sync"), env=environment_of(data, at(fake)), stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    until(lambda: bool(fake.asked))
    os.kill(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert b"Traceback" not in err


def test_doctor_lists_who_may_be_contacted_and_why(data: Path) -> None:
    hosts = run(data, ["doctor", "--json"]).json()["outbound"]
    assert [each["hosts"] for each in hosts if "sync" in each["name"]] == [["civitai.com"]]
    assert all(each["why"] and each["when"] for each in hosts)


@pytest.mark.parametrize("url", ["civitai.com", "ftp://civitai.com", "https://me:pw@civitai.com"])
def test_an_address_that_is_none_is_refused_with_its_name(data: Path, url: str) -> None:
    outcome = run(data, ["sync"], {"LORAS_CIVITAI_URL": url})
    assert outcome.code == 2
    assert "civitai_url" in outcome.err
    assert "pw" not in outcome.err


def test_a_sync_is_started_over_the_api(service: Service, builder: Builder) -> None:
    started = service.ask("POST", "/api/v1/sync", json={"query": "arch:sdxl", "all": True})
    assert (started.status_code, started.json()) == (202, {"job": 9})
    assert service.actions.asked == [("sync", "arch:sdxl", True, None)]
    plan = service.ask("POST", "/api/v1/sync", json={"dry_run": True})
    assert (plan.status_code, plan.json()["files"]) == (200, 2)
    service.actions.busy = True
    assert service.ask("POST", "/api/v1/sync").status_code == 409
    assert service.ask("POST", "/api/v1/sync", json={"everything": True}).status_code == 400
    assert service.get("/api/v1/sync") == {"states": {}, "runs": []}
    assert json.dumps(service.get("/api/v1/status")["progress"])
