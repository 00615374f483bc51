"""Whose word counts on where a request came from: TRUSTED_PROXIES, for everything that asks."""

import ipaddress
import logging
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import Scope

logger = logging.getLogger(__name__)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IPV6_CUSTOMER_BITS = 64  # One customer's network: its addresses count as one.


class TrustedProxies:
    """The proxies in front of this process, as addresses and networks ("10.0.0.0/8").

    X-Forwarded-For is believed only as far as such proxies wrote it: read from the right, the
    first address that is none of theirs is the client's.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: list[Network] = [
            ipaddress.ip_network(text, strict=False) for text in networks
        ]
        self.contains = lru_cache(maxsize=4096)(self._contains)
        self._has_warned = False

    def client_of(self, scope: Scope) -> str:
        """The client's address; empty for a connection that has none, such as a unix socket."""
        peer = (scope.get("client") or ("",))[0]
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if not forwarded:
            return str(peer)
        if not self.contains(peer):
            self._warn_once(peer)
            return str(peer)
        client = peer
        hops = b",".join(forwarded).decode("latin-1").split(",")
        for hop in reversed(hops):
            address = _parse_address(hop.strip())
            if address is None:  # Nonsense: the last proxy we trust is all that is known.
                break
            client = str(address)
            if not self.contains(client):
                break
        return str(client)

    def _contains(self, text: str) -> bool:
        address = _parse_address(text)
        return address is not None and any(address in network for network in self._networks)

    def _warn_once(self, peer: str) -> None:
        address = _parse_address(peer)
        if not self._has_warned and address is not None and address.is_private:
            self._has_warned = True
            logger.warning(
                "%s sends X-Forwarded-For but is not in TRUSTED_PROXIES: all who come through it "
                "count as one address.",
                peer,
            )


def _parse_address(text: str) -> Address | None:
    """An address as proxies write it: alone, with a port, or in brackets with one."""
    text = text.removeprefix("[").partition("]")[0] if text.startswith("[") else text
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def count_key(client: str) -> str:
    """What limits by address count: an IPv4 address, or the network of an IPv6 customer."""
    address = _parse_address(client)
    if address is None or address.version == 4:
        return client
    return str(ipaddress.ip_network((address, IPV6_CUSTOMER_BITS), strict=False))
