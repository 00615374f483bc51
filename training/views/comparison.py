"""The page that compares two models on the same test rows."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from training.analysis.comparison import CannotCompare, comparable_models, compare_models
from training.models import TrainedModel
from training.queries.evaluation_report import format_p_value, format_significance
from training.queries.job_page.comparison import jobs_of_models, parameter_rows
from training.queries.lookups import find_model
from training.queries.svg_plots import format_metric_value


@login_required
@require_GET
def compare_page(request: HttpRequest) -> HttpResponse:
    """`?a=` and `?b=` are the two models."""
    first, second = (_find_model_param(request, name) for name in ("a", "b"))
    context: dict[str, object] = {"team": first.team, "first": first, "second": second}
    try:
        found = compare_models(first, second)
    except CannotCompare as refusal:  # Said on the page, beside the models to choose instead.
        context |= {"refusal": refusal.sentence, "rivals": comparable_models(first)}
        return render(request, "training/compare.html", context, status=refusal.status)
    for metric in found["metrics"]:
        known = {metric["name"]: metric}
        metric |= format_significance(metric["significance"], known)
        metric["first_shown"] = format_metric_value(metric, metric["first"])
        metric["second_shown"] = format_metric_value(metric, metric["second"])
        metric["p_value"] = format_p_value(metric["significance"]["p_value"])
    context |= {
        "found": found,
        "jobs": (jobs := jobs_of_models([first, second])),
        "parameters": parameter_rows(jobs) if len(jobs) > 1 else [],
    }
    return render(request, "training/compare.html", context)


def _find_model_param(request: HttpRequest, parameter: str) -> TrainedModel:
    try:
        return find_model(request.user, UUID(request.GET.get(parameter, "")))
    except ValueError:
        raise Http404 from None
