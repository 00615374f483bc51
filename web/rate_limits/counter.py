"""Counts within windows of the clock, in the cache, and the headers that tell a caller of them.

Not the time of every request, which would be thousands of numbers to read and write each time. A
cache that is away stops nobody. Headers as in the IETF draft "RateLimit header fields for HTTP".
"""

import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

from web.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RateUsage:
    """What a caller has used of one limit in the present window."""

    limit: int
    used: int
    reset_seconds: int  # Until the next window begins.

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class TooManyRequests(UserError):
    code, status = "rate_limit_exceeded", 429

    def __init__(self, sentence: str, usage: RateUsage) -> None:
        super().__init__(sentence)
        self.headers |= {**usage.headers, "Retry-After": str(usage.reset_seconds)}


# The limit that the present request has counted against last: answers name it in their headers.
current_usage: ContextVar[RateUsage | None] = ContextVar("current_usage", default=None)


def count(name: str, limit: int, window_seconds: int) -> RateUsage:
    """Count one more under this name. A limit of 0 allows any number and counts nothing."""
    moment = time.time()
    reset_seconds = int(window_seconds - moment % window_seconds) + 1
    key = f"rate:{name}:{int(moment // window_seconds)}"
    used = 0
    if limit:
        used = increment(key, 2 * window_seconds)
    usage = RateUsage(limit, used, reset_seconds)
    if limit:
        current_usage.set(usage)
    return usage


def increment(key: str, timeout_seconds: int) -> int:
    """Count one more under this key of the cache; 0 where the cache is away."""
    try:
        try:
            return cache.incr(key)
        except ValueError:  # The first one, or the key was evicted.
            return 1 if cache.add(key, 1, timeout_seconds) else cache.incr(key)
    except (RedisError, ValueError) as problem:
        logger.warning("Requests are not counted: %s", problem)
        return 0
