"""Finding one job or model for whoever asks: a stranger's is a 404. For pages and the API alike."""

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
    models = TrainedModel.objects.visible_to(viewer).select_related(
        "team", "project", "dataset_version__dataset", "job"
    )
    found = models.filter(pk=model_id).first()
    if found is None and TrainedModel.objects.purged_of(viewer).filter(pk=model_id).exists():
        raise ModelPurged
    if found is None:
        raise Http404
    return found


def find_model_to_change(viewer: User | ApiToken, model_id: UUID) -> TrainedModel:
    """Raises NotAllowed for who may only look."""
    model = find_model(viewer, model_id)
    require_permission(viewer, model.team, "write")
    return model
