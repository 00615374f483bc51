"""What Prometheus reads at /metrics; no team's name or number is in it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from web.telemetry.registry import REGISTRY

LATENCY_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # Seconds.

# No series of when each counter was made.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters of one models process; each has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "lathe_requests", "Answered requests.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "lathe_request_seconds",
            "Time to the end of an answer.",
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self.tokens = Counter("lathe_tokens", "Metered tokens.", registry=self._registry)

    def register_readings(self, readings: Mapping[str, Callable[[], float]]) -> None:
        """Numbers that others keep, read whenever Prometheus asks; `…_total` are counters."""
        self._registry.register(_Readings(readings))

    def render(self) -> bytes:
        return generate_latest(REGISTRY) + generate_latest(self._registry)


@dataclass(eq=False)
class _Readings(Collector):
    _readings: Mapping[str, Callable[[], float]]

    def collect(self) -> Iterable[Metric]:
        for name, read in self._readings.items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"lathe_{name}", name.replace("_", " "), value=read())
