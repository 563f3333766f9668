"""Random queries and records of a small world, so that they have a good chance to meet."""

from __future__ import annotations

from hypothesis import strategies as st

from registry.search.fields import SORTS, TABLE, Field, Kind
from registry.search.nodes import Known, Match, Node, Query, Saved, Sort, Text, Value
from registry.search.query import parse
from registry.search.trees import all_of, any_of, groups, negated
from registry.search.units import DATES
from registry.search.values import UnreadableError, between, exact
from registry.views import SearchFile, SearchRecord

WORDS = (
    *("detail", "Tweaker", "DetailTweakerXL_v2", "détail", "long hair", "red_dress", "v1.5", "don't"),
    *("红裙", "漢服", "汉服", "猫", "盲盒", "Baby Roy盲盒", "saber_(fate)", 'a"b', "none", "OR"),
    *(":)", ">_<", "x*", "*", "-x", "a,b", ""),
)
PIECES = (
    *WORDS,
    *(row.name for row in TABLE),
    *("sort", "saved", "OR", "AND", "8", "1e-4", "200mb", "2024-05", "-7d", "832x1216", "yes", "abcdef12"),
    *(":", " ", "  ", "(", ")", "-", '"', "“", "”", ",", "..", ">", "<", ">=", "≤", "=", "*", "style/anime"),
    *("\uff1a", "\uff08", "\uff09", "\uff0c", "\uff1e", "\x00", "\ud800", "\n", "\u3000"),
)
TYPED = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
HEX = "0123456789abcdef"

TEXTS = st.sampled_from(WORDS) | st.text(max_size=12)
_LONG = st.integers(-(2**63), 2**63 - 1)
_SMALL = st.integers(0, 40)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0001, 1e-5, 8.0, 0.5])
_BOUNDS = {
    Kind.INTEGER: _SMALL | _LONG,
    Kind.NUMBER: _FLOATS,
    Kind.SIZE: _SMALL.map(lambda n: n << 20) | _SMALL.map(lambda n: (n << 20) - 1) | _LONG,
    Kind.DATE: st.integers(DATES[0], DATES[-1]) | st.integers(0, 60_000).map(lambda day: day * 86_400_000),
    Kind.RESOLUTION: st.sampled_from([512, 768, 1024]) | _LONG,
}
_WORDS_OF = {
    Kind.FLAG: st.sampled_from(["yes", "no"]),
    Kind.HASH: st.text(HEX, min_size=8, max_size=64),
    Kind.RESOLUTION: st.sampled_from(["832x1216", "1024x1024", "7x9"]),
    Kind.FOLDER: st.sampled_from(["", "style", "style/anime", "Style/Änime x"]).map("/{}".format) | TEXTS,
}


@st.composite
def _values(draw: st.DrawFn, row: Field) -> Value:
    if draw(st.integers(0, 9)) == 0:
        known = draw(st.booleans())
        return exact(row, "none") if not known and "none" in row.names else Known(known)
    try:
        if row.kind in _BOUNDS and not (row.kind is Kind.RESOLUTION and draw(st.booleans())):
            bounds = st.none() | _BOUNDS[row.kind]
            low, high = draw(bounds), draw(bounds)
            if low is None and high is None:
                return Known(known=True)
            low_open, high_open = draw(st.booleans()), draw(st.booleans())
            return between(row, low, high, low_open=low_open, high_open=high_open)
        prefix = row.kind not in {Kind.FLAG, Kind.HASH, Kind.RESOLUTION} and draw(st.booleans())
        return exact(row, _clean(draw(_WORDS_OF.get(row.kind, TEXTS))), prefix=prefix)
    except UnreadableError:
        return Known(known=True)


def _clean(text: str) -> str:
    return "".join(c for c in text if c not in "\x00\ufeff\u200b\u2060" and not "\ud800" <= c <= "\udfff")


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """Return what asks for values of a field."""
    row = draw(st.sampled_from(TABLE))
    return Match(row.name, tuple(dict.fromkeys(draw(st.lists(_values(row), min_size=1, max_size=3)))))


@st.composite
def words(draw: st.DrawFn) -> Node:
    """Return what asks for a word or phrase, such as can be typed."""
    text, prefix, phrase = _clean(draw(TEXTS)).strip(), draw(st.booleans()), draw(st.booleans())
    node = Text(text, prefix, phrase)
    typed = text + "*" * prefix if not phrase else '"' + text.replace('"', '""') + '"' + "*" * prefix
    if parse(typed, 0).query.where == node:
        return node
    return Text("detail", prefix, phrase)


LEAVES = words() | matches()
SAVED = st.sampled_from(["mine", "two words", 'a"b', "x,y", "none"]).map(Saved)


def trees(leaves: st.SearchStrategy[Node] = LEAVES) -> st.SearchStrategy[Node]:
    """Return trees as the parser makes them."""

    def larger(smaller: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        some = st.lists(smaller, min_size=1, max_size=4)
        return some.map(all_of) | some.map(any_of) | smaller.map(negated)

    return st.recursive(leaves, larger, max_leaves=12).filter(lambda node: groups(node) <= 20)


SORTINGS = st.none() | st.builds(Sort, st.sampled_from(SORTS), st.booleans()) | st.just(Sort("relevance"))
QUERIES = st.builds(Query, st.none() | trees(LEAVES | SAVED), SORTINGS)

_MAYBE = st.none() | _SMALL
_FOLDERS = st.sampled_from(["", "style", "style/anime", "Style/Änime X"])
FILES = st.builds(
    SearchFile,
    root_id=st.just(1),
    root=st.sampled_from(["loras", "Backup"]),
    path=_FOLDERS.map(lambda folder: f"{folder}/x.safetensors"),
    folder=_FOLDERS,
    name=st.sampled_from(WORDS),
    state=st.sampled_from(["present", "missing"]),
    hashed=st.booleans(),
    hashes=st.lists(st.text(HEX, min_size=8, max_size=8), max_size=2).map(tuple),
    verdicts=st.sampled_from([(), ("match",), ("differs", "match")]),
    companions=st.sampled_from([(), ("preview",)]),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "architecture": st.sampled_from(["sdxl", "flux1", "unknown", "none"]),
        "adapter": st.sampled_from(["lora", "lokr", "none"]),
        "rank": _MAYBE,
        "alpha": st.none() | _FLOATS,
        "learning_rate": st.none() | st.sampled_from([1e-4, 1e-5]),
        "resolution_width": st.sampled_from([None, 512, 832, 1024]),
        "resolution_height": st.sampled_from([None, 512, 1216, 1024]),
        "optimizer": TEXTS,
        "title": TEXTS,
        "comment": TEXTS,
        "finished_at": st.integers(0, 2_000_000_000_000),
    },
)
RECORDS = st.builds(
    SearchRecord,
    id=_SMALL,
    kind=st.sampled_from(["lora", "checkpoint"]),
    name=st.sampled_from(WORDS),
    size=_SMALL.map(lambda n: n << 20),
    date=st.integers(0, 2_000_000_000_000),
    added=st.integers(0, 2_000_000_000_000),
    files=st.lists(FILES, min_size=1, max_size=3).map(tuple),
    header=HEADERS,
    targets=st.sampled_from([(), ("unet", "te1")]),
    claimed=st.lists(st.sampled_from(WORDS), max_size=2).map(tuple),
    datasets=st.lists(st.sampled_from(WORDS), max_size=2).map(tuple),
    tags=st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 99)), max_size=4).map(tuple),
    description=st.none() | TEXTS,
)
