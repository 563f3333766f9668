"""One library that is served to A1111 on Windows and to ComfyUI on Linux, over HTTP."""

from __future__ import annotations

import json
import ntpath
import posixpath
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import webuiapi  # type: ignore[import-untyped]

from registry.catalog.lookup import resolve
from registry.catalog.presence import set_missing
from registry.formats.nsfw import PG, X
from tests.support.catalogs import MACHINE, open_builder
from tests.support.serving import Service
from tests.support.telling import bearer, token
from tests.support.tool_library import note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

COVER = json.dumps(["data:image/png;base64,aaaa"])
TOOLS = {
    "forge": {
        "dialect": "a1111",
        "roots": ["shared", "main"],
        "kinds": ["lora"],
        "prefix": {"main": "D:\\ai\\models\\Lora", "shared": "\\\\nas\\loras"},
    },
    "comfy": {
        "dialect": "comfyui",
        "prefix": {"main": "/data/models/loras", "shared": "/mnt/nas/loras"},
    },
    "shared": {"dialect": "a1111", "roots": ["shared"], "architectures": ["sd15"]},
}
LIST = "/sdapi/v1/loras"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Service:
    main, shared = builder.root("/srv/loras", label="main"), builder.root("/mnt/nas", label="shared")
    for path in (
        "style=1/ink.safetensors",
        "hat10.safetensors",
        "hat2.safetensors",
        "style/x/pen.safetensors",
    ):
        builder.file(main, path, {"ss_output_name": path, "ssmd_cover_images": COVER})
    for path in ("hat2.safetensors", "flux/cap.safetensors", "gone.safetensors"):
        builder.file(shared, path, {"ss_output_name": f"shared {path}"})
    builder.file(main, "base.safetensors", {})
    builder.write()
    note(builder, "base", kind="checkpoint")
    note(builder, "cap", architecture="flux1")
    with builder.catalog.write() as unit:
        gone = resolve(unit.conn, "gone", MACHINE)
        ids = unit.conn.exec_driver_sql(f"SELECT id FROM file WHERE lora_id = {gone}").scalars().all()
        set_missing(unit, ids)
    return Service(builder, tmp_path, lambda: 0.0, tools=TOOLS)


def told(service: Service, path: str) -> list[tuple[str, str]]:
    return [(each["name"], each["path"]) for each in service.get(path)]


def test_each_tool_sees_the_library_as_if_it_lay_there(service: Service) -> None:
    with service.listening() as url:
        api = webuiapi.WebUIApi(baseurl=f"{url}/t/forge/sdapi/v1")
        forge = [(each["name"], each["path"]) for each in api.get_loras()]
        api.session.close()
        comfy = httpx.get(f"{url}/t/comfy/models/loras").json()
        rows = httpx.get(f"{url}/t/comfy/experiment/models/loras").json()
        roots = httpx.get(f"{url}/t/comfy/experiment/models").json()[0]["folders"]
    assert forge == [
        ("hat2", "D:\\ai\\models\\Lora\\hat2.safetensors"),
        ("cap", "\\\\nas\\loras\\flux\\cap.safetensors"),
        ("hat10", "D:\\ai\\models\\Lora\\hat10.safetensors"),
        # Where the separator is another one, so is the order of folders.
        ("ink", "D:\\ai\\models\\Lora\\style=1\\ink.safetensors"),
        ("pen", "D:\\ai\\models\\Lora\\style\\x\\pen.safetensors"),
    ]
    assert all(ntpath.isabs(path) for _, path in forge)
    assert comfy == [
        "base.safetensors",
        "flux/cap.safetensors",
        "hat10.safetensors",
        "hat2.safetensors",
        "style/x/pen.safetensors",
        "style=1/ink.safetensors",
    ]
    paths = [posixpath.join(roots[row["pathIndex"]], row["name"]) for row in rows]
    assert paths[:2] == ["/data/models/loras/base.safetensors", "/data/models/loras/hat2.safetensors"]
    assert paths[-1] == "/mnt/nas/loras/flux/cap.safetensors"


def test_without_a_tool_the_list_is_as_it_was(service: Service) -> None:
    with service.open():
        assert told(service, LIST) == [
            ("base", "/srv/loras/base.safetensors"),
            ("hat2", "/mnt/nas/hat2.safetensors"),
            ("hat10", "/srv/loras/hat10.safetensors"),
            ("pen", "/srv/loras/style/x/pen.safetensors"),
            ("ink", "/srv/loras/style=1/ink.safetensors"),
            ("cap", "/mnt/nas/flux/cap.safetensors"),
        ]


def test_what_is_picked_out_of_a_list_is_as_it_stands_there(service: Service, builder: Builder) -> None:
    with service.open():
        whole = {each["name"]: each for each in service.get(f"/t/forge{LIST}")}
        limited = service.get(f"/t/forge{LIST}?limit=2")
        assert [each["name"] for each in limited] == ["hat2", "cap"]
        service.catch_up()
        found = service.get(f"/t/forge{LIST}?q=hat10")
        assert found == [whole["hat10"]]
        assert service.get(f"/t/shared{LIST}?q=hat10") == []
        since = int(service.ask("GET", f"/t/forge{LIST}").headers["x-loras-generation"])
        note(builder, "ink", weight=0.5)
        note(builder, "base", weight=0.5)
        assert service.get(f"/t/forge{LIST}?since={since}") == [whole["ink"]]


def test_lists_of_several_tools_are_told_apart_and_renewed(service: Service, builder: Builder) -> None:
    with service.open():
        first = service.ask("GET", f"/t/shared{LIST}")
        assert [each["path"] for each in first.json()] == ["/mnt/nas/hat2.safetensors"]
        same = {"if-none-match": first.headers["etag"]}
        assert service.ask("GET", f"/t/shared{LIST}", headers=same).status_code == 304
        assert len(service.ask("GET", f"/t/forge{LIST}", headers=same).json()) == 5
        note(builder, "cap", architecture="sd15")
        again = service.ask("GET", f"/t/shared{LIST}", headers=same)
        assert [each["name"] for each in again.json()] == ["hat2", "cap"]
        plain = service.ask("GET", f"/t/shared{LIST}", headers={"accept-encoding": "identity"})
        assert plain.json() == again.json()


def test_entries_above_a_limit_and_covers_above_a_level_are_not_sent(
    service: Service, builder: Builder
) -> None:
    note(builder, "ink", nsfw=X)
    note(builder, "hat10", nsfw=PG)

    def covered(path: str, **more: Any) -> list[str]:
        answer = service.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json() if "ssmd_cover_images" in each["metadata"]]

    with service.open():
        service.catch_up()
        headers = bearer(token(service, nsfw_entries=PG))
        for path in (LIST, f"/t/forge{LIST}"):
            names = [each["name"] for each in service.ask("GET", path, headers=headers).json()]
            assert "ink" not in names
            assert "hat10" in names
        assert covered(f"{LIST}?covers=true") == ["hat10", "pen"]
        assert covered(f"{LIST}?covers=true&nsfw=x") == ["hat10", "pen", "ink"]
        assert covered(f"/t/forge{LIST}?covers=true&limit=4") == ["hat2", "hat10"]
