"""The page that compares two models on the same test rows."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from training.model_comparing import compare_models
from training.model_pages import find_model
from training.models import TrainedModel
from training.report_plots import shown_value
from training.report_reading import p_shown, significance_shown


@login_required
@require_GET
def compare_page(request: HttpRequest) -> HttpResponse:
    """`?a=` and `?b=` are the two models."""
    first, second = (_named(request, name) for name in ("a", "b"))
    found = compare_models(first, second)
    for metric in found["metrics"]:
        known = {metric["name"]: metric}
        metric |= significance_shown(metric["significance"], known)
        metric["first_shown"] = shown_value(metric, metric["first"])
        metric["second_shown"] = shown_value(metric, metric["second"])
        metric["p_value"] = p_shown(metric["significance"]["p_value"])
    context = {"team": first.team, "first": first, "second": second, "found": found}
    return render(request, "training/compare.html", context)


def _named(request: HttpRequest, parameter: str) -> TrainedModel:
    try:
        return find_model(request.user, UUID(request.GET.get(parameter, "")))
    except ValueError:
        raise Http404 from None
