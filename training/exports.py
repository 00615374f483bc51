"""Smaller and quicker forms of a finished model: jobs of their own, in the same queue and bill."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from accounts import audit
from accounts.models import ApiToken, User
from engine.spec import ExportSpec
from engine.spec.exporting import ALL_OPTIONS, FORMATS, OPTIONS, UNCHANGED, ExportFormat
from training import schedule
from training.errors import CannotLaunch
from training.estimating import (
    compute_class_of,
    estimate_of,
    refuse_unless_allowed,
    validated,
)
from training.models import Status, TrainedModel, TrainingJob

# What the source's training asked for that has no meaning for its export, or would waste time.
NOT_TAKEN_OVER = ("search", "export", "resume_from")
SWITCHED_OFF = {"folds": 0, "adversarial": 0.0}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One form of a model; `options` are the other fields of engine.spec.ExportSpec."""

    format: str
    options: dict[str, Any]
    compute: str | None = None
    name: str | None = None


def formats_of(model: TrainedModel) -> tuple[ExportFormat, ...]:
    """What can be made of this model; nothing where no job made it."""
    return FORMATS.get(model.task, ()) if _job_of(model) else ()


def options_of(model: TrainedModel) -> tuple[str, ...]:
    """What may be said of a form of this model beside its name."""
    return OPTIONS.get(model.task, ALL_OPTIONS)


def exports_of(model: TrainedModel) -> list[TrainingJob]:
    """The export jobs of a model, newest first."""
    return list(model.exports.select_related("model", "compute_class").order_by("-created_at")[:20])


def launch_export(
    model: TrainedModel, wanted: ExportRequest, user: User | None, viewer: User | ApiToken
) -> TrainingJob:
    """Queue one export job. Raises CannotLaunch, OverBudget or TeamFrozen."""
    recipe = _recipe(model, wanted)
    compute_class = compute_class_of(wanted.compute)
    spec = validated(recipe)
    expected = estimate_of(model.dataset_version, spec, compute_class)
    refuse_unless_allowed(model.team, expected)
    with transaction.atomic():
        job = TrainingJob.objects.create(
            team=model.team,
            project=model.project,
            dataset_version=model.dataset_version,
            compute_class=compute_class,
            source_model=model,
            launched_by=user,
            name=wanted.name or f"{model.name} · {wanted.format}"[:120],
            task=model.task,
            base_model=model.base_model,
            recipe=recipe,
            estimate=expected.promise,
        )
        job.announce(Status.QUEUED, f"Queued for {compute_class.name}: {wanted.format}")
        audit.record(model.team, viewer, "job.launched", str(job.pk), name=job.name)
        schedule.nudge(job)
    return job


def _job_of(model: TrainedModel) -> TrainingJob | None:
    return TrainingJob.objects.filter(model=model).first()


def _recipe(model: TrainedModel, wanted: ExportRequest) -> dict[str, Any]:
    """The recipe of the job that made the model, so that rows and split are the same."""
    job, formats = _job_of(model), formats_of(model)
    if job is None or not formats:
        raise CannotLaunch("No other form can be made of this model.", param="format")
    if wanted.format not in formats:
        raise CannotLaunch(
            f"There is no form {wanted.format!r} of this model. Choose: {', '.join(formats)}.",
            param="format",
        )
    recipe = {name: value for name, value in job.recipe.items() if name not in NOT_TAKEN_OVER}
    export = _export_part(wanted, options_of(model))
    return recipe | {"hyperparameters": _dials(model, recipe, export), "export": export}


def _dials(model: TrainedModel, recipe: dict[str, Any], export: dict[str, Any]) -> dict[str, Any]:
    """Those the model was trained with, as far as they help to teach a smaller one."""
    trained_with = model.manifest.get("training", {}).get("hyperparameters", {})
    dials: dict[str, Any] = dict(recipe.get("hyperparameters", {})) | trained_with
    dials |= {name: value for name, value in SWITCHED_OFF.items() if name in dials}
    if dials.get("precision") == "fp16":  # Which the machine of the export may not have.
        dials["precision"] = "auto"
    if model.task.startswith("tabular"):
        return dials | {"method": "network"}
    if not model.task.startswith(("text-classification", "text-regression")):
        return dials  # Nothing is taught again.
    teaches = export["format"] not in UNCHANGED
    return dials | {"method": "full" if teaches else "probe", "epochs": export["epochs"]}


def _export_part(wanted: ExportRequest, known: tuple[str, ...]) -> dict[str, Any]:
    options = {name: value for name, value in wanted.options.items() if value is not None}
    if unknown := sorted(set(options) - set(known)):
        raise CannotLaunch(
            f"Forms of this model have no {unknown[0]!r}. Known: {', '.join(known)}.",
            param=unknown[0],
        )
    try:
        spec = ExportSpec.model_validate(options | {"format": wanted.format})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "keep"
        raise CannotLaunch(f"{where}: {problem['msg']}.", param=where) from None
    return spec.model_dump(exclude={"source"})
