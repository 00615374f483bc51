"""Why a queued job is not running yet, by the same order that claims follow."""

from django.conf import settings
from django.utils.timezone import now

from billing.budgets.budget import get_budget
from billing.metering import admission
from billing.models import Rate
from billing.money import ceil_micro
from training.models import Status, TrainingJob
from training.scheduling import queue_order, workers


def wait_reason(job: TrainingJob) -> str:
    """Why a queued job is not running yet, in a few words; by the order that claims follow."""
    if job.team.frozen_at:
        return "this team is suspended"
    before = queue_order.queue_position(job)
    if before is None:
        return _concurrency_reason(job)
    compute = job.compute_class
    if obstacle := admission.admission_refusal(get_budget(job.team), compute.code, compute.devices):
        return obstacle
    if _is_out_of_budget(job):
        return "the spend cap is reached; raise it, or this job pauses when its turn comes"
    ahead = f"{before} job{'s' if before > 1 else ''} ahead" if before else ""
    if nobody := workers.no_capacity_reason(job.compute_class):
        return f"{nobody}; {ahead}" if ahead else nobody
    if ahead:
        return ahead
    busy = workers.all_busy_reason(job.compute_class)
    return f"next in line; {busy}" if busy else "starting in a moment"


def _concurrency_reason(job: TrainingJob) -> str:
    most = get_budget(job.team).plan.concurrency
    jobs = TrainingJob.objects.filter(team=job.team)
    running = jobs.filter(status=Status.RUNNING).count()
    if running >= most:
        is_are = "is" if running == 1 else "are"
        return f"your plan runs {most} at a time and {running} {is_are} running"
    return f"your plan runs {most} at a time and another of your jobs goes first"


def _is_out_of_budget(job: TrainingJob) -> bool:
    """Whether the money left pays not even for one heartbeat."""
    left_micro = get_budget(job.team).left_micro
    rate = Rate.objects.filter(sku=job.compute_class_id, valid__contains=now()).first()
    if left_micro is None or rate is None:
        return False
    heartbeat_ms = settings.HEARTBEAT_SECONDS * 1000 * job.compute_class.devices
    return left_micro < ceil_micro(heartbeat_ms, rate.nano_per_unit)
