"""How fast loras are found: `python -m bench.search [--loras 10000 100000] [--parts engine,paging ...]`.

Over the generated catalog of `bench.search_library`, made once in a temporary folder or in `--place`, which
later runs use again. All times are with warm caches, in milliseconds, and all targets are for 100,000 loras.

- `rebuild`: the index made anew from the catalog in a process of its own: seconds, memory, bytes on disk;
- `engine`: 45 queries of one to three common words, a page of 50; the same with two filters, eight facets
  and the total, beside eight GROUP BYs over the same matches, their ids already in a table, in the tables of
  the catalog and in a narrow copy in memory; two Chinese characters;
- `suggest`: what completes words while they are typed, from one letter on;
- `strings`: 10,000 texts that hypothesis makes, and ten that people and attackers type, each with facets;
- `paging`: the first page and the one at 99 % of the depth, turn by turn, for sorts with few and many ties;
- `http` and `fresh`: see `bench.search_served`.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import statistics
import string
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.ingest import Memory
from bench.search_catalog import catalog_of, url
from bench.search_library import vocabulary
from bench.search_served import measure_served, told
from registry.catalog.engine import Catalog
from registry.levels import load_words
from registry.search.catchup import Follower
from registry.search.index import Place
from registry.search.nodes import Sort
from registry.search.query import parse
from registry.search.service import Searching
from registry.search.translations import load
from tests.support import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry.search.engine import Engine
    from registry.search.nodes import Node

PARTS: Final = ("rebuild", "engine", "suggest", "strings", "paging", "http", "fresh")
QUERIES: Final = 45
ROUNDS: Final = 5
FILTERS: Final = "arch:sdxl,sd15,flux1,sd3 rank:8.."
FACETS: Final = {
    "arch": "header.architecture",
    "base": "header.base_model",
    "adapter": "header.adapter",
    "rank": "header.rank",
    "prec": "header.precision",
    "trainer": "header.trainer",
    "res": "header.resolution_width || 'x' || header.resolution_height",
    "year": "strftime('%Y', lora.mtime_ns / 1000000000, 'unixepoch')",
}
"""Facets, and how SQL has their values."""
PAIRS: Final = ("盲盒", "汉服", "水墨", "少年", "眼睛", "微笑", "机甲", "巫女", "制服", "长发")
TYPED: Final = ("long_hair", "blue_eyes", "dumbbell", "Detail", "1girl", "盲盒", "猫", "tag:lo", "arch:s")
SORTS: Final = (Sort("name"), Sort("date", descending=True), Sort("rank"), Sort("lr"))
STRINGS: Final = 10_000
LONG: Final = 0.1
HOSTILE: Final = (
    "red dress (", "arch:", '"unclosed', ":)", "c++ -", "lora:<x:1>", "s*", "long_h*",
    " ".join(f"{letter}*" for letter in string.ascii_lowercase), "-" * 2000,
)  # fmt: skip
DEPTH: Final = 0.99
TURNS: Final = 60


def timed(work: Callable[[], object]) -> float:
    """Return how long something takes, in seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rounds(works: Iterable[Callable[[], object]]) -> list[float]:
    """Return how long each of some works takes, several times each and the first time not counted."""
    made = list(works)
    for work in made:
        work()
    return [timed(work) for _ in range(ROUNDS) for work in made]


def texts() -> list[str]:
    """Return the queries: one to three words, as common as those of common tags."""
    chance = random.Random(3)
    tags = vocabulary()
    return [
        " ".join(
            chance.choice(tags[int(100 * chance.random() ** 2)].split("_")) for _ in range(1 + number % 3)
        )
        for number in range(QUERIES)
    ]


def tree(text: str) -> Node | None:
    """Return what a text asks for."""
    return parse(text, 0).query.where


def measure_engine(engine: Engine, catalog: Catalog, loras: int) -> dict[str, Any]:
    """Time text queries, bare and with filters and facets, and eight GROUP BYs over the same matches."""
    asked = [tree(text) for text in texts()]
    narrow = [tree(f"{text} {FILTERS}") for text in texts()]
    text = rounds(partial(engine.search, where, limit=50) for where in asked)
    faceted = rounds(partial(engine.search, where, limit=50, facets=list(FACETS)) for where in narrow)
    cjk = rounds(partial(engine.search, tree(pair), limit=50) for pair in PAIRS)
    ours = told(faceted, 20)
    in_catalog, in_memory = (told(took) for took in group_bys(engine, catalog, narrow, loras))
    return {
        "median_share_of_matches": round(
            statistics.median(engine.count(where) for where in asked) / loras, 3
        ),
        "text": told(text, 10),
        "filters_facets_total": {
            **ours,
            "median_share_of_matches": round(
                statistics.median(engine.count(where) for where in narrow) / loras, 3
            ),
            "eight_group_bys": in_catalog,
            "group_bys_to_ours": ratio(in_catalog, ours),
            "target_ratio": 10,
            "eight_group_bys_in_memory": in_memory,
            "those_to_ours": ratio(in_memory, ours),
        },
        "two_chinese_characters": told(cjk, 5),
    }


