"""`loras search` on real files: what it finds, how it is asked in a shell, what it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cli.queries import requoted
from registry.app import open_registry
from registry.config import load_settings
from registry.search.catchup import Follower
from registry.search.fields import FACETS, SORTS, TABLE
from registry.searching import place_of
from tests.support.files import kohya_lora
from tests.support.program import ROOT, Outcome, command_of, environment_of, run, run_all
from tests.support.served import served, until

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [
    "items",
    "total",
    "facets",
    "warnings",
    "did_you_mean",
    "understood",
    "query",
    "next_cursor",
    "generation",
]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only here may a file name be any bytes")


def make(path: Path, seed: int, **more: Any) -> Path:
    """Write a small LoRA without tags, or with those given."""
    tags = json.dumps({"1_x": more.pop("tags", {})})
    return kohya_lora(
        path, modules=6, seed=seed, metadata={"ss_tag_frequency": tags, **more.pop("metadata", {})}, **more
    )


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of four loras that was searched once."""
    place = tmp_path_factory.mktemp("search")
    folder, data = place / "library", place / "d"
    make(folder / "DetailTweakerXL_v2.safetensors", 1, rank=16)
    make(folder / "styles" / "ink wash.safetensors", 2, rank=32, tags={"long_hair": 9, "1girl": 3})
    make(folder / "汉服_v1.safetensors", 3, tags={"盲盒": 4, "dumbbell\uff0ccylinder": 2, "long_hair": 1})
    make(folder / "wash.safetensors", 4, rank=64, metadata={"ss_training_comment": "made for ink"})
    (folder / "wash.preview.png").write_bytes(b"\x89PNG")
    assert run(data, ["scan", "--no-hash", str(folder)]).code == 0
    assert run(data, ["search"]).code == 0
    return data


def names(done: Outcome) -> list[str]:
    return [item["name"] for item in done.json()["items"]]


ASKED: list[tuple[list[str], set[str]]] = [
    (["detail", "tweaker"], {"DetailTweakerXL_v2"}),
    (["-has:preview", "rank:32.."], {"ink wash"}),
    (["rank:32..", "-has:preview"], {"ink wash"}),
    (["-has:preview", "-tag:long_hair"], {"DetailTweakerXL_v2"}),
    (["--", "-ink", "-detail"], {"汉服_v1"}),
    (["-ink", "--limit", "9", "--", "-detail"], {"汉服_v1"}),
    (["-ink -detail"], {"汉服_v1"}),
    (["--sort", "-rank", "-ink"], {"DetailTweakerXL_v2", "汉服_v1"}),
    (["name:ink wash"], {"ink wash"}),
    (["-name:ink wash", "wash"], {"wash"}),
    (["tag:long hair"], {"ink wash", "汉服_v1"}),
    (["name:wash rank:64"], {"wash"}),
    (["盲盒"], {"汉服_v1"}),
    (["tag:盲盒"], {"汉服_v1"}),
    (["盒"], {"汉服_v1"}),
    (["cylinder"], {"汉服_v1"}),
    (["漢服"], {"汉服_v1"}),
    (["长发"], {"ink wash", "汉服_v1"}),
    ([], {"DetailTweakerXL_v2", "ink wash", "汉服_v1", "wash"}),
]


def test_a_query_is_typed_as_it_is(catalog: Path) -> None:
    answers = run_all(catalog, *(["search", "--json", *arguments] for arguments, _ in ASKED))
    assert [
        (arguments, set(names(done))) for (arguments, _), done in zip(ASKED, answers, strict=True)
    ] == ASKED


