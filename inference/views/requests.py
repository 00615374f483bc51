"""An endpoint's logged requests: listed, judged, made a dataset, and how many are kept."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from accounts.permissions import has_permission, require_permission
from inference.deployments import find_deployment, find_deployment_to_change
from inference.feedback import record_feedback
from inference.forms.requests import DatasetForm, RequestFilterForm, RetentionForm, VerdictForm
from inference.models import Deployment, RequestLog
from inference.requests.datasets import make_dataset
from inference.requests.listing import RequestFilter, answering_models, list_requests
from inference.requests.retention import set_retention
from inference.requests.rows import columns_of
from web.browser.refusals import refusals_on, status_of
from web.pagination import LargeTablePaginator
from web.requests import AuthenticatedRequest

PAGE_SIZE = 25


@login_required
@require_safe
def request_list(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    deployment = find_deployment(request.user, deployment_id)
    return _render_list(request, deployment)


@login_required
@require_POST
def judge(request: AuthenticatedRequest, deployment_id: UUID, request_id: str) -> HttpResponse:
    """Record that an answer is right, wrong, or what it should be."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    answered = RequestLog.objects.filter(deployment=deployment, status=200)
    entry = get_object_or_404(answered, pk=request_id)
    form = VerdictForm(request.POST)
    if not form.is_valid():
        return _render_list(request, deployment, verdict_form=form, status=400)
    record_feedback(deployment.team, request_id=entry.pk, person=request.user, **form.feedback)
    return redirect(f"{_address(deployment, request.GET.dict())}#{entry.pk}")


@login_required
@require_POST
def to_dataset(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Make a new dataset of the ticked requests, or of all that the filter lists."""
    deployment = find_deployment_to_change(request.user, deployment_id)
    form = DatasetForm(request.POST)
    filter_form = RequestFilterForm(request.POST, answering_models(deployment))
    if form.is_valid() and filter_form.is_valid():
        with refusals_on(form):
            made = make_dataset(
                deployment,
                _chosen(deployment, form, filter_form, request.POST.getlist("request")),
                request.user,
                answers=form.cleaned_data["answers"],
                name=form.cleaned_data["name"],
            )
            messages.success(request, f"Rows that are being imported: {made.rows:,}.")
            if made.left_out:
                messages.info(
                    request,
                    f"Rows left out, because the log has them not whole: {made.left_out:,}.",
                )
            return redirect("projects:dataset", made.version.dataset_id)
    return _render_list(
        request, deployment, filter_form=filter_form, dataset_form=form, status=status_of(form)
    )


def _chosen(
    deployment: Deployment, form: DatasetForm, filter_form: RequestFilterForm, ticked: list[str]
) -> QuerySet[RequestLog]:
    if form.cleaned_data["scope"] == "all":
        return list_requests(deployment, filter_form.narrowed)
    return list_requests(deployment, RequestFilter()).filter(pk__in=ticked)


@login_required
@require_POST
def retention(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """Set how many requests are kept, and for how long."""
    deployment = find_deployment(request.user, deployment_id)
    require_permission(request.user, deployment.team, "team")
    form = RetentionForm(deployment, request.POST)
    if not form.is_valid():
        return _render_list(request, deployment, retention_form=form, status=400)
    set_retention(deployment, form.one_in_kept, form.cleaned_data["days"], request.user)
    messages.success(request, "Saved. It counts within seconds.")
    return redirect("inference:requests", deployment.pk)


def _render_list(
    request: AuthenticatedRequest,
    deployment: Deployment,
    filter_form: RequestFilterForm | None = None,
    status: int = 200,
    **given: forms.Form,
) -> HttpResponse:
    filter_form = filter_form or RequestFilterForm(request.GET, answering_models(deployment))
    is_valid = filter_form.is_valid()
    rows = list_requests(deployment, filter_form.narrowed if is_valid else RequestFilter())
    paginator = LargeTablePaginator(rows.order_by("-at", "-request_id"), PAGE_SIZE)
    model = deployment.model
    context = {
        "deployment": deployment,
        "team": deployment.team,
        "filter_form": filter_form,
        "is_filtered": bool(filter_form.query),
        "query": urlencode(filter_form.query),
        "page": paginator.get_page(request.GET.get("page")),
        "labels": model.labels,
        "makes_rows": columns_of(model.manifest) is not None,
        "dataset_form": DatasetForm(),
        "retention_form": RetentionForm(deployment),
        "may_change": has_permission(request.user, deployment.team, "write"),
        "may_keep": has_permission(request.user, deployment.team, "team"),
        **given,
    }
    return render(request, "inference/requests.html", context, status=status)


def _address(deployment: Deployment, query: dict[str, str]) -> str:
    return reverse("inference:requests", args=[deployment.pk], query=query or None)
