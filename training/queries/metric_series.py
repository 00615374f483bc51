"""A job's metrics over its steps, for charts, the API and CSV files."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from django.db import connection

from training.models import MetricPoint, TrainingJob

MAX_POINTS = 1000  # Per curve; a chart is narrower than that.
BUCKET_COUNT = MAX_POINTS // 2  # Each gives its lowest and its highest point.
SPARKLINE_POINTS = 60
Points = list[tuple[int, float]]
SqlParameters = dict[str, UUID | int | list[str] | None]
_POINTS = MetricPoint._meta.db_table

# Each name is looked up in the index after the one before it: DISTINCT ON would read every one of
# a hundred thousand points.
_NAMES = f"""
names AS (
    SELECT min(name) AS name FROM {_POINTS} WHERE job_id = %(job)s
    UNION ALL
    SELECT (SELECT min(name) FROM {_POINTS}
            WHERE job_id = %(job)s AND name > names.name)
    FROM names WHERE names.name IS NOT NULL
)
"""
_LATEST = f"""
WITH RECURSIVE {_NAMES}
SELECT DISTINCT ON (names.name) names.name, latest.value
FROM names
CROSS JOIN generate_series(1, (
    SELECT max(attempt_number) FROM {_POINTS} WHERE job_id = %(job)s
)) attempt
CROSS JOIN LATERAL (
    SELECT value FROM {_POINTS} point
    WHERE point.job_id = %(job)s AND point.attempt_number = attempt
        AND point.name = names.name
    ORDER BY step DESC LIMIT 1
) latest
ORDER BY names.name, attempt DESC
"""


_CURVE_ENDS = f"""
WITH RECURSIVE {_NAMES}
SELECT names.name, first.step, last.step, last.value
FROM names
CROSS JOIN LATERAL (
    SELECT step FROM {_POINTS} WHERE job_id = %(job)s AND name = names.name
    ORDER BY step LIMIT 1
) first
CROSS JOIN LATERAL (
    SELECT step, value FROM {_POINTS}
    WHERE job_id = %(job)s AND name = names.name {{without_lost}}
    ORDER BY step DESC, attempt_number DESC LIMIT 1
) last
WHERE %(names)s::text[] IS NULL OR names.name = ANY(%(names)s)
"""
_ALL_POINTS = f"""
SELECT name, step, value FROM {_POINTS}
WHERE job_id = %(job)s AND name = ANY(%(names)s) {{without_lost}}
ORDER BY name, step, attempt_number
"""
# An array is compared by its first element, so one pass finds a stretch's extremes and their steps.
_BUCKETS = f"""
SELECT name, count(*), min(ARRAY[value, step]), max(ARRAY[value, step]) FROM {_POINTS}
WHERE job_id = %(job)s AND name = ANY(%(names)s) {{without_lost}}
GROUP BY name, (step - %(first)s) / %(length)s
ORDER BY name, (step - %(first)s) / %(length)s
"""
_NEWEST = f"""
SELECT job.id, metric.name, newest.value
FROM unnest(%(jobs)s::uuid[]) job (id)
CROSS JOIN unnest(%(names)s::text[]) metric (name)
CROSS JOIN LATERAL (
    SELECT value FROM {_POINTS} WHERE job_id = job.id AND name = metric.name
    ORDER BY attempt_number DESC, step DESC LIMIT 1
) newest
"""
_SPARKLINES = f"""
SELECT job.id, max(point.step), avg(point.value)
FROM unnest(%(jobs)s::uuid[]) job (id)
CROSS JOIN LATERAL (
    SELECT step FROM {_POINTS} WHERE job_id = job.id AND name = 'train_loss'
    ORDER BY step DESC LIMIT 1
) last
JOIN {_POINTS} point ON point.job_id = job.id AND point.name = 'train_loss'
GROUP BY job.id, point.step::bigint * {SPARKLINE_POINTS} / (last.step::bigint + 1)
ORDER BY job.id, max(point.step)
"""
# Of one metric of many jobs: of two values at one step the newer attempt's counts. The last array
# of a job is its last point.
_OVERLAY = f"""
WITH kept AS (
    SELECT DISTINCT ON (job_id, step) job_id, step, value
    FROM {_POINTS}
    LEFT JOIN unnest(%(lost_jobs)s::uuid[], %(lost_attempts)s::int[], %(kept_until)s::int[])
        lost (job_id, attempt_number, kept_until) USING (job_id, attempt_number)
    WHERE job_id = ANY(%(jobs)s) AND name = %(name)s AND (kept_until IS NULL OR step <= kept_until)
    ORDER BY job_id, step, attempt_number DESC
), span AS (
    SELECT job_id, min(step) AS first, CASE
        WHEN max(step) - min(step) < {MAX_POINTS} THEN 1
        ELSE (max(step) - min(step) + {BUCKET_COUNT}) / {BUCKET_COUNT}
    END AS length
    FROM kept GROUP BY job_id
)
SELECT job_id, count(*), min(ARRAY[value, step]), max(ARRAY[value, step]), max(ARRAY[step, value])
FROM kept JOIN span USING (job_id)
GROUP BY job_id, (step - first) / length
ORDER BY job_id, (step - first) / length
"""


class Series(TypedDict):
    name: str
    points: Points
    measured: int


@dataclass
class MetricCurve:
    """One metric over the steps. Beyond MAX_POINTS steps only the lowest and the highest point of
    each stretch are kept, so that no spike is lost."""

    points: Points
    measured: int  # Points before this reduction.


def curves_of(job: TrainingJob, names: Iterable[str] | None = None) -> dict[str, MetricCurve]:
    """The curves by name of metric (None: of all), without the steps of an attempt that a later
    one repeated."""
    requested = None if names is None else list(names)
    condition, parameters = _excluding_discarded_steps(job)
    parameters |= {"job": job.pk, "names": requested}
    with connection.cursor() as cursor:
        cursor.execute(_CURVE_ENDS.format(without_lost=condition), parameters)
        ends: dict[str, tuple[int, int, float]] = {row[0]: row[1:] for row in cursor.fetchall()}
        if not ends:
            return {}
        parameters["names"] = list(ends)
        first, last = min(end[0] for end in ends.values()), max(end[1] for end in ends.values())
        if last - first < MAX_POINTS:
            cursor.execute(_ALL_POINTS.format(without_lost=condition), parameters)
            return _full_curves(cursor.fetchall())
        parameters |= {"first": first, "length": -(-(last - first + 1) // BUCKET_COUNT)}
        cursor.execute(_BUCKETS.format(without_lost=condition), parameters)
        return _downsampled(cursor.fetchall(), ends)


def overlay_curves(jobs: Iterable[TrainingJob], name: str) -> dict[UUID, MetricCurve]:
    """The curve of this metric by job, from one query; jobs that did not measure it are left out.
    The jobs' attempts are best prefetched."""
    listed = list(jobs)
    lost = [(job.pk, *kept) for job in listed for kept in _last_kept_steps(job).items()]
    parameters: dict[str, str | list[UUID] | list[int]] = {
        "jobs": [job.pk for job in listed],
        "name": name,
        "lost_jobs": [row[0] for row in lost],
        "lost_attempts": [row[1] for row in lost],
        "kept_until": [row[2] for row in lost],
    }
    curves: dict[UUID, MetricCurve] = {}
    newest: dict[UUID, tuple[int, float]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_OVERLAY, parameters)
        for job_id, count, lowest, highest, last in cursor.fetchall():
            curve = curves.setdefault(job_id, MetricCurve([], 0))
            curve.points += sorted({int(step): value for value, step in (lowest, highest)}.items())
            curve.measured += count
            newest[job_id] = int(last[0]), last[1]
    for job_id, curve in curves.items():
        if curve.points[-1][0] != newest[job_id][0]:
            curve.points.append(newest[job_id])
    return curves


