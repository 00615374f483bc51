"""Who runs next: the queue is the table, a message only says that there may be work."""

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from billing import budget as budgets
from billing import metering, starting
from billing.errors import CapReached
from billing.models import Rate
from billing.money import ceil_micro
from training import registry, turns
from training.models import Attempt, Checkpoint, PauseCode, Status, TrainingJob, Worker
from training.tasks import work

logger = logging.getLogger(__name__)

PAUSED_AT_CAP = (
    "Paused: the team's monthly spend cap is reached or its credit is used up. "
    "Raise the cap or add credit, then resume."
)

# What beginning an attempt looks at; the rest is fetched where it is needed.
FOR_A_CLAIM = (
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
    while first := turns.first_in_line(compute_class, passed_over):
        for job_id in first:
            with transaction.atomic():
                if not registry.lock_if_taking_jobs(worker):
                    return None
                job = _locked_if_waiting(job_id)
                if job is not None and (attempt := _begin(job, worker)) is not None:
                    return attempt
            passed_over.append(job_id)
    return None


def _locked_if_waiting(job_id: UUID) -> TrainingJob | None:
    waiting = TrainingJob.objects.filter(pk=job_id, status=Status.QUEUED, team__frozen_at=None)
    locked = waiting.select_for_update(skip_locked=True, of=("self",))
    related = locked.select_related("team", "compute_class", "launched_by")
    return related.only(*FOR_A_CLAIM).first()


def _begin(job: TrainingJob, worker: str) -> Attempt | None:
    """Start an attempt on a locked, queued job; None when its team may not run another now."""
    budget = budgets.lock(job.team_id)  # From here on, claims of one team go one by one.
    running, attempts, out_of_memory = turns.past_of(job)
    if running >= budget.plan.concurrency:
        return None
    if starting.obstacle(budget, job.compute_class_id, job.compute_class.devices):
        return None
    try:
        run = metering.open_run(
            job.team,
            job.source,
            job.compute_class_id,
            job.compute_class.devices,
            budget=budget,
        )
    except CapReached:
        job.pause(PAUSED_AT_CAP, code=PauseCode.SPEND_CAP)
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
    resumed = f", resuming from step {checkpoint.step:,}" if checkpoint else ""
    job.start(f"Started on {worker}, attempt {attempt.number}{resumed}")
    return attempt


def latest_checkpoint(job: TrainingJob) -> Checkpoint | None:
    """The furthest saved state whose files still exist; at first, the one it was restarted from."""
    own = job.checkpoints.kept().order_by("-step", "-pk").first()
    if own is None and job.start_from is not None and job.start_from.deleted_at is None:
        return job.start_from
    return own


def nudge(job: TrainingJob) -> None:
    """Tell the trainers of the job's class, once the transaction commits."""
    code, queue = job.compute_class_id, job.compute_class.queue
    transaction.on_commit(lambda: send_nudge(code, queue))


def send_nudge(code: str, queue: str) -> None:
    """One message. A broker that is away is no reason to fail: beat sends the nudge again."""
    try:
        work.apply_async((code,), queue=queue, expires=60, retry=False)
    except OperationalError as unreachable:
        logger.warning("Could not nudge %s: %s", queue, unreachable)


def nudge_waiting() -> None:
    """Nudge every class with waiting jobs, so that a lost message only costs seconds.

    One message for each trainer that could take a job: a draining one may swallow the first.
    """
    waiting = TrainingJob.objects.filter(status=Status.QUEUED).order_by()
    for code, jobs in waiting.values_list("compute_class").annotate(jobs=Count("pk")):
        present = Worker.objects.filter(compute_class=code).seen().count()
        for _ in range(max(1, min(jobs, present))):
            send_nudge(code, f"compute.{code}")


def waiting(job: TrainingJob) -> str:
    """Why a queued job is not running yet, in a few words; by the order that claims follow."""
    if job.team.frozen_at:
        return "this team is on hold"
    before = turns.jobs_before(job)
    if before is None:
        return _plan_words(job)
    compute = job.compute_class
    if obstacle := starting.obstacle(budgets.of(job.team), compute.code, compute.devices):
        return obstacle
    if _is_broke(job):
        return "the spend cap is reached; raise it, or this job pauses when its turn comes"
    ahead = f"{before} job{'s' if before > 1 else ''} ahead" if before else ""
    if nobody := registry.why_nobody(job.compute_class):
        return f"{nobody}; {ahead}" if ahead else nobody
    if ahead:
        return ahead
    busy = registry.busy_words(job.compute_class)
    return f"next in line; {busy}" if busy else "starting in a moment"


def _plan_words(job: TrainingJob) -> str:
    most = budgets.of(job.team).plan.concurrency
    jobs = TrainingJob.objects.filter(team=job.team)
    running = jobs.filter(status=Status.RUNNING).count()
    if running >= most:
        is_are = "is" if running == 1 else "are"
        return f"your plan runs {most} at a time and {running} {is_are} running"
    return f"your plan runs {most} at a time and another of your jobs goes first"


def _is_broke(job: TrainingJob) -> bool:
    """Whether the money left pays not even for one heartbeat."""
    left = budgets.of(job.team).left_micro
    rate = Rate.objects.filter(sku=job.compute_class_id, valid__contains=now()).first()
    if left is None or rate is None:
        return False
    heartbeat_ms = settings.HEARTBEAT_SECONDS * 1000 * job.compute_class.devices
    return left < ceil_micro(heartbeat_ms, rate.nano_per_unit)
