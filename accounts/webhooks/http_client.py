"""One POST to a customer's address: bounded in time and size, following nothing."""

import contextlib
import ssl
import time
from dataclasses import dataclass
from functools import cache

import certifi
import httpcore

from accounts.webhooks.ssrf_guard import ForbiddenAddress, SsrfGuardBackend

DEADLINE_SECONDS = 15.0
EXCERPT_BYTES = 500
USER_AGENT = "Lathe-Webhooks/1"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class DeliveryResult:
    """The result of one attempt. Without a status there was no response, and `error` says why."""

    status: int | None = None
    excerpt: str = ""
    error: str = ""
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, headers: dict[str, str], body: str) -> DeliveryResult:
    """Send it once. Never raises for what the receiver or the network does."""
    began = time.monotonic()
    status, excerpt, error = _attempt(url, headers, body.encode())
    return DeliveryResult(status, excerpt, error, int((time.monotonic() - began) * 1000))


def _attempt(url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str, str]:
    try:
        status, excerpt = _send_request(url, headers, body)
    except ForbiddenAddress as refusal:
        return None, "", str(refusal)
    except httpcore.TimeoutException:
        return None, "", f"No complete answer within {DEADLINE_SECONDS:.0f} seconds."
    except httpcore.ConnectError as problem:
        return None, "", f"Could not connect: {_error_text(problem)}"[:300]
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as problem:
        return None, "", f"The connection broke: {_error_text(problem)}"[:300]
    return status, excerpt, _status_error(status)


def _send_request(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    backend = SsrfGuardBackend(DEADLINE_SECONDS)
    all_headers = [
        *headers.items(),
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
    ]
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=all_headers, content=body) as response,
    ):
        excerpt = b""
        # The status is known by now: a body that breaks off or never ends changes nothing.
        with contextlib.suppress(
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError
        ):
            for chunk in response.iter_stream():
                excerpt += chunk
                if len(excerpt) >= EXCERPT_BYTES:
                    break
        text = excerpt[:EXCERPT_BYTES].decode("utf-8", errors="replace")
        printable = (
            character if character.isprintable() or character in "\n\t" else REPLACEMENT
            for character in text
        )
        return response.status, "".join(printable)


def _status_error(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"Answered {status}: redirects are not followed. Enter the final address."
    return f"Answered {status}; anything but 2xx counts as not received."


def _error_text(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


@cache
def ssl_context() -> ssl.SSLContext:
    """The system's authorities and certifi's: a slim container image may have none of its own."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
