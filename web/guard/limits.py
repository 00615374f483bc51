"""How much the guard lets in, and who has how much of it at the moment."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from django.conf import settings
from starlette.types import Scope

BODY_BYTES = 5 * 1024**2  # Of any request that is not an upload.
# A body that takes longer than the limit must at least be this fast.
MIN_BYTES_PER_SECOND = 16 * 1024
SLOW_AFTER_SECONDS = 1.0  # Bodies that take longer are counted by address.
LARGE_UPLOADS_PER_CALLER = 4


@dataclass(frozen=True)
class Limits:
    """Read once; see .env.example for what each means."""

    body_seconds: float
    slow_bodies_per_address: int
    requests_per_address: int
    requests: int

    @classmethod
    def from_settings(cls) -> "Limits":
        return cls(
            body_seconds=settings.BODY_SECONDS,
            slow_bodies_per_address=settings.SLOW_BODIES_PER_ADDRESS,
            requests_per_address=settings.REQUESTS_PER_ADDRESS,
            requests=settings.MAX_REQUESTS,
        )


def no_body_limit_of_its_own(path: str) -> int | None:
    return None


@dataclass(frozen=True)
class Uploads:
    """Where large bodies are accepted, and from whom."""

    max_bytes: int
    is_upload: Callable[[Scope], bool]
    # Who sends the request, by a credential that is valid now; None for a stranger.
    find_caller: Callable[[Scope], Awaitable[str | None]]
    has_room: Callable[[int], bool]


@dataclass
class Usage:
    """What is under way in this process. A key whose count is 0 is forgotten."""

    requests: int = 0
    by_address: Counter[str] = field(default_factory=Counter)
    slow_by_address: Counter[str] = field(default_factory=Counter)
    uploads_by_caller: Counter[str] = field(default_factory=Counter)


def release(counter: Counter[str], key: str) -> None:
    """Count one less; nothing is kept of those who have left."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
