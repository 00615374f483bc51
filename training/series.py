"""A job's measured values over its steps, as charts and the API show them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypedDict

from django.db import connection
from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import Mod, RowNumber

from training.models import MetricPoint, TrainingJob

MOST_POINTS = 1000  # Per series; a chart is narrower than that.
SPARKLINE_POINTS = 60
LOSSES = ("train_loss", "validation_loss")
Points = list[tuple[int, float]]

# From name to name and from attempt to attempt through the index, since DISTINCT ON would read
# every one of a hundred thousand points.
_LATEST = f"""
WITH RECURSIVE names AS (
    SELECT min(name) AS name FROM {MetricPoint._meta.db_table} WHERE job_id = %(job)s
    UNION ALL
    SELECT (SELECT min(name) FROM {MetricPoint._meta.db_table}
            WHERE job_id = %(job)s AND name > names.name)
    FROM names WHERE names.name IS NOT NULL
)
SELECT DISTINCT ON (names.name) names.name, latest.value
FROM names
CROSS JOIN generate_series(1, (
    SELECT max(attempt_number) FROM {MetricPoint._meta.db_table} WHERE job_id = %(job)s
)) attempt
CROSS JOIN LATERAL (
    SELECT value FROM {MetricPoint._meta.db_table} point
    WHERE point.job_id = %(job)s AND point.attempt_number = attempt
        AND point.name = names.name
    ORDER BY step DESC LIMIT 1
) latest
ORDER BY names.name, attempt DESC
"""


class Series(TypedDict):
    name: str
    points: Points


def points_of(job: TrainingJob, names: Iterable[str] | None = None) -> dict[str, Points]:
    """Each metric's (step, value) in order, without what a lost attempt measured in vain."""
    rows = MetricPoint.objects.filter(job=job)
    if names is not None:
        rows = rows.filter(name__in=list(names))
    for attempt, kept_until in _kept_steps(job).items():
        rows = rows.exclude(attempt_number=attempt, step__gt=kept_until)
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for name, step, value in _thinned(rows, "name", MOST_POINTS):
        found[name][step] = value
    return {name: list(points.items()) for name, points in found.items()}


def loss_series(job: TrainingJob) -> list[Series]:
    """The two curves of the loss chart; a curve without points is left out."""
    points = points_of(job, LOSSES)
    return [Series(name=name, points=points[name]) for name in LOSSES if name in points]


def latest_values(job: TrainingJob) -> dict[str, float]:
    """The newest value of each metric."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, {"job": job.pk})
        return dict(cursor.fetchall())


def sparklines(jobs: Iterable[TrainingJob]) -> dict[TrainingJob, str]:
    """SVG points of each job's training loss in a box of 100 by 24, from one query."""
    by_id = {job.pk: job for job in jobs}
    rows = MetricPoint.objects.filter(job__in=by_id, name="train_loss")
    values: dict[TrainingJob, dict[int, float]] = defaultdict(dict)
    for job_id, step, value in _thinned(rows, "job_id", SPARKLINE_POINTS):
        values[by_id[job_id]][step] = value
    return {job: _polyline(list(steps.items())) for job, steps in values.items()}


def _kept_steps(job: TrainingJob) -> dict[int, int]:
    """By attempt, the last step that a later attempt went on from; absent: all of it counts."""
    kept: dict[int, int] = {}
    lowest: int | None = None
    for attempt in sorted(job.attempts.all(), key=lambda one: -one.number):
        if lowest is not None:
            kept[attempt.number] = lowest
        resumed = attempt.resumed_from_step or 0
        lowest = resumed if lowest is None else min(lowest, resumed)
    return kept


def _thinned(
    rows: QuerySet[MetricPoint], group: str, most: int
) -> Iterable[tuple[Any, int, float]]:
    """(group, step, value) of evenly spaced points of each group, the last always among them.

    The database thins them out: a long job has a hundred thousand, a chart is narrower than that.
    """
    place = Window(RowNumber(), partition_by=group, order_by=["step", "attempt_number"])
    total = Window(Count("pk"), partition_by=group)
    chosen = (
        rows.annotate(place=place, total=total)
        .annotate(stride=(F("total") + most - 1) / most)
        .annotate(rest=Mod(F("total") - F("place"), F("stride")))
        .filter(rest=0)
        .order_by("step", "attempt_number")
    )
    return chosen.values_list(group, "step", "value")


def _polyline(points: Points) -> str:
    if len(points) < 2:
        return ""
    steps, values = [step for step, _ in points], [value for _, value in points]
    width, height = max(steps) - min(steps) or 1, max(values) - min(values) or 1.0
    return " ".join(
        f"{(step - min(steps)) / width * 100:.1f},{23 - (value - min(values)) / height * 22:.1f}"
        for step, value in points
    )
