"""The one door out: every outbound connection is opened here, for a named purpose, to a checked address.

Nobody is phoned unless somebody asked for it. A purpose lists the hosts that it may talk to. A name is
resolved once, all its addresses are checked, and the connection goes to one of these: a name that leads into
the private network (DNS rebinding) is refused. Redirects go through the same checks, never from https to
http, and drop credentials at another host.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from registry.errors import AnswerTooLarge, Offline, OutboundError, RefusedAddress

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping

MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"https": 443, "http": 80}
# RFC 6052: the addresses that stand for IPv4 ones.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Translators of a site (RFC 8215), two outdated ways to write an IPv4 address (RFC 4291, RFC 2765) and the
# outdated private networks (RFC 3879): Python takes them for addresses of the open internet.
_INNER: Final = tuple(map(ipaddress.ip_network, ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96", "fec0::/10")))
_AGENT: Final = "lora-registry"

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host; raises OSError."""


class Purpose(NamedTuple):
    """What a connection is for: its name, why a user wants it, and the hosts that it may talk to."""

    name: str
    why: str
    hosts: frozenset[str]

    def allows(self, host: str) -> bool:
        """Whether a host is one of them, or lies below one that is written with a dot before it."""
        return host in self.hosts or any(each.startswith(".") and host.endswith(each) for each in self.hosts)


class Reply(NamedTuple):
    """An answer with its body, decompressed; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `bearer` goes to the host of `url` and to no other; `most` bounds the decompressed body."""

    method: str
    url: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: str | None = None
    most: int = 16 << 20


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system resolves them; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Door:
    """Opens connections; may be used by several threads.

    `own_hosts` are hosts that the user configured, whose addresses may be private. With a `proxy` the proxy
    resolves names, so that only the hosts are checked. `offline` keeps it shut.
    """

    def __init__(
        self,
        *,
        offline: bool = False,
        proxy: str | None = None,
        own_hosts: Iterable[str] = (),
        resolve: Resolve = addresses_of,
        seconds: float = 30.0,
    ) -> None:
        self.offline = offline
        self._seconds = seconds
        self._backend = _Checked(frozenset(own_hosts), resolve)
        self._client = httpx.Client(
            transport=_Transport(proxy, self._backend),
            timeout=seconds,
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def ask(self, purpose: Purpose, asked: Asked) -> Reply:
        """Send a request and return the answer, whatever its status.

        Raises Offline, RefusedAddress for hosts and addresses that are not allowed, AnswerTooLarge, and
        OutboundError where no whole answer comes.
        """
        if self.offline:
            raise Offline(f"{purpose.name} needs the network, which is switched off", remedy="see --offline")
        url, origin = asked.url, _origin(asked.url)
        content, method = asked.content, asked.method
        for _ in range(MAX_REDIRECTS + 1):
            host = _host(url)
            if not purpose.allows(host):
                raise RefusedAddress(f"{host} is none of the hosts that {purpose.name} talks to")
            headers = {"user-agent": _AGENT, "accept-encoding": "gzip", **asked.headers}
            if asked.bearer is not None and _origin(url) == origin:
                headers["authorization"] = f"Bearer {asked.bearer}"
            reply = self._send(method, url, headers, content, asked.most)
            location = reply.headers.get("location")
            if reply.status not in _REDIRECTS or location is None:
                return reply
            if reply.status == 303:
                method, content = "GET", None
            url, before = _joined(url, location), url
            if urlsplit(url).scheme == "http" and urlsplit(before).scheme == "https":
                raise RefusedAddress(f"{host} redirects to a connection that is not encrypted")
        raise OutboundError(f"{origin[1]} redirects more than {MAX_REDIRECTS} times")

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, most: int
    ) -> Reply:
        asked = _parsed(url)
        self._backend.begin(4 * self._seconds)
        try:
            with self._client.stream(method, asked, headers=headers, content=content) as response:
                told = {name.lower(): value for name, value in response.headers.items()}
                body = b"".join(_bounded(response, told, most, self._seconds))
                return Reply(response.status_code, told, body, url)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise OutboundError(f"no answer from {_host(url)}: {said}") from error
        except ValueError as error:
            # The client reads where a redirect leads though it does not follow it, and behind a proxy nobody
            # looks at a name before the encryption does.
            raise RefusedAddress(f"{_host(url)} leads to no address that can be asked ({error})") from error


