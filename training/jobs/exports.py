"""Smaller and quicker forms of a finished model: jobs of their own, in the same queue and bill."""

from dataclasses import dataclass

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from engine.spec import ExportSpec
from engine.spec.exporting import (
    ALL_OPTIONS,
    FILE_ONLY_FORMATS,
    FORMATS_BY_TASK,
    OPTIONS_BY_TASK,
    ExportFormat,
)
from training.errors import CannotLaunch
from training.estimates.estimate import estimate_job, find_compute_class, require_launch_allowed
from training.jobs.recipes import HyperparameterValues, Recipe, validate_export, validate_recipe
from training.models import Status, TrainedModel, TrainingJob
from training.scheduling import dispatch
from web.browser.trash import require_present
from web.rate_limits.actions import require_rate

# What the training's recipe has that means nothing to its export, or would waste time.
NOT_COPIED_FIELDS = ("search", "export", "resume_from")
DISABLED_HYPERPARAMETERS = {"folds": 0, "adversarial": 0.0}
MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One form of a model; `options` are the other fields of engine.spec.ExportSpec."""

    format: str
    options: dict[str, object]
    compute: str | None = None
    name: str | None = None


def formats_of(model: TrainedModel) -> tuple[ExportFormat, ...]:
    """What can be made of this model: nothing where no job made it, or of a linear model, which has
    no smaller form."""
    method = model.manifest.get("training", {}).get("method")
    if method == "ngrams" or not TrainingJob.objects.filter(model=model).exists():
        return ()
    return FORMATS_BY_TASK.get(model.task, ())


def launch_export(
    model: TrainedModel, request: ExportRequest, user: User | None, viewer: User | ApiToken
) -> TrainingJob:
    """Queue one export job. Raises CannotLaunch, OverBudget or TeamSuspended."""
    require_rate("exports", model.team_id)
    require_present(model.project, model.dataset_version.dataset, model)
    recipe = _export_recipe(model, request)
    compute_class = find_compute_class(request.compute)
    expected = estimate_job(model.dataset_version, validate_recipe(recipe), compute_class)
    require_launch_allowed(model.team, expected)
    trained_by = TrainingJob.objects.filter(model=model).first()
    with transaction.atomic():
        job = TrainingJob.objects.create(
            team=model.team,
            project=model.project,
            dataset_version=model.dataset_version,
            compute_class=compute_class,
            source_model=model,
            # The test compares with what training began from.
            initial_model=trained_by.initial_model if trained_by else None,
            launched_by=user,
            name=request.name or f"{model.name} · {request.format}"[:120],
            task=model.task,
            base_model=model.base_model,
            recipe=recipe,
            estimate=expected.as_stored,
        )
        message = f"Queued for {compute_class.name}: {request.format}"
        job.record_status_change(Status.QUEUED, message)
        audit.record(model.team, viewer, "job.launched", str(job.pk), name=job.name)
        dispatch.notify_workers(job)
    return job


def _export_recipe(model: TrainedModel, request: ExportRequest) -> Recipe:
    """The recipe of the job that made the model, so that rows and split are the same."""
    job, formats = TrainingJob.objects.filter(model=model).first(), formats_of(model)
    if job is None or not formats:
        raise CannotLaunch("No other form can be made of this model.", param="format")
    if request.format not in formats:
        raise CannotLaunch(
            f"There is no form {request.format!r} of this model. Choose: {', '.join(formats)}.",
            param="format",
        )
    options = {name: value for name, value in request.options.items() if value is not None}
    known = OPTIONS_BY_TASK.get(model.task, ALL_OPTIONS)
    if unknown := sorted(set(options) - set(known)):
        raise CannotLaunch(
            f"Forms of this model have no {unknown[0]!r}. Known: {', '.join(known)}.",
            param=unknown[0],
        )
    export = validate_export(request.format, options)
    recipe = {name: value for name, value in job.recipe.items() if name not in NOT_COPIED_FIELDS}
    recipe["hyperparameters"] = _export_hyperparameters(model, job, export)
    return recipe | {"export": export.model_dump(exclude={"source"})}


def _export_hyperparameters(
    model: TrainedModel, job: TrainingJob, export: ExportSpec
) -> HyperparameterValues:
    """Those the model was trained with, as far as they help to train a smaller one."""
    trained_with = model.manifest.get("training", {}).get("hyperparameters", {})
    values: HyperparameterValues = job.recipe.get("hyperparameters", {}) | trained_with
    values |= {name: value for name, value in DISABLED_HYPERPARAMETERS.items() if name in values}
    if values.get("precision") == "fp16":  # Which the machine of the export may not have.
        values["precision"] = "auto"
    if model.task.startswith("tabular"):
        return values | {"method": "network"}
    if not model.task.startswith(("text-classification", "text-regression")):
        return values  # Nothing is trained again.
    is_retrained = export.format not in FILE_ONLY_FORMATS
    return values | {"method": "full" if is_retrained else "probe", "epochs": export.epochs}
