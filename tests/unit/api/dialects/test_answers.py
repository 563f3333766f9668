"""What the routes of other tools have in common: streamed JSON, and errors in the words of a tool."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from registry.api import dialects
from registry.api.dialects.answers import array, members, told
from registry.api.encoding import CODINGS, IDENTITY, compress_pieces
from registry.api.problems import Problem
from registry.errors import BadRequest, NotFound, RegistryError, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES))
def test_an_array_is_the_json_of_its_items(items: list[object]) -> None:
    assert json.loads(b"".join(array(items))) == items


@given(st.dictionaries(st.text(), VALUES), st.lists(VALUES))
def test_of_an_object_iterators_are_arrays(value: dict[str, object], items: list[object]) -> None:
    lazy = {**value, "items": iter(items)}
    assert json.loads(b"".join(members(lazy))) == {**value, "items": items}


def test_items_are_made_while_they_are_sent() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    pieces = members({"first": 1, "numbers": numbers()})
    assert next(pieces) == b'{"first":'
    assert made == []
    assert b"".join([next(pieces) for _ in range(3)]) == b'1,"numbers":[0'
    assert made == [0]


@given(st.lists(st.binary(max_size=300)))
def test_pieces_in_any_coding_are_one_body(pieces: list[bytes]) -> None:
    unpack: dict[str, Callable[[bytes], bytes]] = {
        IDENTITY: bytes,
        "gzip": gzip.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    }
    assert unpack.keys() == {IDENTITY, *CODINGS}
    for coding, decoded in unpack.items():
        assert decoded(b"".join(compress_pieces(iter(pieces), coding))) == b"".join(pieces)


def test_gzip_is_one_member() -> None:
    body = b"".join(compress_pieces([b"a" * 100_000, b"b"], "gzip"))
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert inflater.decompress(body) == b"a" * 100_000 + b"b"
    assert (inflater.eof, inflater.unused_data) == (True, b"")


def in_words(error: RegistryError) -> tuple[int, object]:
    return (299 if isinstance(error, NotFound) else error.status), {"said": f"{type(error).__name__} {error}"}


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [
        (400, 400, BadRequest),
        (401, 401, Unauthorized),
        (404, 299, NotFound),
        (429, 429, RegistryError),
        (500, 500, RegistryError),
    ],
)
def test_a_problem_is_told_as_the_error_of_its_status(
    status: int, expected: int, kind: type[RegistryError]
) -> None:
    answer = told(Problem(status, "x", "what \udcff happened", headers=(("retry-after", "1"),)), in_words)
    assert answer.status_code == expected
    assert json.loads(bytes(answer.body)) == {"said": f"{kind.__name__} what \udcff happened"}
    assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("1", "no-store")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_answer_without_a_body_has_no_type() -> None:
    answer = told(Problem(404, "not-found", "gone"), lambda error: (error.status, None))
    assert (answer.status_code, answer.body) == (404, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/models/loras", None),
        ("/api/view_metadata/loras", None),
        ("/API/ListModels", {"error_id", "error"}),
        ("/api/v2/models/", {"detail"}),
        ("/api/v2/models/i/x/image", {"detail"}),
        ("/sdapi/v1/lora", {"detail"}),
        ("/sdapi/v1/loras", {"error", "detail", "body", "errors"}),
        ("/api/v1/loras", {"type", "title", "status", "detail"}),
        ("/api/v2/other", {"type", "title", "status", "detail"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_whose_words_are_spoken_is_told_by_the_path(path: str, shape: set[str] | None, method: str) -> None:
    scope = {"type": "http", "path": path, "method": method, "root_path": "/t/forge"}
    answer = dialects.respond(Problem(403, "forbidden", "no"), scope)
    assert answer.status_code == 403
    assert (set(json.loads(bytes(answer.body))) if answer.body else None) == shape


def test_every_dialect_needs_a_role_on_every_route() -> None:
    for dialect in dialects.dialects():
        for route in dialect.router.routes:
            calls = [each.call for each in route.dependant.dependencies]  # type: ignore[attr-defined]
            assert any("role" in getattr(call, "__dict__", {}) for call in calls), route
