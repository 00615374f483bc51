"""The pages of models: the list, and one model's evaluation report."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.permissions import find_team, has_permission
from training.analysis.comparison import comparable_models
from training.artifacts.download import zip_response
from training.artifacts.predictions import MAX_ROWS, prediction_rows
from training.models import TrainedModel
from training.queries.evaluation_report import report_context, report_of, report_tabs
from training.queries.job_list import format_task
from training.queries.lookups import find_model
from training.queries.models import (
    explanation_kind,
    filter_models,
    versions_of,
    with_results,
)
from training.queries.starts import can_train_on
from web.browser.details import tags_in
from web.browser.parts import uses_of
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest

PAGE_SIZE = 25


@login_required
@require_GET
def models_page(request: HttpRequest, slug: str) -> HttpResponse:
    """All of a team's models, newest first."""
    team = find_team(request, slug)
    text, tag = request.GET.get("q", "").strip(), request.GET.get("tag", "")
    every = TrainedModel.objects.not_in_trash().filter(team=team)
    rows = filter_models(every, text, tag)
    rows = rows.select_related("project", "dataset_version__dataset", "job")
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "team": team,
        "page": page,
        "models": [(one, format_task(one.task), results) for one, results in with_results(page)],
        "text": text,
        "tag": tag,
        "tags": tags_in(every),
    }
    return render(request, "training/models.html", context)


@login_required
@require_GET
def model_page(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """The evaluation report of one model, and what can be done with it."""
    model = find_model(request.user, model_id)
    report = report_of(model)
    tabs = report_tabs(report, model)
    tab = request.GET.get("tab", "")
    context = {
        "model": model,
        "team": model.team,
        "tabs": tabs,
        "tab": tab if tab == "all" or tab in dict(tabs) else "summary",
        "versions": with_results(versions_of(model)),
        "rivals": comparable_models(model),
        "explained": explanation_kind(model),
        "shows_pictures": model.task.startswith("image"),
        "task_words": format_task(model.task),
        "may_write": has_permission(request.user, model.team, "write"),
        "uses": uses_of("model", model),
        "trash_days": TRASH_DAYS,
        "can_train_on": can_train_on(model),
        **report_context(report),
    }
    return render(request, "training/model.html", context)


@login_required
@require_GET
def model_rows(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """The test rows behind one cell of the confusion matrix."""
    model = find_model(request.user, model_id)
    true, predicted = request.GET.get("true", ""), request.GET.get("predicted", "")
    rows = prediction_rows(model, true=true, predicted=predicted)
    context = {
        "model": model,
        "team": model.team,
        "true": true,
        "predicted": predicted,
        "rows": rows,
        "is_cut": len(rows) == MAX_ROWS,
        "may_ask": has_permission(request.user, model.team, "write"),
        "explained": explanation_kind(model),
        "shows_pictures": model.task.startswith("image"),
    }
    return render(request, "training/model_rows.html", context)


@login_required
@require_GET
def report_json(request: HttpRequest, model_id: UUID) -> JsonResponse:
    """The whole report as it was stored."""
    return JsonResponse(report_of(find_model(request.user, model_id)))


@login_required
@require_GET
def download_model(request: HttpRequest, model_id: UUID) -> HttpResponseBase:
    """The artifact as a zip file."""
    return zip_response(find_model(request.user, model_id))
