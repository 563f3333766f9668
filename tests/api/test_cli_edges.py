from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.files import kohya_lora
from tests.support.program import command_of, environment_of, run

if TYPE_CHECKING:
    from pathlib import Path

VERBS = [
    ["scan"],
    ["serve"],
    ["list"],
    ["show"],
    ["inspect"],
    ["hash"],
    ["search"],
    ["dupes"],
    ["doctor"],
    ["roots", "add"],
    ["roots", "list"],
    ["roots", "remove"],
    ["roots", "relocate"],
    ["db", "upgrade"],
    ["db", "backup"],
    ["db", "path"],
    ["token", "create"],
    ["token", "list"],
    ["token", "revoke"],
]


def test_the_help_names_every_verb_and_shows_how_to_begin(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["--help"])
    assert done.code == 0
    for verb, *_ in VERBS:
        assert f"\n  {verb} " in done.out
    assert "loras serve ~/models/loras" in done.out
    assert run(tmp_path / "d", []).out == done.out


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_the_help_of_a_verb_has_examples_and_explains_its_options(verb: list[str], tmp_path: Path) -> None:
    done = run(tmp_path / "d", [*verb, "--help"])
    assert done.code == 0
    _, examples, options = done.out.partition("  Examples:\n")
    assert examples
    assert f"    loras {' '.join(verb)}" in options
    lines = done.out.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("  --"):
            assert len(line.split("  ")) > 2 or following.startswith("        "), line
    assert "--json" in done.out


def test_the_help_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cli", "--help"],
        env=environment_of(tmp_path / "d"),
        capture_output=True,
        check=True,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert "typer" in imported
    assert not imported & {
        "sqlalchemy",
        "fastapi",
        "pydantic",
        "numpy",
        "registry.app",
        "registry.config",
        "uvicorn",
    }


def test_child_processes_import_only_the_entry_point(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cli.main; print('\\n'.join(sys.modules))"],
        env=environment_of(tmp_path / "d"),
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    )
    modules = done.stdout.split()
    assert [name for name in modules if name.startswith("cli")] == ["cli", "cli.main"]
    assert "typer" not in modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unknown"],
        ["list", "--unknown"],
        ["list", "more"],
        ["show"],
        ["nonsense"],
        ["roots"],
        ["serve", "--port", "x"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_exit_with_2_and_say_where_help_is(arguments: list[str], tmp_path: Path) -> None:
    done = run(tmp_path / "d", arguments)
    assert done.code == 2
    assert done.out == ""
    assert "--help" in done.err
    for given in ([*arguments, "--json"], ["--json", *arguments]):
        told = run(tmp_path / "d", given)
        assert told.code == 2
        assert set(json.loads(told.err)) == {"error", "detail", "remedy", "candidates"}


def test_global_options_stand_before_the_verb_or_after_it(tmp_path: Path) -> None:
    before = run(tmp_path / "d", ["--data-dir", str(tmp_path / "e"), "db", "path"])
    after = run(tmp_path / "d", ["db", "path", "--data-dir", str(tmp_path / "e")])
    assert before.out == after.out == str(tmp_path / "e" / "catalog.sqlite3") + "\n"
    both = run(tmp_path / "d", ["--db", "sqlite:////a", "db", "path", "--db", "sqlite:////b"])
    assert both.out == "/b\n"
    listed = [["--json", "roots", "list"], ["roots", "list", "--json"], ["--json", "roots", "list", "--json"]]
    assert [run(tmp_path / "d", arguments).json() for arguments in listed] == [{"items": []}] * 3
    assert run(tmp_path / "d", ["--version"]).out.startswith("loras ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--db", "postgresql://me:geheim@127.0.0.1:1/x", "list"],
        ["list", "--db", "mysql://me:geheim@127.0.0.1/x"],
        ["list", "--db", "no url me:geheim"],
        ["list", "postgresql://me:geheim@127.0.0.1/x"],
        ["db", "path", "--db", "postgresql://me:geheim@127.0.0.1:1/x?password=geheim"],
        ["doctor", "--db", "postgresql://me:geheim@127.0.0.1:1/x"],
        ["postgresql://me:geheim@127.0.0.1/x"],
        ["list", "--db", "postgresql://me:geheim@127.0.0.1:1/x", "--help"],
    ],
    ids=lambda arguments: " ".join(word for word in arguments if ":" not in word),
)
def test_passwords_are_never_shown(arguments: list[str], tmp_path: Path) -> None:
    done = run(tmp_path / "d", arguments)
    assert "geheim" not in done.out + done.err
    done = run(tmp_path / "d", [*arguments, "--json"])
    assert "geheim" not in done.out + done.err


