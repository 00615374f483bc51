"""Token buckets: how fast one caller may send requests.

Each models process keeps its own. Of several that live, each allows its share of a limit: the front
spreads the requests of a caller evenly over them, so that together they allow the whole limit.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests a second, and so many at once after a pause."""

    per_second: float
    burst: float


class RateLimiter:
    """Allows each caller `per_second` requests and `burst` at once, or what its own limit says."""

    def __init__(self, per_second: float, burst: float, max_callers: int = 10_000) -> None:
        self.limit = Limit(per_second, burst)
        self.processes = 1  # That live now, and share each limit.
        self._max_callers = max_callers
        # By caller: tokens left, and as of when.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def limit_of(self, requests_per_minute: int | None) -> Limit:
        """Of a caller with a limit of its own: all of a minute's requests may come at once."""
        if requests_per_minute is None:
            return self.limit
        return Limit(
            min(self.limit.per_second, requests_per_minute / 60),
            min(self.limit.burst, float(requests_per_minute)),
        )

    def wait_seconds(
        self, caller: str, limit: Limit | None = None, moment: float | None = None
    ) -> float:
        """0 when the caller may go on now, which is counted; else how long until it may."""
        limit = self._share_of(limit or self.limit)
        moment = time.monotonic() if moment is None else moment
        tokens, since = self._buckets.pop(caller, (limit.burst, moment))
        tokens = min(limit.burst, tokens + (moment - since) * limit.per_second)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / limit.per_second
        self._buckets[caller] = (tokens if wait else tokens - 1, moment)
        if len(self._buckets) > self._max_callers:
            self._buckets.popitem(last=False)
        return wait

    def set_processes(self, count: int) -> None:
        self.processes = max(1, count)

    def _share_of(self, limit: Limit) -> Limit:
        """A burst of less than one request would allow none at all."""
        return Limit(limit.per_second / self.processes, max(1.0, limit.burst / self.processes))

    def limit_headers(self, caller: str, limit: Limit | None = None) -> list[tuple[bytes, bytes]]:
        """What the caller may still send, in OpenAI's headers; as of its last request."""
        limit = limit or self.limit
        tokens, _ = self._buckets.get(caller, (limit.burst, 0.0))
        tokens = min(limit.burst, tokens * self.processes)  # The others have about as much left.
        missing = max(0.0, limit.burst - tokens)
        return [
            (b"x-ratelimit-limit-requests", str(int(limit.burst)).encode()),
            (b"x-ratelimit-remaining-requests", str(int(tokens)).encode()),
            (b"x-ratelimit-reset-requests", f"{missing / limit.per_second:.3f}s".encode()),
        ]
