"""Several jobs beside each other: their parameters, and their curves in one chart."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from accounts.models import Team
from training.models import TrainingJob
from training.queries.job_detail import configuration_rows, load_run_facts
from training.queries.job_list import with_related
from training.queries.metric_series import Series, overlay_curves

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
    job_ids = parse_job_ids(ids)
    of_team = TrainingJob.objects.visible_to(viewer).filter(team=team, pk__in=job_ids)
    visible = with_related(of_team)
    visible = visible.prefetch_related("attempts")  # Curves leave out what lost ones measured.
    jobs = {job.pk: job for job in visible}
    return [jobs[pk] for pk in job_ids if pk in jobs]


def parse_job_ids(texts: Sequence[str]) -> list[UUID]:
    """The first MAX_JOBS different ids among these texts; others are left out."""
    ids: dict[UUID, None] = {}
    for text in texts:
        with suppress(ValueError):
            ids[UUID(text)] = None
    return list(ids)[:MAX_JOBS]


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
    curves = overlay_curves(jobs, metric)
    return [
        Series(name=job.name, points=curve.points, measured=curve.measured)
        for job in jobs
        if (curve := curves.get(job.pk)) is not None
    ]
