"""Lists of jobs: their order, and one row of each for a table, in a fixed number of queries."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from billing.metering.cost_summary import CostSummary
from training.models import Status, TrainingJob
from training.queries.job_costs import cost_of, with_costs
from training.queries.metric_series import sparklines
from training.queries.models import headline_results

SORTS: dict[str, tuple[str, list[Any]]] = {
    "new": ("By newest", ["-created_at"]),
    "metric": ("By accuracy", [F("model__metrics__accuracy").desc(nulls_last=True), "-created_at"]),
    "cost": ("By cost", ["-charged_micro", "-created_at"]),
    "name": ("By name", ["name", "-created_at"]),
}


@dataclass(frozen=True)
class JobRow:
    job: TrainingJob
    task: str
    percent: int
    result: str  # The main metric of its finished model; "" before.
    sparkline: str  # SVG points of the training loss.
    cost: CostSummary


def with_related(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """Jobs with the rows that lists and pages show of them, so that these need no further query."""
    related = with_costs(jobs).select_related(
        "team",
        "project",
        "dataset_version__dataset",
        "compute_class",
        "launched_by",
        "model",
        "source_model",
    )
    return related.defer("log_tail")  # Long, and shown on one page only.


def filter_jobs(
    jobs: QuerySet[TrainingJob], text: str, status: str, tag: str = ""
) -> QuerySet[TrainingJob]:
    """Those with this text in their name or their dataset's, this status and tag; "" leaves all."""
    if tag:
        jobs = jobs.filter(tags__contains=[tag])
    if text:
        jobs = jobs.filter(
            Q(name__icontains=text) | Q(dataset_version__dataset__name__icontains=text)
        )
    return jobs.filter(status=status) if status in Status.values else jobs


def sort_jobs(jobs: QuerySet[TrainingJob], sort: str) -> QuerySet[TrainingJob]:
    _, order = SORTS.get(sort, SORTS["new"])
    return jobs.order_by(*order)


def sorted_job_ids(jobs: QuerySet[TrainingJob], sort: str) -> QuerySet[TrainingJob, UUID]:
    """The ids that a paginator cuts into pages; all else is read for the page shown only."""
    ordered = sort_jobs(with_costs(jobs) if sort == "cost" else jobs, sort)
    return ordered.values_list("pk", flat=True)


def job_rows(jobs: Iterable[TrainingJob], *, with_sparklines: bool = True) -> list[JobRow]:
    listed = list(jobs)
    lines = sparklines(listed) if with_sparklines else {}
    return [
        JobRow(
            job=job,
            task=format_task(job.task),
            percent=int(job.progress * 100),
            result=next(iter(headline_results(job.model)), "") if job.model else "",
            sparkline=lines.get(job, ""),
            cost=cost_of(job),
        )
        for job in listed
    ]


def format_task(task: str) -> str:
    return task.replace("-", " ")
