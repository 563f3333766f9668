"""The verdict on a header equals that of the installed safetensors library, for at least 10,000 headers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.formats.safetensors import DTYPE_BITS, header_span, parse

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

HEADERS = 10_000
PER_EXAMPLE = 40

DTYPES = [*DTYPE_BITS]
SHAPES = ["[]", "[1]", "[0]", "[2,3]", "[8]", "[4, 2]", "[ 3,\n1 ]", "[0,5]", "[16,1,1]"]
NAMES = [
    "a",
    "b",
    "a.b.c",
    "",
    "../../x",
    "ключ",
    "\\u0061",
    "a\\/b",
    '\\"q\\"',
    "\\ud83d\\ude00",
    "\x7f",
    "-0",
    " -0",
]

ODD_NAMES = [
    "\\ud800",
    "\\udc00x",
    "\\ud83d\\u0041",
    "\t",
    "\\x",
    "\\u00zz",
    "__metadata__",
    "__meta\\u0064ata__",
]
ODD_DTYPES = [
    '"f32"',
    '"F128"',
    '"I4"',
    '"F\\u00332"',
    '{"F32":null}',
    '{"F32":{}}',
    '{"F32":null,"U8":null}',
    '{"F32":null,"F32":null}',
    '["F32"]',
    "null",
    "0",
    '""',
]
NUMBERS = [
    "-0",
    "-1",
    "1.0",
    "1e0",
    "01",
    "+1",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "4611686018427387904",
    "1" * 400,
    "1" + "0" * 308,
    "9" * 309,
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.797693134862315708145274237317043567980e308",
    "17976931348623157e292",
    "179769313486231570000e288",
    "18446744073709551615e289",
    "0.01e310",
    "1e309",
    "-1e309",
    "1e-400",
    "0e99999999999999999999",
    "1e99999999999999999999",
    "1e-99999999999999999999",
    "1" * 400 + ".5e-300",
    "0." + "1" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "-",
    "1.",
    ".5",
    "1E",
    "0x1",
    "true",
    "null",
    '"1"',
    "[]",
    "{}",
]
ODD_SHAPES = [
    "null",
    '""',
    "{}",
    '"8"',
    "[[]]",
    "[8,]",
    "[,8]",
    "[18446744073709551615,2,0]",
    "[0,18446744073709551615,2]",
    "[-1,1,-2]",
    "[-2,-1]",
    "[[2]]",
    "[[0],9000000000000000]",
    '["x",2]',
    '["x",18446744073709551615]',
    '["x",700000000]',
    f"[{','.join(['1'] * 65)}]",
    f"[{','.join(['18446744073709551615'] * 20)}]",
]
ODD_DIMENSIONS = ["-1", "-1", "-1", "-2", "1.0", "1e0", "-0", '"x"', '""', "[1]", "[]", "{}", "true", "null"]
ODD_ENTRIES = ["null", "1", '""', "{}", "[]", "true", '"F32"', "[[]]"]
EXTRAS = [
    '"x":1',
    '"x":1,"x":2',
    '"x":{"dtype":"F32","dtype":1}',
    '"x":"\\ud800"',
    '"x":"\\u0000"',
    '"x":"\x01"',
    '"dtype":"F32"',
    '"shape":[1]',
    '"data_offsets":[0,0]',
    '"d\\u0074ype":"F32"',
    '"x":"-0"',
    *(f'"x":{"[" * deep}{"]" * deep}' for deep in (1, 124, 125, 126, 127, 200, 1100)),
    *('"x":' + '{"k":' * deep + "1" + "}" * deep for deep in (2, 124, 125, 126, 127)),
]
METADATA = [
    "{}",
    '{"format":"pt"}',
    '{"ss_tag_frequency":"{\\"1_a\\": {\\"b\\": 3}}","date":"2023-09-18 -0"}',
    '{"a":"b","a":"c"}',
    '{"":"","\\u0000":"\\u0000","\\n":"\\n"}',
    '{"a":"[-0, 1]"}',
    '{"a":"\\u0022","a":""}',
    "null",
]
ODD_METADATA = [
    "[]",
    '[["a","b"]]',
    "1",
    '"a"',
    '{"a":1}',
    '{"a":null}',
    '{"a":["b"]}',
    '{"a":{}}',
    '{"a":1,"a":"b"}',
    '{"a":"\\ud800"}',
    '{"\\udfff":"b"}',
    '{"a":NaN}',
    '{"a":1e999}',
    '{"a":"b",}',
    "{'a':'b'}",
    '{"a":"\x00"}',
    "{" * 130,
]
FRAMES = [("", ""), (" ", ""), ("", "   "), ("\n\t\r ", "\n"), ("", " " * 7)]
ODD_FRAMES = [
    ("", "\0"),
    ("", "\0\0\0\0"),
    ("\ufeff", ""),
    ("", "x"),
    ("\x0c", ""),
    ("", "\u00a0"),
    ("", "{}"),
    ("[", "]"),
    ("//\n", ""),
]
NOT_UTF8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]
FAULTS = (
    "none",
    "name",
    "dtype",
    "shape",
    "dimension",
    "odd dimensions",
    "offset",
    "extra",
    "missing",
    "array",
    "long array",
    "entry",
    "repeat tensor",
    "repeat metadata",
    "metadata",
    "frame",
    "bytes",
    "hole",
    "overlap",
    "length",
    "data",
    "cut",
    "order",
)


class Made(NamedTuple):
    """A whole file, small enough to be held in memory."""

    raw: bytes


def _elements(shape: str) -> int:
    product = 1
    for part in shape.strip("[] \n").split(","):
        product *= int(part) if part.strip() else 1
    return product


@st.composite
def files(draw: st.DrawFn) -> Made:
    faults = draw(st.sets(st.sampled_from(FAULTS), max_size=3))
    count = draw(st.sampled_from([1, 2, 3, 0, 1, 2]))
    at = draw(st.integers(0, max(0, count - 1)))
    end = 0
    entries: list[str] = []
    for index in range(count):
        struck = faults if index == at else frozenset()
        entry, end = _entry(draw, index, end, struck)
        entries.append(entry)
    if "repeat tensor" in faults and entries:
        entries.append(draw(st.sampled_from([entries[0], '"a":1', '"a":["U8",[0],[0,0]]', entries[-1]])))
    if "order" in faults:
        entries.reverse()
    if draw(st.booleans()) or "metadata" in faults:
        choices = ODD_METADATA if "metadata" in faults else METADATA
        key = draw(st.sampled_from(['"__metadata__"', '"__metadata__" ', '"__meta\\u0064ata__"']))
        entries.insert(draw(st.integers(0, len(entries))), f"{key}:{draw(st.sampled_from(choices))}")
        if "repeat metadata" in faults:
            entries.append(f'"__metadata__":{draw(st.sampled_from(METADATA))}')
    before, after = draw(st.sampled_from(ODD_FRAMES if "frame" in faults else FRAMES))
    header = f"{before}{{{','.join(entries)}}}{after}".encode("utf-8", "surrogatepass")
    if "bytes" in faults:
        place = draw(st.integers(0, len(header)))
        header = header[:place] + draw(st.sampled_from(NOT_UTF8)) + header[place:]
    if "cut" in faults:
        header = header[: draw(st.integers(0, len(header)))]
    length = len(header)
    if "length" in faults:
        length = max(0, length + draw(st.sampled_from([-length, -1, 1, 8, 1000, 99_999_000, 2**27, 2**62])))
    data = end
    if "data" in faults:
        data = max(0, data + draw(st.sampled_from([-end, -1, 1, 8])))
    raw = struct.pack("<Q", length) + header + bytes(data)
    return Made(raw[: draw(st.integers(0, 9))] if {"length", "cut"} <= faults else raw)


def _entry(draw: st.DrawFn, index: int, start: int, faults: AbstractSet[str]) -> tuple[str, int]:
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES))
    if "entry" in faults:
        return f'"e":{draw(st.sampled_from(ODD_ENTRIES))}', start
    end = start + (_elements(shape) * DTYPE_BITS[dtype] + 7) // 8
    if "hole" in faults:
        start, end = start + 1, end + 1
    if "overlap" in faults:
        start = max(0, start - 1)
    name = draw(st.sampled_from(ODD_NAMES)) if "name" in faults else f"{draw(st.sampled_from(NAMES))}{index}"
    kind = draw(st.sampled_from(ODD_DTYPES)) if "dtype" in faults else f'"{dtype}"'
    offsets = _offsets(draw, start, end) if "offset" in faults else f"[{start},{end}]"
    shape = _shape(draw, shape, faults)
    fields = [f'"dtype":{kind}', f'"shape":{shape}', f'"data_offsets":{offsets}']
    if "extra" in faults:
        number = st.sampled_from(NUMBERS).map(lambda text: f'"x":{text}')
        fields.insert(draw(st.integers(0, 3)), draw(st.sampled_from(EXTRAS) | number))
    if "missing" in faults:
        del fields[draw(st.integers(0, 2))]
    entry = "{" + ",".join(fields) + "}"
    if "array" in faults:
        entry = f"[{kind},{shape},{offsets}]"
    if "long array" in faults:
        entry = draw(st.sampled_from([f"[{kind},{shape}]", f"[{kind},{shape},{offsets},1]", "[]"]))
    return f'"{name}":{entry}', end


def _shape(draw: st.DrawFn, shape: str, faults: AbstractSet[str]) -> str:
    if "shape" in faults:
        shape = draw(st.sampled_from(ODD_SHAPES))
    if "dimension" in faults:
        shape = f"[{draw(st.sampled_from(NUMBERS))},{draw(st.sampled_from(['1', '0']))}]"
    if "odd dimensions" in faults:
        # Two of -1 leave the number of elements as it is.
        odd = st.sampled_from(ODD_DIMENSIONS)
        shape = f"[{','.join(part for part in (draw(odd), shape.strip('[] '), draw(odd)) if part)}]"
    return shape


def _offsets(draw: st.DrawFn, start: int, end: int) -> str:
    odd = draw(st.sampled_from(NUMBERS))
    return draw(
        st.sampled_from([f"[{odd},{end}]", f"[{start},{odd}]", f"[{start}]", f"[{start},{end},{end}]"])
    )


def deserialize(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(raw)  # type: ignore[no-untyped-call] # the library ships no types
    return found


def reference(raw: bytes, path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, str]] | None:
    """Return names, types, shapes and metadata as the library reads them, or `None` where it refuses."""
    path.write_bytes(raw)
    try:
        with safetensors.safe_open(path, framework="np") as opened:
            metadata = opened.metadata() or {}
            names = set(opened.keys())
    except safetensors.SafetensorError:
        with pytest.raises(safetensors.SafetensorError):
            deserialize(raw)
        return None
    tensors = {name: (info["dtype"], tuple(info["shape"])) for name, info in deserialize(raw)}
    assert set(tensors) == names
    return tensors, metadata


def ours(raw: bytes) -> tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, str]] | None:
    header = parse(raw[: header_span(raw[:8], len(raw))], len(raw))
    if not header.verdict.accepted:
        assert header.verdict.cause
        assert header.verdict.detail
        return None
    return {name: (each.dtype, each.shape) for name, each in header.tensors.items()}, dict(header.metadata)


def pieces() -> list[bytes]:
    """Return a small file for each odd piece by itself, so that none is left to chance."""

    def entry(dtype: str = '"U8"', shape: str = "[2]", offsets: str = "[0,2]", extra: str = "") -> str:
        return f'"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{extra}}}'

    numbers = [f'"x":{number}' for number in NUMBERS]
    headers = [
        *(f'{{"{name}":["U8",[2],[0,2]]}}' for name in NAMES + ODD_NAMES),
        *(f"{{{entry(dtype=dtype, shape='[0]', offsets='[0,0]')}}}" for dtype in ODD_DTYPES),
        *(f"{{{entry(shape=shape)}}}" for shape in SHAPES + ODD_SHAPES),
        *(f"{{{entry(shape=f'[0,{number}]', offsets='[0,0]')}}}" for number in NUMBERS),
        *(f"{{{entry(shape=f'[{number},0]', offsets='[0,0]')}}}" for number in NUMBERS),
        *(f"{{{entry(shape=f'[{odd},2,{odd}]')}}}" for odd in ODD_DIMENSIONS),
        *(f"{{{entry(shape=f'[2,{odd}]')}}}" for odd in ODD_DIMENSIONS),
        *(f"{{{entry(offsets=f'[{number},2]')}}}" for number in NUMBERS),
        *(f"{{{entry(offsets=f'[0,{number}]')}}}" for number in NUMBERS),
        *(f"{{{entry(extra=',' + extra)}}}" for extra in EXTRAS + numbers),
        *(f'{{"a":{odd}}}' for odd in ODD_ENTRIES),
        *(f'{{"__metadata__":{value},{entry()}}}' for value in METADATA + ODD_METADATA),
        *(f'{{{entry()},"__meta\\u0064ata__":{value}}}' for value in METADATA + ODD_METADATA),
        *(f'{{"__metadata__":{value},"__metadata__":{{}}}}' for value in METADATA),
        *(f"{before}{{{entry()}}}{after}" for before, after in FRAMES + ODD_FRAMES),
        *(
            f"{{{first},{entry()}}}"
            for first in (entry(), entry(shape="[3]"), '"a":1', '"a":["U8",[0],[0,0]]')
        ),
    ]
    encoded = [header.encode("utf-8", "surrogatepass") for header in headers]
    encoded += [b'{"' + broken + b'":["U8",[2],[0,2]]}' for broken in NOT_UTF8]
    return [struct.pack("<Q", len(header)) + header + bytes(size) for header in encoded for size in (0, 2)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("differential") / "made.safetensors"


@settings(
    max_examples=HEADERS // PER_EXAMPLE,
    deadline=None,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(made=st.lists(files(), min_size=PER_EXAMPLE, max_size=PER_EXAMPLE))
def test_verdict_and_content_equal_those_of_the_library(made: list[Made], file: Path) -> None:
    for each in made:
        assert ours(each.raw) == reference(each.raw, file), each.raw


@pytest.mark.parametrize("dimension", ["0", "1", "2", "18446744073709551615", "-1", '"x"'])
def test_a_shape_of_very_many_dimensions_is_judged_as_the_library_judges_it(
    file: Path, dimension: str
) -> None:
    shape = ",".join([dimension] * 100_000)
    header = f'{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,1]}}}}'.encode()
    raw = struct.pack("<Q", len(header)) + header + bytes(1)

    assert ours(raw) == reference(raw, file)


def test_every_odd_piece_by_itself_is_judged_as_the_library_judges_it(file: Path) -> None:
    for raw in pieces():
        assert ours(raw) == reference(raw, file), raw