def latest_values(job: TrainingJob) -> dict[str, float]:
    """The newest value of each metric."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, {"job": job.pk})
        return dict(cursor.fetchall())


def newest_values(
    jobs: Iterable[TrainingJob], names: Iterable[str]
) -> dict[UUID, dict[str, float]]:
    """The newest value of these metrics, by job, from one query; jobs without any are left out."""
    values: dict[UUID, dict[str, float]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, {"jobs": [job.pk for job in jobs], "names": list(names)})
        for job_id, name, value in cursor.fetchall():
            values.setdefault(job_id, {})[name] = value
    return values


def sparklines(jobs: Iterable[TrainingJob]) -> dict[TrainingJob, str]:
    """SVG points of each job's training loss in a box of 100 by 24, from one query."""
    by_id = {job.pk: job for job in jobs}
    points: dict[TrainingJob, Points] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SPARKLINES, {"jobs": list(by_id)})
        for job_id, step, value in cursor.fetchall():
            points.setdefault(by_id[job_id], []).append((step, value))
    return {job: _polyline(some) for job, some in points.items()}


def as_csv(job: TrainingJob) -> bytes:
    """Every point that was ever measured, lost attempts included, written by the database."""
    rows = f"""
        SELECT name, step, epoch, value, attempt_number AS attempt,
            to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at
        FROM {_POINTS} WHERE job_id = %s ORDER BY name, step, attempt_number
    """
    with connection.cursor() as cursor:
        written = cursor.copy(f"COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)", [job.pk])
        with written as lines:
            return b"".join(bytes(line) for line in lines)


