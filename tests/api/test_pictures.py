"""Pictures of loras over HTTP: which one is sent to whom, and who may give one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from registry.catalog.curation import edit
from registry.catalog.lookup import resolve
from registry.catalog.picture_rows import BESIDE, HEADER, Looked, Tie, write_looked
from registry.curation import Change
from registry.formats.nsfw import PG, XXX, X
from registry.pictures.picture import Picture
from registry.pictures.sniff import KINDS
from registry.views import PictureKept
from tests.support.catalogs import MACHINE
from tests.support.pictures import opened, plain
from tests.support.schemas import violations
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

PNG = {"content-type": "image/png"}
LORAS = "/api/v1/loras"
PICTURES = "/api/v1/pictures"


@pytest.fixture
def one(builder: Builder) -> Builder:
    builder.file(builder.root("/models/lora"), "one.safetensors")
    builder.write()
    return builder


def give(service: Service, data: bytes, ref: str = "one") -> Any:
    answer = service.ask("PUT", f"{LORAS}/{ref}/pictures", content=data, headers=PNG)
    assert answer.status_code == 201, answer.text
    return answer.json()


def inside(builder: Builder, service: Service, name: str, level: int | None) -> str:
    """Let a picture be in the header of the lora, and return its key."""
    data = name.encode()
    key = service.studio.store.put(data, Picture(KINDS["png"], 6, 4, plain("WEBP")))
    kept = PictureKept(key, "image/png", 6, 4, len(data), 20, original=False)
    with builder.catalog.write() as unit:
        header = unit.conn.exec_driver_sql("SELECT header_id FROM file").scalar()
        place = unit.conn.exec_driver_sql("SELECT count(*) FROM picture_of").scalar() or 0
        tie = Tie(HEADER, int(header or 0), str(place).encode(), int(place), level)
        write_looked(unit, [Looked(tie, kept)])
    return key


def test_a_picture_that_is_given_stands_for_its_lora(one: Builder, service: Service) -> None:
    assert service.ask("GET", f"{LORAS}/one/preview").status_code == 404
    data = plain(size=(900, 600))
    made = give(service, data)
    assert made == {
        "key": hashlib.sha256(data).hexdigest(),
        "media_type": "image/png",
        "width": 900,
        "height": 600,
    }
    answer = service.ask("GET", f"{LORAS}/one/preview")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert opened(answer.content).size == (450, 300)
    assert answer.headers["etag"] == f'"{made["key"]}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = service.ask("GET", f"{LORAS}/one/preview", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = service.ask("HEAD", f"{LORAS}/one/preview")
    assert (head.status_code, head.content) == (200, b"")


def test_pictures_are_sent_by_their_key_for_good_and_as_they_came(one: Builder, service: Service) -> None:
    data = plain("JPEG")
    key = give(service, data)["key"]
    answer = service.ask("GET", f"{PICTURES}/{key}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    original = service.ask("GET", f"{PICTURES}/{key}/original")
    assert (original.content, original.headers["content-type"]) == (data, "image/jpeg")
    assert "sandbox" in original.headers["content-security-policy"]
    assert original.headers["x-content-type-options"] == "nosniff"
    assert original.headers["content-disposition"].startswith("inline; ")
    etag = {"if-none-match": original.headers["etag"]}
    assert service.ask("GET", f"{PICTURES}/{key}/original", headers=etag).status_code == 304
    part = service.ask("GET", f"{PICTURES}/{key}/original", headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, data[:10])


def test_the_list_tells_what_there_is(one: Builder, service: Service) -> None:
    key = inside(one, service, "first", PG)
    mine = give(service, plain())["key"]
    path = f"{LORAS}/one/pictures"
    listed = service.get(path)
    assert [(item["key"], item["source"]) for item in listed["items"]] == [(mine, "user"), (key, "header")]
    assert listed["hidden"] == 0
    document = service.get("/openapi.json")
    schema = document["paths"][f"{LORAS}/{{ref}}/pictures"]["get"]["responses"]["200"]["content"]
    assert violations(listed, schema["application/json"]["schema"], document) == []
    answer = service.ask("GET", path)
    same = service.ask("GET", path, headers={"if-none-match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    raised = service.ask("GET", f"{path}?nsfw=x", headers={"if-none-match": answer.headers["etag"]})
    assert raised.status_code == 200


def test_a_level_above_the_limit_sends_no_byte_until_it_is_raised(one: Builder, service: Service) -> None:
    key = inside(one, service, "hot", X)
    for path in (f"{LORAS}/one/preview", f"{PICTURES}/{key}", f"{PICTURES}/{key}/original"):
        refused = service.ask("GET", path)
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"] == "hidden by level"
    assert service.get(f"{LORAS}/one/pictures") == {"items": [], "hidden": 1}
    for path in (f"{LORAS}/one/preview", f"{PICTURES}/{key}"):
        assert service.ask("GET", f"{path}?nsfw=x").status_code == 200
        assert service.ask("GET", f"{path}?nsfw=r").status_code == 403
        assert service.ask("GET", path, headers={"cookie": "nsfw=x"}).status_code == 200
    assert service.get(f"{LORAS}/one/pictures?nsfw=x")["hidden"] == 0


def test_the_first_picture_that_may_be_shown_stands_for_a_lora(one: Builder, service: Service) -> None:
    inside(one, service, "hot", XXX)
    mild = inside(one, service, "mild", PG)
    assert service.ask("GET", f"{LORAS}/one/preview").headers["etag"] == f'"{mild}"'


def test_the_limit_of_the_settings_is_that_of_who_asks_for_none(
    one: Builder, start: Callable[..., Service]
) -> None:
    service = start(nsfw_pictures="x")
    key = inside(one, service, "hot", X)
    assert service.ask("GET", f"{PICTURES}/{key}").status_code == 200
    assert service.ask("GET", f"{PICTURES}/{key}?nsfw=pg").status_code == 403


def test_a_picture_that_was_given_has_the_level_of_its_lora(one: Builder, service: Service) -> None:
    key = give(service, plain())["key"]
    with one.catalog.write() as unit:
        edit(unit, [resolve(unit.conn, "one", MACHINE)], {"nsfw": Change(X)})
    assert service.ask("GET", f"{LORAS}/one/preview").status_code == 403
    assert service.ask("GET", f"{PICTURES}/{key}").status_code == 403


def test_what_was_given_can_be_taken_back_and_nothing_else(one: Builder, service: Service) -> None:
    key = give(service, plain())["key"]
    theirs = inside(one, service, "first", PG)
    assert service.ask("DELETE", f"{LORAS}/one/pictures/{theirs}").status_code == 404
    assert service.ask("DELETE", f"{LORAS}/one/pictures/{key}").status_code == 204
    assert service.ask("DELETE", f"{LORAS}/one/pictures/{key}").status_code == 404
    assert service.ask("GET", f"{PICTURES}/{key}").status_code == 404
    assert service.studio.store.original(key) is None
    assert [item["key"] for item in service.get(f"{LORAS}/one/pictures")["items"]] == [theirs]


def test_giving_the_same_twice_is_giving_it_once(one: Builder, service: Service) -> None:
    assert give(service, plain()) == give(service, plain())
    assert len(service.get(f"{LORAS}/one/pictures")["items"]) == 1


@pytest.mark.parametrize(
    ("data", "status", "slug"),
    [
        (b"", 422, "bad-picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "bad-picture"),
        (b"<!DOCTYPE html>", 422, "bad-picture"),
        (plain()[:60], 422, "bad-picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", 422, "bad-picture"),
        (bytes(33 << 20), 413, "too-large"),
    ],
)
def test_what_is_no_picture_is_not_taken(
    one: Builder, service: Service, data: bytes, status: int, slug: str
) -> None:
    answer = service.ask("PUT", f"{LORAS}/one/pictures", content=data, headers=PNG)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, slug)
    assert service.get(f"{LORAS}/one/pictures") == {"items": [], "hidden": 0}
    assert service.studio.store.size() == 0


def test_pictures_are_larger_than_other_bodies(one: Builder, service: Service) -> None:
    data = plain("PNG", size=(900, 900), compress_level=0)
    assert len(data) > 1 << 20
    assert give(service, data)["width"] == 900
    assert service.ask("POST", f"{LORAS}/one/pictures", content=data).status_code == 413


@pytest.mark.parametrize("ref", ["nobody", "id:99", quote("a/b/c"), "x%00y"])
def test_unknown_loras_have_no_pictures(one: Builder, service: Service, ref: str) -> None:
    for method, path in (("GET", "preview"), ("GET", "pictures"), ("PUT", "pictures")):
        answer = service.ask(method, f"{LORAS}/{ref}/{path}", content=plain() if method == "PUT" else None)
        assert answer.status_code in {400, 404}
    assert service.studio.store.size() == 0


@pytest.mark.parametrize("key", ["zz", "A" * 64, "..", "a" * 63, "%2e%2e%2fcatalog.sqlite3"])
def test_what_is_no_key_finds_nothing(one: Builder, service: Service, key: str) -> None:
    for path in (f"{PICTURES}/{key}", f"{PICTURES}/{key}/original"):
        assert service.ask("GET", path).status_code in {400, 404}


def test_a_picture_that_is_of_nothing_is_not_sent(one: Builder, service: Service) -> None:
    key = service.studio.store.put(b"left", Picture(KINDS["png"], 6, 4, plain("WEBP")), keep_original=True)
    assert service.ask("GET", f"{PICTURES}/{key}").status_code == 404
    assert service.ask("GET", f"{PICTURES}/{key}/original").status_code == 404


def test_who_may_read_looks_and_who_may_write_gives(one: Builder, start: Callable[..., Service]) -> None:
    service = start(require_token=True)
    reader, writer = ({"authorization": f"Bearer {service.token(role, role)}"} for role in ("read", "write"))

    def ask(method: str, path: str, who: dict[str, str], **body: Any) -> int:
        return service.ask(method, path, headers=who, peer=REMOTE, **body).status_code

    assert ask("PUT", f"{LORAS}/one/pictures", reader, content=plain()) == 403
    assert ask("PUT", f"{LORAS}/one/pictures", {}, content=plain()) == 401
    assert ask("PUT", f"{LORAS}/one/pictures", writer, content=plain()) == 201
    key = hashlib.sha256(plain()).hexdigest()
    assert ask("GET", f"{LORAS}/one/preview", reader) == 200
    assert ask("GET", f"{PICTURES}/{key}", {}) == 401
    assert ask("DELETE", f"{LORAS}/one/pictures/{key}", reader) == 403


def test_a_thumbnail_that_lies_elsewhere_is_said_to(one: Builder, service: Service) -> None:
    key = inside(one, service, "first", PG)
    service.studio.store.remove([key])
    answer = service.ask("GET", f"{PICTURES}/{key}")
    assert answer.status_code == 404
    assert "machine" in answer.json()["detail"]


def test_what_lies_beside_a_file_no_longer_is_not_sent_as_its_preview(one: Builder, service: Service) -> None:
    data = b"gone"
    key = service.studio.store.put(data, Picture(KINDS["png"], 6, 4, plain("WEBP")))
    with one.catalog.write() as unit:
        file_id = unit.conn.exec_driver_sql("SELECT id FROM file").scalar()
        kept = PictureKept(key, "image/png", 6, 4, 4, 20, original=False)
        write_looked(unit, [Looked(Tie(BESIDE, int(file_id or 0), b"one.png"), kept)])
    assert service.ask("GET", f"{LORAS}/one/preview").status_code == 404
