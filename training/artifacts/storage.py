"""Where files of jobs and models lie: keys in storage, and the scratch folder of this machine."""

from pathlib import Path
from uuid import UUID

from django.conf import settings

from projects import storage
from training.models import Attempt, TrainedModel

ARTIFACTS_FOLDER = "artifacts"
PREDICTIONS_FILE = "predictions.parquet"


def artifact_key(model_id: UUID | str) -> str:
    return f"{ARTIFACTS_FOLDER}/{model_id}"


def checkpoint_folder(job_id: UUID) -> str:
    """All checkpoints of a job."""
    return f"checkpoints/{job_id}"


def checkpoint_key(attempt: Attempt, step: int) -> str:
    return f"{checkpoint_folder(attempt.job_id)}/{attempt.number}-{step:06d}"


def fetch_predictions(model: TrainedModel, folder: Path) -> Path | None:
    """The test rows with the model's answers, as a local file; None when the artifact has none."""
    key, path = f"{model.artifact_key}/{PREDICTIONS_FILE}", folder / f"{model.pk}.parquet"
    if not storage.exists(key):
        return None
    storage.fetch_file(key, path)
    return path


def scratch_folder() -> Path:
    """Where this machine keeps the working folders of jobs and analyses."""
    folder = Path(settings.VAR_DIR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
