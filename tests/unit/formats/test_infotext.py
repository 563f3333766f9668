from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.formats.infotext import (
    Infotext,
    lora_hashes,
    lora_tag,
    plain_name,
    read_infotext,
    write_infotext,
)

WRITTEN = """ink wash, a heron <lora:ink:0.8>
Negative prompt: lowres, text
Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1234, Size: 512x768, Model hash: 6ce0161689, \
Lora hashes: "ink: 0123456789ab, other: ba9876543210", Version: v1"""


def test_a_picture_of_a1111_is_read_and_written_back_to_the_letter() -> None:
    told = read_infotext(WRITTEN)
    assert told.prompt == "ink wash, a heron <lora:ink:0.8>"
    assert told.negative == "lowres, text"
    assert told.parameters["Sampler"] == "DPM++ 2M"
    assert told.parameters["Lora hashes"] == "ink: 0123456789ab, other: ba9876543210"
    assert list(told.parameters)[-1] == "Version"
    assert write_infotext(told) == WRITTEN


def test_prompts_have_lines_and_a_last_line_that_only_looks_like_parameters_is_one() -> None:
    told = read_infotext("one\ntwo\nNegative prompt: three\nfour\nSteps: 1, Seed: 2, Size: 8x8")
    assert (told.prompt, told.negative) == ("one\ntwo", "three\nfour")
    assert read_infotext("a cat: black, a dog: white").parameters == {}
    assert read_infotext("a cat: black, a dog: white").prompt == "a cat: black, a dog: white"
    assert read_infotext("") == Infotext("")


def test_names_of_loras_lose_what_would_end_them() -> None:
    assert plain_name("a:b,<c>\nd 水墨") == "abcd 水墨"
    assert lora_tag("ink: v2", 0.8) == "<lora:ink v2:0.8>"
    assert lora_tag("ink", 1.0) == "<lora:ink:1>"
    assert lora_hashes([("a,b", "0" * 64), ("c", "f" * 64)]) == "ab: 000000000000, c: ffffffffffff"


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=20
)
NAMES = st.from_regex(r"[A-Z][a-z]{0,10}", fullmatch=True)


@given(VALUES, VALUES, st.dictionaries(NAMES, VALUES, min_size=3, max_size=6))
def test_what_is_written_is_read(prompt: str, negative: str, parameters: dict[str, str]) -> None:
    told = Infotext(prompt, negative, parameters)
    read = read_infotext(write_infotext(told))
    assert read.parameters == parameters
    if not prompt.startswith("Negative prompt:"):
        assert (read.prompt, read.negative) == (prompt, negative)


@given(st.text(max_size=300))
def test_whatever_a_stranger_writes_is_read(text: str) -> None:
    read = read_infotext(text)
    assert len(read.prompt) + len(read.negative) <= len(text)


def test_a_line_made_to_take_for_ever_takes_none() -> None:
    for line in (" " * 500_000, "a " * 250_000 + ":", "a:" * 250_000, "x" * 19_999):
        assert read_infotext(f"a cat\n{line}").parameters == {}
