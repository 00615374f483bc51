"""Several jobs beside each other: their parameters, and their curves in one chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.models import Team
from training.models import TrainingJob
from training.queries.job_detail import configuration_rows, load_run_facts
from training.queries.job_list import with_related
from training.queries.metric_series import Series, curves_of

MAX_JOBS = 100  # Four pages of the list; a chart of more lines cannot be read.
MISSING = "—"


@dataclass(frozen=True)
class ParameterRow:
    """One parameter with its value in each job."""

    title: str
    values: list[str]
    differs: bool


def find_jobs(viewer: object, team: Team, ids: Sequence[str]) -> list[TrainingJob]:
    """The team's jobs with these ids, in this order, at most MAX_JOBS; texts that are no id of such
    a job are left out."""
    job_ids = []
    for text in ids[:MAX_JOBS]:
        try:
            job_ids.append(UUID(text))
        except ValueError:
            continue
    of_team = TrainingJob.objects.visible_to(viewer).filter(team=team, pk__in=job_ids)
    visible = with_related(of_team)
    visible = visible.prefetch_related("attempts")  # Curves leave out what lost ones measured.
    jobs = {job.pk: job for job in visible}
    return [jobs[pk] for pk in dict.fromkeys(job_ids) if pk in jobs]


def parameter_rows(jobs: Sequence[TrainingJob]) -> list[ParameterRow]:
    """Every parameter that any of the jobs has; those in which they differ come first."""
    runs = load_run_facts(jobs)
    listed = [dict(configuration_rows(job, runs[job.pk])) for job in jobs]
    titles = dict.fromkeys(title for values in listed for title in values)
    rows = []
    for title in titles:
        values = [values.get(title) or MISSING for values in listed]
        rows.append(ParameterRow(title, values, differs=len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row.differs)


def overlay(jobs: Sequence[TrainingJob], metric: str) -> list[Series]:
    """This metric of each job that measured it, under the job's name."""
    series = []
    for job in jobs:
        curve = curves_of(job, [metric]).get(metric)
        if curve is not None:
            series.append(Series(name=job.name, points=curve.points, measured=curve.measured))
    return series