@pytest.mark.parametrize(
    ("argument", "query"),
    [
        ("name:detail tweaker", 'name:"detail tweaker"'),
        ("-name:detail tweaker", '-name:"detail tweaker"'),
        ("Tags:long hair,blue eyes", 'Tags:"long hair","blue eyes"'),
        ("title:tokyo, by night", 'title:"tokyo, by night"'),
        ("tag:long hair*", 'tag:"long hair"*'),
        ("folder:my loras/ink", 'folder:"my loras/ink"'),
        ("saved:my best", 'saved:"my best"'),
        ("name:saber (fate)", 'name:"saber (fate)"'),
        ("trigger:re:zero life", 'trigger:"re:zero life"'),
        # As they were typed.
        ("detail tweaker", "detail tweaker"),
        ("re:zero starting life", "re:zero starting life"),
        ("name:detail", "name:detail"),
        ('name:"detail tweaker"', 'name:"detail tweaker"'),
        ('tag:x "detail tweaker"', 'tag:x "detail tweaker"'),
        ("name:ink arch:sdxl", "name:ink arch:sdxl"),
        ("name:ink -has:preview", "name:ink -has:preview"),
        ("name:ink OR wash", "name:ink OR wash"),
        ("name:ink (rank:8 wash)", "name:ink (rank:8 wash)"),
        ("rank:32 detail", "rank:32 detail"),
        ("arch:sdxl detail", "arch:sdxl detail"),
        ("(name:ink wash)", "(name:ink wash)"),
        ("name: ", "name: "),
        ("", ""),
    ],
)
def test_quotes_that_the_shell_took_come_back(argument: str, query: str) -> None:
    assert requoted(argument) == query


def test_json_is_what_the_api_answers(catalog: Path) -> None:
    one, with_tree = run_all(
        catalog,
        ["search", "--json", "wash", "--facets", "rank, tag", "--limit", "1"],
        ["search", "--json", "wash", "--explain"],
    )
    found = one.json()
    assert list(found) == [*KEYS, "took_ms", "withheld"]
    assert (len(found["items"]), found["total"], found["query"], found["warnings"]) == (1, 2, "wash", [])
    assert [facet["field"] for facet in found["facets"]] == ["rank", "tag"]
    assert found["next_cursor"]
    assert with_tree.json()["tree"] == {"where": {"text": "wash", "prefix": False}, "sort": None}


def test_people_get_a_table_and_what_was_understood_below(catalog: Path) -> None:
    done = run(catalog, ["search", "wash", "--limit", "1"])
    assert done.code == 0
    head, line = done.out.splitlines()
    assert head.split() == ["ID", "NAME", "ARCHITECTURE", "ADAPTER", "RANK", "SIZE", "DATE", "STATE"]
    assert "wash" in line
    assert "present" in line
    assert done.err.startswith("1 of 2, understood: Loras matching “wash”")
    assert "\x1b" not in done.out + done.err


def test_facets_are_tables_with_bars(catalog: Path) -> None:
    out = run(catalog, ["search", "--facets", "rank,arch,tag"]).out
    assert re.search(r"^RANK +LORAS\n16 +1  █+\n", out, re.MULTILINE)
    assert re.search(r"^sd15 +4  █+  Stable Diffusion", out, re.MULTILINE)
    assert re.search(r"^long_hair +2  █+  长发$", out, re.MULTILINE)
    assert "counted in a sample of 4" in out
    plain = run(catalog, ["search", "--facets", "rank"], {"PYTHONIOENCODING": "ascii"}).out
    assert plain.isascii()
    assert re.search(r"^64 +1  #+$", plain, re.MULTILINE)


def test_a_query_is_explained(catalog: Path) -> None:
    out = run(catalog, ["search", "-has:preview", "rank:>8", "--sort", "-size", "--explain"]).out
    told = dict(re.findall(r"^([a-z ]+?)  +(.+)$", out.partition("\n\n")[2], re.MULTILINE))
    assert set(told) == {"understood", "read as", "tree", "sort", "generation", "time"}
    assert told["read as"] == "-has:preview rank:9.."
    assert json.loads(told["tree"])["where"]["and"][0]["not"]["field"] == "has"
    assert told["sort"] == "size, descending"
    assert told["generation"].isdecimal()


def test_what_a_shell_took_for_itself_is_told(catalog: Path) -> None:
    done = run(catalog, ["search", "rank:"])
    assert done.code == 0
    assert "loras: “rank:” was ignored" in done.err
    assert "shell" in done.err
    assert "rank:32.." in done.err


@pytest.mark.parametrize(
    "arguments",
    [["wahs", "name:ink wash"], ["folder:styles", "wahs"], ["folder:styles wash"]],
    ids=["misspelt", "misspelt behind a field", "quoted by us"],
)
def test_what_was_meant_is_a_command_to_type(catalog: Path, arguments: list[str]) -> None:
    done = run(catalog, ["search", *arguments])
    assert (done.code, done.out) == (0, "")
    command = shlex.split(done.err.strip().rpartition("nothing was found; did you mean: ")[2])
    assert command[:2] == ["loras", "search"]
    assert names(run(catalog, ["search", "--json", *command[2:]])) == ["ink wash"]


