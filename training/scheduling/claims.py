"""Who runs next: the queue is the table, a message only says that there may be work."""

from uuid import UUID

from django.db import transaction

from billing.budgets.budget import lock_budget
from billing.metering import admission, runs
from billing.metering.runs import CapReached
from training.models import Attempt, Checkpoint, PauseCode, Status, TrainingJob
from training.scheduling import queue_order, workers

PAUSED_AT_CAP_MESSAGE = (
    "Paused: the team's monthly spend cap is reached or its credit is used up. "
    "Raise the cap or add credit, then resume."
)

# What beginning an attempt looks at; the rest is fetched where it is needed.
CLAIM_FIELDS = (
    "name",
    "status",
    "started_at",
    "start_from_id",
    "team__id",
    "compute_class__devices",
    "launched_by__id",
)


def claim(compute_class: str, worker: str) -> Attempt | None:
    """Take the next job of this class for this worker, or None when nothing may run now.

    Fair across teams and within each plan's concurrency, in the order of `turns`. Any number of
    workers may claim at once; a job goes to exactly one.
    """
    passed_over: list[UUID] = []
    while first := queue_order.next_jobs(compute_class, passed_over):
        for job_id in first:
            with transaction.atomic():
                if not workers.lock_if_accepting_jobs(worker):
                    return None
                waiting = TrainingJob.objects.filter(
                    pk=job_id, status=Status.QUEUED, team__frozen_at=None
                )
                locked = waiting.select_for_update(skip_locked=True, of=("self",))
                related = locked.select_related("team", "compute_class", "launched_by")
                job = related.only(*CLAIM_FIELDS).first()
                if job is not None and (attempt := _start_attempt(job, worker)) is not None:
                    return attempt
            passed_over.append(job_id)
    return None


def _start_attempt(job: TrainingJob, worker: str) -> Attempt | None:
    """Start an attempt on a locked, queued job; None when its team may not run another now."""
    budget = lock_budget(job.team_id)  # From here on, claims of one team go one by one.
    running, attempts, out_of_memory = queue_order.attempt_counts(job)
    if running >= budget.plan.concurrency:
        return None
    if admission.admission_refusal(budget, job.compute_class_id, job.compute_class.devices):
        return None
    try:
        run = runs.open_run(
            job.team,
            job.source,
            job.compute_class_id,
            job.compute_class.devices,
            budget=budget,
        )
    except CapReached:
        job.pause(PAUSED_AT_CAP_MESSAGE, code=PauseCode.SPEND_CAP)
        return None
    may_go_on = attempts or job.start_from_id
    checkpoint = latest_checkpoint(job) if may_go_on else None
    attempt = Attempt.objects.create(
        job=job,
        number=attempts + 1,
        worker=worker,
        run=run,
        resumed_from_step=checkpoint.step if checkpoint else None,
        halved_batches=out_of_memory,
    )
    sentence = f"Started on {worker}, attempt {attempt.number}"
    if checkpoint:
        sentence = f"{sentence}, resuming from step {checkpoint.step:,}"
    job.start(sentence)
    return attempt


def latest_checkpoint(job: TrainingJob) -> Checkpoint | None:
    """The furthest saved state whose files still exist; at first, the one it was restarted from."""
    own = job.checkpoints.kept().order_by("-step", "-pk").first()
    if own is None and job.start_from is not None and job.start_from.deleted_at is None:
        return job.start_from
    return own