def test_a_setting_of_the_environment_that_is_wrong_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["list"], {"LORAS_PORT": "many"})
    assert done.code == 2
    assert "port" in done.err


def test_hostile_arguments_come_back_as_plain_text(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["show", "\x1b[2J\u202eevil\nforged line"])
    assert done.code == 3
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err
    assert len(done.err.splitlines()) == 2


@pytest.mark.skipif(os.name != "posix", reason="pipes of this shape")
@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--json"], ["roots", "list"]], ids=" ".join)
def test_a_reader_who_left_is_no_error_to_speak_of(arguments: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command_of(*arguments),
        env=environment_of(tmp_path / "d"),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.skipif(os.name != "posix", reason="signals to other processes")
def test_an_interrupted_scan_is_quiet_and_keeps_what_was_done(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    for number in range(12):
        kohya_lora(folder / f"{number}.safetensors", modules=264, rank=64, seed=number, sparse=True)
    environment = environment_of(data, {"LORAS_HASH_LIMIT_MB": "20"})
    scan = subprocess.Popen(
        command_of("scan", str(folder)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not _anything_hashed(data) and time.monotonic() < deadline:
        time.sleep(0.2)
    scan.send_signal(signal.SIGINT)
    out, err = scan.communicate(timeout=60)
    assert scan.returncode == 130, err
    assert b"Traceback" not in err
    assert out == b""
    assert run(data, ["list", "--json"]).json()["total"] == 12
    finished = run(data, ["scan", "--json"]).json()
    assert finished["unchanged"] == 12
    assert all(item["verified"] for item in run(data, ["list", "--json"]).json()["items"])


def _anything_hashed(data: Path) -> bool:
    if not (data / "catalog.sqlite3").exists():
        return False
    return any(item["verified"] for item in run(data, ["list", "--json"]).json()["items"])


@pytest.mark.skipif(os.name != "posix", reason="signals to other processes")
def test_serve_prints_its_address_once_and_a_second_one_names_it(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    kohya_lora(folder / "ink.safetensors", modules=6)
    server = subprocess.Popen(
        command_of("serve", str(folder), "--port", "0", "--no-watch"),
        env=environment_of(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        line = server.stdout.readline().decode()
        url = next(word for word in line.split() if word.startswith("http://"))
        second = run(data, ["serve", "--port", "0"])
        assert second.code == 5
        assert url in second.err
        taken = run(tmp_path / "e", ["serve", "--port", url.rpartition(":")[2]])
        assert taken.code == 10
        assert "--port" in taken.err
        scanned = run(data, ["scan", str(folder)])
        assert scanned.code == 0 or "running already" in scanned.err
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
    assert b"Traceback" not in err
    assert server.returncode == 130


@pytest.mark.skipif(os.name != "posix", reason="signals to other processes")
def test_a_server_that_is_terminated_closes_everything(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    kohya_lora(folder / "ink.safetensors", modules=6)
    server = subprocess.Popen(
        command_of("serve", str(folder), "--port", "0"),
        env=environment_of(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline()
    assert list(data.glob("serving-*.json"))
    server.terminate()
    _, err = server.communicate(timeout=60)
    assert server.returncode == 0, err
    assert b"Traceback" not in err
    # The last connection to go empties the write-ahead log.
    assert not [*data.glob("serving-*.json"), *data.glob("*.sqlite3-wal")]


def test_the_help_of_serve_names_the_address_that_describes_the_api(tmp_path: Path) -> None:
    shown = run(tmp_path / "d", ["serve", "--help"]).out
    assert "/openapi.json" in shown
    assert "/docs" not in shown


def test_serving_other_machines_needs_a_token(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["serve", "--host", "::", "--port", "0"])
    assert done.code == 10
    assert "loras token create" in done.err
