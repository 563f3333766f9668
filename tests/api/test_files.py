"""Fetching model files from another machine: whole, in parts, verified, and only as they were scanned."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psutil
import pytest

from registry.catalog.lookup import resolve
from registry.catalog.roots import mount_root, seen_machine
from registry.hashing.reader import hash_file
from tests.support.catalogs import MACHINE, Builder
from tests.support.fetching import Fetcher, big_file, sha256_of
from tests.support.served import until
from tests.support.serving import REMOTE, Service
from tests.support.shelf import later, lora, open_shelf, renew_inode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.shelf import Shelf

BIG = 64 << 20


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A scanned folder with a hashed file `one` in it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "machine-id").write_text(MACHINE)
    with open_shelf(tmp_path) as opened:
        lora(opened.folder / "style" / "one.safetensors", 1)
        opened.scan()
        opened.hash()
        yield opened


@contextmanager
def serving(shelf: Shelf, **settings: Any) -> Iterator[Service]:
    place = shelf.folder.parent
    with Service(Builder(shelf.registry.catalog), place, lambda: 0.0, **settings).open() as service:
        yield service


@pytest.fixture
def service(shelf: Shelf) -> Iterator[Service]:
    with serving(shelf) as opened:
        yield opened


@pytest.fixture
def url(shelf: Shelf) -> Iterator[str]:
    """The address of a server that listens."""
    with Service(Builder(shelf.registry.catalog), shelf.folder.parent, lambda: 0.0).listening() as opened:
        yield opened


def file_of(reference: object) -> str:
    return f"/api/v1/loras/{quote(str(reference))}/file"


def bytes_of(shelf: Shelf, path: str = "style/one.safetensors") -> bytes:
    return (shelf.folder / path).read_bytes()


def refused(service: Service, reference: object, status: int, **headers: str) -> Any:
    answer = service.ask("GET", file_of(reference), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["remedy"]
    return answer.json()["detail"]


def test_a_whole_file_comes_with_everything_to_verify_and_save_it(shelf: Shelf, url: str) -> None:
    answer = httpx.get(url + file_of("one"))
    assert (answer.status_code, answer.content) == (200, bytes_of(shelf))
    told = answer.headers
    assert told["etag"] == f'"{sha256_of(answer.content)}"'
    assert told["content-length"] == str(len(answer.content))
    assert told["content-type"] == "application/octet-stream"
    assert told["accept-ranges"] == "bytes"
    assert told["content-disposition"].startswith('attachment; filename="one.safetensors"')
    assert told["x-content-type-options"] == "nosniff"
    assert told["cache-control"] == "private, no-cache, no-transform"
    assert told["last-modified"].endswith(" GMT")
    fetcher = Fetcher(url + file_of("one"))
    fetcher.fetch()
    assert fetcher.verify() == bytes_of(shelf)


def test_every_kind_of_reference_leads_to_the_file(shelf: Shelf, service: Service) -> None:
    path = shelf.folder / "style" / "one.safetensors"
    hashes = hash_file(path).hashes
    with shelf.registry.catalog.read() as conn:
        lora_id = resolve(conn, "one", MACHINE)
    for reference in (
        lora_id,
        f"id:{lora_id}",
        "ONE",
        "one.safetensors",
        "style/one.safetensors",
        str(path),
        hashes.sha256,
        hashes.sha256[:10].upper(),
        f"hash:{hashes.blake3}",
        hashes.data_sha256,
        f"hash:{hashes.crc32}",
    ):
        assert service.ask("GET", file_of(reference)).content == path.read_bytes(), reference


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("0-0", 0, 1),
        ("5-19", 5, 20),
        ("100-", 100, None),
        ("-7", -7, None),
        ("3-99999999999999999999", 3, None),
    ],
)
def test_a_range_is_sent_alone(shelf: Shelf, url: str, asked: str, begin: int, end: int | None) -> None:
    whole = bytes_of(shelf)
    answer = httpx.get(url + file_of("one"), headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, whole[begin:end])
    start = begin % len(whole)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["etag"] == f'"{sha256_of(whole)}"'


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=-", "bytes=a-b", "lines=1-2", "bytes"]
)
def test_what_is_no_single_range_gets_the_whole_file(shelf: Shelf, service: Service, asked: str) -> None:
    answer = service.ask("GET", file_of("one"), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, bytes_of(shelf))


@pytest.mark.parametrize("asked", ["{size}-", "99999999-100000000", "-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(shelf: Shelf, service: Service, asked: str) -> None:
    size = len(bytes_of(shelf))
    answer = service.ask("GET", file_of("one"), headers={"Range": f"bytes={asked.format(size=size)}"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert answer.json()["type"] == "urn:lora-registry:range-not-satisfiable"


def test_a_download_goes_on_where_it_stopped(shelf: Shelf, url: str) -> None:
    fetcher = Fetcher(url + file_of("one"))
    fetcher.fetch(stop=100)
    assert len(fetcher.data) == 100
    fetcher.fetch()
    assert fetcher.statuses == [206, 206]
    assert fetcher.verify() == bytes_of(shelf)


def test_a_download_starts_anew_when_the_file_was_replaced_meanwhile(shelf: Shelf, url: str) -> None:
    fetcher = Fetcher(url + file_of("style/one.safetensors"))
    fetcher.fetch(stop=100)
    later(lora(shelf.folder / "style" / "one.safetensors", 2))
    shelf.scan()
    shelf.hash()
    fetcher.fetch()
    assert fetcher.statuses == [206, 200]
    assert fetcher.verify() == bytes_of(shelf)


def test_a_file_that_is_not_hashed_yet_has_no_etag_and_is_not_resumed_by_one(
    shelf: Shelf, service: Service
) -> None:
    lora(shelf.folder / "new.safetensors", 7)
    shelf.scan()
    answer = service.ask("GET", file_of("new"))
    assert answer.content == bytes_of(shelf, "new.safetensors")
    assert "etag" not in answer.headers
    assert "repr-digest" not in answer.headers
    for validator in (f'"{sha256_of(answer.content)}"', answer.headers["last-modified"]):
        again = service.ask("GET", file_of("new"), headers={"Range": "bytes=5-", "If-Range": validator})
        assert again.status_code == 200
    assert service.ask("GET", file_of("new"), headers={"Range": "bytes=5-"}).status_code == 206
    assert service.ask("GET", file_of("new"), headers={"If-Match": '"x"'}).status_code == 412


def test_who_has_the_file_already_is_told_so_without_it(shelf: Shelf, service: Service) -> None:
    etag = f'"{sha256_of(bytes_of(shelf))}"'
    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = service.ask("GET", file_of("one"), headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert service.ask("GET", file_of("one"), headers={"If-None-Match": '"x"'}).status_code == 200
    modified = service.ask("HEAD", file_of("one")).headers["last-modified"]
    assert service.ask("GET", file_of("one"), headers={"If-Modified-Since": modified}).status_code == 304
    both = {"If-Modified-Since": modified, "If-None-Match": '"x"'}
    assert service.ask("GET", file_of("one"), headers=both).status_code == 200


def test_a_file_can_be_asked_for_only_if_it_is_a_certain_one(shelf: Shelf, service: Service) -> None:
    etag = f'"{sha256_of(bytes_of(shelf))}"'
    assert service.ask("GET", file_of("one"), headers={"If-Match": etag}).status_code == 200
    assert service.ask("GET", file_of("one"), headers={"If-Match": "*"}).status_code == 200
    refused(service, "one", 412, **{"If-Match": '"other"'})
    refused(service, "one", 412, **{"If-Match": f"W/{etag}"})


def test_head_tells_everything_but_the_file(shelf: Shelf, url: str) -> None:
    got = httpx.get(url + file_of("one"))
    head = httpx.head(url + file_of("one"), headers={"Range": "bytes=0-5"})
    assert (head.status_code, head.content) == (200, b"")
    ignored = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in ignored} == {
        k: v for k, v in got.headers.items() if k not in ignored
    }
    assert httpx.head(url + file_of("nobody")).status_code == 404


def test_the_hash_of_a_file_never_leads_to_another_file_of_its_lora(shelf: Shelf, service: Service) -> None:
    lora(shelf.folder / "other.safetensors", 1, note="the same weights under another header")
    shelf.scan()
    shelf.hash()
    one, other = bytes_of(shelf), bytes_of(shelf, "other.safetensors")
    assert one != other
    assert service.get("/api/v1/loras")["total"] == 1
    for data in (one, other):
        assert service.ask("GET", file_of(sha256_of(data))).content == data
    assert service.ask("GET", file_of("other")).content == other
    (shelf.folder / "other.safetensors").unlink()
    shelf.scan()
    assert service.ask("GET", file_of("one")).content == one
    assert "missing" in refused(service, sha256_of(other), 404)
    assert "missing" in refused(service, "other.safetensors", 404)
    assert service.ask("GET", file_of("other")).content == one


def test_a_copy_is_sent_in_place_of_one_that_changed(shelf: Shelf, service: Service) -> None:
    whole = bytes_of(shelf)
    (shelf.folder / "copy.safetensors").write_bytes(whole)
    shelf.scan()
    shelf.hash()
    later(shelf.folder / "style" / "one.safetensors")
    assert service.ask("GET", file_of(sha256_of(whole))).content == whole
    assert "changed" in refused(service, "style/one.safetensors", 409)


@pytest.mark.parametrize(
    "name",
    [
        "水墨 风格",
        'a "quoted" name',
        "new\nline",
        "semi;colon=1",
        "per%20cent",
        "tail.v1",
        "it's",
        "e\u0301\u202etxt",
    ],
)
def test_odd_names_are_found_and_saved_safely(shelf: Shelf, url: str, name: str) -> None:
    lora(shelf.folder / "odd" / f"{name}.safetensors", 3)
    shelf.scan()
    for reference in (name, f"odd/{name}.safetensors"):
        answer = httpx.get(url + file_of(reference))
        assert answer.content == bytes_of(shelf, f"odd/{name}.safetensors")
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert answer.headers["content-disposition"].isascii()


def test_missing_files_and_those_that_cannot_be_reached_are_told_apart(
    shelf: Shelf, service: Service
) -> None:
    path = shelf.folder / "style" / "one.safetensors"
    moved = shelf.folder.with_name("away")
    shelf.folder.rename(moved)
    assert "gone" in refused(service, "one", 409)
    shelf.scan()
    assert "cannot be reached" in refused(service, "one", 409)
    moved.rename(shelf.folder)
    lora(shelf.folder / "two.safetensors", 2)
    path.unlink()
    shelf.scan()
    assert "missing since" in refused(service, "one", 404)
    assert "nothing is called" in refused(service, "nobody", 404)


def test_files_of_a_removed_root_are_not_sent(shelf: Shelf, service: Service) -> None:
    shelf.registry.remove_root(shelf.root.id)
    assert "missing" in refused(service, "one", 404)


def test_a_file_on_another_machine_is_asked_for_there(shelf: Shelf, service: Service) -> None:
    catalog = shelf.registry.catalog
    with catalog.write() as unit:
        seen_machine(unit, "m2", "the other one")
        unit.conn.exec_driver_sql("UPDATE root SET machine_id = 'm2'")
        unit.conn.exec_driver_sql("UPDATE mount SET machine_id = 'm2'")
    assert "the other one" in refused(service, "one", 409)
    with catalog.write() as unit:
        mount_root(unit, shelf.root.id, MACHINE, str(shelf.folder))
    renew_inode(shelf.folder / "style" / "one.safetensors")
    assert service.ask("GET", file_of("one")).content == bytes_of(shelf)


def test_only_what_passed_the_format_check_is_sent(shelf: Shelf, service: Service) -> None:
    (shelf.folder / "short.safetensors").write_bytes(bytes_of(shelf)[:-1])
    (shelf.folder / "page.safetensors").write_text("<!doctype html><p>log in</p>")
    (shelf.folder / "pickled.pt").write_bytes(b"\x80\x02}q\x00." * 50)
    shelf.registry.change_root(shelf.root.id, pickles=True)
    shelf.scan()
    shelf.hash()
    assert "truncated-data" in refused(service, "short", 422)
    assert "html-page" in refused(service, "page", 422)
    assert "its header was not read" in refused(service, "pickled", 422)


def test_a_file_that_was_replaced_since_the_scan_is_not_sent(shelf: Shelf, service: Service) -> None:
    path = shelf.folder / "style" / "one.safetensors"
    renew_inode(path)
    assert "changed since it was scanned" in refused(service, "one", 409)
    shelf.registry.change_root(shelf.root.id, ignore_inode=True)
    assert service.ask("GET", file_of("one")).content == bytes_of(shelf)
    later(path)
    assert "changed since it was scanned" in refused(service, "one", 409)
    shelf.scan()
    assert service.ask("GET", file_of("one")).status_code == 200
    path.write_bytes(path.read_bytes() + b"more")
    assert "changed since it was scanned" in refused(service, "one", 409)
    path.unlink()
    os.mkfifo(path)
    assert "gone" in refused(service, "one", 409)


def test_the_hash_of_a_file_that_was_touched_waits_for_it_to_be_hashed_again(
    shelf: Shelf, service: Service
) -> None:
    sha256 = sha256_of(bytes_of(shelf))
    later(shelf.folder / "style" / "one.safetensors")
    shelf.scan()
    assert "not hashed since" in refused(service, sha256, 409)
    assert "etag" not in service.ask("GET", file_of("one")).headers
    shelf.hash()
    assert service.ask("GET", file_of(sha256)).status_code == 200


def test_a_link_out_of_all_roots_is_only_followed_where_that_is_allowed(
    shelf: Shelf, service: Service
) -> None:
    elsewhere = lora(shelf.folder.with_name("elsewhere") / "secret.safetensors", 5)
    (shelf.folder / "link.safetensors").symlink_to(elsewhere)
    (shelf.folder / "inner.safetensors").symlink_to(shelf.folder / "style" / "one.safetensors")
    shelf.registry.change_root(shelf.root.id, follow_out=True)
    shelf.scan()
    assert service.ask("GET", file_of("link")).content == elsewhere.read_bytes()
    shelf.registry.change_root(shelf.root.id, follow_out=False)
    assert "leads out" in refused(service, "link", 409)
    assert service.ask("GET", file_of("inner.safetensors")).content == bytes_of(shelf)


def test_two_clients_get_the_same_file_at_the_same_time(shelf: Shelf, url: str) -> None:
    parts: dict[int, bytes] = {}

    def fetch(number: int) -> None:
        with httpx.stream("GET", url + file_of("big"), timeout=60) as answer:
            both.wait(60)
            parts[number] = sha256_of(b"".join(answer.iter_bytes())).encode()

    big_file(shelf.folder / "big.safetensors", BIG)
    shelf.scan()
    both = threading.Barrier(2)
    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(parts.values()) == {sha256_of(bytes_of(shelf, "big.safetensors")).encode()}
    assert len(parts) == 2


def open_files(path: Path) -> int:
    return sum(one.path == str(path) for one in psutil.Process().open_files())


def test_a_client_that_hangs_up_leaves_no_file_open(shelf: Shelf, url: str) -> None:
    path = big_file(shelf.folder / "big.safetensors", BIG)
    shelf.scan()
    with httpx.stream("GET", url + file_of("big"), timeout=60) as answer:
        # Kept: an iterator that is let go of hangs up.
        pieces = answer.iter_bytes(1000)
        next(pieces)
        assert open_files(path) == 1
    until(lambda: open_files(path) == 0)
    for headers in ({}, {"If-None-Match": "*"}, {"Range": "bytes=999999999-"}, {"Range": "bytes=0-9"}):
        httpx.get(url + file_of("one"), headers=headers)
        httpx.head(url + file_of("one"), headers=headers)
    until(lambda: open_files(shelf.folder / "style" / "one.safetensors") == 0)


@pytest.mark.parametrize("how", ["written", "cut"])
def test_a_file_that_changes_while_it_is_sent_is_never_finished(shelf: Shelf, url: str, how: str) -> None:
    path = big_file(shelf.folder / "big.safetensors", BIG)
    shelf.scan()
    with httpx.stream("GET", url + file_of("big"), timeout=60) as answer:
        pieces = answer.iter_bytes(1000)
        next(pieces)
        with path.open("r+b") as file:
            if how == "cut":
                file.truncate(BIG // 2)
            else:
                file.seek(-1, os.SEEK_END)
                file.write(b"\x01")
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    until(lambda: open_files(path) == 0)
    assert httpx.get(url + file_of("one")).status_code == 200


def test_a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was(shelf: Shelf, url: str) -> None:
    path = big_file(shelf.folder / "big.safetensors", BIG)
    whole = sha256_of(path.read_bytes())
    shelf.scan()
    with httpx.stream("GET", url + file_of("big"), timeout=60) as answer:
        pieces = answer.iter_bytes(1 << 20)
        first = next(pieces)
        lora(shelf.folder / "next.tmp", 9).replace(path)
        assert sha256_of(first + b"".join(pieces)) == whole


def test_a_range_of_a_large_file_that_is_longer_than_one_piece_is_whole(shelf: Shelf, url: str) -> None:
    path = big_file(shelf.folder / "big.safetensors", 5 << 20)
    with path.open("r+b") as file:
        for offset in range(1000, 5 << 20, 65_537):
            file.seek(offset)
            file.write(offset.to_bytes(4, "big"))
    shelf.scan()
    answer = httpx.get(url + file_of("big"), headers={"Range": "bytes=777-4000000"})
    assert answer.content == path.read_bytes()[777:4_000_001]


def test_the_connection_is_used_again_after_a_part(shelf: Shelf, url: str) -> None:
    ports = set()
    with httpx.Client() as client:
        for _ in range(3):
            answer = client.get(url + file_of("one"), headers={"Range": "bytes=0-99"})
            assert answer.content == bytes_of(shelf)[:100]
            ports.add(answer.extensions["network_stream"].get_extra_info("client_addr")[1])
    assert len(ports) == 1


def test_what_a_cloud_would_have_to_fetch_is_not_sent(shelf: Shelf, service: Service) -> None:
    with shelf.registry.catalog.write() as unit:
        unit.conn.exec_driver_sql("UPDATE file SET placeholder = 1")
    assert "cloud" in refused(service, "one", 409)


def test_files_need_the_role_that_everything_needs(shelf: Shelf) -> None:
    with serving(shelf) as service:
        assert service.ask("GET", file_of("one"), peer=REMOTE).status_code == 401
        headers = {"Authorization": f"Bearer {service.token('friend', 'read')}"}
        answer = service.ask("GET", file_of("one"), peer=REMOTE, headers=headers)
        assert answer.content == bytes_of(shelf)


def test_files_of_a_private_root_are_sent_to_those_who_may_look(shelf: Shelf, service: Service) -> None:
    shelf.registry.change_root(shelf.root.id, private=True)
    assert service.ask("GET", file_of("one")).content == bytes_of(shelf)


@pytest.mark.parametrize("reference", ["a%00b", "hash:xyz"])
def test_a_reference_that_cannot_be_one_is_a_bad_request(service: Service, reference: str) -> None:
    assert service.ask("GET", f"/api/v1/loras/{reference}/file").status_code == 400


def test_a_name_of_two_loras_is_a_conflict_that_lists_both(shelf: Shelf, service: Service) -> None:
    lora(shelf.folder / "more" / "one.safetensors", 8)
    shelf.scan()
    answer = service.ask("GET", file_of("one"))
    assert answer.status_code == 409
    assert len(answer.json()["candidates"]) == 2


def test_pages_of_listed_origins_can_fetch_parts(shelf: Shelf) -> None:
    with serving(shelf, cors_origins=("https://page.example",)) as service:
        headers = {"Origin": "https://page.example", "Range": "bytes=0-5"}
        exposed = service.ask("GET", file_of("one"), headers=headers).headers["access-control-expose-headers"]
        assert {"ETag", "Content-Range", "Repr-Digest"} <= {name.strip() for name in exposed.split(",")}
        preflight = {
            "Origin": "https://page.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "if-range, range",
        }
        assert service.ask("OPTIONS", file_of("one"), headers=preflight).status_code == 200
