"""Token buckets: how fast one caller may ask."""

import time
from collections import OrderedDict


class RateLimit:
    """Allows `per_second` requests for each caller, and `burst` at once after a pause."""

    def __init__(self, per_second: float, burst: float, most_callers: int = 10_000) -> None:
        self.per_second = per_second
        self.burst = burst
        self._most_callers = most_callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # Left, as of when.

    def wait_seconds(self, caller: str, moment: float | None = None) -> float:
        """0 when the caller may go on now, which is counted; else how long until it may."""
        moment = time.monotonic() if moment is None else moment
        left, since = self._buckets.pop(caller, (self.burst, moment))
        left = min(self.burst, left + (moment - since) * self.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self.per_second
        self._buckets[caller] = (left if wait else left - 1, moment)
        if len(self._buckets) > self._most_callers:
            self._buckets.popitem(last=False)
        return wait
