"""The LoRA lists of SwarmUI over a catalog, as its clients ask for them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from registry.formats.nsfw import X
from tests.support.pictures import opened as image_of
from tests.support.serving import REMOTE
from tests.support.telling import bearer, token
from tests.support.tool_library import MAIN, MORE, ODD, fill, give_picture, note, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

    Start = Callable[..., Service]

NAMES = {*MAIN, *MORE, "style/ink.safetensors"}
LIST = "/API/ListModels"


@pytest.fixture
def service(builder: Builder, start: Start) -> Service:
    fill(builder)
    return opened(start, dialect="swarmui")


def body(**members: Any) -> dict[str, Any]:
    return {"session_id": "x", "path": "", "depth": 20, "subtype": "LoRA", **members}


def ask(service: Service, route: str, **members: Any) -> Any:
    answer = service.ask("POST", route, json=body(**members))
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(service: Service, before: str = "", **members: Any) -> list[str]:
    return [file["name"] for file in ask(service, before + LIST, **members)["files"]]


def describe(service: Service, name: str, before: str = "", **members: Any) -> Any:
    return ask(service, f"{before}/API/DescribeModel", modelName=name, **members)


def test_a_session_is_given_and_any_other_will_do(service: Service) -> None:
    answer = service.ask("POST", "/API/GetNewSession", json={}).json()
    assert set(answer) == {
        "session_id", "user_id", "output_append_user", "version", "server_id", "permissions",
    }  # fmt: skip
    assert service.ask("POST", "/API/GetNewSession").json()["session_id"] != answer["session_id"]
    assert set(names(service, session_id=answer["session_id"])) == NAMES
    asked = {name: value for name, value in body().items() if name != "session_id"}
    assert service.ask("POST", LIST, json=asked, headers={"X-Session-ID": "y"}).status_code == 200
    assert service.ask("POST", LIST, json=asked).json() == {
        "error_id": "basic_api",
        "error": "missing session id",
    }


def test_the_list_has_each_name_once_with_all_that_is_told(service: Service, builder: Builder) -> None:
    note(builder, "ink", display_name="Ink wash", note="use with care", tags=("mine",))
    answer = ask(service, LIST)
    assert answer["folders"] == ["style", "style/deep", "flux"]
    files = {file["name"]: file for file in answer["files"]}
    assert (len(answer["files"]), set(files)) == (len(NAMES), NAMES)
    ink = files["style/ink.safetensors"]
    assert (ink["title"], ink["usage_hint"], ink["tags"]) == ("Ink wash", "use with care", ["mine"])
    assert ink["preview_image"] == "imgs/model_placeholder.jpg"
    assert describe(service, "style/ink.safetensors") == {"model": ink}


def test_a_folder_is_listed_as_deep_as_asked(service: Service) -> None:
    assert names(service, path="style", depth=1) == ["style/ink.safetensors", ODD]
    answer = ask(service, LIST, path="/style\\", depth=2)
    assert (answer["folders"], len(answer["files"])) == (["deep"], 3)
    assert ask(service, LIST, path="nowhere") == {"folders": [], "files": []}
    assert ask(service, LIST, subtype="VAE") == {"folders": [], "files": []}


def test_lists_are_sorted_by_name_title_and_date(service: Service, builder: Builder) -> None:
    assert names(service, "/t/alone") == ["flux/cap.safetensors", "hat2.safetensors"]
    note(builder, "cap", display_name="Zebra")
    by_title = ["hat2.safetensors", "flux/cap.safetensors"]
    assert names(service, "/t/alone", sortBy="Title") == by_title
    assert names(service, "/t/alone", sortBy="Title", sortReverse=True) == by_title[::-1]
    # The newest first: files are written one after the other.
    assert names(service, "/t/alone", sortBy="DateModified") == by_title


def test_a_file_is_found_without_its_extension_and_with_backslashes(service: Service) -> None:
    whole = describe(service, "style/ink.safetensors")
    assert describe(service, "style\\ink") == describe(service, "/style//ink") == whole
    assert describe(service, ODD)["model"]["name"] == ODD
    assert describe(service, "hat2", "/t/win")["model"]["name"] == "hat2.safetensors"
    for name in ("nobody", "gone.safetensors", "away", "", "style", "x" * 4000):
        assert describe(service, name) == {"error": "Model not found."}
    assert describe(service, "hat2", subtype="VAE") == {"error": "Model not found."}


def test_of_roots_that_have_a_name_the_first_counts(service: Service) -> None:
    first = describe(service, "hat2")["model"]["time_modified"]
    second = describe(service, "hat2", "/t/alone")["model"]["time_modified"]
    assert first != second
    (listed,) = (file for file in ask(service, LIST)["files"] if file["name"] == "hat2.safetensors")
    assert listed["time_modified"] == first


def test_a_hash_is_null_until_there_is_one(service: Service, builder: Builder) -> None:
    path = "/API/GetModelHash"
    assert ask(service, path, modelName="style/ink") == {"hash": None}
    builder.hash("ink", "a" * 64, "b" * 64)
    assert ask(service, path, modelName="style/ink") == {"hash": f"0x{'b' * 64}"}


def test_pictures_are_addresses_of_this_server_or_data(service: Service) -> None:
    give_picture(service, "ink")
    (listed,) = (file for file in ask(service, LIST)["files"] if "ink" in file["name"])
    assert listed["preview_image"] == "ViewSpecial/LoRA/style/ink.safetensors"
    # The address begins where the API does, whatever stands in front of it.
    for before in ("", "/t/win", f"/k/{token(service)}"):
        answer = service.ask("GET", f"{before}/{listed['preview_image']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    (listed,) = (file for file in ask(service, LIST, dataImages=True)["files"] if "ink" in file["name"])
    kind, _, data = listed["preview_image"].partition(",")
    assert kind == "data:image/webp;base64"
    assert image_of(base64.b64decode(data)).format == "WEBP"
    assert describe(service, "style/ink")["model"] == listed
    assert service.ask("GET", "/ViewSpecial/LoRA/hat2.safetensors").status_code == 404
    assert service.ask("GET", "/ViewSpecial/LoRA/nobody").status_code == 404


def test_a_picture_above_the_level_that_is_sent_is_in_no_answer(service: Service) -> None:
    give_picture(service, "ink", X)
    for path, shown in ((LIST, False), (f"{LIST}?nsfw=x", True)):
        for data in (False, True):
            (listed,) = (
                file for file in ask(service, path, dataImages=data)["files"] if "ink" in file["name"]
            )
            assert (listed["preview_image"] != "imgs/model_placeholder.jpg") is shown
    assert service.ask("GET", "/ViewSpecial/LoRA/style/ink.safetensors").status_code == 404
    assert service.ask("GET", "/ViewSpecial/LoRA/style/ink.safetensors?nsfw=x").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"[]", b"null", b"{", b'"x"', b"[" * 100_000, b"\xff", b'"\\ud800"'])
def test_what_is_no_object_is_refused_in_their_words(service: Service, sent: bytes) -> None:
    answer = service.ask("POST", LIST, content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error_id"]) == (400, "basic_api")


def test_values_that_cannot_be_used_are_refused_in_their_words(service: Service) -> None:
    for wrong in ({"sortBy": "Colour"}, {"depth": "deep"}, {"path": 5}):
        answer = service.ask("POST", LIST, json=body(**wrong))
        assert (answer.status_code, answer.json()["error_id"]) == (400, "basic_api")
    assert service.ask("POST", LIST, json=body(subtype="Cat")).json() == {"error": "Invalid sub-type."}


def test_who_may_not_look_is_told_to_ask_for_a_session_again(service: Service) -> None:
    refused = service.ask("POST", LIST, json=body(), peer=REMOTE)
    assert (refused.status_code, refused.json()["error_id"]) == (401, "invalid_session_id")
    reader = bearer(token(service, role="read"))
    assert service.ask("POST", LIST, json=body(), peer=REMOTE, headers=reader).status_code == 200


def test_every_way_to_sign_in_works_on_a_real_port(builder: Builder, start: Start) -> None:
    fill(builder)
    service = start(require_token=True)
    secret = token(service)
    with service.listening() as url, httpx.Client(timeout=30) as client:
        session = client.post(f"{url}/k/{secret}/API/GetNewSession", json={}).json()["session_id"]
        for options in ({"headers": bearer(secret)}, {"auth": ("any one", secret)}):
            answer = client.post(f"{url}{LIST}", json=body(session_id=session), **options)
            assert {file["name"] for file in answer.json()["files"]} == NAMES
        assert client.post(f"{url}/k/{secret}{LIST}", json=body()).json() == answer.json()
