"""Keeps webhooks out of the operator's own network (server-side request forgery).

A host name is resolved once, when connecting, and the connection goes to the very address that was
checked, so a name that resolves differently a moment later (DNS rebinding) gains nothing.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx
from django.conf import settings

from accounts.errors import InvalidWebhookUrl

NAT64_NETWORK = ipaddress.ip_network("64:ff9b::/96")
# IANA's special-purpose registries, where `is_global` is true or was in some version of Python.
SPECIAL_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # Protocol assignments (RFC 6890).
        "192.88.99.0/24",  # Anycast of 6to4 relays, deprecated (RFC 7526).
        "2001::/23",  # Protocol assignments: Teredo, ORCHID, benchmarking.
        "2001:db8::/32",  # Documentation.
        "3fff::/20",
    )
]
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # All IPv6 that is routed (RFC 4291, 2.4).
ISATAP_MARKS = {0x00005EFE, 0x02005EFE}  # Before an embedded IPv4 address (RFC 5214).
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
HOST_PATTERN = re.compile(rb"[a-z0-9._:-]+")
MAX_URL_LENGTH = 500
MAX_CONNECT_ATTEMPTS = 3


class ForbiddenAddress(Exception):
    """The host has no address to which a webhook may be sent."""


def validate_webhook_url(text: str) -> str:
    """The URL as it will be called. Raises InvalidWebhookUrl. The host is resolved later."""
    try:
        url = httpx.URL(text.strip())
        port, host = 443 if url.port is None else url.port, url.host  # The host is decoded here.
    except (httpx.InvalidURL, ValueError, UnicodeError):
        raise InvalidWebhookUrl(param="url") from None
    if url.scheme not in {"http", "https"} or not host or len(str(url)) > MAX_URL_LENGTH:
        raise InvalidWebhookUrl(param="url")
    if url.scheme == "http" and not settings.WEBHOOKS_ALLOW_HTTP:
        raise InvalidWebhookUrl("Use an address that begins with https://.", param="url")
    if not HOST_PATTERN.fullmatch(url.raw_host) or port not in range(1, 65536):
        raise InvalidWebhookUrl(param="url")
    if url.userinfo or url.fragment:
        raise InvalidWebhookUrl("Leave user name, password and # out of the address.", param="url")
    _reject_private_host(host)
    return str(url)


def _reject_private_host(host: str) -> None:
    try:
        allowed = is_allowed_address(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        is_local = host.lower().rstrip(".").endswith(("localhost", ".local", ".internal"))
        allowed = settings.WEBHOOKS_ALLOW_PRIVATE or not is_local
    if not allowed:
        raise InvalidWebhookUrl("This address is private; webhooks go to public ones.", param="url")


def is_allowed_address(address: IPAddress) -> bool:
    """Whether a webhook may be sent to this address and to the addresses that it embeds."""
    if settings.WEBHOOKS_ALLOW_PRIVATE:
        return not address.is_multicast
    return all(map(_is_public, _with_embedded_addresses(address)))


def _is_public(address: IPAddress) -> bool:
    """Whether the address is routed, whatever it stands for. Of IPv6, that is 2000::/3 and NAT64,
    whose embedded address is judged by itself."""
    if address in NAT64_NETWORK:
        return True
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return False
    is_special = any(address in network for network in SPECIAL_NETWORKS)
    return address.is_global and not address.is_multicast and not is_special


def _with_embedded_addresses(address: IPAddress) -> Iterable[IPAddress]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        is_isatap = (int(address) >> 32) & 0xFFFFFFFF in ISATAP_MARKS
        if address in NAT64_NETWORK or is_isatap:
            embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        yield from (candidate for candidate in embedded if candidate is not None)


def resolve_allowed_addresses(host: str, port: int) -> list[str]:
    """The host's addresses to which a webhook may be sent. Raises ForbiddenAddress if none."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ForbiddenAddress("The name of the host cannot be found.") from None
    unique = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries)
    allowed = [text for text in unique if is_allowed_address(ipaddress.ip_address(text))]
    if not allowed:
        raise ForbiddenAddress("The host has a private address; webhooks go to public ones.")
    return allowed[:MAX_CONNECT_ATTEMPTS]


def connect_allowed(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to one of the host's allowed addresses. Raises ForbiddenAddress or OSError."""
    failure = OSError("No address could be reached.")
    for address in resolve_allowed_addresses(host, port):
        try:
            return socket.create_connection((address, port), seconds)
        except OSError as problem:
            failure = problem
    raise failure


class SsrfGuardBackend(httpcore.NetworkBackend):
    """Connects to allowed addresses only, and lets nothing last beyond one deadline."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("No address could be reached.")
        for address in resolve_allowed_addresses(host, port):
            try:
                stream = self._backend.connect_tcp(
                    address, port, timeout=_remaining_seconds(self._deadline) / 2
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                failure = problem
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure


@dataclass(eq=False)
class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose reads and writes together end at the deadline, however small each is."""

    _stream: httpcore.NetworkStream
    _deadline: float

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_remaining_seconds(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_remaining_seconds(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = _remaining_seconds(self._deadline)
        secured = self._stream.start_tls(ssl_context, server_hostname, timeout=seconds)
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining_seconds(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("The deadline has passed.")
    return seconds
