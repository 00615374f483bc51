"""What finished jobs teach about a machine: how long they took against what was guessed."""

from training.models import ComputeClass, Status, TrainingJob
from training.queries.job_costs import cost_of, with_costs
from web.browser.page_memo import once_per_page

MIN_JOBS = 3
MAX_RECENT_JOBS = 30
# A machine that was quiet for all of them may be busy for the next one, and the other way round.
SAFETY_MARGIN = 1.3


@once_per_page
def speed_ratio_range(compute_class: ComputeClass, task: str) -> tuple[float, float] | None:
    """Lowest and highest share of the guess that to expect of this task's next job here; None
    while too few jobs have finished. Jobs that lost an attempt repeated work and teach nothing; nor
    do searches, whose length is their budget's, and exports."""
    jobs = TrainingJob.objects.filter(
        compute_class=compute_class, task=task, status=Status.SUCCEEDED
    ).exclude(attempts__number__gt=1)
    jobs = jobs.exclude(recipe__has_key="search").filter(source_model=None)
    recent = with_costs(jobs).order_by("-finished_at")[:MAX_RECENT_JOBS]
    shares = sorted(
        cost_of(job).device_seconds / compute_class.devices / job.estimate["seconds"]
        for job in recent
        if job.estimate.get("seconds") and cost_of(job).device_seconds
    )
    if len(shares) < MIN_JOBS:
        return None
    tail = len(shares) // 10
    return shares[tail] / SAFETY_MARGIN, shares[-1 - tail] * SAFETY_MARGIN