def _excluding_discarded_steps(job: TrainingJob) -> tuple[str, SqlParameters]:
    """A condition with its parameters that leaves out what attempts measured after the step from
    which a later one went on."""
    condition = ""
    parameters: SqlParameters = {}
    for number, (attempt, kept_until) in enumerate(_last_kept_steps(job).items()):
        condition += f" AND NOT (attempt_number = %(lost{number})s AND step > %(kept{number})s)"
        parameters |= {f"lost{number}": attempt, f"kept{number}": kept_until}
    return condition, parameters


def _last_kept_steps(job: TrainingJob) -> dict[int, int]:
    """By number of attempt, the step up to which its points are kept, since a later attempt resumed
    there; attempts all of whose points are kept are absent."""
    kept_steps: dict[int, int] = {}
    lowest: int | None = None
    for attempt in sorted(job.attempts.all(), key=lambda attempt: -attempt.number):
        if lowest is not None:
            kept_steps[attempt.number] = lowest
        resumed_from = attempt.resumed_from_step or 0
        lowest = resumed_from if lowest is None else min(lowest, resumed_from)
    return kept_steps


def _full_curves(rows: list[tuple[str, int, float]]) -> dict[str, MetricCurve]:
    """Curves of all points; of two values at one step the newer attempt's, which comes later, is
    kept."""
    curves: dict[str, dict[int, float]] = {}
    for name, step, value in rows:
        curves.setdefault(name, {})[step] = value
    return {name: MetricCurve(list(values.items()), len(values)) for name, values in curves.items()}


def _downsampled(
    rows: list[tuple[str, int, list[float], list[float]]],
    ends: dict[str, tuple[int, int, float]],
) -> dict[str, MetricCurve]:
    """Curves of one or two points for each stretch of steps, and always the last point of all.

    `rows` are (name, points, [lowest value, step], [highest value, step]); `ends` are (first step,
    last step, last value) by name."""
    curves: dict[str, MetricCurve] = {}
    for name, count, lowest, highest in rows:
        curve = curves.setdefault(name, MetricCurve([], 0))
        pair = {int(step): value for value, step in (lowest, highest)}
        curve.points += sorted(pair.items())
        curve.measured += count
    for name, curve in curves.items():
        _, last_step, last_value = ends[name]
        if curve.points[-1][0] != last_step:
            curve.points.append((last_step, last_value))
    return curves


def _polyline(points: Points) -> str:
    if len(points) < 2:
        return ""
    steps, values = [step for step, _ in points], [value for _, value in points]
    width, height = max(steps) - min(steps) or 1, max(values) - min(values) or 1.0
    return " ".join(
        f"{(step - min(steps)) / width * 100:.1f},{23 - (value - min(values)) / height * 22:.1f}"
        for step, value in points
    )
