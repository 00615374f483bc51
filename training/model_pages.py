"""The pages of models: the list, and one model's evaluation report."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.access import can, find_team
from accounts.signed_in import SignedInRequest
from training.downloads import zip_response
from training.job_listing import task_words
from training.model_comparing import rivals_of
from training.model_reading import explained_kind, shows_pictures, versions_of, with_results
from training.models import TrainedModel
from training.predictions import MOST_ROWS, rows_of
from training.report_reading import page_of, report_of

PAGE_ROWS = 25


def find_model(viewer: object, model_id: UUID) -> TrainedModel:
    models = TrainedModel.objects.visible_to(viewer)
    return get_object_or_404(
        models.select_related("team", "project", "dataset_version__dataset", "job"), pk=model_id
    )


@login_required
@require_GET
def models_page(request: HttpRequest, slug: str) -> HttpResponse:
    """All of a team's models, newest first."""
    team = find_team(request, slug)
    rows = TrainedModel.objects.filter(team=team, archived_at=None).select_related(
        "project", "dataset_version__dataset", "job"
    )
    page = Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    models = [(model, task_words(model.task), results) for model, results in with_results(page)]
    return render(request, "training/models.html", {"team": team, "page": page, "models": models})


@login_required
@require_GET
def model_page(request: HttpRequest, model_id: UUID) -> HttpResponse:
    """The evaluation report of one model, and what can be done with it."""
    model = find_model(request.user, model_id)
    context = {
        "model": model,
        "team": model.team,
        "versions": with_results(versions_of(model)),
        "rivals": rivals_of(model),
        "explained": explained_kind(model),
        "shows_pictures": shows_pictures(model),
        "task_words": task_words(model.task),
        **page_of(report_of(model)),
    }
    return render(request, "training/model.html", context)


@login_required
@require_GET
def model_rows(request: SignedInRequest, model_id: UUID) -> HttpResponse:
    """The test rows behind one cell of the confusion matrix."""
    model = find_model(request.user, model_id)
    true, predicted = request.GET.get("true", ""), request.GET.get("predicted", "")
    rows = rows_of(model, true=true, predicted=predicted)
    context = {
        "model": model,
        "team": model.team,
        "true": true,
        "predicted": predicted,
        "rows": rows,
        "is_cut": len(rows) == MOST_ROWS,
        "may_ask": can(request.user, model.team, "write"),
        "explained": explained_kind(model),
        "shows_pictures": shows_pictures(model),
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
