"""What Prometheus reads at /metrics, in its text format; no team's name or number is in it."""

from bisect import bisect_left
from collections import Counter

BOUNDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # Seconds.


class Gauges:
    """Counters of answered requests and a histogram of their time."""

    def __init__(self) -> None:
        self.tokens = 0
        self._answers: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def answered(self, route: str, status: int, seconds: float) -> None:
        self._answers[route, status] += 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def text(self, **now: float) -> str:
        """All of it; `now` are further numbers, each named as it should be shown."""
        lines = ["# TYPE lathe_requests_total counter"]
        for (route, status), count in sorted(self._answers.items()):
            lines.append(f'lathe_requests_total{{route="{route}",status="{status}"}} {count}')
        lines.append("# TYPE lathe_request_seconds histogram")
        running = 0
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self._buckets, strict=True):
            running += count
            lines.append(f'lathe_request_seconds_bucket{{le="{bound}"}} {running}')
        lines.append(f"lathe_request_seconds_sum {self._seconds:.6f}")
        lines.append(f"lathe_request_seconds_count {running}")
        for name, value in {"tokens_total": self.tokens, **now}.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE lathe_{name} {kind}", f"lathe_{name} {value}"]
        return "\n".join(lines) + "\n"
