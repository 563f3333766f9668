"""What the weights tell, over HTTP: fingerprints, their picture, what is alike, and the measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from registry.catalog.curation import edit
from registry.catalog.fingerprints import keep_fingerprint
from registry.catalog.tokens import TokenScope, create_token
from registry.curation import read_changes
from registry.formats.nsfw import PG, listed_levels
from registry.lora.fingerprint import VERSION
from registry.lora.sketch import SIZE
from registry.measured import Measured, MeasuredBlock
from registry.search.service import Searching
from registry.search.translations import load
from registry.search.writing import format_query
from tests.support.known_loras import id_of

if TYPE_CHECKING:
    from tests.support.catalogs import Builder
    from tests.support.serving import Service

BLOCKS = (
    MeasuredBlock("unet", "down_blocks_0_attentions_1", 8, 2.5),
    MeasuredBlock("te1", "encoder_layers_3<b>", 4, 0.5),
)


@pytest.fixture(autouse=True)
def _measured(builder: Builder) -> None:
    root = builder.root("/models/loras")
    for name in ("ink", "ink_half", "other", "bare"):
        builder.file(root, f"{name}.safetensors")
    builder.write()
    drawn = np.random.default_rng(3).standard_normal((2, SIZE)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    for name, row in (("ink", 0), ("ink_half", 0), ("other", 1)):
        found = Measured("change", ("ok",), 12, 2.5, 0.0, 0.7, 11.5, BLOCKS, VERSION, 0)
        with builder.catalog.write() as unit:
            raw = drawn[row].astype("<f2").tobytes()
            assert keep_fingerprint(unit, id_of(builder, name), found, raw)


def test_a_fingerprint_is_told_with_its_blocks(service: Service) -> None:
    found = service.get("/api/v1/loras/ink/fingerprint")
    assert (found["health"], found["unet_norm"], found["effective_rank"]) == (["ok"], 2.5, 11.5)
    assert found["blocks"][0] == ["unet", "down_blocks_0_attentions_1", 8, 2.5]
    assert service.ask("GET", "/api/v1/loras/bare/fingerprint").status_code == 404
    assert service.ask("GET", "/api/v1/loras/none/fingerprint").status_code == 404


def test_the_blocks_are_drawn_and_hold_no_markup_of_strangers(service: Service) -> None:
    answer = service.ask("GET", "/api/v1/loras/ink/fingerprint.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    image = ET.fromstring(answer.text)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    bars = image.findall(f"{space}rect")
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[0] == pytest.approx(5 * widths[1], rel=0.01)
    texts = [text.text for text in image.findall(f"{space}text")]
    assert texts == ["down 0 attn 1", "2.5", "te1 layer 3<b>", "0.5"]


def test_the_picture_is_sent_once_as_long_as_it_is_the_same(service: Service, builder: Builder) -> None:
    path = "/api/v1/loras/ink/fingerprint.svg"
    first = service.ask("GET", path)
    etag = first.headers["etag"]
    assert etag.startswith(f'"{VERSION}-')
    for given in (etag, f'"other", {etag}', "*"):
        again = service.ask("GET", path, headers={"if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == first.headers["cache-control"] == "private, no-cache"
    with builder.catalog.write() as unit:
        edit(unit, [id_of(builder, "ink")], read_changes({"rating": 3}))
    assert service.ask("GET", path, headers={"if-none-match": etag}).status_code == 304
    stronger = Measured("change", ("ok",), 12, 5.0, 0.0, 0.7, 11.5, BLOCKS, VERSION, 0)
    with builder.catalog.write() as unit:
        assert keep_fingerprint(unit, id_of(builder, "ink"), stronger)
    changed = service.ask("GET", path, headers={"if-none-match": etag})
    assert (changed.status_code, changed.headers["etag"] != etag) == (200, True)


def test_what_is_alike_is_listed_with_what_it_is(service: Service, builder: Builder) -> None:
    found = service.get("/api/v1/loras/ink/similar")
    (item,) = found["items"]
    assert (item["id"], item["name"], item["relation"]) == (
        id_of(builder, "ink_half"),
        "ink_half",
        "same-weights",
    )
    assert (found["measured"], found["parents"], found["withheld"]) == (3, [], 0)
    assert len(service.get("/api/v1/loras/ink/similar?least=-1")["items"]) == 2
    assert len(service.get("/api/v1/loras/ink/similar?least=-1&limit=1")["items"]) == 1
    for wrong in ("limit=0", "limit=201", "least=2", "least=x", "odd=1"):
        assert service.ask("GET", f"/api/v1/loras/ink/similar?{wrong}").status_code == 400


def test_who_is_limited_by_levels_is_told_how_many_are_withheld(service: Service, builder: Builder) -> None:
    with builder.catalog.write() as unit:
        edit(unit, [id_of(builder, "ink_half")], read_changes({"nsfw": "x"}))
        edit(unit, [id_of(builder, "ink")], read_changes({"nsfw": "pg"}))
        secret = create_token(unit, "young", "read", TokenScope(nsfw_entries=1))
    bearer = {"authorization": f"Bearer {secret}"}
    answer = service.ask("GET", "/api/v1/loras/ink/similar", headers=bearer)
    assert (answer.json()["items"], answer.json()["withheld"]) == ([], 1)
    for path in ("fingerprint", "fingerprint.svg", "similar"):
        asked = service.ask("GET", f"/api/v1/loras/ink_half/{path}", headers=bearer)
        assert asked.status_code == 403


def test_measuring_is_started_by_who_may_write(service: Service) -> None:
    answer = service.ask("POST", "/api/v1/fingerprints", json={"query": "arch:sdxl", "all": True})
    assert (answer.status_code, answer.json()) == (202, {"job": 12})
    assert service.actions.asked == [("measure", "arch:sdxl", True, None)]
    assert service.ask("POST", "/api/v1/fingerprints", json={"odd": 1}).status_code == 400
    secret = service.token("reader", "read")
    headers = {"authorization": f"Bearer {secret}"}
    assert service.ask("POST", "/api/v1/fingerprints", headers=headers).status_code == 403


def test_health_is_searched_and_counted(service: Service, builder: Builder) -> None:
    broken = Measured("change", ("exploding", "nan"), 1, 0.0, 0.0, None, None, (), VERSION, 0)
    with builder.catalog.write() as unit:
        keep_fingerprint(unit, id_of(builder, "bare"), broken)
    service.catch_up()
    assert [one["name"] for one in service.get("/api/v1/search?q=health:nan")["items"]] == ["bare"]
    assert service.get("/api/v1/search?q=health:ok&facets=health")["total"] == 3
    facets = service.get("/api/v1/search?q=&facets=health")["facets"]
    assert {value["value"]: value["count"] for value in facets[0]["values"]} == {
        "ok": 3,
        "exploding": 1,
        "nan": 1,
    }


def test_what_is_like_a_lora_is_looked_up_once_a_search(service: Service, builder: Builder) -> None:
    service.catch_up()
    ink, other = id_of(builder, "ink"), id_of(builder, "other")
    known: dict[str, list[int]] = {"ink": [ink, other], "nothing": []}
    asked: list[str] = []

    def alike(text: str) -> list[int]:
        asked.append(text)
        return known[text]

    searching = Searching(builder.catalog, service.index, load(()), alike=alike)
    try:
        levels = listed_levels(PG, lambda _level: True)
        asks = "similar:ink OR (bare -like:ink) OR similar:nothing"
        found = searching.search(asks, facets=("all",), levels=levels)
        assert asked == ["ink", "nothing"]
        assert set(found.hits.ids) == {ink, other, id_of(builder, "bare")}
        assert [one.slug for one in found.warnings] == ["nothing-like"]
        assert "similar:ink" in format_query(found.query)
        asked.clear()
        assert set(searching.all_ids("similar:ink -bare", 10)) == {ink, other}
        assert asked == ["ink"]
    finally:
        searching.close()


def test_similar_finds_the_family_of_one_and_says_where_it_cannot(service: Service, builder: Builder) -> None:
    service.catch_up()
    for asked in ("similar:ink", f"like:{id_of(builder, 'ink')}"):
        found = service.get(f"/api/v1/search?q={asked}")
        assert {one["name"] for one in found["items"]} == {"ink", "ink_half"}
        assert found["warnings"] == []
    assert service.get("/api/v1/search?q=-similar:ink")["total"] == 2
    assert service.get("/api/v1/search?q=similar:other,ink")["total"] == 3
    for asked in ("similar:bare", "similar:nothing"):
        found = service.get(f"/api/v1/search?q={asked}")
        assert (found["total"], [one["slug"] for one in found["warnings"]]) == (0, ["nothing-like"])
