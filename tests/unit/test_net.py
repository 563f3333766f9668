"""The door out: who may be asked, at which addresses, and how much of an answer is taken."""

from __future__ import annotations

import gzip
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from registry.errors import AnswerTooLarge, Offline, OutboundError, RefusedAddress
from registry.net import MAX_REDIRECTS, Asked, Door, Purpose, is_public
from tests.support.outside import Answer, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.outside import Outside

LOOPBACK = frozenset({"127.0.0.1", "localhost"})
PURPOSE = Purpose("the test", "to test", LOOPBACK)


@pytest.fixture
def there() -> Iterator[Outside]:
    with outside() as running:
        yield running


@pytest.fixture
def door() -> Iterator[Callable[..., Door]]:
    opened: list[Door] = []

    def make(**options: Any) -> Door:
        opened.append(Door(**{"own_hosts": LOOPBACK, "seconds": 5.0, **options}))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_an_answer_comes_back_whatever_its_status(there: Outside, door: Callable[..., Door]) -> None:
    there.answers.append(Answer(404, b"not here", {"X-Odd": "yes"}))

    reply = door().ask(PURPOSE, Asked("POST", f"{there.url}/a?b=c", b"body", bearer="secret"))

    assert (reply.status, reply.body, reply.headers["x-odd"]) == (404, b"not here", "yes")
    (said,) = there.asked
    assert (said.method, said.path, said.body) == ("POST", "/a?b=c", b"body")
    assert said.headers["authorization"] == "Bearer secret"
    assert said.headers["user-agent"] == "lora-registry"


def test_a_shut_door_opens_no_connection(there: Outside, door: Callable[..., Door]) -> None:
    with pytest.raises(Offline):
        door(offline=True).ask(PURPOSE, Asked("GET", there.url))
    assert there.asked == []


def test_hosts_that_a_purpose_does_not_name_are_not_asked(there: Outside, door: Callable[..., Door]) -> None:
    purpose = Purpose("the test", "to test", frozenset({"example.org", ".example.com"}))
    with pytest.raises(RefusedAddress, match=r"127\.0\.0\.1 is none of the hosts"):
        door().ask(purpose, Asked("GET", there.url))
    assert there.asked == []
    assert purpose.allows("image.example.com")
    assert not purpose.allows("example.com")
    assert not purpose.allows("notexample.com")


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/x", "file:///etc/passwd", "http:///x", "http://u:p@127.0.0.1/", "http://[::1", "x"],
)
def test_what_is_no_plain_web_address_is_refused(door: Callable[..., Door], url: str) -> None:
    with pytest.raises(RefusedAddress, match="no plain web address"):
        door().ask(PURPOSE, Asked("GET", url))


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:192.168.1.1"]])
def test_names_that_lead_into_a_private_network_are_refused(
    there: Outside, door: Callable[..., Door], addresses: list[str]
) -> None:
    purpose = Purpose("the test", "to test", frozenset({"evil.example"}))
    closed = door(resolve=lambda _host, _port: addresses)
    with pytest.raises(RefusedAddress, match="private network"):
        closed.ask(purpose, Asked("GET", there.url.replace("127.0.0.1", "evil.example")))
    assert there.asked == []


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
    there: Outside, door: Callable[..., Door]
) -> None:
    there.answers.append(Answer(200, b"yes"))
    resolved: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    opened = door(own_hosts={"own.example"}, resolve=resolve)
    purpose = Purpose("the test", "to test", frozenset({"own.example"}))
    reply = opened.ask(purpose, Asked("GET", there.url.replace("127.0.0.1", "own.example")))

    assert (reply.body, resolved) == (b"yes", ["own.example"])
    assert there.asked[0].headers["host"].startswith("own.example:")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("64:ff9b:1::808:808", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("fec0::1", False),
        ("2002:7f00:1::", False),
        ("not an address", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:  # noqa: FBT001
    assert is_public(address) is public


def test_redirects_are_followed_within_the_hosts_and_without_credentials_elsewhere(
    there: Outside, door: Callable[..., Door]
) -> None:
    elsewhere = there.url.replace("127.0.0.1", "localhost")
    there.answers += [
        Answer(302, headers={"Location": "/b"}),
        Answer(307, headers={"Location": f"{elsewhere}/c"}),
    ]
    there.answers.append(Answer(200, b"end"))

    reply = door().ask(PURPOSE, Asked("POST", f"{there.url}/a", b"body", bearer="secret"))

    assert (reply.body, reply.url) == (b"end", f"{elsewhere}/c")
    assert [(one.method, one.path, one.body) for one in there.asked] == [
        ("POST", "/a", b"body"), ("POST", "/b", b"body"), ("POST", "/c", b"body"),
    ]  # fmt: skip
    assert ["authorization" in one.headers for one in there.asked] == [True, True, False]


def test_only_see_other_turns_a_question_into_a_look(there: Outside, door: Callable[..., Door]) -> None:
    there.answers += [Answer(303, headers={"Location": "/b"}), Answer(200, b"end")]
    assert door().ask(PURPOSE, Asked("POST", f"{there.url}/a", b"body")).body == b"end"
    assert [(one.method, one.body) for one in there.asked] == [("POST", b"body"), ("GET", b"")]


def test_a_redirect_to_a_host_that_is_not_allowed_is_refused(
    there: Outside, door: Callable[..., Door]
) -> None:
    there.answers.append(Answer(302, headers={"Location": "http://169.254.169.254/latest"}))
    with pytest.raises(RefusedAddress):
        door().ask(PURPOSE, Asked("GET", there.url))


def test_redirects_without_end_end(there: Outside, door: Callable[..., Door]) -> None:
    there.otherwise = lambda _said: Answer(302, headers={"Location": "/again"})
    with pytest.raises(OutboundError, match="redirects more than"):
        door().ask(PURPOSE, Asked("GET", there.url))
    assert len(there.asked) == MAX_REDIRECTS + 1


def test_the_body_is_bounded_as_it_is_when_it_is_unpacked(there: Outside, door: Callable[..., Door]) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    there.otherwise = lambda said: (
        Answer(200, bomb, {"Content-Encoding": "gzip"}) if said.path == "/bomb" else Answer(200, b"0" * 2000)
    )
    opened = door()

    with pytest.raises(AnswerTooLarge):
        opened.ask(PURPOSE, Asked("GET", f"{there.url}/bomb", most=1_000_000))
    with pytest.raises(AnswerTooLarge):
        opened.ask(PURPOSE, Asked("GET", there.url, most=1999))
    assert len(opened.ask(PURPOSE, Asked("GET", there.url, most=2000)).body) == 2000
    assert len(opened.ask(PURPOSE, Asked("GET", f"{there.url}/bomb", most=50_000_000)).body) == 50_000_000


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"half", length=100),
        Answer(200, gzip.compress(b"x" * 5000)[:-10], {"Content-Encoding": "gzip"}),
        Answer(200, b"no gzip at all", {"Content-Encoding": "gzip"}),
        Answer(200, b"x", {"Content-Encoding": "br"}),
    ],
)
def test_an_answer_that_is_not_whole_is_none(
    there: Outside, door: Callable[..., Door], answer: Answer
) -> None:
    there.answers.append(answer)
    with pytest.raises(OutboundError):
        door().ask(PURPOSE, Asked("GET", there.url))


