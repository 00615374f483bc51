"""Lists of jobs: their order, and one row of each for a table, in a fixed number of queries."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from billing.summary import Summary
from training.costs import cost_of, with_costs
from training.model_reading import results_of
from training.models import TrainingJob
from training.series import sparklines

SORTS: dict[str, tuple[str, list[Any]]] = {
    "new": ("newest", ["-created_at"]),
    "metric": ("accuracy", [F("model__metrics__accuracy").desc(nulls_last=True), "-created_at"]),
    "cost": ("cost", ["-charged_micro", "-created_at"]),
    "name": ("name", ["name", "-created_at"]),
}


@dataclass(frozen=True)
class JobRow:
    job: TrainingJob
    task: str
    percent: int
    result: str  # The one that counts for its task, of a finished model.
    line: str  # SVG points of the training loss.
    cost: Summary


def names_of(job_ids: Collection[UUID]) -> dict[UUID, str]:
    return dict(TrainingJob.objects.filter(pk__in=job_ids).values_list("pk", "name"))


def for_pages(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """Jobs with everything that lists and pages name, so that showing them asks nothing more."""
    related = with_costs(jobs).select_related(
        "team", "project", "dataset_version__dataset", "compute_class", "launched_by", "model"
    )
    return related.defer("log_tail")  # Long, and shown on one page only.


def sorted_by(jobs: QuerySet[TrainingJob], sort: str) -> QuerySet[TrainingJob]:
    _, order = SORTS.get(sort, SORTS["new"])
    return jobs.order_by(*order)


def keys_in_order(jobs: QuerySet[TrainingJob], sort: str) -> QuerySet[TrainingJob, UUID]:
    """What a paginator turns the pages of: all else is read for the shown page alone."""
    ordered = sorted_by(with_costs(jobs) if sort == "cost" else jobs, sort)
    return ordered.values_list("pk", flat=True)


def rows_of(jobs: Iterable[TrainingJob]) -> list[JobRow]:
    listed = list(jobs)
    lines = sparklines(listed)
    return [
        JobRow(
            job=job,
            task=task_words(job.task),
            percent=percent_of(job),
            result=next(iter(results_of(job.model)), "") if job.model else "",
            line=lines.get(job, ""),
            cost=cost_of(job),
        )
        for job in listed
    ]


def task_words(task: str) -> str:
    return task.replace("-", " ")


def percent_of(job: TrainingJob) -> int:
    """Whole percent, rounded down: 100 means done."""
    return int(job.progress * 100)
