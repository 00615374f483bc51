"""The version of a dataset that a request means."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.permissions import require_permission, token_of
from projects.errors import DatasetNotReady, DatasetPurged
from projects.models import Dataset, DatasetVersion, ImportStatus
from web.api import BadParameter
from web.validation.values import parse_digits

VERSION_PARAMETER = OpenApiParameter("version", int, description="Its number; the newest without.")


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


def find_changeable_version(request: Request, dataset_id: UUID) -> DatasetVersion:
    """The version for somebody who may change the dataset. Raises DatasetNotReady while it is
    importing."""
    version = find_version(request, dataset_id)
    require_permission(token_of(request), version.dataset.project.team, "write")
    if version.status == ImportStatus.IMPORTING:
        raise DatasetNotReady("This version is still importing. Wait until it is done.")
    return version


def find_dataset(request: Request, dataset_id: UUID) -> Dataset:
    """The dataset with its project and team; 404 for strangers, 410 where it was deleted for
    good."""
    visible = Dataset.objects.visible_to(request.auth).select_related("project__team")
    dataset = visible.filter(pk=dataset_id).first()
    if dataset is None and Dataset.objects.purged_of(request.auth).filter(pk=dataset_id).exists():
        raise DatasetPurged
    return dataset or get_object_or_404(visible.none())


def find_dataset_to_change(request: Request, dataset_id: UUID) -> Dataset:
    """The same. Raises NotAllowed for who may only look."""
    dataset = find_dataset(request, dataset_id)
    require_permission(token_of(request), dataset.project.team, "write")
    return dataset


def whole_number(request: Request, name: str, default: int | str) -> int | str:
    """The number of a query parameter; the default where it is not sent. Raises BadParameter."""
    text = request.query_params.get(name)
    number = default if text is None else parse_digits(text, 11)
    if number is None:
        raise BadParameter(f"{name} must be a whole number.", param=name)
    return number
