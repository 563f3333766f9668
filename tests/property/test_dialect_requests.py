"""Whatever strangers send to the dialects, and whatever stands in a configuration: an answer or a refusal."""

from __future__ import annotations

import contextlib
import json
import ntpath
import posixpath

from hypothesis import assume, given
from hypothesis import strategies as st

from registry.errors import BadRequest, NotFound
from registry.toolpaths import DIALECTS, parse_profile, parse_profiles
from registry.wire import comfyui, invokeai, sdnext, swarmui_models
from tests.support.dialect_entries import entry

ANY_TEXT = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.lists(st.sampled_from(["a", "b.pt", "..", ".", "", "c d", "ä"]), max_size=6).map("/".join)
PARTS = st.text(
    st.characters(exclude_characters="/\\\x00", exclude_categories=["Cs"]), min_size=1, max_size=8
)
PATHS = st.lists(PARTS.filter(lambda part: part.strip(".")), min_size=1, max_size=4).map("/".join)
BODY_KEYS = ("session_id", "path", "depth", "subtype", "sortBy", "sortReverse", "dataImages", "modelName")
BODIES = st.fixed_dictionaries({}, optional=dict.fromkeys(BODY_KEYS, JSON))
PARAMETER_KEYS = ("base_models", "model_type", "model_name", "order_by", "direction", "hash", "name")
PARAMETERS = st.dictionaries(st.sampled_from(PARAMETER_KEYS), st.lists(ANY_TEXT, max_size=3))
METADATA = st.dictionaries(
    ANY_TEXT | st.sampled_from(["ss_tag_frequency", "ss_bucket_info", "workflow"]),
    ANY_TEXT | JSON.map(json.dumps) | st.text('{}[]":,0129.eE+-NaInf', max_size=20).map("{".__add__),
)
TABLE_KEYS = ("roots", "prefix", "separator", "kinds", "architectures", "nsfw_pictures", "nsfw_entries")
TABLES = st.fixed_dictionaries(
    {"dialect": st.sampled_from([*DIALECTS])}, optional=dict.fromkeys(TABLE_KEYS, JSON)
)
ROOTS = {"main": "/srv/loras", "more": "/mnt/more"}


@given(JSON | BODIES)
def test_any_body_is_read_or_refused_by_swarmui(body: object) -> None:
    for read in (swarmui_models.list_request, swarmui_models.model_request, swarmui_models.session_of):
        with contextlib.suppress(BadRequest, NotFound):
            read(body)


@given(PARAMETERS)
def test_any_parameters_are_read_or_refused_by_invokeai(parameters: dict[str, list[str]]) -> None:
    for read in (invokeai.list_request, invokeai.hash_request, invokeai.attributes_request):
        with contextlib.suppress(BadRequest, NotFound):
            read(parameters)


@given(ANY_TEXT)
def test_a_key_is_one_of_ours_or_not_found(key: str) -> None:
    with contextlib.suppress(NotFound):
        assert invokeai.key_of(invokeai.file_id_of(key)) == key


@given(NAMES)
def test_comfyui_finds_what_python_makes_of_a_name_and_nothing_else(name: str) -> None:
    inside = posixpath.relpath(posixpath.join("/", name.lstrip("/")), "/")
    if inside.endswith("b.pt"):
        file = entry(inside)
        assert comfyui.find([file], name) is file


@given(ANY_TEXT, ANY_TEXT, st.sampled_from("/\\"))
def test_no_picture_is_asked_for_outside_a_root(root: str, name: str, separator: str) -> None:
    with contextlib.suppress(BadRequest, NotFound):
        found = comfyui.preview_request(root, name, separator)
        assert not found.path.startswith("/")
        assert ".." not in found.path.split("/")


@given(METADATA)
def test_the_metadata_of_sdnext_can_always_be_sent(metadata: dict[str, str]) -> None:
    shown = sdnext.shown_metadata(metadata)
    assert shown.keys() <= metadata.keys()
    json.dumps(shown, allow_nan=False)


@given(ANY_TEXT, JSON | TABLES)
def test_any_table_is_a_profile_or_refused(name: str, table: object) -> None:
    for read, given_table in ((parse_profiles, {name: table}), (parse_profiles, table)):
        with contextlib.suppress(BadRequest):
            read(given_table, ROOTS)
    with contextlib.suppress(BadRequest):
        assert parse_profile("tool", table, ROOTS).name == "tool"


@given(PATHS, st.sampled_from(["/srv/loras", "/srv/loras/", "/", "D:\\Lora", "D:/", "\\\\nas\\x"]))
def test_whole_paths_are_those_that_python_joins(path: str, prefix: str) -> None:
    table = {"dialect": "a1111", "roots": ["main"], "prefix": {"main": prefix}}
    tool = parse_profile("tool", table, ROOTS)
    file = entry(path + ".pt")
    if prefix.startswith("/"):
        assert tool.absolute(file) == posixpath.join(prefix, file.path)
    else:
        # What has a drive of its own is no name that a file has there.
        assume(":" not in path)
        assert tool.absolute(file) == ntpath.join(prefix, tool.relative(file)).replace("/", "\\")
