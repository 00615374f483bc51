"""What finished jobs teach about a machine: how long they took against what was guessed."""

from training.costs import cost_of, with_costs
from training.models import ComputeClass, Status, TrainingJob

FEWEST_JOBS = 3
LATEST_JOBS = 30
# A machine that was quiet for all of them may be busy for the next one, and the other way round.
MARGIN = 1.3


def slowness(compute_class: ComputeClass, task: str) -> tuple[float, float] | None:
    """Lowest and highest share of the guess that to expect of this task's next job here; None
    while too few jobs have finished. Jobs that lost an attempt repeated work and teach nothing; nor
    do searches, whose length is their budget's, and exports."""
    jobs = TrainingJob.objects.filter(
        compute_class=compute_class, task=task, status=Status.SUCCEEDED
    ).exclude(attempts__number__gt=1)
    jobs = jobs.exclude(recipe__has_key="search").filter(source_model=None)
    recent = with_costs(jobs).order_by("-finished_at")[:LATEST_JOBS]
    shares = sorted(
        cost_of(job).device_seconds / compute_class.devices / job.estimate["seconds"]
        for job in recent
        if job.estimate.get("seconds") and cost_of(job).device_seconds
    )
    if len(shares) < FEWEST_JOBS:
        return None
    tail = len(shares) // 10
    return shares[tail] / MARGIN, shares[-1 - tail] * MARGIN
