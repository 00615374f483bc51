"""What bounds a job: its priority, and how long it may run.

Run time is billable time over all of a job's attempts, without work that was lost.
"""

from django.conf import settings

from training.errors import CannotLaunch
from training.models import Attempt, ComputeClass, TrainingJob
from training.models.compute import SHORTEST_LIMIT_SECONDS
from training.models.jobs import TEAM_PRIORITIES

LOST = "worker lost"
HANDED_BACK = "handed back"
OUT_OF_MEMORY = "out of memory"


def require_allowed(priority: int, seconds: int | None, compute_class: ComputeClass) -> None:
    """Raises CannotLaunch for a priority or time limit out of bounds."""
    lowest, highest = TEAM_PRIORITIES
    if not lowest <= priority <= highest:
        raise CannotLaunch(
            f"A priority is a whole number from {lowest} to {highest}.", param="priority"
        )
    most = compute_class.time_limit_seconds
    if seconds is not None and not SHORTEST_LIMIT_SECONDS <= seconds <= most:
        raise CannotLaunch(
            f"A time limit on {compute_class.name} is {SHORTEST_LIMIT_SECONDS} to {most:,} "
            f"seconds ({words(most)}).",
            param="time_limit_seconds",
        )


def limit_seconds(job: TrainingJob) -> int:
    """The job's own limit, never above its class's."""
    most = job.compute_class.time_limit_seconds
    return min(job.time_limit_seconds or most, most)


def left_ms(attempt: Attempt) -> int:
    """Billable milliseconds that this attempt may use."""
    earlier = attempt.job.attempts.filter(number__lt=attempt.number).select_related("run")
    return limit_seconds(attempt.job) * 1000 - sum(map(_counted_ms, earlier))


def is_overrun(attempt: Attempt) -> bool:
    """Whether a live attempt was billed past the limit by more than its worker can explain."""
    tolerance_ms = 2 * settings.HEARTBEAT_SECONDS * 1000
    return attempt.run.billed_ms > left_ms(attempt) + tolerance_ms


def words(seconds: int) -> str:
    """ "90 s", "45 min", "2 h", "1 h 30 min"."""
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(filter(None, parts))


def _counted_ms(attempt: Attempt) -> int:
    if attempt.end_reason == OUT_OF_MEMORY:
        return 0  # All of it was given back.
    if attempt.end_reason in (LOST, HANDED_BACK):
        return attempt.run.kept_ms
    return attempt.run.billed_ms
