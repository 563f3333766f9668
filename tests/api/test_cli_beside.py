"""Commands beside other programs: somebody else's writes, scans and pauses, and addresses that are taken."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from registry.app import open_registry
from registry.catalog.jobs import finish_job, start_job
from registry.config import load_settings
from tests.support.files import kohya_lora
from tests.support.program import command_of, environment_of, run
from tests.support.served import until
from tests.support.shelf import lora

if TYPE_CHECKING:
    from pathlib import Path

# Nobody has this address (RFC 5737) or this name (RFC 2606).
NOT_OURS, NO_NAME = "192.0.2.7", "nowhere.invalid"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lora(tmp_path / "library" / "ink.safetensors", 1).parent


def test_commands_that_only_read_wait_for_no_writer(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "d"
    assert run(data, ["scan", str(folder)]).code == 0
    with closing(sqlite3.connect(data / "catalog.sqlite3", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for verb in (["list"], ["show", "ink"], ["dupes"], ["roots", "list"], ["token", "list"], ["doctor"]):
            done = run(data, [*verb, "--json"])
            assert (done.code, done.err) == (0, ""), verb
        writer.execute("ROLLBACK")


def test_a_scan_tells_who_scans_already_and_waits_for_it(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "d"
    assert run(data, ["scan", str(folder)]).code == 0
    with open_registry(load_settings(data_dir=data)) as registry:
        with registry.catalog.write() as unit:
            held = start_job(unit, "scan", "1", "m2:77:x")
        scan = subprocess.Popen(
            command_of("scan", "--json"),
            env=environment_of(data),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert scan.stderr is not None
        told = scan.stderr.readline()
        assert f"the scan of library ({folder}) is running already, in process 77 on the machine m2" in told
        with registry.catalog.write() as unit:
            finish_job(unit, held, "done")
        out, err = scan.communicate(timeout=60)
    assert (scan.returncode, err) == (0, "")
    assert json.loads(out)["unchanged"] == 1


def test_a_scan_ends_where_hashing_is_paused_while_it_hashes(tmp_path: Path) -> None:
    data, folder = tmp_path / "d", tmp_path / "library"
    for number in range(12):
        kohya_lora(folder / f"{number}.safetensors", modules=264, rank=64, seed=number, sparse=True)
    scan = subprocess.Popen(
        command_of("scan", str(folder)),
        env=environment_of(data, {"LORAS_HASH_LIMIT_MB": "20"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until((data / "catalog.sqlite3").exists)
    with open_registry(load_settings(data_dir=data)) as registry:

        def hashed() -> int:
            with registry.catalog.read() as conn:
                query = "SELECT count(*) FROM file WHERE hash_state = 'done'"
                return int(conn.exec_driver_sql(query).scalar_one())

        until(lambda: hashed() > 0)
        registry.pause_hashing(paused=True)
        _, err = scan.communicate(timeout=60)
        assert (scan.returncode, hashed() < 12) == (0, True)
    assert "loras: hashing is paused; files are hashed later\n" in err
    again = run(data, ["scan"])
    assert (again.code, "hashing is paused; files are hashed later" in again.err) == (0, True)


@pytest.mark.skipif(os.name != "posix", reason="signals to other processes")
def test_ctrl_c_while_a_worker_starts_is_quiet(tmp_path: Path, folder: Path) -> None:
    scan = subprocess.Popen(
        command_of("scan", str(folder)),
        env=environment_of(tmp_path / "d"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    program = psutil.Process(scan.pid)
    # The one worker, beside the tracker of multiprocessing; a moment later it is a Python that imports.
    until(lambda: any(sum(child.cpu_times()[:2]) > 0.05 for child in program.children()[1:]))
    # As a terminal does: everybody in the foreground hears it.
    os.killpg(scan.pid, signal.SIGINT)
    out, err = scan.communicate(timeout=60)
    assert (scan.returncode, out) == (130, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", NOT_OURS], f"{NOT_OURS} is not an address of this machine"),
        (["--host", NOT_OURS, "--unsafe-open"], f"{NOT_OURS} is not an address of this machine"),
        (["--host", NO_NAME], f"the host name {NO_NAME} is not known here"),
        (["--host", "0.0.0.0"], "there is no token"),  # noqa: S104 - it is refused
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_an_address_that_cannot_be_served_is_named_and_no_root_added(
    tmp_path: Path, folder: Path, arguments: list[str], said: str
) -> None:
    data = tmp_path / "d"
    done = run(data, ["serve", str(folder), "--port", "0", *arguments])
    assert (done.code, done.out) == (10, "")
    assert said in done.err
    assert "--port" not in done.err
    assert ("loras token create" in done.err) == (said == "there is no token")
    assert run(data, ["roots", "list", "--json"]).json() == {"items": []}


def test_a_port_that_is_taken_adds_no_root(tmp_path: Path, folder: Path) -> None:
    data = tmp_path / "d"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run(data, ["serve", str(folder), "--port", str(port)])
    assert (done.code, done.out) == (10, "")
    assert f"port {port} of 127.0.0.1 cannot be used" in done.err
    assert "--port" in done.err
    assert run(data, ["roots", "list", "--json"]).json() == {"items": []}
