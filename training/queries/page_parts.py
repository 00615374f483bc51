"""Parts that training adds to the pages of apps below it."""

from typing import cast

from django.db.models import Model
from django.http import HttpRequest

from projects.models import Dataset
from training.models import TrainingJob
from training.queries.job_list import job_rows, with_related

MAX_JOBS = 20


def dataset_jobs(_request: HttpRequest, subject: Model) -> dict[str, object]:
    """The newest fine-tunes of a dataset."""
    dataset = cast(Dataset, subject)
    jobs = TrainingJob.objects.filter(dataset_version__dataset=dataset, archived_at=None)
    newest = with_related(jobs).order_by("-created_at")[:MAX_JOBS]
    return {"jobs": job_rows(newest), "team": dataset.project.team}
