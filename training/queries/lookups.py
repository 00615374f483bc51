"""Finds one job or model for pages and the API; one that the viewer may not see raises Http404."""

from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404

from accounts.models import ApiToken, User
from accounts.permissions import require_permission
from training.errors import ModelPurged
from training.models import TrainedModel, TrainingJob
from training.queries.job_list import with_related


def find_job(viewer: object, job_id: UUID) -> TrainingJob:
    return get_object_or_404(with_related(TrainingJob.objects.visible_to(viewer)), pk=job_id)


def find_job_to_change(viewer: User | ApiToken, job_id: UUID) -> TrainingJob:
    """Raises NotAllowed for who may only look."""
    job = find_job(viewer, job_id)
    require_permission(viewer, job.team, "write")
    return job


def find_model(viewer: object, model_id: UUID) -> TrainedModel:
    """Raises ModelPurged for a deleted model that the viewer could see, else Http404."""
    models = TrainedModel.objects.visible_to(viewer).select_related(
        "team", "project", "dataset_version__dataset", "job"
    )
    model = models.filter(pk=model_id).first()
    if model is None and TrainedModel.objects.purged_of(viewer).filter(pk=model_id).exists():
        raise ModelPurged
    if model is None:
        raise Http404
    return model


def find_model_to_change(viewer: User | ApiToken, model_id: UUID) -> TrainedModel:
    """Raises NotAllowed for who may only look."""
    model = find_model(viewer, model_id)
    require_permission(viewer, model.team, "write")
    return model


def job_that_trained(model: TrainedModel) -> TrainingJob | None:
    """The fine-tune behind a model, also behind its smaller and exported forms; None for a model
    that no job made."""
    job = TrainingJob.objects.filter(model=model).first()
    while job is not None and job.source_model_id is not None:
        job = TrainingJob.objects.filter(model=job.source_model_id).first()
    return job
