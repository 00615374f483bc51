"""Queued jobs, plans and leases for tests of the scheduler."""

import time
from datetime import timedelta

from django.db.models import F

from billing.budgets import budget
from billing.models import MeteredRun, Plan
from training.models import Attempt, TrainingJob


def copy_of(job: TrainingJob, **changes: object) -> TrainingJob:
    """Another queued job like this one."""
    facts = {
        name: getattr(job, name)
        for name in (
            "team", "project", "dataset_version", "compute_class", "task", "base_model", "recipe"
        )
    }  # fmt: skip
    return TrainingJob.objects.create(**(facts | {"name": "copy"} | changes))


def expire(attempt: Attempt) -> None:
    """Let its lease run out a moment after it began."""
    moment = timedelta(milliseconds=1)
    MeteredRun.objects.filter(pk=attempt.run_id).update(lease_until=F("started_at") + moment)
    time.sleep(0.01)


def allow(job: TrainingJob, concurrency: int) -> None:
    budget.get_budget(job.team)
    Plan.objects.filter(code="free").update(concurrency=concurrency)
