"""Whose turn it is: the one order that claims follow and that waiting people are told.

A job's turn is how many jobs of its team run or go before it, so teams take turns; an operator's
priority goes before that, age decides the rest. What a plan does not let run has no turn yet.
"""

from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Team
from billing.budgets.budget import DEFAULT_PLAN
from billing.models import Budget, Plan
from training.models import Attempt, Status, TrainingJob
from training.models.job import TEAM_PRIORITY_RANGE

_JOBS = TrainingJob._meta.db_table
# In SQL, because the ORM can neither join these sums nor keep the window out of the lock. Written
# so that one look into the queue's index yields what a team may start: the cost grows with the
# number of teams, not with the length of the queue.
_QUEUE = f"""
WITH running AS MATERIALIZED (
    SELECT team_id, count(*) AS jobs FROM {_JOBS} WHERE status = '{Status.RUNNING}'
    GROUP BY team_id
), open AS MATERIALIZED (
    SELECT team.id AS team_id, coalesce(running.jobs, 0) AS running,
        plan.concurrency - coalesce(running.jobs, 0) AS seats
    FROM {Team._meta.db_table} team
    LEFT JOIN running ON running.team_id = team.id
    LEFT JOIN {Budget._meta.db_table} budget ON budget.team_id = team.id
    JOIN {Plan._meta.db_table} plan ON plan.code = coalesce(budget.plan_id, %(default_plan)s)
    WHERE team.frozen_at IS NULL AND plan.concurrency > coalesce(running.jobs, 0)
), line AS (
    SELECT waiting.id, waiting.urgency, waiting.queued_at, open.running + waiting.place AS turn
    FROM open CROSS JOIN LATERAL (
        SELECT id, queued_at, greatest(priority, {TEAM_PRIORITY_RANGE[1]}) AS urgency,
            row_number() OVER (ORDER BY priority DESC, queued_at, id) - 1 AS place
        FROM {_JOBS}
        WHERE status = '{Status.QUEUED}' AND compute_class_id = %(compute_class)s
            AND team_id = open.team_id AND NOT id = ANY(%(passed_over)s)
        ORDER BY priority DESC, queued_at, id LIMIT least(open.seats, %(most)s)
    ) waiting
)
"""
_ORDER = "urgency DESC, turn, queued_at, id"
_NEXT_JOBS = f"{_QUEUE} SELECT id FROM line ORDER BY {_ORDER} LIMIT %(most)s"
_QUEUE_POSITION = f"""{_QUEUE}
SELECT (SELECT count(*) FROM line WHERE
    (-line.urgency, line.turn, line.queued_at, line.id)
    < (-mine.urgency, mine.turn, mine.queued_at, mine.id))
FROM line mine WHERE mine.id = %(job)s
"""
# Nearly always the first in line is one of the oldest in the queue, of a team that runs nothing:
# then no other team's turn comes before it, and the line need not be drawn up. An operator's
# priority is the exception.
_NEXT_JOB_FAST_PATH = f"""
SELECT waiting.id FROM (
    SELECT id, team_id, queued_at FROM {_JOBS}
    WHERE status = '{Status.QUEUED}' AND compute_class_id = %(compute_class)s
        AND team_id NOT IN (SELECT team_id FROM {_JOBS} WHERE status = '{Status.RUNNING}')
    ORDER BY queued_at, id LIMIT 200
) waiting
JOIN {Team._meta.db_table} team ON team.id = waiting.team_id
LEFT JOIN {Budget._meta.db_table} budget ON budget.team_id = waiting.team_id
JOIN {Plan._meta.db_table} plan ON plan.code = coalesce(budget.plan_id, %(default_plan)s)
WHERE team.frozen_at IS NULL AND plan.concurrency > 0
    AND NOT EXISTS (SELECT FROM {_JOBS} urgent
        WHERE status = '{Status.QUEUED}' AND compute_class_id = %(compute_class)s
            AND priority > {TEAM_PRIORITY_RANGE[1]})
    AND waiting.id = (SELECT id FROM {_JOBS} own
        WHERE own.status = '{Status.QUEUED}' AND own.compute_class_id = %(compute_class)s
            AND own.team_id = waiting.team_id
        ORDER BY priority DESC, queued_at, id LIMIT 1)
ORDER BY waiting.queued_at, waiting.id LIMIT 1
"""
_ATTEMPT_COUNTS = f"""
SELECT
    (SELECT count(*) FROM {_JOBS} WHERE team_id = %(team)s AND status = '{Status.RUNNING}'),
    count(*), count(*) FILTER (WHERE end_reason = '{Attempt.EndReason.OUT_OF_MEMORY}')
FROM {Attempt._meta.db_table} WHERE job_id = %(job)s
"""


def next_jobs(compute_class: str, passed_over: list[UUID], most: int = 8) -> list[UUID]:
    """The jobs that would be claimed next, in order, without those passed over; at first perhaps
    the very first alone."""
    facts = _query_parameters(compute_class, passed_over, most)
    with connection.cursor() as cursor:
        if not passed_over:
            cursor.execute(_NEXT_JOB_FAST_PATH, facts)
            if soonest := cursor.fetchone():
                return [soonest[0]]
        cursor.execute(_NEXT_JOBS, facts)
        return [row[0] for row in cursor.fetchall()]


def queue_position(job: TrainingJob) -> int | None:
    """How many waiting jobs would be claimed before this one; None while it has no turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            _QUEUE_POSITION, _query_parameters(job.compute_class_id, []) | {"job": job.pk}
        )
        row = cursor.fetchone()
    return row[0] if row else None


def attempt_counts(job: TrainingJob) -> tuple[int, int, int]:
    """Running jobs of its team, attempts at the job, and how many of those ran out of memory."""
    with connection.cursor() as cursor:
        cursor.execute(_ATTEMPT_COUNTS, {"team": job.team_id, "job": job.pk})
        running, attempts, out_of_memory = cursor.fetchone()
    return running, attempts, out_of_memory


def _query_parameters(
    compute_class: str, passed_over: list[UUID], most: int | None = None
) -> dict[str, Any]:
    return {
        "most": most,
        "compute_class": compute_class,
        "passed_over": passed_over,
        "default_plan": DEFAULT_PLAN,
    }
