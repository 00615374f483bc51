"""The result file of a finished fine-tune: its measurements by step, as OpenAI's CSV."""

import csv
import tempfile
from pathlib import Path

from django.db import transaction

from inference.files.storing import store_made
from inference.models import ApiFile, FineTuningJob, Purpose
from training.models import Status, TrainingJob
from training.queries.metric_series import curves_of

COLUMNS = {"train_loss": "train_loss", "validation_loss": "valid_loss"}
FILENAME = "step_metrics.csv"


def ensure_results_file(job: FineTuningJob) -> ApiFile | None:
    """The file, made when it is first asked for; None before the job has succeeded."""
    if job.results_file is not None or job.job is None or job.job.status != Status.SUCCEEDED:
        return job.results_file
    with tempfile.TemporaryDirectory(prefix="results-") as folder:
        path = Path(folder) / FILENAME
        _write_metrics(job.job, path)
        with transaction.atomic():
            locked = FineTuningJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
            if locked.results_file is None:
                locked.results_file = store_made(
                    job.team,
                    job.requested_by,
                    purpose=Purpose.FINE_TUNE_RESULTS,
                    filename=FILENAME,
                    path=path,
                )
                locked.save(update_fields=["results_file"])
    job.results_file = locked.results_file
    return job.results_file


def _write_metrics(job: TrainingJob, path: Path) -> None:
    """One line for each step: step, train_loss, valid_loss; empty where nothing was measured."""
    steps: dict[int, dict[str, float]] = {}
    for name, curve in curves_of(job, COLUMNS).items():
        for step, value in curve.points:
            steps.setdefault(step, {})[COLUMNS[name]] = value
    with path.open("w", newline="") as sink:
        writer = csv.DictWriter(sink, ["step", *COLUMNS.values()])
        writer.writeheader()
        for step in sorted(steps):
            writer.writerow({"step": step} | steps[step])