def group_bys(
    engine: Engine, catalog: Catalog, asked: list[Node | None], loras: int
) -> tuple[list[float], list[float]]:
    """Return how long SQLite takes to count the eight facets of what each of some queries matches.

    First in the tables of the catalog, then in a table in memory that has nothing but these values.
    """
    joined = "lora JOIN header ON header.id = header_id"
    with closing(sqlite3.connect(f"file:{catalog.url.database}?mode=ro", uri=True)) as plain:
        plain.execute("PRAGMA temp_store = MEMORY")
        plain.execute("PRAGMA cache_size = -200000")
        plain.execute("CREATE TEMP TABLE hit (id INTEGER PRIMARY KEY)")
        plain.execute(f"CREATE TEMP TABLE fact (id INTEGER PRIMARY KEY, {', '.join(FACETS)})")
        plain.execute(f"INSERT INTO fact SELECT lora.id, {', '.join(FACETS.values())} FROM {joined}")  # noqa: S608
        ways = [
            [grouped(value, f"{joined} JOIN hit ON hit.id = lora.id") for value in FACETS.values()],
            [grouped(name, "fact JOIN hit USING (id)") for name in FACETS],
        ]
        took: tuple[list[float], list[float]] = [], []
        for where in asked:
            plain.execute("DELETE FROM hit")
            plain.executemany("INSERT INTO hit VALUES (?)", [(key,) for key in engine.sample(where, loras)])
            for way, times in zip(ways, took, strict=True):
                begun = time.perf_counter()
                counted = [dict(plain.execute(query).fetchall()) for query in way]
                times.append(time.perf_counter() - begun)
                agree(engine, where, counted)
    return took


def grouped(value: str, tables: str) -> str:
    """Return the query for the counts of a value."""
    return f"SELECT {value}, count(*) FROM {tables} GROUP BY 1"  # noqa: S608 - all of it is ours


def ratio(slower: dict[str, float], faster: dict[str, float]) -> dict[str, float]:
    """Return how many times the one takes what the other takes."""
    return {name: round(slower[name] / faster[name], 2) for name in ("p50_ms", "p95_ms")}


def agree(engine: Engine, where: Node | None, counted: list[dict[object, int]]) -> None:
    """Make sure that SQL and the engine counted the same."""
    facets = engine.search(where, limit=1, facets=list(FACETS)).facets
    for name, counts in zip(FACETS, counted, strict=True):
        ours = {value.value: value.count for value in facets[name].values}
        if any(counts.get(value, counts.get(number(value))) != hits for value, hits in ours.items()):
            raise SystemExit(f"SQL and the engine count {name} differently: {counts} and {ours}")


def number(text: str) -> object:
    """Return a text as the number that it is, if it is one."""
    return int(text) if text.isdecimal() else text


def measure_suggest(searching: Searching) -> dict[str, Any]:
    """Time what is suggested for each beginning of some words."""
    words = [*TYPED, *{text.rpartition(" ")[2] for text in texts()}]
    typed = sorted({word[:end] for word in words for end in range(1, len(word) + 1)})
    letters = [word for word in typed if len(word) == 1]
    return {
        "beginnings": len(typed),
        **told(rounds(partial(searching.suggest, word) for word in typed), 5),
        "one_letter": told(rounds(partial(searching.suggest, letter) for letter in letters)),
    }


def measure_strings(searching: Searching) -> dict[str, Any]:
    """Time whatever may be typed."""
    took: dict[str, float] = {}

    def ask(text: str) -> None:
        search = partial(searching.search, text, limit=50, facets=["arch", "rank"])
        took[text] = timed(search)
        if took[text] > LONG:
            # The machine may have had other work.
            took[text] = min(timed(search) for _ in range(3))

    made = given(queries.TYPED | st.text(max_size=60) | st.lists(queries.TYPED, max_size=30).map(" ".join))(
        ask
    )
    settings(
        max_examples=STRINGS, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )(made)()  # fmt: skip
    for text in HOSTILE:
        ask(text)
    slowest = max(took, key=took.__getitem__)
    return {
        "strings": len(took),
        **told(took.values()),
        "longest_ms": round(took[slowest] * 1000, 1),
        "target_longest_ms_at_10000_loras": 200,
        "slowest": slowest[:80],
    }


