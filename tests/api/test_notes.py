"""`/api/v1/notes`: an archive out, an archive in."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.curation import edit
from registry.curation import read_changes
from tests.support.pictures import plain
from tests.support.schemas import violations
from tests.support.serving import REMOTE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.catalogs import Builder
    from tests.support.serving import Service

NOTES = "/api/v1/notes"
DATA = "2" * 64


@pytest.fixture
def noted(builder: Builder) -> int:
    """The id of a lora with a note."""
    builder.file(builder.root("/models"), "a.safetensors")
    builder.write()
    builder.hash("a", "1" * 64, DATA)
    with builder.catalog.write() as unit:
        edit(unit, [1], read_changes({"rating": 3}))
    return 1


def changed(raw: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """Return an archive with something else in one of its files."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as before, zipfile.ZipFile(file, "w") as after:
        for entry in before.namelist():
            data = before.read(entry)
            after.writestr(entry, data.replace(old, new) if entry == name else data)
    return file.getvalue()


def test_an_archive_comes_out_and_goes_in(service: Service, noted: int, tmp_path: Path) -> None:
    answer = service.ask("GET", NOTES)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert 'filename="notes-' in answer.headers["content-disposition"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    raw = changed(answer.content, "loras.jsonl", b'"value":3,"at":1', b'"value":5,"at":2')
    dry = service.ask("POST", f"{NOTES}?dry_run=true", content=raw).json()
    done = service.ask("POST", NOTES, content=raw)
    assert done.json() == dry
    assert (dry["matched"], dry["changed"], dry["conflicts"], dry["problems"]) == (1, 1, 1, [])
    document = service.get("/openapi.json")
    schema = document["paths"][NOTES]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert violations(done.json(), schema, document) == []
    # Nothing is left of the files that it went through.
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]


def test_pictures_that_were_given_go_along(service: Service, noted: int, builder: Builder) -> None:
    picture = plain()
    key = hashlib.sha256(picture).hexdigest()
    assert service.ask("PUT", f"/api/v1/loras/{noted}/pictures", content=picture).status_code == 201
    raw = service.ask("GET", NOTES).content
    assert service.ask("DELETE", f"/api/v1/loras/{noted}/pictures/{key}").status_code == 204
    done = service.ask("POST", NOTES, content=raw).json()
    assert (done["pictures"], done["problems"]) == (1, [])
    assert [one["key"] for one in service.get(f"/api/v1/loras/{noted}/pictures")["items"]] == [key]
    since = service.get("/api/v1/status")["generation"]
    service.ask("POST", NOTES, content=raw)
    assert service.get("/api/v1/status")["generation"] == since


@pytest.mark.parametrize("body", [b"", b"nothing", b"PK\x03\x04" * 100])
def test_what_is_no_archive_is_a_problem(service: Service, body: bytes) -> None:
    answer = service.ask("POST", NOTES, content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_archives_may_be_larger_than_other_bodies(service: Service) -> None:
    large = b"x" * (2 << 20)
    assert service.ask("POST", NOTES, content=large).status_code == 400
    assert service.ask("POST", "/api/v1/hashes", content=large).status_code == 413
    headers: Any = {"content-length": str(257 << 20)}
    assert service.ask("POST", NOTES, content=b"", headers=headers).status_code == 413


def test_only_an_administrator_sees_and_changes_everything(service: Service, noted: int) -> None:
    for role, status in (("read", 403), ("write", 403), ("admin", 200)):
        headers = {"Authorization": f"Bearer {service.token(role, role)}"}
        answer = service.ask("GET", NOTES, peer=REMOTE, headers=headers)
        assert answer.status_code == status
        body = answer.content if status == 200 else b"x"
        assert service.ask("POST", NOTES, peer=REMOTE, headers=headers, content=body).status_code == status
