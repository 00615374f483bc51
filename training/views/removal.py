"""Moving finished fine-tunes and models to the trash and back; changing their details."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from training.jobs import removal
from training.queries.lookups import find_job_to_change, find_model_to_change
from web.browser.details import DetailsForm
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest


@login_required
@require_POST
def archive_job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = find_job_to_change(request.user, job_id)
    removal.archive(job, request.user)
    messages.success(request, f"{job.name} is in the trash for {TRASH_DAYS} days.")
    return redirect("training:jobs", job.team.slug)


@login_required
@require_POST
def restore_job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = find_job_to_change(request.user, job_id)
    removal.restore(job, request.user)
    messages.success(request, f"{job.name} is back.")
    return redirect("training:job", job.pk)


@login_required
@require_POST
def archive_model(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    model = find_model_to_change(request.user, model_id)
    removal.archive(model, request.user)
    messages.success(request, f"{model.name} is in the trash for {TRASH_DAYS} days.")
    return redirect("training:models", model.team.slug)


@login_required
@require_POST
def restore_model(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    model = find_model_to_change(request.user, model_id)
    removal.restore(model, request.user)
    messages.success(request, f"{model.name} is back.")
    return redirect("training:model", model.pk)


@login_required
@require_POST
def rename_job(request: AuthenticatedRequest, job_id: UUID) -> HttpResponse:
    job = find_job_to_change(request.user, job_id)
    form = DetailsForm(request.POST, max_name_length=120)
    if form.is_valid():
        removal.change_details(job, form.cleaned_data, request.user)
        messages.success(request, "Saved.")
    else:
        messages.error(request, form.refusal)
    return redirect("training:job", job.pk)


@login_required
@require_POST
def rename_model(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    model = find_model_to_change(request.user, model_id)
    form = DetailsForm(request.POST, max_name_length=120)
    if form.is_valid():
        removal.change_details(model, form.cleaned_data, request.user)
        messages.success(request, "Saved.")
    else:
        messages.error(request, form.refusal)
    return redirect("training:model", model.pk)
