"""One gzip member out of pieces, read by the clients that matter."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from registry.wire import a1111
from registry.wire import gzip_segments as segments

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS: list[segments.Fragment | bytes] = [
    b"[",
    segments.compress_fragment(b"a" * 70_000),
    b",",
    b"x",
    segments.stored_fragment(b"q" * 3),
    b"]",
]
WHOLE = b"[" + b"a" * 70_000 + b",x" + b"qqq" + b"]"


def test_the_member_is_read_by_gzip_and_zlib_to_its_end() -> None:
    member = b"".join(segments.gzip_member(PARTS))
    assert gzip.decompress(member) == WHOLE
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert inflater.decompress(member) == WHOLE
    assert inflater.eof
    assert inflater.unused_data == b""


def test_a_member_of_nothing_is_valid() -> None:
    assert gzip.decompress(b"".join(segments.gzip_member(()))) == b""


def test_the_same_piece_can_stand_in_a_member_many_times() -> None:
    piece = segments.compress_fragment(b"abc" * 1000)
    member = b"".join(segments.gzip_member([piece] * 50))
    assert gzip.decompress(member) == b"abc" * 50_000


def test_chunks_leave_while_the_pieces_still_come() -> None:
    produced = 0

    def pieces() -> Iterator[segments.Fragment]:
        nonlocal produced
        for _ in range(1000):
            produced += 1
            yield segments.stored_fragment(b"z" * 10_000)

    member = segments.gzip_member(pieces())
    assert len(next(member)) < 300_000
    assert produced < 50
    assert all(len(chunk) < 300_000 for chunk in member)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_piece_gives_its_bytes_back(size: int, level: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    for piece in (segments.compress_fragment(data, level), segments.stored_fragment(data)):
        assert segments.decompress_fragment(piece) == data
        assert (piece.crc, piece.size) == (zlib.crc32(data), size)
        assert gzip.decompress(b"".join(segments.gzip_member([piece, b"tail"]))) == data + b"tail"


@pytest.mark.parametrize(
    "damage",
    [
        lambda piece: piece._replace(crc=piece.crc ^ 1),
        lambda piece: piece._replace(size=piece.size - 1),
        lambda piece: piece._replace(size=piece.size + 1),
        lambda piece: piece._replace(deflate=piece.deflate[:-9]),
        lambda piece: piece._replace(deflate=b"\xff" * 20),
    ],
)
def test_a_damaged_piece_is_refused(damage: object) -> None:
    assert callable(damage)
    piece = segments.compress_fragment(b"some metadata of a file, long enough to be cut" * 3)
    with pytest.raises(ValueError, match="compressed piece"):
        segments.decompress_fragment(damage(piece))


def test_the_crc_of_a_whole_follows_from_its_parts() -> None:
    first, second = b"first" * 1000, b"second" * 77_777
    assert segments.combine_crc(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(
        first + second
    )
    assert segments.combine_crc(123, zlib.crc32(b""), 0) == 123


def test_the_trailer_counts_modulo_two_to_the_32() -> None:
    assert segments.trailer(1, 2**32 + 5) == b"\x01\0\0\0\x05\0\0\0"


@contextmanager
def serving(chunks: list[bytes]) -> Iterator[str]:
    """Serve the chunks as one chunked gzip answer on the loopback interface."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sdapi/v1/loras"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_httpx_reads_every_item_of_an_assembled_list() -> None:
    metadata = [{"ss_seed": str(i), "ss_tag_frequency": f'{{"{i}_x": {{"盲盒": {i}}}}}'} for i in range(500)]
    items = [
        a1111.Item(
            f"n{i}", f"a{i}", f"/p/{i}.safetensors", segments.compress_fragment(a1111.metadata_json(m))
        )
        for i, m in enumerate(metadata)
    ]
    chunks = list(segments.gzip_member([b"[", *a1111.encode_entries(items), b"]"]))
    with serving(chunks) as url, httpx.Client(trust_env=False) as client:
        answer = client.get(url)
    assert [item["metadata"]["ss_seed"] for item in answer.json()] == [str(i) for i in range(500)]
    assert answer.json() == json.loads(gzip.decompress(b"".join(chunks)))
    assert answer.json()[7]["metadata"]["ss_tag_frequency"] == {"7_x": {"盲盒": 7}}


def test_httpx_drops_all_but_the_first_of_several_members() -> None:
    """Why the list is one member: this is what joining gzip files would do."""
    with (
        serving([gzip.compress(b"[1,"), gzip.compress(b"2]")]) as url,
        httpx.Client(trust_env=False) as client,
    ):
        assert client.get(url).content == b"[1,"
