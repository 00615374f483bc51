"""What the presets of the launch page came to before, on the same data: measured, never guessed."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from engine.spec import SPEC_CLASSES, hyperparameters_class
from projects.models import DatasetVersion
from training.jobs.launch import LaunchRequest
from training.jobs.presets import PRESETS, apply_preset
from training.models import Status, TrainingJob
from training.queries.models import headline_results

MAX_JOBS = 50  # The newest; older ones are of older data, too.


@dataclass(frozen=True)
class PresetResult:
    """The test result of the newest job like the preset, such as "Accuracy 94.7%"."""

    words: str
    test_rows: int | None
    version: int  # Of the dataset.
    finished_at: datetime | None


def last_results(version: DatasetVersion, request: LaunchRequest) -> dict[str, PresetResult]:
    """By key of preset: of the newest finished job on any version of this dataset with the same
    task, columns, base model and start, and the preset's settings. One query."""
    jobs = TrainingJob.objects.filter(
        dataset_version__dataset=version.dataset_id,
        task=request.task,
        base_model=request.base_model or "",
        initial_model=request.initial_model,
        source_model=None,
        status=Status.SUCCEEDED,
        model__purged_at=None,
    )
    newest = jobs.select_related("model", "dataset_version").defer("log_tail")
    wanted = {preset.key: _settings(request, preset.key) for preset in PRESETS}
    results: dict[str, PresetResult] = {}
    for job in newest.order_by("-finished_at")[:MAX_JOBS]:
        key = next((key for key, settings in wanted.items() if _has(job, settings)), None)
        words = next(iter(headline_results(job.model)), "") if job.model else ""
        if key is None or key in results or not words or not _same_columns(job, request):
            continue
        results[key] = PresetResult(
            words=words,
            test_rows=job.data_facts.get("test_rows"),
            version=job.dataset_version.number,
            finished_at=job.finished_at,
        )
    return results


def _settings(request: LaunchRequest, preset: str) -> tuple[dict[str, Any], int]:
    """Every hyperparameter that the preset sets, and the trials of its search."""
    made = apply_preset(request, preset)
    values = hyperparameters_class(made.task or "").model_validate(dict(made.hyperparameters))
    return values.model_dump(), (made.search or {}).get("trials", 0)


def _has(job: TrainingJob, settings: tuple[dict[str, Any], int]) -> bool:
    """Whether the job ran with these; one of an older release may lack hyperparameters of today."""
    search: Mapping[str, Any] = job.recipe.get("search") or {}
    with suppress(ValidationError):
        stored = job.recipe.get("hyperparameters") or {}
        values = hyperparameters_class(job.task).model_validate(stored).model_dump()
        return (values, search.get("trials", 0)) == settings
    return False


def _same_columns(job: TrainingJob, request: LaunchRequest) -> bool:
    roles = [role for role in SPEC_CLASSES[job.task].roles if not role.is_report_only]
    chosen = dict(request.columns)
    return all(role.columns_in(job.recipe) == role.columns_in(chosen) for role in roles)
