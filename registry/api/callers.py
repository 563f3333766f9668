"""Who is at the other end of a connection: this machine, a proxy speaking for somebody, or a stranger."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from registry.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDED = (b"forwarded", b"x-real-ip")
_FORWARDED_PREFIX = b"x-forwarded-"
_HOPS = 50
# Whoever has one address of such a network has them all.
_IPV6_SUBSCRIBER = 64


class Caller(NamedTuple):
    """The end of a request: `key` names it for counting failures, `loopback` says that it is this machine."""

    key: str
    loopback: bool


def parse_address(text: str | None) -> Address | None:
    """Return an IP address, IPv4 ones mapped into IPv6 as what they are; `None` if it is none."""
    try:
        address = ipaddress.ip_address((text or "").strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_networks(texts: Iterable[str]) -> list[Network]:
    """Return the networks that trusted proxies are in; BadRequest names the setting."""
    try:
        return [ipaddress.ip_network(text.strip(), strict=False) for text in texts]
    except ValueError as error:
        raise BadRequest(f"trusted_proxies: {error}", remedy="give addresses such as 10.0.0.2") from None


def is_loopback_name(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    name = host.strip().lower().rstrip(".")
    address = parse_address(name)
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")


def find_caller(
    peer: str | None, headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> Caller:
    """Return who asks: the peer, or the client that a trusted proxy names last.

    A request that says it was forwarded is never one of this machine, unless a trusted proxy says that it is.
    """
    address = parse_address(peer)
    if not any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name, _ in headers):
        return _caller(address, peer)
    if not _within(address, trusted):
        return _caller(address, peer)._replace(loopback=False)
    told = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    for hop in reversed(told.split(",")[-_HOPS:]):
        address = parse_address(_without_port(hop))
        if not _within(address, trusted):
            break
    return _caller(address, "unknown")


def _caller(address: Address | None, otherwise: str | None) -> Caller:
    if address is None:
        return Caller(otherwise or "unknown", loopback=False)
    if address.version == 6:
        return Caller(
            str(ipaddress.ip_network((address, _IPV6_SUBSCRIBER), strict=False)), address.is_loopback
        )
    return Caller(str(address), address.is_loopback)


def _within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _without_port(hop: str) -> str:
    text = hop.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
