"""Whatever stands in a sidecar already: what is written is JSON, loses nothing, and is written once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.formats.json_editing import Style, edited
from registry.formats.ours import added, without
from registry.formats.values import json_value
from registry.wire.exports import TABLE, Planned, plan, remembered
from tests.support.exporting import SHA256, VERSION, from_civitai, outgoing, read_from, shown

if TYPE_CHECKING:
    from registry.outgoing import Outgoing

TOOLS = sorted(TABLE)
# Of every tool, so that any mixture may turn up in any file.
KEYS = [
    "description", "sd version", "activation text", "preferred weight", "negative text", "notes",
    "extensions", "modelVersions", "modelId", "modelVersionId", "files", "id", "name", "model", "images",
    "trainedWords",
    "updatedAt", "creator", "civitai", "tags", "usage_tips", "favorite", "exclude", "sha256", "autov3",
    "base_model", "model_name", "file_name", "modelDescription", "preview_nsfw_level", "civitai_deleted",
    "ModelId", "VersionId", "ModelName", "UserTitle", "Tags", "TrainedWords", "Hashes", "Nsfw", "Stats",
    "modelspec.title", "modelspec.name", "modelspec.tags", "modelspec.trigger_phrase", "modelspec.usage_hint",
    "raw", "links", "userNote", "strengthMin", "strengthMax", "type", "baseModel", "word", "url", "user",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["Unknown", "{}", '{"strength":0.5,"more":1}', "{", "red hat", "blue hat, red hat", SHA256, "Pony",
         "https://image.civitai.com/a/original=true/12.jpeg", "2024-06-01T00:00:00.000Z"]
    ),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=12,
)
MEMBERS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), VALUES, max_size=10)
LAYOUTS = st.sampled_from([None, 0, 2, 4, "\t"])
GROUPS = st.lists(
    st.lists(
        st.sampled_from(["red hat", "blue hat", "hat, cap", "<lora:x:1>", "(a, b)", "é"]), max_size=3
    ).map(tuple),
    max_size=3,
).map(tuple)
TYPED = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "Mine", "é"]),
        "notes": st.text(min_size=1, max_size=10),
        "description": st.text(min_size=1, max_size=10),
        "negative_text": st.text(min_size=1, max_size=10),
        "triggers": GROUPS,
        "weight": st.floats(-3, 3),
        "weight_min": st.floats(-3, 3),
        "clip_skip": st.integers(1, 5),
        "favorite": st.booleans(),
        "hidden": st.booleans(),
        "user_tags": st.lists(st.sampled_from(["mine", "hat", "Hat"]), max_size=3).map(tuple),
        "nsfw_level": st.sampled_from([1, 2, 4, 16]),
        "version_id": st.sampled_from([3, 9]),
    },
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file of any of the tools, or of none, laid out in any way."""
    known = draw(MEMBERS)
    if draw(st.booleans()):
        known = {
            **draw(st.sampled_from([VERSION, {"model_name": "y"}, {"ModelId": 2}, {"raw": {}}])),
            **known,
        }
    if draw(st.booleans()):
        known = {"civitai": VERSION, "raw": {"civitai": VERSION}, "modelspec.title": "y", **known}
    indent = draw(LAYOUTS)
    text = json.dumps(known, indent=indent, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "replace")


def sources(typed: dict[str, Any]) -> list[Outgoing]:
    return [outgoing(), outgoing(shown(**typed)), from_civitai(**typed), outgoing(shown(**typed), hashes={})]


@pytest.mark.parametrize("tool", TOOLS)
@settings(deadline=None)
@given(file=st.none() | files(), typed=TYPED)
def test_what_is_written_once_is_not_written_again_and_loses_nothing(
    tool: str, file: bytes | None, typed: dict[str, Any]
) -> None:
    for out in sources(typed):
        planned = plan(tool, file, out)
        if planned.data is None:
            assert planned.changed == ()
            continue
        assert planned.problem is None
        assert plan(tool, planned.data, out) == Planned()
        old = {} if file is None else json.loads(file)
        new = json.loads(planned.data)
        assert [key for key in new if key in old] == list(old)
        assert {key for key in old if repr(old[key]) != repr(new[key])} <= set(planned.changed)
        assert set(planned.changed) <= new.keys()


@pytest.mark.parametrize("tool", TOOLS)
@settings(deadline=None)
@given(file=files())
def test_what_only_the_file_itself_says_changes_nothing(tool: str, file: bytes) -> None:
    facts = TABLE[tool].read(json_value(file.decode()))
    planned = plan(tool, file, read_from(facts))
    assert (planned.data, planned.changed) == (None, ())


@pytest.mark.parametrize("tool", TOOLS)
@settings(deadline=None)
@given(file=st.none() | files(), typed=TYPED)
def test_what_we_wrote_is_nobodys_claim_and_what_was_there_stays_one(
    tool: str, file: bytes | None, typed: dict[str, Any]
) -> None:
    out = from_civitai(**typed)
    planned = plan(tool, file, out)
    if planned.data is None:
        return
    read = TABLE[tool].read
    after = read(json_value(planned.data.decode()))
    ours = remembered(tool, file, planned.data)
    if after is None:
        assert ours == {}
        return
    kept = without(after, ours)
    before = None if file is None else read(json_value(file.decode()))
    assert added(before, kept) == {}
    assert remembered(tool, planned.data, planned.data, ours) == ours


@settings(deadline=None)
@given(
    old=MEMBERS,
    new=MEMBERS,
    indent=LAYOUTS,
    ascii_only=st.booleans(),
    style=st.sampled_from([Style(None, ascii=True), Style(2, ascii=False), Style(4, ascii=True)]),
)
def test_an_edited_text_says_what_is_new_and_all_else_of_it_stays(
    old: dict[str, Any], new: dict[str, Any], indent: Any, ascii_only: Any, style: Style
) -> None:
    text = json.dumps(old, indent=indent, ensure_ascii=ascii_only)
    parsed = json.loads(text)
    whole = {**parsed, **new}
    try:
        changed = edited(text, parsed, whole, style)
    except ValueError:
        assert any(word in json.dumps(new) for word in ("NaN", "Infinity"))
        return
    assert repr(json.loads(changed)) == repr(json.loads(json.dumps(whole)))
    assert edited(changed, whole, whole, style) == changed
    changed.encode()
