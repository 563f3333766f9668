"""No request holds one connection to the catalog while it waits for another."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from registry.catalog.engine import Catalog
from registry.catalog.migrate import ensure_schema
from registry.catalog.roots import seen_machine
from registry.catalog.saved import put_saved
from registry.catalog.tokens import TokenScope, create_token
from registry.formats.nsfw import X
from tests.support.catalogs import MACHINE, Builder
from tests.support.serving import REMOTE, Service
from tests.support.tool_library import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

TOOL = {"roots": ["main", "more"], "nsfw_entries": "x", "nsfw_pictures": "r"}
KEY, SHA = "00000000-0000-0000-0000-000000000001", "0" * 64
PATHS = (
    "/sdapi/v1/loras",
    "/sdapi/v1/loras?covers=true",
    "/sdapi/v1/loras?limit=3",
    "/sdapi/v1/loras?q=saved:mine",
    "/sdapi/v1/loras?since=0",
    "/models/loras",
    "/object_info/LoraLoader",
    "/view_metadata/loras?filename=hat10.safetensors",
    "/experiment/models",
    "/experiment/models/loras",
    "/experiment/models/preview/loras/0/hat10.safetensors",
    "/sdapi/v1/lora?lora=hat10",
    "/api/v2/models/",
    "/api/v2/models/get_by_attrs?name=hat10&type=lora&base=sd-1",
    f"/api/v2/models/i/{KEY}",
    f"/api/v2/models/i/{KEY}/image",
    f"/civitai/api/v1/model-versions/by-hash/{SHA}",
    "/civitai/api/v1/model-versions/7",
    "/civitai/api/v1/models/7",
    "/civitai/api/v1/models",
    "/civitai/api/v1/models?query=saved:mine",
    "/civitai/api/v1/models?ids=7&tag=x&username=y",
    "/v2/model/civitai_version_id/7",
    "/v2/models",
    "/v3/model",
    "/v3/model?filter.query=hat&filter.tags=x",
    "/api/v1/loras",
    "/api/v1/loras/hat10",
    "/api/v1/loras/hat10/preview",
    "/api/v1/loras/hat10/pictures",
    f"/api/v1/pictures/{SHA}",
    "/api/v1/search?q=saved:mine&facets=all",
    "/api/v1/suggest?q=ha",
    "/api/v1/duplicates",
    "/api/v1/status",
    "/",
    "/loras/1",
    "/suggest?q=ha",
)
POSTS: dict[str, dict[str, Any]] = {
    "/API/ListModels": {"session_id": "x", "path": "", "depth": 20, "subtype": "LoRA", "dataImages": True},
    "/API/DescribeModel": {"session_id": "x", "modelName": "hat10.safetensors", "subtype": "LoRA"},
    "/API/GetModelHash": {"session_id": "x", "modelName": "hat10.safetensors", "subtype": "LoRA"},
    "/api/v1b/models/lora": {},
    "/api/v1b/models/private": {"query": "hat"},
}


class Counting(Catalog):
    """A catalog that remembers how many read units one thread had open at once."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.deepest = self.opened = 0
        self._local = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        depth = getattr(self._local, "depth", 0) + 1
        self._local.depth = depth
        self.opened += 1
        self.deepest = max(self.deepest, depth)
        try:
            with super().read() as conn:
                yield conn
        finally:
            self._local.depth = depth - 1


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counting]:
    made = Counting(f"sqlite:///{(tmp_path / 'catalog.sqlite3').as_posix()}")
    ensure_schema(made, backups=None, allow_upgrade=False)
    with made.write() as unit:
        seen_machine(unit, MACHINE, "here")
    yield made
    made.close()


@pytest.fixture
def library(counted: Counting, tmp_path: Path) -> Iterator[Service]:
    builder = Builder(counted)
    fill(builder)
    tools = {"tool": {"dialect": "a1111", **TOOL}}
    with counted.write() as unit:
        put_saved(unit, "mine", "hat")
    with Service(builder, tmp_path, lambda: 0.0, tools=tools).open() as service:
        service.catch_up()
        yield service


@pytest.fixture
def capped(counted: Counting) -> dict[str, str]:
    with counted.write() as unit:
        secret = create_token(unit, "picker", "read", scope=TokenScope(nsfw_entries=X))
    return {"authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("before", ["", "/t/tool"])
def test_no_read_unit_is_opened_within_another(
    library: Service, counted: Counting, capped: dict[str, str], before: str
) -> None:
    nested = []
    for path in (*PATHS, *POSTS):
        counted.deepest = counted.opened = 0
        body = {"json": POSTS[path]} if path in POSTS else {}
        answer = library.ask("POST" if body else "GET", before + path, peer=REMOTE, headers=capped, **body)
        assert answer.status_code in {200, 403, 404}, (path, answer.text)
        assert counted.opened, path
        if counted.deepest > 1:
            nested.append(path)
    assert nested == []
