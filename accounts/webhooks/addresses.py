"""Where a webhook may go: no way from a customer's URL into the operator's own network.

A name is looked up once, at connect time, and the connection goes to the very address that was
judged, so that a name which changes its answer in between gains nothing.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from django.conf import settings

from accounts.errors import UnusableUrl

NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
HOST = re.compile(rb"[a-z0-9._:-]+")
LONGEST_URL = 500
MOST_TRIES = 3


class ForbiddenAddress(Exception):
    """The name has no address that a webhook may go to."""


def checked_url(text: str) -> str:
    """The URL as it will be called. Raises UnusableUrl; the name is looked up later."""
    try:
        url = httpx.URL(text.strip())
        port = 443 if url.port is None else url.port
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise UnusableUrl(param="url") from None
    if url.scheme not in {"http", "https"} or not url.host or len(str(url)) > LONGEST_URL:
        raise UnusableUrl(param="url")
    if url.scheme == "http" and not settings.WEBHOOKS_ALLOW_HTTP:
        raise UnusableUrl("Use an address that begins with https://.", param="url")
    if not HOST.fullmatch(url.raw_host) or port not in range(1, 65536):
        raise UnusableUrl(param="url")
    if url.userinfo or url.fragment:
        raise UnusableUrl("Leave user name, password and # out of the address.", param="url")
    _refuse_obviously_private(url.host)
    return str(url)


def _refuse_obviously_private(host: str) -> None:
    try:
        allowed = is_allowed(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        is_local = host.lower().rstrip(".").endswith(("localhost", ".local", ".internal"))
        allowed = settings.WEBHOOKS_ALLOW_PRIVATE or not is_local
    if not allowed:
        raise UnusableUrl("This address is private; webhooks go to public ones.", param="url")


def is_allowed(address: Address) -> bool:
    """Whether a webhook may be sent to this address; what it embeds counts too."""
    if settings.WEBHOOKS_ALLOW_PRIVATE:
        return not address.is_multicast
    return all(one.is_global and not one.is_multicast for one in _meanings(address))


def _meanings(address: Address) -> Iterable[Address]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        yield from (one for one in embedded if one is not None)


def allowed_addresses(host: str, port: int) -> list[str]:
    """The addresses behind a name that a webhook may go to. Raises ForbiddenAddress if none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ForbiddenAddress("The name of the host cannot be found.") from None
    unique = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    allowed = [text for text in unique if is_allowed(ipaddress.ip_address(text))]
    if not allowed:
        raise ForbiddenAddress("The host has a private address; webhooks go to public ones.")
    return allowed[:MOST_TRIES]


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only, and lets nothing last beyond one deadline."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("No address could be reached.")
        for address in allowed_addresses(host, port):
            try:
                stream = self._plain.connect_tcp(address, port, timeout=_left(self._deadline) / 2)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                failure = problem
            else:
                return _HurriedStream(stream, self._deadline)
        raise failure


class _HurriedStream(httpcore.NetworkStream):
    """A stream whose reads and writes together end at the deadline, however slowly they drip."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline)
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout=left)
        return _HurriedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("The deadline has passed.")
    return seconds