def _joined(url: str, location: str) -> str:
    """Return where a redirect leads; raises RefusedAddress for what is no web address."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise RefusedAddress("that is no plain web address") from error


def _parsed(url: str) -> httpx.URL:
    """Return an address as the client takes it; raises RefusedAddress for one that it cannot ask."""
    try:
        parsed = httpx.URL(url)
        # Read here, since names that are no international ones fail as late as this.
        _ = parsed.host
    except (ValueError, httpx.InvalidURL) as error:
        raise RefusedAddress(f"that is no address that can be asked ({error})") from error
    return parsed


def _host(url: str) -> str:
    """Return the host of a web address in lower case; raises RefusedAddress for what is none."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in _PORTS or parts.username is not None:
        raise RefusedAddress("that is no plain web address")
    return host


def _origin(url: str) -> tuple[str, str, int]:
    host, parts = _host(url), urlsplit(url)
    return parts.scheme, host, parts.port or _PORTS[parts.scheme]


def _bounded(
    response: httpx.Response, headers: Mapping[str, str], most: int, seconds: float
) -> Iterator[bytes]:
    """Give the decompressed body; what was sent small may be large."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip", ""}:
        raise OutboundError(f"the answer is compressed in a way that nobody asked for ({coding[:40]})")
    inflate = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    left, deadline = most, time.monotonic() + 4 * seconds
    for chunk in response.iter_raw():
        waiting = chunk
        while waiting:
            try:
                piece = waiting if inflate is None else inflate.decompress(waiting, left + 1)
            except zlib.error as error:
                raise OutboundError("the answer is damaged") from error
            waiting = b"" if inflate is None else inflate.unconsumed_tail
            if inflate is not None and inflate.unused_data:
                raise OutboundError("the answer goes on after its end")
            left -= len(piece)
            if left < 0:
                raise AnswerTooLarge(f"the answer is larger than {most:,} bytes")
            yield piece
        if time.monotonic() > deadline:
            raise OutboundError(f"the answer takes longer than {4 * seconds:.0f} s")
    if inflate is not None and not inflate.eof:
        raise OutboundError("the answer ends too early")


class _Transport(httpx.BaseTransport):
    """Sends the requests of httpx through a pool whose connections are checked."""

    def __init__(self, proxy: str | None, backend: _Checked) -> None:
        if proxy is None:
            self._pool: httpcore.ConnectionPool = httpcore.ConnectionPool(
                ssl_context=httpx.create_ssl_context(), network_backend=backend
            )
        else:
            self._pool = httpcore.HTTPProxy(proxy, ssl_context=httpx.create_ssl_context())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        asked = httpcore.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            found = self._pool.handle_request(asked)
        except _FAILURES as error:
            raise httpx.TransportError(str(error) or type(error).__name__) from error
        return httpx.Response(
            found.status, headers=found.headers, stream=_Stream(found), extensions=found.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_stream()
        except _FAILURES as error:
            raise httpx.TransportError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        self._response.close()


_FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class _Checked(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and not to names that may mean another one the next time."""

    def __init__(self, own_hosts: frozenset[str], resolve: Resolve) -> None:
        self._own_hosts = own_hosts
        self._resolve = resolve
        self._inner = httpcore.SyncBackend()
        self._time = threading.local()

    def begin(self, seconds: float) -> None:
        """Give the request that this thread sends next so much time for all of its answer."""
        self._time.end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds the request of this thread has left."""
        end: float = getattr(self._time, "end", math.inf)
        return end - time.monotonic()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"its name cannot be resolved ({error})") from error
        except UnicodeError as error:
            raise RefusedAddress(f"{host} is the name of no host ({error})") from error
        if host not in self._own_hosts and not all(map(is_public, addresses)):
            raise RefusedAddress(f"{host} leads into a private network")
        failure = httpcore.ConnectError("its name has no address")
        for address in addresses:
            try:
                inner = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Timed(inner, self)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _Timed(httpcore.NetworkStream):
    """A connection on which no request takes longer than it may: also one byte now and then is an end."""

    def __init__(self, inner: httpcore.NetworkStream, backend: _Checked) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._seconds(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._seconds(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _Timed(inner, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _seconds(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        left = self._backend.left()
        if left <= 0:
            raise late("the answer takes too long")
        return left if timeout is None else min(timeout, left)


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also where it stands for an IPv4 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    meant: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = [found]
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in _INNER):
            return False
        if found in _NAT64:
            meant.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        meant += [each for each in (found.ipv4_mapped, found.sixtofour) if each is not None]
        if found.teredo is not None:
            meant += found.teredo
        if found.ipv4_mapped is not None:
            meant.remove(found)
    return all(each.is_global and not each.is_multicast for each in meant)
