"""The lists of models in Miaohua's own document, from the models they must have been made of."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import BadRequest
from registry.shown import Shown
from registry.wire import miaohua
from tests.support.civitai_entries import entry

if TYPE_CHECKING:
    from pathlib import Path

    from registry.shown import Entry

pytestmark = pytest.mark.data

LISTS = ("base", "lora", "private")


@pytest.fixture(scope="module")
def document(data_dir: Path) -> str:
    found = sorted((data_dir.parent / "seeds").glob("002_*.txt"))
    if not found:
        pytest.skip("the document of Miaohua is absent")
    return found[0].read_text(encoding="utf-8")


def recorded(document: str, path: str) -> Any:
    """The example answer of a route, with the number that the document leaves open."""
    section = document.partition(f"/api/v1b/{path}](")[2]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return json.loads(re.sub(r'"model_id": xx\b', '"model_id": 5', block[1]))


def entry_of(sent: dict[str, Any]) -> Entry:
    shown = Shown(sent["model_name"], creator=sent["author"], base_model=sent["base_model"] or None)
    kind = "lora" if sent["tag"] == "LORA" else "checkpoint"
    return replace(entry(shown, kind=kind, architecture="unknown"), lora_id=sent["model_id"])


@pytest.mark.parametrize("name", LISTS)
def test_each_list_comes_back_member_for_member_in_their_order(document: str, name: str) -> None:
    answer = recorded(document, f"models/{name}")
    (sent,) = answer["info"]["models"]
    made = miaohua.model(entry_of(sent), demo_picture=sent["demo_picture"])
    # The document writes "xxx" for an id of ours.
    assert isinstance(made["versionid"], str)
    made["versionid"] = sent["versionid"]
    query = miaohua.read_query({"token": "xxx", "page": answer["info"]["page"], "per_page": 1})

    page = miaohua.models([made], query, has_next=True)

    assert page == answer
    assert json.dumps(page) == json.dumps(answer)


@pytest.mark.parametrize("name", LISTS)
def test_each_list_is_asked_for_with_what_the_document_names(document: str, name: str) -> None:
    section = document.partition(f"/api/v1b/models/{name}](")[2].partition("请求示例")[0]
    rows = re.findall(r"^\| (\w+) \| (string|int) \|", section, re.MULTILINE)
    assert [member for member, _ in rows] == ["token", "page", "per_page", "query"]
    samples = {"string": "7", "int": 7}
    query = miaohua.read_query({member: samples[kind] for member, kind in rows})
    assert (query.token, query.page, query.per_page, query.query) == ("7", 7, 7, "7")


def test_the_answer_of_get_token_is_bare(document: str) -> None:
    section = document.partition("/api/v1b/get_token](")[2]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block is not None
    login = miaohua.read_login({"email": "xxx@example.com", "password": "password"})
    assert re.findall(r'"(\w+)":', block[1]) == list(miaohua.token(login)) == ["token"]


def test_an_error_has_the_shape_of_the_one_in_the_document(document: str) -> None:
    failure = recorded(document, "dataset/add_images").get("msg")
    assert failure == "OK"
    block = re.search(r'\{\s*"code": 400,.*?\}', document, re.DOTALL)
    assert block is not None
    told = json.loads(block[0])
    made = miaohua.failed(BadRequest(told["msg"]))
    assert json.dumps(made) == json.dumps(told)
