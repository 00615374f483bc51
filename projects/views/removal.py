"""Renaming a dataset, moving it to the trash and back."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts.permissions import require_permission
from projects.lifecycle import archive_dataset, change_details, restore_dataset
from projects.models import Dataset
from web.browser.details import save_details
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest


@login_required
@require_POST
def dataset_rename(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    dataset = _find_dataset_to_change(request, dataset_id)
    save_details(request, dataset, change_details, max_name_length=255)
    return redirect("projects:dataset", dataset.pk)


@login_required
@require_POST
def dataset_archive(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    dataset = _find_dataset_to_change(request, dataset_id)
    archive_dataset(dataset, request.user)
    messages.success(request, f"{dataset.name} is in the trash for {TRASH_DAYS} days.")
    return redirect("projects:datasets", dataset.project.team.slug)


@login_required
@require_POST
def dataset_restore(request: AuthenticatedRequest, dataset_id: UUID) -> HttpResponse:
    dataset = _find_dataset_to_change(request, dataset_id)
    restore_dataset(dataset, request.user)
    messages.success(request, f"{dataset.name} is back.")
    return redirect("projects:dataset", dataset.pk)


def _find_dataset_to_change(request: AuthenticatedRequest, dataset_id: UUID) -> Dataset:
    visible = Dataset.objects.visible_to(request.user).select_related("project__team")
    dataset = get_object_or_404(visible, pk=dataset_id)
    require_permission(request.user, dataset.project.team, "write")
    return dataset
