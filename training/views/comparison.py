"""The page that compares two models on the same test rows."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from training.analysis.comparison import CannotCompare, comparable_models, compare_models
from training.models import TrainedModel, TrainingJob
from training.queries.evaluation_report import format_p_value, format_significance
from training.queries.job_list import with_related
from training.queries.job_page.charts import has_curves, validation_metric_of
from training.queries.job_page.comparison import parameter_rows
from training.queries.lookups import find_model
from training.queries.metric_series import latest_values
from training.queries.models import validation_words
from training.queries.svg_plots import format_metric_value


@login_required
@require_GET
def compare_page(request: HttpRequest) -> HttpResponse:
    """`?a=` and `?b=` are the two models; without the second it asks for it."""
    first = _find_model_param(request, "a")
    context: dict[str, object] = {"team": first.team, "first": first}
    if not request.GET.get("b"):
        context["rivals"] = comparable_models(first)
        return render(request, "training/compare.html", context)
    second = context["second"] = _find_model_param(request, "b")
    try:
        comparison = _compare(first, second)
    except CannotCompare as refusal:  # Said on the page, beside the models to choose instead.
        context |= {"refusal": refusal.sentence, "rivals": comparable_models(first)}
        return render(request, "training/compare.html", context, status=refusal.status)
    return render(
        request, "training/compare.html", context | _jobs_context(first, second, comparison)
    )


def _compare(first: TrainedModel, second: TrainedModel) -> dict[str, Any]:
    """The comparison, with its numbers as the page shows them. Raises CannotCompare."""
    comparison = compare_models(first, second)
    for metric in comparison["metrics"]:
        known = {metric["name"]: metric}
        metric |= format_significance(metric["significance"], known)
        metric["first_shown"] = format_metric_value(metric, metric["first"])
        metric["second_shown"] = format_metric_value(metric, metric["second"])
        metric["p_value"] = format_p_value(metric["significance"]["p_value"])
    return comparison


def _jobs_context(
    first: TrainedModel, second: TrainedModel, comparison: dict[str, Any]
) -> dict[str, object]:
    """The curves and parameters of the jobs that made them, where both are known."""
    models = [first, second]
    made = with_related(TrainingJob.objects.filter(model__in=[model.pk for model in models]))
    by_model = {job.model_id: job for job in made}
    jobs = [by_model[model.pk] for model in models if model.pk in by_model]
    context: dict[str, object] = {"comparison": comparison, "jobs": jobs}
    if len(jobs) < 2:
        return context
    metric = validation_metric_of(jobs[0], latest_values(jobs[0]))
    return context | {
        "has_curves": any(has_curves(job) for job in jobs),
        "ids": urlencode([("job", str(job.pk)) for job in jobs]),
        "parameters": parameter_rows(jobs),
        "metric": metric,
        "measured_title": f"Validation {validation_words(metric)}",
    }


def _find_model_param(request: HttpRequest, parameter: str) -> TrainedModel:
    try:
        return find_model(request.user, UUID(request.GET.get(parameter, "")))
    except ValueError:
        raise Http404 from None
