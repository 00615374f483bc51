"""What bounds a job: its priority, and how long it may run.

Run time is billable time over all of a job's attempts, without work that was lost.
"""

from django.conf import settings

from training.errors import CannotLaunch
from training.models import Attempt, ComputeClass, TrainingJob
from training.models.compute_class import MIN_TIME_LIMIT_SECONDS
from training.models.job import TEAM_PRIORITY_RANGE


def require_within_limits(priority: int, seconds: int | None, compute_class: ComputeClass) -> None:
    """Raises CannotLaunch for a priority or time limit out of bounds."""
    lowest, highest = TEAM_PRIORITY_RANGE
    if not lowest <= priority <= highest:
        raise CannotLaunch(
            f"A priority is a whole number from {lowest} to {highest}.", param="priority"
        )
    most = compute_class.time_limit_seconds
    if seconds is not None and not MIN_TIME_LIMIT_SECONDS <= seconds <= most:
        raise CannotLaunch(
            f"A time limit on {compute_class.name} is {MIN_TIME_LIMIT_SECONDS} to {most:,} "
            f"seconds ({format_duration(most)}).",
            param="time_limit_seconds",
        )


def effective_time_limit(job: TrainingJob) -> int:
    """The job's own limit, never above its class's."""
    most = job.compute_class.time_limit_seconds
    return min(job.time_limit_seconds or most, most)


def remaining_ms(attempt: Attempt) -> int:
    """Billable milliseconds that this attempt may use."""
    earlier = attempt.job.attempts.filter(number__lt=attempt.number).select_related("run")
    return effective_time_limit(attempt.job) * 1000 - sum(map(_counted_run_ms, earlier))


def is_overrun(attempt: Attempt) -> bool:
    """Whether a live attempt was billed past the limit by more than its worker can explain."""
    tolerance_ms = 2 * settings.HEARTBEAT_SECONDS * 1000
    return attempt.run.billed_ms > remaining_ms(attempt) + tolerance_ms


def format_duration(seconds: int) -> str:
    """ "90 s", "45 min", "2 h", "1 h 30 min"."""
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(filter(None, parts))


def _counted_run_ms(attempt: Attempt) -> int:
    if attempt.end_reason == Attempt.EndReason.OUT_OF_MEMORY:
        return 0  # All of it was given back.
    if attempt.end_reason in (Attempt.EndReason.LOST, Attempt.EndReason.RELEASED):
        return attempt.run.checkpointed_ms
    return attempt.run.billed_ms