def test_a_server_that_is_not_there_is_said_to_be(door: Callable[..., Door]) -> None:
    with outside() as gone:
        url = gone.url
    with pytest.raises(OutboundError, match=r"no answer from 127\.0\.0\.1"):
        door().ask(PURPOSE, Asked("GET", url))


def test_names_that_cannot_be_resolved_are_said_to_be(door: Callable[..., Door]) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("nobody knows it")

    with pytest.raises(OutboundError, match="cannot be resolved"):
        door(resolve=resolve).ask(PURPOSE, Asked("GET", "http://localhost:1/"))


@pytest.mark.parametrize(
    "location", ["https://[x/", "http://[::1", "http://xn--a.example/", "http://a.example/\x7f"]
)
def test_a_redirect_to_what_is_no_address_is_an_error_of_its_own(
    there: Outside, door: Callable[..., Door], location: str
) -> None:
    there.answers.append(Answer(302, headers={"Location": location}))
    purpose = Purpose("the test", "to test", LOOPBACK | {".example"})
    with pytest.raises(OutboundError):
        door().ask(purpose, Asked("GET", there.url))
    assert len(there.asked) == 1


@pytest.mark.parametrize(
    "host",
    ["a..example", f"{'a' * 70}.example", ".example", "xn--a.example", "\u2024.example", "a b.example"],
)
def test_names_that_no_host_can_have_are_refused(door: Callable[..., Door], host: str) -> None:
    purpose = Purpose("the test", "to test", frozenset({".example"}))

    def resolve(name: str, _port: int) -> list[str]:
        # As the system does before it asks anybody.
        name.encode("idna")
        raise OSError("nobody knows it")

    with pytest.raises(OutboundError):
        door(resolve=resolve).ask(purpose, Asked("GET", f"https://{host}/x.png"))


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 70}.example"])
def test_names_that_cannot_be_written_are_not_asked_for_again(door: Callable[..., Door], host: str) -> None:
    purpose = Purpose("the test", "to test", frozenset({".example"}))
    with pytest.raises(RefusedAddress, match="the name of no host"):
        door().ask(purpose, Asked("GET", f"https://{host}/x.png"))


def test_an_answer_that_comes_byte_by_byte_ends_too(door: Callable[..., Door]) -> None:
    ended, patient = threading.Event(), threading.Event()

    def drip(listener: socket.socket) -> None:
        found, _ = listener.accept()
        with found:
            found.recv(4096)
            found.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(1000):
                if ended.wait(0.02):
                    return
                try:
                    found.sendall(b"x: y\r\n")
                except OSError:
                    return
            patient.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(OutboundError):
            door(seconds=0.1).ask(PURPOSE, Asked("GET", url))
        # It was the one who asked that ended it, and not the one who drips.
        assert not patient.is_set()
        ended.set()
        thread.join(30)