def test_where_nothing_is_near_nothing_is_proposed(catalog: Path) -> None:
    done = run(catalog, ["search", "xylophone"])
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("\nnothing was found\n")


def test_an_empty_catalog_says_how_to_fill_it(tmp_path: Path) -> None:
    done = run(tmp_path / "d", ["search", "ink"])
    assert (done.code, done.out) == (0, "")
    assert "loras scan DIR" in done.err
    found = run(tmp_path / "d", ["search", "ink", "--json"]).json()
    assert (found["items"], found["total"]) == ([], 0)


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [(["--sort", "foo"], ["relevance", *SORTS]), (["--facets", "rank,foo"], ["all", "tag", *FACETS])],
    ids=["sort", "facet"],
)
def test_a_wrong_sort_or_facet_lists_what_there_is(
    tmp_path: Path, arguments: list[str], listed: list[str]
) -> None:
    done, told = run_all(
        tmp_path / "d", ["search", "ink", *arguments], ["search", "ink", *arguments, "--json"]
    )
    assert (done.code, done.out) == (2, "")
    assert "'foo'" in done.err
    assert re.findall(r"[a-z_]+", done.err.splitlines()[1])[2:] == listed
    assert json.loads(told.err)["error"] == "bad-request"


def test_wrong_options_are_no_query(tmp_path: Path) -> None:
    wrong = [["--lmit", "3"], ["--limit", "0"], ["--limit", "1001"]]
    answers = run_all(tmp_path / "d", *(["search", "ink", *line] for line in wrong))
    for line, done in zip(wrong, answers, strict=True):
        assert (done.code, done.out) == (2, "")
        assert line[0] in done.err
        assert "loras search --help" in done.err


def test_every_field_is_listed(tmp_path: Path) -> None:
    listed = run(tmp_path / "d", ["search", "--help-fields", "--json"]).json()["items"]
    assert [row["name"] for row in listed] == [row.name for row in TABLE]
    assert list(listed[0]) == ["name", "aliases", "kind", "help", "example", "facet", "sort"]
    assert [row["name"] for row in listed if row["facet"]] == [
        row.name for row in TABLE if row.name in {*FACETS, "tag"}
    ]
    shown = run(tmp_path / "d", ["search", "--help-fields"]).out
    for row in TABLE:
        assert f"  {row.help}: {row.example}\n" in shown
        assert re.search(rf"^{row.name} .*{re.escape(', '.join(row.aliases))}$", shown, re.MULTILINE)
    assert not (tmp_path / "d").exists()


def test_the_help_has_examples_that_a_shell_leaves_alone(tmp_path: Path) -> None:
    shown = run(tmp_path / "d", ["search", "--help"]).out
    examples = [line.strip() for line in shown.splitlines() if line.strip().startswith("loras search ")]
    assert len(examples) > 3
    assert "rank:32.." in shown
    for example in examples:
        assert not set("<>") & set(example)
        assert shlex.split(example)[:2] == ["loras", "search"]


