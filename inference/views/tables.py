"""Having a whole table answered by an endpoint: begun, watched, cancelled and downloaded."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.permissions import has_permission, require_permission
from inference.batches import lifecycle
from inference.deployments import find_deployment, find_deployment_to_change
from inference.errors import NoAnswers
from inference.forms.tables import TableForm
from inference.models import Deployment, TablePrediction
from inference.queries.tables import is_complete, tables_context
from inference.table_predictions import running
from inference.table_predictions.results import download_answers
from projects.errors import DatasetPurged
from projects.importing.uploads import receive_upload
from projects.models import Dataset, DatasetVersion
from web.browser.refusals import refusals_on, status_of
from web.requests import AuthenticatedRequest


@login_required
@require_POST
def begin(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = TableForm(deployment, request.POST, request.FILES)
    if form.is_valid():
        with refusals_on(form):
            running.require_table_reader(deployment, request.user)
            version = _chosen_version(deployment, form, request.user)
            running.begin(deployment, version, request.user)
            messages.success(request, f"{version.dataset.name} is being answered.")
            return redirect("inference:deployment", deployment.pk)
    context = {"deployment": deployment, "team": deployment.team, "table_form": form}
    status = status_of(form, invalid=200)
    return render(request, "inference/tables.html", context, status=status)


def _chosen_version(deployment: Deployment, form: TableForm, person: User) -> DatasetVersion:
    dataset: Dataset | None = form.cleaned_data["dataset"]
    if dataset is not None:
        return dataset.versions.order_by("-number")[0]
    file = form.cleaned_data["file"]
    return receive_upload(
        project=deployment.project, filename=file.name, chunks=file.chunks(), by=person
    ).version


@login_required
@require_safe
def progress(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """The latest tables of an endpoint, as a fragment."""
    deployment = find_deployment(request.user, deployment_id)
    context = {
        "deployment": deployment,
        "may_change": has_permission(request.user, deployment.team, "write"),
        **tables_context(deployment),
    }
    return render(request, "inference/_tables.html", context)


@login_required
@require_POST
def cancel(request: AuthenticatedRequest, prediction_id: UUID) -> HttpResponse:
    """Ask no further rows; what was answered stays."""
    row = _find(request.user, prediction_id)
    require_permission(request.user, row.team, "write")
    if row.batch is None:
        raise Http404
    lifecycle.cancel(row.batch, request.user)
    return redirect("inference:deployment", row.deployment_id)


@login_required
@require_safe
def download(request: AuthenticatedRequest, prediction_id: UUID) -> HttpResponseBase:
    """The table with its answers as CSV."""
    row = _find(request.user, prediction_id)
    if row.dataset_version.dataset.purged_at is not None:
        raise DatasetPurged
    if not is_complete(row):
        raise NoAnswers
    return download_answers(row)


def _find(person: User, prediction_id: UUID) -> TablePrediction:
    rows = TablePrediction.objects.visible_to(person)
    rows = rows.select_related("team", "deployment__model", "dataset_version__dataset")
    rows = rows.select_related("batch__output_file", "batch__error_file", "batch__team")
    return get_object_or_404(rows, pk=prediction_id)
