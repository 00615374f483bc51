"""The figures of live assistants for Prometheus: of the last 24 hours, counted once a minute."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils.timezone import now
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from assistants.models import Assistant
from assistants.queries import figures, measures

PERIOD = timedelta(hours=24)
CACHE_SECONDS = 60
LABELS = ["team", "assistant"]
# Of each metric: what it says, and its labels after LABELS.
METRICS: dict[str, tuple[str, list[str]]] = {
    "lathe_assistant_counted": ("Rows of the last 24 hours that a figure counts.", ["figure"]),
    "lathe_assistant_among": ("Rows of the last 24 hours that a figure is a share of.", ["figure"]),
    "lathe_assistant_spent_micro_usd": ("Of the last 24 hours, from the ledger.", []),
    "lathe_assistant_answered_question_micro_usd": (
        "What an answered question of the last 24 hours cost.",
        [],
    ),
    "lathe_assistant_seconds_to_answer": (
        "To the first answer, of the last 24 hours.",
        ["quantile"],
    ),
    "lathe_assistant_seconds_to_person": (
        "To a person's first reply, of the last 24 hours.",
        ["quantile"],
    ),
    "lathe_assistant_hand_overs": (
        "Consultations of the last 24 hours handed over, by reason.",
        ["reason"],
    ),
    "lathe_assistant_consultations": (
        "Consultations of the last 24 hours, by channel.",
        ["channel"],
    ),
}
Reading = tuple[str, list[str], float]  # Metric, the values of its labels, its value.


class AssistantReadings(Collector):
    """`lathe_assistant_counted / lathe_assistant_among` is the figure."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauges = {
            name: GaugeMetricFamily(name, words, labels=[*LABELS, *labels])
            for name, (words, labels) in METRICS.items()
        }
        live = Assistant.objects.filter(state=Assistant.State.LIVE).select_related("team")
        for assistant in live:
            for name, labels, value in _read(assistant):
                gauges[name].add_metric([assistant.team.slug, assistant.name, *labels], value)
        yield from gauges.values()


def _read(assistant: Assistant) -> list[Reading]:
    key = f"assistants:readings:{assistant.pk}"
    known: list[Reading] | None = cache.get(key)
    if known is None:
        until = now()
        known = list(_compute(assistant, until - PERIOD, until))
        cache.set(key, known, CACHE_SECONDS)
    return known


def _compute(assistant: Assistant, since: datetime, until: datetime) -> Iterator[Reading]:
    """What is not known, as a cost where nothing was answered, is left out."""
    for figure in figures.compute_figures(assistant, since, until):
        yield "lathe_assistant_counted", [figure.name], figure.count
        yield "lathe_assistant_among", [figure.name], figure.n
    cost = measures.cost_of_answers(assistant, since, until)
    yield "lathe_assistant_spent_micro_usd", [], cost.spent_micro
    if cost.per_answer_micro is not None:
        yield "lathe_assistant_answered_question_micro_usd", [], cost.per_answer_micro
    for name, seconds in (
        ("lathe_assistant_seconds_to_answer", measures.seconds_to_answer(assistant, since, until)),
        ("lathe_assistant_seconds_to_person", measures.seconds_to_person(assistant, since, until)),
    ):
        for quantile, value in (("0.5", seconds.median), ("0.95", seconds.p95)):
            if value is not None:
                yield name, [quantile], value
    rows = figures.count_consultations(assistant, since, until)
    for reason, count in figures.most_frequent(rows, "reason"):
        yield "lathe_assistant_hand_overs", [reason], count
    for channel, count in figures.most_frequent(rows, "channel__kind"):
        yield "lathe_assistant_consultations", [channel], count
