"""The figures of live assistants for Prometheus: of the last 24 hours, counted once a minute."""

from collections.abc import Iterator
from datetime import timedelta

from django.core.cache import cache
from django.utils.timezone import now
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from assistants.answering.spending import spent_micro
from assistants.models import Assistant
from assistants.queries import figures

PERIOD = timedelta(hours=24)
CACHE_SECONDS = 60
Reading = tuple[str, int, int]  # Figure, rows counted, rows among which.


class AssistantReadings(Collector):
    """`lathe_assistant_counted / lathe_assistant_among` is the figure."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["team", "assistant", "figure"]
        counted = GaugeMetricFamily(
            "lathe_assistant_counted", "Rows of the last 24 hours that a figure counts.",
            labels=labels,
        )  # fmt: skip
        among = GaugeMetricFamily(
            "lathe_assistant_among", "Rows of the last 24 hours that a figure is a share of.",
            labels=labels,
        )  # fmt: skip
        spent = GaugeMetricFamily(
            "lathe_assistant_spent_micro_usd", "Of the last 24 hours, from the ledger.",
            labels=labels[:2],
        )  # fmt: skip
        live = Assistant.objects.filter(state=Assistant.State.LIVE).select_related("team")
        for assistant in live:
            names = [assistant.team.slug, assistant.name]
            readings, money = _read(assistant)
            for figure, count, n in readings:
                counted.add_metric([*names, figure], count)
                among.add_metric([*names, figure], n)
            spent.add_metric(names, money)
        yield from (counted, among, spent)


def _read(assistant: Assistant) -> tuple[list[Reading], int]:
    key = f"assistants:prometheus:{assistant.pk}"
    known: tuple[list[Reading], int] | None = cache.get(key)
    if known is None:
        until = now()
        since = until - PERIOD
        computed = figures.compute_figures(assistant, since, until)
        readings = [(figure.name, figure.count, figure.n) for figure in computed]
        known = (readings, spent_micro(assistant, since, until))
        cache.set(key, known, CACHE_SECONDS)
    return known
