"""Whose turn it is: the one order that claims follow and that waiting people are told.

A job's turn is how many jobs of its team run or go before it, so teams take turns; an operator's
priority goes before that, age decides the rest. What a plan does not let run has no turn yet.
"""

from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Team
from billing import budget as budgets
from billing.models import Budget, Plan
from training.models import Status, TrainingJob
from training.models.jobs import TEAM_PRIORITIES

# In SQL, because the ORM can neither join these sums nor keep the window out of the lock. Written
# so that one index scan yields each team's queue in order: 10,000 waiting jobs take milliseconds.
_LINE = f"""
WITH running AS (
    SELECT team_id, count(*) AS jobs
    FROM {TrainingJob._meta.db_table} WHERE status = '{Status.RUNNING}' GROUP BY team_id
), waiting AS (
    SELECT id, team_id, queued_at, greatest(priority, {TEAM_PRIORITIES[1]}) AS urgency,
        row_number() OVER (
            PARTITION BY team_id ORDER BY priority DESC, queued_at, id
        ) - 1 AS place
    FROM {TrainingJob._meta.db_table}
    WHERE status = '{Status.QUEUED}' AND compute_class_id = %(compute_class)s
        AND NOT id = ANY(%(passed_over)s)
), line AS (
    SELECT waiting.id, waiting.urgency, waiting.queued_at,
        waiting.place + coalesce(running.jobs, 0) AS turn
    FROM waiting
    JOIN {Team._meta.db_table} team ON team.id = waiting.team_id AND team.frozen_at IS NULL
    LEFT JOIN running ON running.team_id = waiting.team_id
    LEFT JOIN {Budget._meta.db_table} budget ON budget.team_id = waiting.team_id
    JOIN {Plan._meta.db_table} plan ON plan.code = coalesce(budget.plan_id, %(default_plan)s)
    WHERE waiting.place + coalesce(running.jobs, 0) < plan.concurrency
)
"""
_ORDER = "urgency DESC, turn, queued_at, id"
_FIRST = f"{_LINE} SELECT id FROM line ORDER BY {_ORDER} LIMIT %(most)s"
_BEFORE = f"""{_LINE}
SELECT (SELECT count(*) FROM line WHERE
    (-line.urgency, line.turn, line.queued_at, line.id)
    < (-mine.urgency, mine.turn, mine.queued_at, mine.id))
FROM line mine WHERE mine.id = %(job)s
"""


def first_in_line(compute_class: str, passed_over: list[UUID], most: int = 8) -> list[UUID]:
    """The jobs that would be claimed next, in order, without those passed over."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, _facts(compute_class, passed_over) | {"most": most})
        return [row[0] for row in cursor.fetchall()]


def jobs_before(job: TrainingJob) -> int | None:
    """How many waiting jobs would be claimed before this one; None while it has no turn."""
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, _facts(job.compute_class_id, []) | {"job": job.pk})
        row = cursor.fetchone()
    return row[0] if row else None


def _facts(compute_class: str, passed_over: list[UUID]) -> dict[str, Any]:
    return {
        "compute_class": compute_class,
        "passed_over": passed_over,
        "default_plan": budgets.DEFAULT_PLAN,
    }
