"""The A1111 dialect over HTTP: asked by the clients that people use, on a real port."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import webuiapi  # type: ignore[import-untyped]

from registry.catalog.presence import set_missing
from registry.catalog.roots import mount_root
from tests.support.catalogs import MACHINE, open_builder
from tests.support.files import kohya_metadata
from tests.support.known_loras import note
from tests.support.serving import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.catalogs import Builder

LIST = "/sdapi/v1/loras"
COVER = json.dumps(["data:image/png;base64,aaaa"])


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = open_builder(tmp_path)
    yield made
    made.catalog.close()


@pytest.fixture
def service(builder: Builder, tmp_path: Path) -> Service:
    return Service(builder, tmp_path, lambda: 0.0)


@pytest.fixture
def many(builder: Builder) -> int:
    """Enough files that the answer takes several reads of the catalog and several blocks of the network."""
    root = builder.root("/models/lora")
    for index in range(450):
        metadata = {**kohya_metadata(seed=index, tags=150, name=f"style_{index}"), "ssmd_cover_images": COVER}
        builder.file(root, f"set_{index % 7}/style_{index}.safetensors", metadata)
    builder.write()
    return 450


def fetched(url: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Send exactly these headers and return the answer with its bytes as they came."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.putrequest(
            "GET", f"{parts.path}?{parts.query}" if parts.query else parts.path, skip_accept_encoding=True
        )
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    with service.open():
        return list(service.get(LIST + query))


def test_webuiapi_reads_the_whole_list(service: Service, many: int) -> None:
    with service.listening() as url:
        api = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1")
        entries = api.get_loras()
        api.session.close()
    assert len(entries) == many
    assert list(entries[0]) == ["name", "alias", "path", "metadata"]
    assert entries[0]["path"] == "/models/lora/set_0/style_0.safetensors"
    assert isinstance(entries[0]["metadata"]["ss_tag_frequency"], dict)


def test_webuiapi_signs_in_with_a_token_as_password(builder: Builder, tmp_path: Path, many: int) -> None:
    service = Service(builder, tmp_path, lambda: 0.0, require_token=True)
    secret = service.token("picker", "read")
    with service.listening() as url:
        known = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1", username="anybody", password=secret)
        assert len(known.get_loras()) == many
        known.session.close()
        stranger = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1")
        refused = stranger.session.get(f"{url}{LIST}")
        stranger.session.close()
    assert refused.status_code == 401
    assert "Basic" in refused.headers["www-authenticate"]
    assert set(refused.json()) == {"error", "detail", "body", "errors"}


def test_a_refresh_scans_and_answers_null(service: Service, builder: Builder) -> None:
    root = builder.root("/models/lora")
    builder.file(root, "new.safetensors")
    with service.listening() as url:
        api = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1")
        assert api.get_loras() == []
        answer = api.session.post(f"{url}/sdapi/v1/refresh-loras")
        assert (answer.status_code, answer.json()) == (200, None)
        assert [entry["name"] for entry in api.get_loras()] == ["new"]
        api.session.close()
    assert ("rescan", None) in service.actions.asked


def test_httpx_reads_the_whole_list_out_of_one_gzip_member(service: Service, many: int) -> None:
    with service.listening() as url:
        entries = httpx.get(url + LIST).json()
        answer, packed = fetched(url + LIST, Accept_Encoding="gzip")
    assert len(entries) == many
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(packed)
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    body = inflater.decompress(packed)
    assert inflater.eof
    assert inflater.unused_data == b""
    assert json.loads(body) == entries


def test_a_client_without_gzip_gets_the_same_list_plain(service: Service, many: int) -> None:
    with service.listening() as url:
        _, packed = fetched(url + LIST, Accept_Encoding="gzip")
        answer, plain = fetched(url + LIST)
        _, refused = fetched(url + LIST, Accept_Encoding="gzip;q=0, br")
    assert answer.headers.get("content-encoding") is None
    assert gzip.decompress(packed) == plain == refused


def test_chromium_reads_the_whole_list(service: Service, many: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium on this machine")
    with service.listening() as url:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        shown = subprocess.run(
            [browser, *options, "--dump-dom", url + LIST], capture_output=True, timeout=120, check=True
        )
    assert shown.stdout.count(b'"alias":') == many


def test_a_list_that_is_known_is_not_sent_again_until_something_changes(
    service: Service, builder: Builder
) -> None:
    root = builder.root("/models/lora")
    builder.file(root, "one.safetensors")
    builder.write()
    with service.open():
        first = service.ask("GET", LIST)
        again = service.ask("GET", LIST, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        plain = service.ask("GET", LIST, headers={"Accept-Encoding": "identity"})
        assert plain.headers["etag"] != first.headers["etag"]
        builder.file(root, "two.safetensors")
        builder.write()
        changed = service.ask("GET", LIST, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert [entry["name"] for entry in changed.json()] == ["one", "two"]


def test_of_two_files_with_one_name_the_last_is_shown_where_the_first_stands(
    service: Service, builder: Builder
) -> None:
    first, second = builder.root("/a"), builder.root("/b")
    builder.file(first, "same.safetensors", {"ss_output_name": "first"})
    builder.file(first, "z.safetensors", {})
    builder.file(second, "a.safetensors", {})
    builder.file(second, "deep/same.safetensors", {"ss_output_name": "last"})
    builder.write()
    shown = [(entry["name"], entry["alias"], entry["path"]) for entry in listed(service)]
    assert shown == [
        ("same", "last", "/b/deep/same.safetensors"),
        ("z", "z", "/a/z.safetensors"),
        ("a", "a", "/b/a.safetensors"),
    ]


def test_files_come_in_natural_order_by_folder_and_root(service: Service, builder: Builder) -> None:
    first, second = builder.root("/a"), builder.root("/b")
    for path in ("v10.safetensors", "v9.safetensors", "b/x.safetensors", "A2/y.safetensors"):
        builder.file(first, path, {})
    builder.file(second, "0.safetensors", {})
    builder.write()
    assert [entry["name"] for entry in listed(service)] == ["v9", "v10", "y", "x", "0"]


def test_what_has_no_header_is_listed_without_metadata(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(root, "broken.safetensors", cause="truncated-header", opened=False)
    builder.file(root, "old.pt", opened=False)
    builder.write()
    assert listed(service) == [
        {"name": "broken", "alias": "broken", "path": "/a/broken.safetensors", "metadata": {}},
        {"name": "old", "alias": "old", "path": "/a/old.pt", "metadata": {}},
    ]


def test_a_header_that_can_be_read_is_shown_whatever_the_data_are(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(root, "cut.safetensors", {"ss_output_name": "mine"}, cause="truncated-data")
    builder.write()
    shown = {
        "name": "cut",
        "alias": "mine",
        "path": "/a/cut.safetensors",
        "metadata": {"ss_output_name": "mine"},
    }
    assert listed(service) == [shown]


def test_an_empty_output_name_is_an_alias_as_it_stands(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(root, "a.v1.safetensors", {"ss_output_name": ""})
    builder.write()
    assert [(entry["name"], entry["alias"]) for entry in listed(service)] == [("a.v1", "")]


def test_extensions_that_the_web_ui_does_not_know_are_not_listed(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    for name in ("a.sft", "b.SafeTensors", "c.bin", "d.ckpt"):
        builder.file(root, name, opened=name != "c.bin")
    builder.write()
    assert [entry["name"] for entry in listed(service)] == ["b", "d"]


def test_a_list_that_was_brought_up_to_date_is_the_one_made_anew(
    service: Service, builder: Builder, tmp_path: Path, many: int
) -> None:
    def renewed() -> list[dict[str, Any]]:
        return listed(Service(builder, tmp_path, lambda: 0.0))

    with service.open():
        assert service.get(LIST) == renewed()
        builder.file(1, "set_3/style_3.safetensors", {"ss_output_name": "changed"})  # replaces what is there
        builder.write()
        assert [e["alias"] for e in service.get(LIST) if e["name"] == "style_3"] == ["changed"]
        assert service.get(LIST) == renewed()
        builder.file(1, "a_first.safetensors", {})
        builder.file(1, "set_5/style_3.safetensors", {"ss_output_name": "another of that name"})
        builder.write()
        assert service.get(LIST) == renewed()
        assert len(renewed()) == many + 1
        with builder.catalog.write() as unit:
            missing = unit.conn.exec_driver_sql("SELECT id FROM file WHERE id % 50 = 7").scalars().all()
            set_missing(unit, missing)
        assert service.get(LIST) == renewed()
        assert len(renewed()) == many + 1 - len(missing)
        with builder.catalog.write() as unit:
            mount_root(unit, 1, MACHINE, "/elsewhere")
        assert service.get(LIST) == renewed()
        assert {entry["path"].split("/")[1] for entry in renewed()} == {"elsewhere"}


def test_cover_images_come_only_when_asked_for(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(
        root,
        "one.safetensors",
        {"ss_steps": "5", "ssmd_cover_images": COVER, "ss_network_args": '{"a": "1"}'},
    )
    builder.file(root, "two.safetensors", {})
    builder.write()
    without, two = listed(service)
    assert without["metadata"] == {"ss_steps": "5", "ss_network_args": {"a": "1"}}
    asked, same = listed(service, "?covers=true")
    assert asked["metadata"] == {**without["metadata"], "ssmd_cover_images": COVER}
    assert two == same
    # Asking for one form must not answer with what was prepared for the other.
    assert listed(service)[0] == without


def test_pictures_prompts_and_workflows_come_only_when_asked_for_and_up_to_a_level(
    service: Service, builder: Builder
) -> None:
    told = {
        "modelspec.thumbnail": "data:image/jpeg;base64,aaaa",
        "prompt": '{"1": {"class_type": "KSampler"}}',
        "workflow": '{"nodes": []}',
        "Parameters": "a cat",
    }
    root = builder.root("/a")
    builder.file(root, "own.safetensors", {"ss_steps": "5", **told})
    builder.file(root, "only.safetensors", told)
    builder.write()
    for name in ("own", "only"):
        note(builder, name, nsfw="xxx")

    with service.open():
        service.catch_up()

        def keys(query: str) -> list[set[str]]:
            return [set(each["metadata"]) for each in service.get(LIST + query)]

        for query in ("", "?limit=5", "?covers=true", "?covers=true&limit=5", "?since=0"):
            assert keys(query) == [set(), {"ss_steps"}], query
        assert keys("?q=own") == keys("?q=own&covers=true") == [{"ss_steps"}]
        for query in ("?covers=true&nsfw=xxx", "?covers=true&nsfw=xxx&limit=5"):
            assert keys(query) == [set(told), {"ss_steps", *told}], query
        assert keys("?nsfw=xxx") == [set(), {"ss_steps"}]


def test_numbers_that_json_does_not_have_become_null(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(root, "nan.safetensors", {"ss_bucket_info": '{"mean_img_ar_error": NaN}'})
    builder.write()
    assert listed(service)[0]["metadata"] == {"ss_bucket_info": {"mean_img_ar_error": None}}


def test_missing_files_are_not_listed(service: Service, builder: Builder) -> None:
    root = builder.root("/a")
    builder.file(root, "one.safetensors")
    builder.write()
    with service.open():
        assert len(service.get(LIST)) == 1
        service.actions.remove_root(root, None)
        assert service.get(LIST) == []


def test_errors_have_the_shape_that_these_clients_know(service: Service) -> None:
    with service.open():
        unknown = service.ask("GET", "/sdapi/v1/upscalers")
        wrong = service.ask("GET", LIST + "?covers=perhaps")
    assert (unknown.status_code, wrong.status_code) == (404, 400)
    for answer in (unknown, wrong):
        assert list(answer.json()) == ["error", "detail", "body", "errors"]


def test_slow_readers_keep_their_list_while_newer_ones_are_made(
    service: Service, builder: Builder, many: int
) -> None:
    with service.listening() as url, httpx.stream("GET", url + LIST) as slow:
        pieces = slow.iter_raw()
        begun = next(pieces)
        builder.file(1, "newer.safetensors")
        builder.write()
        assert len(httpx.get(url + LIST).json()) == many + 1
        rest = begun + b"".join(pieces)
    assert len(json.loads(gzip.decompress(rest))) == many
