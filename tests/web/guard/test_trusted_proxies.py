"""Whose word counts about the client's address."""

import pytest

from web.guard.trusted_proxies import TrustedProxies, count_key


def client(peer: str, *forwarded: str, proxies: tuple[str, ...] = ("10.0.0.0/8", "::1")) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return TrustedProxies(proxies).client_of({"client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.9",), "203.0.113.7"),  # A stranger's word counts nothing.
        ("10.0.0.1", ("198.51.100.9",), "198.51.100.9"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.9",), "198.51.100.9"),  # The left part is the client's.
        ("10.0.0.1", ("198.51.100.9, 10.2.3.4",), "198.51.100.9"),
        ("10.0.0.1", ("6.6.6.6", "198.51.100.9, 10.2.3.4"), "198.51.100.9"),
        ("10.0.0.1", ("10.5.5.5",), "10.5.5.5"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("6.6.6.6, nonsense, 10.9.9.9",), "10.9.9.9"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("::1", ("[2001:db8::7]:443",), "2001:db8::7"),
        ("::ffff:10.0.0.1", ("198.51.100.9:1234",), "198.51.100.9"),
        ("", ("198.51.100.9",), ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer, forwarded, expected):
    assert client(peer, *forwarded) == expected


def test_without_proxies_nobody_is_believed():
    assert client("127.0.0.1", "198.51.100.9", proxies=()) == "127.0.0.1"


def test_a_proxy_that_is_not_named_is_told_to_the_operator_once(caplog):
    proxies = TrustedProxies([])
    scope = {"client": ("172.18.0.1", 1), "headers": [(b"x-forwarded-for", b"198.51.100.9")]}
    for _ in range(3):
        assert proxies.client_of(scope) == "172.18.0.1"
    assert caplog.text.count("TRUSTED_PROXIES") == 1


def test_a_customers_ipv6_network_counts_as_one():
    assert count_key("2001:db8:1:2::7") == count_key("2001:db8:1:2:ffff::1")
    assert count_key("2001:db8:1:2::7") != count_key("2001:db8:1:3::7")
    assert count_key("203.0.113.7") == "203.0.113.7"
