"""The most that a job costs without asking: the upper end of its estimate, in whole cents.

Work beyond it is not billed. A job that needs a fifth more pauses and asks; whoever resumes it
agrees to the higher amount that the pause names. So a slow machine or a loaded neighbour never
makes a bill higher than what somebody has read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.money import affordable_ms
from training.models import Attempt, TrainingJob
from training.queries.job_costs import cost_of

OVERRUN_SHARE = 0.2
MIN_OVERRUN_MS = 60_000  # Of a short job a fifth is nothing: it would ask for a second.
SAFETY_MARGIN = 1.3
AGREED, NEXT = "agreed_micro", "next_micro"  # In the job's estimate, once it has asked.


@dataclass(frozen=True)
class TimeBudget:
    """Milliseconds of an attempt's clock: billed up to the first, going on up to the second."""

    billable_ms: int
    pause_ms: int


def announced_micro(job: TrainingJob) -> int | None:
    """Micro-USD that the job may cost; None where nothing was announced."""
    return job.estimate.get(AGREED) or job.estimate.get("cost_high_micro") or None


def time_budget(attempt: Attempt) -> TimeBudget | None:
    """What the announced cost pays for in this attempt; None where nothing limits it."""
    job, announced = attempt.job, announced_micro(attempt.job)
    if announced is None:
        return None
    nano, devices = attempt.run.rate.nano_per_unit, job.compute_class.devices
    milliseconds = affordable_ms(max(0, announced - cost_of(job).net_micro), nano, devices)
    whole = affordable_ms(announced, nano, devices)
    if milliseconds is None or whole is None:
        return None
    # Once only: whoever pauses and resumes a job would else get a fifth more each time.
    overrun = max(MIN_OVERRUN_MS, int(whole * OVERRUN_SHARE)) if milliseconds else 0
    return TimeBudget(milliseconds, milliseconds + overrun)


def ask_for_more(job: TrainingJob) -> int:
    """Work out what the job will cost by its progress so far, and keep it with the job."""
    announced = announced_micro(job) or 0
    by_progress = announced / job.progress if job.progress > 0.01 else 0
    needed_micro = int(max(announced * 2, by_progress) * SAFETY_MARGIN)
    TrainingJob.objects.filter(pk=job.pk).update(estimate=job.estimate | {NEXT: needed_micro})
    return needed_micro


def without_agreement(estimate: Mapping[str, object]) -> dict[str, object]:
    """What was announced at the launch. A copy of a job starts anew: nobody agreed to more."""
    return {key: value for key, value in estimate.items() if key not in (AGREED, NEXT)}


def agree_to_more(job: TrainingJob) -> None:
    """Somebody has read what it will cost, and resumes it."""
    if NEXT in job.estimate:
        job.estimate = without_agreement(job.estimate) | {AGREED: job.estimate[NEXT]}
        TrainingJob.objects.filter(pk=job.pk).update(estimate=job.estimate)
