"""The version of a dataset that a request means."""

from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from accounts.permissions import require_permission, token_of
from projects.errors import DatasetNotReady, DatasetPurged
from projects.models import Dataset, DatasetVersion, ImportStatus
from web.api import BadParameter
from web.validation.values import parse_digits


def find_version(request: Request, dataset_id: UUID) -> DatasetVersion:
    """The newest, or the one whose number is in ?version=; 404 for strangers."""
    visible = DatasetVersion.objects.visible_to(request.auth).select_related("dataset__project")
    versions = visible.filter(dataset=dataset_id).order_by("-number")
    if text := request.query_params.get("version"):
        number = parse_digits(text, 8)
        if number is None:
            raise BadParameter("version must be the number of a version.", param="version")
        versions = versions.filter(number=number)
    newest = versions.first()
    if newest is None and Dataset.objects.purged_of(request.auth).filter(pk=dataset_id).exists():
        raise DatasetPurged
    return newest or get_object_or_404(visible.none())


def find_ready_version(request: Request, dataset_id: UUID) -> DatasetVersion:
    """The same; raises DatasetNotReady while it has no table."""
    version = find_version(request, dataset_id)
    if version.status != ImportStatus.READY:
        raise DatasetNotReady
    return version


def find_dataset_to_change(request: Request, dataset_id: UUID) -> Dataset:
    """The dataset with its project and team. Raises NotAllowed for who may only look."""
    token = token_of(request)
    visible = Dataset.objects.visible_to(token).select_related("project__team")
    dataset = visible.filter(pk=dataset_id).first()
    if dataset is None and Dataset.objects.purged_of(token).filter(pk=dataset_id).exists():
        raise DatasetPurged
    if dataset is None:
        raise Http404
    require_permission(token, dataset.project.team, "write")
    return dataset
