"""Who is at the other end."""

from __future__ import annotations

import pytest

from registry.api.callers import find_caller, is_loopback_name, parse_networks
from registry.errors import BadRequest


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LocalHost.",
        "x.localhost",
        "127.0.0.1",
        "127.255.0.9",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
    ],
)
def test_names_that_can_only_mean_this_machine(name: str) -> None:
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localhost.example",
        "notlocalhost",
        "128.0.0.1",
        "127.0.0.1.example",
        "::2",
        "0x7f000001",
        "2130706433",
    ],
)
def test_names_that_may_mean_anything(name: str) -> None:
    assert not is_loopback_name(name)


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("testclient", False),
        (None, False),
    ],
)
def test_a_direct_peer_is_judged_by_its_address(peer: str | None, loopback: bool) -> None:  # noqa: FBT001 - a parameter
    assert find_caller(peer, [], []).loopback is loopback


def test_addresses_of_one_ipv6_subscriber_count_as_one() -> None:
    keys = {find_caller(f"2001:db8:1:2::{number:x}", [], []).key for number in range(1, 9)}
    assert len(keys) == 1
    assert find_caller("2001:db8:1:3::1", [], []).key not in keys


def test_many_forged_hops_are_not_followed_to_their_end() -> None:
    hops = ", ".join(["10.0.0.1"] * 100_000)
    caller = find_caller("10.0.0.2", [(b"x-forwarded-for", hops.encode())], parse_networks(["10.0.0.0/8"]))
    assert caller == ("10.0.0.1", False)


def test_several_header_lines_are_one_list() -> None:
    headers = [(b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-for", b"192.0.2.9")]
    assert find_caller("10.0.0.2", headers, parse_networks(["10.0.0.2"])) == ("192.0.2.9", False)


def test_a_setting_that_is_no_address_is_named() -> None:
    with pytest.raises(BadRequest, match="trusted_proxies"):
        parse_networks(["proxy.example"])
