"""What must be true of the rows once a storm is over, whatever happened in it.

Each claim is a query for the rows that break it. Read from outside the product, in plain SQL, so
that the check shares no code with what it checks.
"""

from typing import Any

import psycopg

from tests.journeys import books

USAGE = "('compute', 'inference', 'refund')"
FINAL = "('succeeded', 'failed', 'cancelled')"

CLAIMS = {
    "every job is over": f"""
        SELECT id, status FROM training_trainingjob WHERE status NOT IN {FINAL}""",
    "a succeeded job has a model with a report": """
        SELECT job.id FROM training_trainingjob job WHERE status = 'succeeded' AND NOT EXISTS
        (SELECT FROM training_evaluation report WHERE report.model_id = job.model_id)""",
    "a model belongs to a succeeded job": """
        SELECT model.id FROM training_trainedmodel model WHERE NOT EXISTS
        (SELECT FROM training_trainingjob job
         WHERE job.model_id = model.id AND job.status = 'succeeded')""",
    "a failed job says why": """
        SELECT id FROM training_trainingjob
        WHERE status = 'failed' AND (failure_code IS NULL OR failure_sentence = '')""",
    "no attempt is alive when all is over": """
        SELECT id FROM training_attempt WHERE ended_at IS NULL""",
    "attempts are numbered without a gap": """
        SELECT job_id FROM training_attempt GROUP BY job_id HAVING max(number) <> count(*)""",
    "attempts of a job never overlap": """
        SELECT a.id, b.id FROM training_attempt a JOIN training_attempt b
        ON a.job_id = b.job_id AND a.number < b.number WHERE b.started_at < a.ended_at""",
    "no meter runs when all is over": """
        SELECT id FROM billing_meteredrun WHERE ended_at IS NULL""",
    "every run is an attempt's": """
        SELECT run.id FROM billing_meteredrun run
        WHERE NOT EXISTS (SELECT FROM training_attempt WHERE run_id = run.id)""",
    "no millisecond is billed twice": """
        SELECT a.id, b.id FROM billing_usagesegment a JOIN billing_usagesegment b
        ON a.run_id = b.run_id AND a.id < b.id AND a.span && b.span""",
    "runs of one source never overlap in time": """
        SELECT a.id, b.id FROM billing_meteredrun a JOIN billing_meteredrun b
        ON a.source = b.source AND a.fence < b.fence WHERE b.started_at < a.ended_at""",
    "a run's segments cover what it billed": """
        SELECT run.id, run.billed_ms FROM billing_meteredrun run
        LEFT JOIN billing_usagesegment segment ON segment.run_id = run.id
        GROUP BY run.id
        HAVING run.billed_ms <> coalesce(sum(upper(span) - lower(span)), 0)
        OR run.billed_ms <> coalesce(max(upper(span)), 0)""",
    "no attempt is billed for more than its time": """
        SELECT id, billed_ms, ended_at - started_at FROM billing_meteredrun
        WHERE billed_ms > 1 + 1000 * extract(epoch FROM ended_at - started_at)""",
    "every priced segment is booked once, and nothing else as compute": """
        SELECT segment.id, entry.id FROM billing_usagesegment segment
        FULL JOIN (SELECT * FROM billing_ledgerentry WHERE kind = 'compute') entry
        ON entry.source = 'segment:' || segment.id
        WHERE coalesce(segment.amount_micro, 0) <> coalesce(entry.amount_micro, 0)
        OR segment.team_id <> entry.team_id OR segment.source <> entry.about""",
    "nothing is given back beyond what was charged": """
        SELECT about, sum(amount_micro) FROM billing_ledgerentry WHERE about LIKE 'training-job:%'
        GROUP BY about HAVING sum(amount_micro) < 0""",
    "what a run gave back is at most what it was charged": """
        SELECT run.id FROM billing_meteredrun run JOIN LATERAL
        (SELECT coalesce(sum(amount_micro), 0) AS micro FROM billing_usagesegment
         WHERE run_id = run.id) charged ON true JOIN LATERAL
        (SELECT coalesce(sum(amount_micro), 0) AS micro FROM billing_ledgerentry
         WHERE source LIKE 'refund:run:' || run.id || '%') given ON true
        WHERE charged.micro + given.micro < 0""",
    "a budget has spent what its month's entries say": f"""
        SELECT budget.team_id, spent_micro, coalesce(sum(amount_micro), 0)
        FROM billing_budget budget LEFT JOIN billing_ledgerentry entry
        ON entry.team_id = budget.team_id AND kind IN {USAGE} AND occurred_at >= period_start
        GROUP BY budget.team_id HAVING spent_micro <> coalesce(sum(amount_micro), 0)""",
    "nothing is held back when all is over": """
        SELECT team_id, reserved_micro FROM billing_budget WHERE reserved_micro <> 0""",
    "no cap was overspent": """
        SELECT team_id, spent_micro, cap_micro FROM billing_budget WHERE spent_micro > cap_micro""",
    "counted tokens are booked once": """
        SELECT team_id, event.micro, booked.micro FROM
        (SELECT team_id, sum(amount_micro) AS micro FROM billing_usageevent GROUP BY team_id) event
        FULL JOIN (SELECT team_id, sum(amount_micro) AS micro FROM billing_ledgerentry
                   WHERE kind = 'inference' GROUP BY team_id) booked USING (team_id)
        WHERE coalesce(event.micro, 0) <> coalesce(booked.micro, 0)""",
    "a job that failed by our fault cost nothing": """
        SELECT job.id, sum(amount_micro) FROM training_trainingjob job
        JOIN billing_ledgerentry entry ON entry.about = 'training-job:' || job.id
        WHERE failure_code IN ('worker_lost', 'internal', 'storage_full')
        GROUP BY job.id HAVING sum(amount_micro) <> 0""",
}

NEXT = {
    None: {"queued"},
    "queued": {"running", "paused", "failed", "cancelled"},
    "running": {"succeeded", "failed", "cancelled", "paused", "queued"},
    "paused": {"queued", "cancelled"},
}


def broken(database: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """The claims that do not hold, each with the rows that break it."""
    rows = {
        claim: database.execute(query).fetchall()
        for claim, query in (CLAIMS | books.CLAIMS).items()
    }
    rows["the history tells every change of status"] = _untold(database)
    return {claim: found for claim, found in rows.items() if found}


def _untold(database: psycopg.Connection[Any]) -> list[Any]:
    """Jobs whose status events are no path from the queue to where they are, or hide an attempt."""
    told = database.execute(
        """SELECT job.id, job.status,
           (SELECT coalesce(array_agg(data->>'status' ORDER BY id), '{}')
            FROM training_jobevent WHERE job_id = job.id AND kind = 'status'),
           (SELECT count(*) FROM training_attempt WHERE job_id = job.id)
           FROM training_trainingjob job"""
    ).fetchall()
    return [row for row in told if not _is_whole(row[1], row[2], row[3])]


def _is_whole(status: str, path: list[str], attempts: int) -> bool:
    steps = zip([None, *path], path, strict=False)
    is_legal = all(after in NEXT.get(before, set()) for before, after in steps)
    return is_legal and path[-1:] == [status] and path.count("running") == attempts