@LINUX
def test_hostile_names_and_queries_are_plain_text(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    hostile = ["ink\x1b[31m red", "ink\u202egnp", "ink\nforged  line", "[bold]ink[/bold]", "ink'; rm -rf"]
    for number, name in enumerate(hostile):
        make(folder / f"{name}.safetensors", number)
    raw = os.fsencode(folder) + b"/ink bad\xff.safetensors"
    os.replace(make(tmp_path / "x.safetensors", 99), raw)  # noqa: PTH105 - bytes
    assert run(data, ["scan", "--no-hash", str(folder)]).code == 0
    done = run(data, ["search", "ink", "--facets", "all"])
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert len(done.out.split("\n\n")[0].splitlines()) == 1 + len(hostile) + 1
    assert "ink\\x1b[31m red" in done.out
    queries = [b"\x1b[2J\xe2\x80\xae ink", b"bad\xff\xfe", b"name:\x1b[2J x", b"(((", b'"', b"rank:\x1b[2J"]
    lines = [[b"search", query, option] for query in queries for option in (b"--explain", b"--json")]
    for told in run_all(data, *lines):
        assert told.code == 0, told.err
        assert "\x1b" not in told.out + told.err
        assert "\u202e" not in told.err


def on_terminal(
    data: Path, arguments: list[str], more: dict[str, str], *, columns: int = 120, stream: str = "stdout"
) -> str:
    """Return what the program writes to a terminal that one of its streams is."""
    ours, theirs = os.openpty()
    fixed = {"COLUMNS": str(columns), "TERM": "xterm-256color", "NO_COLOR": "", **more}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    program = subprocess.Popen(
        command_of(*arguments),
        env=environment_of(data, fixed),
        cwd=ROOT,
        stdout=streams["stdout"],
        stderr=streams["stderr"],
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # how Linux tells that nobody writes any more
        pass
    os.close(ours)
    assert program.wait(60) == 0
    return written.decode().replace("\r\n", "\n")


@pytest.mark.skipif(os.name != "posix", reason="terminals of this kind")
def test_words_are_marked_on_a_terminal_unless_colours_are_switched_off(catalog: Path) -> None:
    shown = on_terminal(catalog, ["search", "detail", "OR", "漢服"], {})
    assert "\x1b[1;33mDetail\x1b[0mTweakerXL_v2" in shown
    assert "\x1b[1;33m汉服\x1b[0m_v1" in shown
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        bare = on_terminal(catalog, ["search", "detail", "OR", "漢服"], more)
        assert bare == re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.mark.skipif(os.name != "posix", reason="terminals of this kind")
def test_a_name_that_is_cut_is_marked_up_to_there(catalog: Path) -> None:
    shown = on_terminal(catalog, ["search", "tweaker", "OR", "detail"], {}, columns=80)
    assert "\x1b[1;33mDetailTweak" in shown
    assert re.search("\x1b\\[1;33mDetailTweake?r?\x1b\\[0m[^\n]*…", shown)


@pytest.mark.skipif(os.name != "posix", reason="terminals of this kind")
def test_an_index_is_made_with_a_bar_on_a_terminal(tmp_path: Path) -> None:
    data = tmp_path / "d"
    make(tmp_path / "library" / "ink.safetensors", 1)
    assert run(data, ["scan", "--no-hash", str(tmp_path / "library")]).code == 0
    shown = [on_terminal(data, ["search", "ink"], {}, stream="stderr") for _ in range(2)]
    assert ["making the search index" in each for each in shown] == [True, False]
    assert all("1 of 1, understood" in each for each in shown)


def test_beside_a_process_that_writes_the_index_it_is_only_read(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    make(folder / "ink.safetensors", 1)
    assert run(data, ["scan", "--no-hash", str(folder)]).code == 0
    with open_registry(load_settings(data_dir=data)) as registry:
        follower = Follower(registry.catalog, place_of(registry))
        follower.catch_up()
        make(folder / "wash.safetensors", 2)
        assert run(data, ["scan", "--no-hash"]).code == 0
        beside = run(data, ["search", "--explain"])
        follower.close()
    assert beside.code == 0
    assert "ink" in beside.out
    assert "wash" not in beside.out
    assert re.search(r"^generation +\d+ \(the catalog is at \d+\)$", beside.out, re.MULTILINE)
    assert set(names(run(data, ["search", "--json"]))) == {"ink", "wash"}


def test_beside_a_server_it_answers_as_the_server_does(tmp_path: Path) -> None:
    folder, data = tmp_path / "library", tmp_path / "d"
    make(folder / "ink.safetensors", 1, tags={"盲盒": 1})
    assert run(data, ["scan", str(folder)]).code == 0
    assert run(data, ["search"]).code == 0
    with served(data, str(folder)) as server:
        make(folder / "later.safetensors", 2, tags={"盲盒": 1})
        until(lambda: bool(server.get("/search?q=盲盒")["total"] == 2))
        until(lambda: not server.get("/status")["progress"]["hashing"]["files"])
        beside = server.loras("search", "盲盒", "--json", "--facets", "rank").json()
        theirs = server.get("/search?q=盲盒&facets=rank")
    assert beside["total"] == 2
    assert {**beside, "took_ms": 0, "generation": 0} == {**theirs, "took_ms": 0, "generation": 0}