def measure_paging(engine: Engine) -> dict[str, Any]:
    """Time the first page and a deep one, of everything and of what a word finds, for some sorts."""
    word = tree(texts()[0])
    cases = [(None, sort) for sort in SORTS] + [(word, Sort("name"))]
    figures = {}
    for where, sort in cases:
        total = engine.count(where)
        cursor = None
        for _ in range(int(DEPTH * total / 1000)):
            cursor = engine.search(where, sort=sort, limit=1000, cursor=cursor).next_cursor
        first = partial(engine.search, where, sort=sort, limit=50)
        deep = partial(first, cursor=cursor)
        turns = [(timed(first), timed(deep)) for _ in range(TURNS)]
        theirs, ours = (told(took) for took in zip(*turns, strict=True))
        name = f"{sort.field}{' of a word' if where else ''}"
        figures[name] = {
            "matches": total,
            "first": theirs,
            "deep": ours,
            "deep_to_first": ratio(ours, theirs),
        }
    return {**figures, "target_ratio": 2}


def place_of(data: Path) -> Place:
    """Return where the index lies, with levels estimated by the words that the program has by default."""
    return Place(data / "index", load_words(None))


def rebuild(catalog: Catalog, place: Place) -> dict[str, float]:
    """Make the index of a catalog and return what that took."""
    begun, worked = time.perf_counter(), time.thread_time()
    follower = Follower(catalog, place)
    follower.catch_up()
    seconds, own = time.perf_counter() - begun, time.thread_time() - worked
    follower.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "of_which_ours": own}


def measure_rebuild(data: Path, loras: int) -> dict[str, Any]:
    """Make the index anew in a process of its own."""
    program = [sys.executable, "-m", "bench.search", "--rebuild", str(data)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        memory = Memory(process.pid)
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    took = json.loads(out)
    size = sum(each.stat().st_size for each in (data / "index").rglob("*") if each.is_file())
    return {
        "seconds": round(took["seconds"], 2),
        "target_seconds": round(60 * loras / 100_000, 1),
        "cpu_ms_a_lora": round(took["cpu_seconds"] / loras * 1000, 3),
        "of_which_ours": round(took["of_which_ours"] / loras * 1000, 3),
        "memory_mb": round(memory.highest / 1e6, 1),
        "target_memory_mb": 500,
        "bytes_a_lora": round(size / loras),
        "target_bytes_a_lora": 4096,
    }


def measure(data: Path, loras: int, parts: list[str], files: int) -> dict[str, Any]:
    """Return the figures of the parts asked for."""
    catalog = catalog_of(data / "catalog.sqlite3", loras)
    place = place_of(data)
    figures: dict[str, Any] = {"loras": loras}
    if "rebuild" in parts:
        place.forget()
        figures["rebuild"] = measure_rebuild(data, loras)
    # There is nothing to do unless this index is missing, or of another catalog or version.
    with closing(Follower(catalog, place)) as follower:
        follower.catch_up()
    with closing(Searching(catalog, place, load([]))) as searching:
        engine = searching.engine
        if engine.refresh() < 0 or engine.count(None) != loras:
            raise SystemExit("the index does not hold what the catalog does")
        if "engine" in parts:
            figures["engine"] = measure_engine(engine, catalog, loras)
        if "suggest" in parts:
            figures["suggest"] = measure_suggest(searching)
        if "strings" in parts:
            figures["strings"] = measure_strings(searching)
        if "paging" in parts:
            figures["paging"] = measure_paging(engine)
    catalog.close()
    if {"http", "fresh"} & {*parts}:
        queries = [f"{text} {FILTERS}" for text in texts()]
        figures |= measure_served(data, parts, queries, list(FACETS), files)
    return figures


def main() -> None:
    """Run the parts that the command line asks for and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loras", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--place", type=Path, help="where catalogs are kept for other runs")
    parser.add_argument("--files", type=int, default=10_000, help="files that a scan meets meanwhile (http)")
    parser.add_argument("--rebuild", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rebuild:
        catalog = Catalog(url(asked.rebuild / "catalog.sqlite3"))
        print(json.dumps(rebuild(catalog, place_of(asked.rebuild))))
        return
    parts = asked.parts.split(",")
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"there is no part {unknown}")
    with tempfile.TemporaryDirectory(prefix="bench-search-") as name:
        place = asked.place or Path(name)
        figures = [measure(place / f"loras-{loras}", loras, parts, asked.files) for loras in asked.loras]
    print(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
