"""Civitai's REST v1 answered from a catalog: lookups, models, lists, and a sync that takes it for Civitai."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from registry.api.dialects.civitai_models import MOST_LOOKED_AT
from registry.asked import FOUND, NOT_FOUND
from registry.catalog.lookups import asked_of, matches_of
from registry.catalog.remote import stored_models
from registry.civitai.asking import Waiting
from registry.civitai.client import Client
from registry.civitai.run import Desk, Wish, summary
from registry.civitai.sync import carry_out
from registry.net import Door
from tests.support.catalogs import MACHINE, Builder, open_builder
from tests.support.civitai_answers import (
    file_answer,
    image_answer,
    model_answer,
    version_answer,
    version_shown,
)
from tests.support.civitai_known import learn, lose
from tests.support.serving import REMOTE, Service
from tests.support.shelf import lora, open_shelf
from tests.support.telling import bearer, token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Service]

BASE = "/civitai/api/v1"
HASHES = f"{BASE}/model-versions/by-hash"
FIRST, SECOND, HAT, OWN = (digit * 64 for digit in "1234")
SAFE, BARE = "https://image.civitai.com/a/width=450/1.jpeg", "https://image.civitai.com/a/width=450/2.jpeg"
MARCH, MAY = "2026-03-01T10:00:00.000Z", "2026-05-01T10:00:00.000Z"


def ink() -> Any:
    """A model of which two versions are here and one is not."""
    images = [
        image_answer(SAFE, meta={"prompt": "a heron"}),
        image_answer(BARE, nsfwLevel=16, meta={"prompt": "a secret"}),
    ]
    versions = [
        version_answer(72, [file_answer("9" * 64)], publishedAt="2026-06-01T10:00:00.000Z"),
        version_answer(71, [file_answer(SECOND)], publishedAt=MAY),
        version_answer(70, [file_answer(FIRST)], images=images, nsfwLevel=17, unheard={"of": [1, None]}),
    ]
    return model_answer(7, versions, name="Ink wash", tags=["style"], creator="Konan")


@pytest.fixture
def filled(builder: Builder) -> Builder:
    """A catalog of four loras: two versions of one model, one of another, and one that Civitai never knew."""
    root = builder.root("/models/lora", label="main")
    for name in ("first", "second", "hat", "own"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    for name, sha in (("first", FIRST), ("second", SECOND), ("hat", HAT), ("own", OWN)):
        builder.hash(name, sha, data_of(sha))
    hat = version_answer(80, [file_answer(HAT)], baseModel="Pony")
    learn(builder.catalog, ink(), model_answer(8, [hat], name="Hat", type="LoCon", nsfw=True))
    return builder


def data_of(sha: str) -> str:
    return hashlib.sha256(sha.encode()).hexdigest()


def linked(answer: Any) -> list[str]:
    return [file["downloadUrl"] for file in answer["files"]]


def names(service: Service, query: str = "") -> list[str]:
    return [item["name"] for item in service.get(f"{BASE}/models?{query}")["items"]]


def all_pages(service: Service, query: str) -> list[list[str]]:
    """Return the names of each page, following the address of the next one."""
    path, pages = f"{BASE}/models?{query}", []
    while path:
        answer = service.get(path)
        pages.append([item["name"] for item in answer["items"]])
        following = answer["metadata"].get("nextPage", "")
        assert ("nextCursor" in answer["metadata"]) == bool(following)
        path = following.removeprefix("http://127.0.0.1:8567")
    return pages


def test_a_version_is_sent_as_civitai_sent_it_but_for_links_and_hidden_images(
    service: Service, filled: Builder
) -> None:
    answer = service.get(f"{BASE}/model-versions/70")
    model = ink()
    sent = version_shown(model, model["modelVersions"][2])
    assert list(answer) == list(sent)
    assert linked(answer)[0].startswith("http://127.0.0.1:8567/api/v1/loras/hash:")
    assert [image["url"] for image in answer["images"]] == [SAFE]
    links = {"files", "images", "downloadUrl"}
    assert {name: answer[name] for name in answer if name not in links} == {
        name: sent[name] for name in sent if name not in links
    }
    raised = service.get(f"{BASE}/model-versions/70?nsfw=xxx")
    assert raised["images"] == sent["images"]


@pytest.mark.parametrize(
    "path", ["model-versions/70", "models/7", "models", f"model-versions/by-hash/{FIRST}", "batch"]
)
def test_nothing_above_the_limit_is_in_any_answer(service: Service, filled: Builder, path: str) -> None:
    if path == "batch":
        text = service.ask("POST", HASHES, json=[FIRST]).text
    else:
        text = service.ask("GET", f"{BASE}/{path}").text
    assert "a heron" in text
    assert "a secret" not in text
    assert BARE not in text


@pytest.mark.parametrize(
    "digits", [FIRST, FIRST[:10], FIRST[:10].upper(), data_of(FIRST)[:12].upper(), f"sha256:{FIRST}"]
)
def test_a_version_is_found_by_any_hash_of_its_file(service: Service, filled: Builder, digits: str) -> None:
    assert service.get(f"{HASHES}/{digits}")["id"] == 70


def test_what_civitai_never_knew_has_negative_ids_that_may_be_asked_for(
    service: Service, filled: Builder
) -> None:
    found = service.get(f"{HASHES}/{OWN}")
    number = found["id"]
    assert (number < 0, found["modelId"], found["model"]["name"]) == (True, number, "own")
    assert service.get(f"{BASE}/model-versions/{number}") == found
    model = service.get(f"{BASE}/models/{number}")
    assert [each["id"] for each in model["modelVersions"]] == [number]
    # An id that was given out leads to what is known by now.
    hat = service.get("/api/v1/loras/hat")["lora"]["id"]
    assert service.get(f"{BASE}/model-versions/-{hat}")["id"] == 80
    assert service.get(f"{BASE}/models/-{hat}")["id"] == 8


def test_a_model_has_all_its_versions_with_links_to_what_is_here(service: Service, filled: Builder) -> None:
    model = service.get(f"{BASE}/models/7")
    links = {each["id"]: linked(each)[0].partition("/api/")[0] for each in model["modelVersions"]}
    assert links == {
        72: "https://civitai.com",
        71: "http://127.0.0.1:8567",
        70: "http://127.0.0.1:8567",
    }
    assert (model["creator"]["username"], model["tags"]) == ("Konan", ["style"])


def test_what_is_gone_at_civitai_is_still_answered_and_marked(service: Service, filled: Builder) -> None:
    lose(filled.catalog, 80)
    assert service.get(f"{BASE}/model-versions/80")["model"]["mode"] == "Archived"
    assert service.get(f"{BASE}/models/8")["mode"] == "Archived"
    assert service.get(f"{HASHES}/{HAT}")["id"] == 80


def test_an_answer_of_another_service_is_not_sent_as_civitais(service: Service, builder: Builder) -> None:
    root = builder.root("/models/lora")
    builder.file(root, "old.safetensors")
    builder.write()
    builder.hash("old", OWN, data_of(OWN))
    version = version_answer(90, [file_answer(OWN)], unheard="of")
    learn(builder.catalog, model_answer(9, [version], name="Old"), source="civarchive")
    answer = service.get(f"{BASE}/model-versions/90")
    assert (answer["id"], answer["model"]["name"], "unheard" in answer) == (90, "Old", False)


def test_a_file_of_several_versions_is_told_as_the_first_and_found_by_each(
    service: Service, builder: Builder
) -> None:
    root = builder.root("/models/lora")
    builder.file(root, "both.safetensors")
    builder.write()
    builder.hash("both", OWN, data_of(OWN))
    learn(
        builder.catalog,
        model_answer(5, [version_answer(50, [file_answer(OWN)], publishedAt=MAY)]),
        model_answer(6, [version_answer(60, [file_answer(OWN)], publishedAt=MARCH)]),
    )
    assert service.get(f"{HASHES}/{OWN}")["id"] == 60
    for path, number in (("model-versions", 50), ("model-versions", 60), ("models", 5), ("models", 6)):
        answer = service.get(f"{BASE}/{path}/{number}")
        assert answer["id"] == number
        version = answer if path == "model-versions" else answer["modelVersions"][0]
        assert linked(version)[0].startswith("http://127.0.0.1:8567")


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("model-versions/99", 404, "Model not found"),
        ("model-versions/72", 404, "Model not found"),
        ("model-versions/-99", 404, "Model not found"),
        ("models/99", 404, "No model with id 99"),
        ("models/-99", 404, "No model with id -99"),
        (f"model-versions/by-hash/{'8' * 64}", 404, "Model not found"),
        ("model-versions/by-hash/xyz", 404, "Model not found"),
        ("model-versions/by-hash/e3b0c442", 404, "Model not found"),
        ("model-versions/0", 400, "there is no id 0"),
        ("models/99999999999", 400, ""),
        ("models/x", 400, ""),
        ("models?limit=101", 400, ""),
        ("models?page=2", 400, ""),
        ("models?types=Sculpture", 400, ""),
        ("models?cursor=x", 400, ""),
        ("models?cursor=WyJuYW1lIixmYWxzZSwxLDFd", 400, ""),
    ],
)
def test_errors_are_said_as_civitai_does(
    service: Service, filled: Builder, path: str, status: int, error: str
) -> None:
    answer = service.ask("GET", f"{BASE}/{path}")
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == error or (not error and answer.json()["error"])


def test_refusals_have_the_shape_too_and_posts_that_read_need_no_more_than_reading(
    service: Service, filled: Builder
) -> None:
    refused = service.ask("GET", f"{BASE}/models/7", peer=REMOTE)
    assert (refused.status_code, list(refused.json())) == (401, ["error"])
    assert refused.headers["www-authenticate"].startswith("Bearer")
    secret = token(service)
    for path, headers in ((HASHES, bearer(secret)), (f"/k/{secret}{HASHES}", {})):
        answer = service.ask("POST", path, peer=REMOTE, headers=headers, json=[FIRST])
        assert [one["id"] for one in answer.json()] == [70]
        assert secret not in answer.text


def test_versions_are_told_for_an_array_of_hashes(service: Service, filled: Builder) -> None:
    asked = [FIRST.upper(), "8" * 64, OWN, HAT, FIRST]
    answer = service.ask("POST", HASHES, json=asked)
    own = service.get(f"{HASHES}/{OWN}")["id"]
    assert sorted(one["id"] for one in answer.json()) == [own, 70, 80]
    ids = service.ask("POST", f"{HASHES}/ids", json=asked).json()
    told = {one["hash"]: (one["modelVersionId"], one["modelId"]) for one in ids}
    assert told == {FIRST: (70, 7), HAT: (80, 8), OWN: (own, own)}
    assert service.ask("POST", HASHES, json=[]).json() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (HASHES, [FIRST] * 101),
        (HASHES, {"hashes": [FIRST]}),
        (HASHES, ["12345678"]),
        (HASHES, [5]),
        (HASHES, None),
        (f"{HASHES}/ids", [FIRST] * 10_001),
    ],
)
def test_an_array_that_is_none_is_a_400(service: Service, path: str, body: Any) -> None:
    answer = service.ask("POST", path, json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_models_are_listed_newest_first_and_each_once(service: Service, filled: Builder) -> None:
    assert all_pages(service, "limit=1") == [["own"], ["Hat"], ["Ink wash"], []]
    assert names(service) == ["own", "Hat", "Ink wash"]
    assert service.get(f"{BASE}/models?limit=0") == {"items": [], "metadata": {}}


def test_a_page_goes_on_behind_the_last_one_whatever_was_added(service: Service, filled: Builder) -> None:
    first = service.get(f"{BASE}/models?limit=2")
    filled.file(1, "late.safetensors")
    filled.write()
    assert [item["name"] for item in first["items"]] == ["own", "Hat"]
    cursor = first["metadata"]["nextCursor"]
    assert names(service, f"cursor={cursor}") == ["Ink wash"]
    assert names(service) == ["late", "own", "Hat", "Ink wash"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("query=heron", []),
        ("query=ink", ["Ink wash"]),
        ("query=name:ha*", ["Hat"]),
        ("query=creator:konan", ["Ink wash"]),
        ("tag=STYLE", ["Ink wash"]),
        ("tag=sty", []),
        ("username=konan", ["Ink wash"]),
        ("username=nobody", []),
        ("ids=7,8", ["Hat", "Ink wash"]),
        ("ids=8&ids=99", ["Hat"]),
        ("types=LoCon", ["Hat"]),
        ("types=LORA&types=LoCon", ["own", "Hat", "Ink wash"]),
        ("types=Checkpoint", []),
        ("baseModels=pony", ["Hat"]),
        ("baseModels=SDXL 1.0,Pony", ["Hat", "Ink wash"]),
        ("nsfw=true", ["Hat"]),
        ("nsfw=false", ["own", "Ink wash"]),
        ("tag=style&types=LoCon", []),
        ("sort=Newest&period=Day&unheard=of", ["own", "Hat", "Ink wash"]),
    ],
)
def test_the_list_is_narrowed(service: Service, filled: Builder, query: str, found: list[str]) -> None:
    service.catch_up()
    assert names(service, query) == found
    assert [name for page in all_pages(service, f"{query}&limit=1") for name in page] == found


def test_a_list_that_few_fit_is_looked_for_bit_by_bit(service: Service, builder: Builder) -> None:
    root = builder.root("/models/lora")
    builder.file(root, "first.safetensors")
    builder.write()
    builder.hash("first", FIRST, data_of(FIRST))
    for number in range(MOST_LOOKED_AT):
        builder.file(root, f"{number}.safetensors", {"ss_network_module": "networks.lora"})
    builder.write()
    learn(builder.catalog, ink())
    assert all_pages(service, "baseModels=SDXL 1.0") == [[], ["Ink wash"]]


def test_a_tool_is_told_of_its_roots_alone_and_its_pages_keep_it(start: Start, filled: Builder) -> None:
    other = filled.root("/models/more", label="more")
    for name in ("far", "farther"):
        filled.file(other, f"{name}.safetensors")
    filled.write()
    service = start(tools={"mirror": {"dialect": "civitai", "roots": ["more"]}})
    answer = service.get(f"/t/mirror{BASE}/models?limit=1")
    assert [item["name"] for item in answer["items"]] == ["farther"]
    assert answer["metadata"]["nextPage"].startswith(f"http://127.0.0.1:8567/t/mirror{BASE}/models?limit=1&")
    assert service.ask("GET", f"/t/mirror{BASE}/model-versions/70").status_code == 404
    assert service.ask("GET", f"/t/mirror{HASHES}/{FIRST}").status_code == 404
    assert service.ask("POST", f"/t/mirror{HASHES}/ids", json=[FIRST]).json() == []


def test_loras_above_the_level_of_a_token_are_in_no_answer(service: Service, filled: Builder) -> None:
    service.catch_up()
    limited = bearer(token(service, nsfw_entries=1))
    assert service.ask("GET", f"{BASE}/model-versions/70", headers=limited).status_code == 404
    assert service.ask("POST", f"{HASHES}/ids", headers=limited, json=[FIRST]).json() == []
    answer = service.ask("GET", f"{BASE}/models", headers=limited)
    assert answer.headers["x-loras-withheld"] == "1"
    model = next(item for item in answer.json()["items"] if item["id"] == 7)
    assert linked(model["modelVersions"][2])[0].startswith("https://civitai.com")


def test_an_answer_is_the_same_for_as_long_as_its_links_are(service: Service, filled: Builder) -> None:
    now = [1_800_000_000_000]
    filled.catalog.clock = lambda: now[0]
    tag = service.ask("GET", f"{BASE}/models/7").headers["etag"]
    unchanged = {"If-None-Match": tag}
    now[0] += 60_000
    assert service.ask("GET", f"{BASE}/models/7", headers=unchanged).status_code == 304
    now[0] += 3_600_000
    assert service.ask("GET", f"{BASE}/models/7", headers=unchanged).status_code == 200


def test_a_file_is_had_by_its_link_over_the_network(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "machine-id").write_text(MACHINE)
    with open_shelf(tmp_path) as shelf:
        path = lora(shelf.folder / "墨 ink.safetensors", 1)
        shelf.scan()
        shelf.hash()
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        service = Service(Builder(shelf.registry.catalog), tmp_path, lambda: 0.0, require_token=True)
        secret = service.token("reader", "read")
        try:
            with service.listening() as url:
                answer = httpx.get(f"{url}{HASHES}/{sha}", headers=bearer(secret)).raise_for_status().json()
                link = answer["downloadUrl"]
                assert link.startswith(url)
                assert httpx.get(link).raise_for_status().content == path.read_bytes()
        finally:
            service.studio.close()


def test_our_own_sync_takes_the_mirror_for_civitai(tmp_path: Path, filled: Builder, service: Service) -> None:
    (tmp_path / "b").mkdir()
    other = open_builder(tmp_path / "b")
    root = other.root("/elsewhere")
    for name in ("renamed", "hat", "own", "unknown"):
        other.file(root, f"{name}.safetensors")
    other.write()
    hashes = {"renamed": FIRST, "hat": HAT, "own": OWN, "unknown": "7" * 64}
    for name, sha in hashes.items():
        other.hash(name, sha, data_of(sha))
    secret = service.token("b", "read")
    with service.listening() as url:
        told = sync(other, f"{url}/civitai", secret)
    assert (told["found"], told["not_found"], told["failed"], told["errors"]) == (2, 2, 0, [])
    with other.catalog.read() as conn:
        states = {name: asked_of(conn, [sha])[sha].state for name, sha in hashes.items()}
        matched = matches_of(conn, [FIRST, HAT])
        models = stored_models(conn, [7, 8])
    assert states == {"renamed": FOUND, "hat": FOUND, "own": NOT_FOUND, "unknown": NOT_FOUND}
    assert matched == {FIRST: [70], HAT: [80]}
    assert set(models) == {7, 8}
    other.catalog.close()


def test_a_mirror_that_knows_nothing_but_its_own_fails_no_sync(
    tmp_path: Path, filled: Builder, service: Service
) -> None:
    (tmp_path / "b").mkdir()
    other = open_builder(tmp_path / "b")
    other.file(other.root("/elsewhere"), "own.safetensors")
    other.write()
    other.hash("own", OWN, data_of(OWN))
    with service.listening() as url:
        told = sync(other, f"{url}/civitai", service.token("b", "read"))
    assert (told["found"], told["not_found"], told["failed"], told["errors"]) == (0, 1, 0, [])
    other.catalog.close()


def sync(builder: Builder, url: str, secret: str) -> dict[str, object]:
    """Sync a catalog with whoever is at an address, and return the summary."""
    door = Door(own_hosts={"127.0.0.1"})
    waiting = Waiting(sleep=lambda _: None, today=lambda: dt.datetime.now(dt.UTC), chance=lambda: 0.5)
    client = Client(door, url, token=secret, waiting=waiting, attempts=2)
    desk = Desk(builder.catalog, client)
    try:
        carry_out(desk, Wish())
    finally:
        door.close()
    return summary(desk.progress, client.requests, 0.0)
