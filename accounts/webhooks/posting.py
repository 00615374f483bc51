"""One POST to a customer's address: bounded in time and size, following nothing."""

import contextlib
import ssl
import time
from dataclasses import dataclass
from functools import cache

import certifi
import httpcore

from accounts.webhooks.addresses import ForbiddenAddress, GuardedBackend

DEADLINE_SECONDS = 15.0
EXCERPT_BYTES = 500
USER_AGENT = "Lathe-Webhooks/1"


@dataclass(frozen=True)
class Answer:
    """What came of one attempt. Without a status nothing was answered, and `error` says why."""

    status: int | None = None
    excerpt: str = ""
    error: str = ""
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, headers: dict[str, str], body: str) -> Answer:
    """Send it once. Never raises for what the other side or the network does."""
    began = time.monotonic()
    status, excerpt, error = _attempt(url, headers, body.encode())
    return Answer(status, excerpt, error, int((time.monotonic() - began) * 1000))


def _attempt(url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str, str]:
    try:
        status, start = _exchange(url, headers, body)
    except ForbiddenAddress as refusal:
        return None, "", str(refusal)
    except httpcore.TimeoutException:
        return None, "", f"No complete answer within {DEADLINE_SECONDS:.0f} seconds."
    except httpcore.ConnectError as problem:
        return None, "", f"Could not connect: {_words(problem)}"[:300]
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as problem:
        return None, "", f"The connection broke: {_words(problem)}"[:300]
    return status, start, _complaint(status)


def _exchange(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    backend = GuardedBackend(DEADLINE_SECONDS)
    sent = [*headers.items(), ("content-type", "application/json"), ("user-agent", USER_AGENT)]
    with (
        httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=sent, content=body) as answer,
    ):
        start = b""
        # The status has arrived: a body that breaks off or never ends changes nothing.
        with contextlib.suppress(
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError
        ):
            for piece in answer.iter_stream():
                start += piece
                if len(start) >= EXCERPT_BYTES:
                    break
        return answer.status, _readable(start[:EXCERPT_BYTES])


def _readable(start: bytes) -> str:
    text = start.decode("utf-8", errors="replace")
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def _complaint(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"Answered {status}: redirects are not followed. Enter the final address."
    return f"Answered {status}; anything but 2xx counts as not received."


def _words(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


@cache
def _trust() -> ssl.SSLContext:
    """The system's authorities and certifi's: a slim container image may have none of its own."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
