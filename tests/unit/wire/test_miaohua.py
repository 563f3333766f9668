"""The lists of models as SenseTime Miaohua sends them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadRequest, NotFound, Unauthorized
from registry.shown import Shown
from registry.wire import miaohua
from registry.wire.miaohua import Query
from tests.support.civitai_entries import entry

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ASKED = st.dictionaries(st.sampled_from(["token", "page", "per_page", "query", "email", "password"]), JSON)


def test_a_token_is_the_password_given_back_without_an_envelope() -> None:
    login = miaohua.read_login({"email": "a@example.com", "password": "lr_secret"})
    assert (login.email, miaohua.token(login)) == ("a@example.com", {"token": "lr_secret"})


@pytest.mark.parametrize("body", [None, [], "x", {}, {"email": "a"}, {"password": ""}, {"password": 5}])
def test_without_a_password_there_is_no_token(body: object) -> None:
    with pytest.raises(BadRequest):
        miaohua.read_login(body)


def test_secrets_are_not_told_by_accident() -> None:
    login = miaohua.read_login({"email": "a@example.com", "password": "lr_secret"})
    assert "lr_secret" not in f"{login!r} {Query('lr_secret')!r}"


def test_a_list_begins_with_its_first_twenty() -> None:
    assert miaohua.read_query({"token": "t"}) == Query("t", page=1, per_page=20, query=None)


def test_pages_may_be_written_as_texts() -> None:
    query = miaohua.read_query({"token": "t", "page": "3", "per_page": "5", "query": " ink "})
    assert (query.page, query.per_page, query.query, query.start) == (3, 5, "ink", 10)


@pytest.mark.parametrize(
    "odd",
    [{"page": 0}, {"page": -1}, {"page": "x"}, {"page": 10**9}, {"page": [1]}, {"per_page": 0},
     {"per_page": 1_001}, {"per_page": 1.5}, {"query": 5}, {"query": "x" * 501}, {"token": {}}],
)  # fmt: skip
def test_what_cannot_be_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as refused:
        miaohua.read_query({"token": "t", **odd})
    assert refused.value.remedy


@given(JSON | ASKED)
def test_any_body_is_read_or_refused(body: object) -> None:
    with contextlib.suppress(BadRequest):
        assert miaohua.read_query(body).page > 0
    with contextlib.suppress(BadRequest):
        assert miaohua.read_login(body).password


def test_a_lora_has_every_member_whatever_is_known() -> None:
    assert miaohua.model(entry(architecture="unknown")) == {
        "author": "",
        "base_model": "",
        "demo_picture": "",
        "description": "",
        "is_opensource": True,
        "model_id": 7,
        "model_name": "ink",
        "tag": "LORA",
        "versionid": "7",
    }


def test_descriptions_are_sent_as_plain_text() -> None:
    shown = Shown("ink", description="<p>Ink &amp; paper</p><script>x</script>", creator="Konan")
    told = miaohua.model(entry(shown), demo_picture="https://here/7.webp")
    assert (told["description"], told["author"]) == ("Ink & paper", "Konan")
    assert told["demo_picture"] == "https://here/7.webp"


def test_a_version_says_something_where_its_model_does_not() -> None:
    assert miaohua.model(entry(Shown("ink", version_description="first")))["description"] == "first"


def test_base_models_are_told_in_words_of_civitai() -> None:
    assert miaohua.model(entry(base_model="pony"))["base_model"] == "Pony"
    assert miaohua.model(entry(Shown("ink", base_model="Krea 2")))["base_model"] == "Krea 2"


@pytest.mark.parametrize("kind", ["checkpoint", "vae", "embedding", "other"])
def test_what_is_no_lora_was_uploaded(kind: str) -> None:
    assert miaohua.model(entry(kind=kind))["tag"] == "upload"


def test_a_page_is_in_an_envelope_and_repeats_what_was_asked() -> None:
    answer = miaohua.models([miaohua.model(entry())], Query("t", page=2, per_page=1), has_next=False)
    assert list(answer) == ["code", "info", "msg"]
    assert (answer["code"], answer["msg"]) == (0, "")
    info = answer["info"]
    assert isinstance(info, dict)
    assert (info["has_next"], info["page"], info["per_page"], len(info["models"])) == (False, 2, 1, 1)


def test_errors_have_a_code_and_no_info() -> None:
    assert miaohua.failed(BadRequest("invalid image")) == {"code": 400, "info": "", "msg": "invalid image"}
    assert miaohua.failed(Unauthorized("no such token"))["code"] == 401
    assert miaohua.failed(NotFound("nothing"))["code"] == 404
