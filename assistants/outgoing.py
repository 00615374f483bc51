"""One POST to a public address that a team entered: followed nowhere, bounded in time and size."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpcore
from cryptography.fernet import InvalidToken

from accounts.webhooks import secret_encryption
from accounts.webhooks.http_client import ssl_context
from accounts.webhooks.ssrf_guard import ForbiddenAddress, SsrfGuardBackend, validate_webhook_url

USER_AGENT = "Lathe-Assistants/1"


class OutgoingFailed(Exception):
    """No usable answer came, for whatever reason; the text is for the log."""


class OutgoingRefused(OutgoingFailed):
    """The address answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered {status}")
        self.status = status


@dataclass(frozen=True)
class Body:
    content: bytes
    content_type: str


def stream(
    url: str, body: Body, *, sealed_key: str, seconds: float, max_bytes: int
) -> Iterator[bytes]:
    """The body of a 200 answer as it comes. `sealed_key` is encrypted, or empty. Raises
    OutgoingFailed, and OutgoingRefused before the first byte."""
    try:
        yield from _stream(url, body, sealed_key, seconds, max_bytes)
    except (
        ForbiddenAddress, InvalidToken, httpcore.NetworkError, httpcore.ProtocolError,
        httpcore.TimeoutException, httpcore.UnsupportedProtocol, OSError, ValueError,
    ) as problem:  # fmt: skip
        raise OutgoingFailed(f"{type(problem).__name__}: {problem}") from problem


def validate_base_url(text: str, *endings: str) -> str:
    """A base address such as https://api.example.com/v1, cut of the endings that people copy along.
    Raises InvalidWebhookUrl."""
    base = text.strip().rstrip("/")
    for ending in endings:
        base = base.removesuffix(ending)
    return validate_webhook_url(base)


def _stream(
    url: str, body: Body, sealed_key: str, seconds: float, max_bytes: int
) -> Iterator[bytes]:
    headers = [("content-type", body.content_type), ("user-agent", USER_AGENT)]
    if sealed_key:
        headers.append(("authorization", f"Bearer {secret_encryption.decrypt(sealed_key)}"))
    backend = SsrfGuardBackend(seconds)
    received = 0
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=headers, content=body.content) as response,
    ):
        if response.status != 200:
            raise OutgoingRefused(response.status)
        for chunk in response.iter_stream():
            received += len(chunk)
            if received > max_bytes:
                raise ValueError("its answer is too long")
            yield chunk
