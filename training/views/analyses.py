"""On a model's page: ask about groups or about one answer, and read what a worker found."""

from typing import cast
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.permissions import has_permission, require_permission
from training.analysis import requests
from training.forms.analyses import EXPLAIN_FORMS, GroupsForm
from training.models import Analysis, TrainedModel
from training.queries.attributions import Explanation, explanation_context
from training.queries.evaluation_report import fairness_context, report_of
from training.queries.lookups import find_model
from training.queries.models import explanation_kind
from training.queries.report.example_inputs import example_text
from training.queries.svg_plots import interval_rows
from web.requests import AuthenticatedRequest


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def groups(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """Fairness and results by a column, chosen afterwards."""
    model = find_model(request.user, model_id)
    form = GroupsForm(model, request.POST or None)
    return _render_analysis(request, model, form, "groups")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def explain(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """Which words, cells or parts of a picture made an answer."""
    model = find_model(request.user, model_id)
    if (kind := explanation_kind(model)) == "":
        raise Http404
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = EXPLAIN_FORMS[kind](*sent)
    if kind == "text":
        form.initial["input"] = example_text(model)
    return _render_analysis(request, model, form, "explain")


def _render_analysis(
    request: AuthenticatedRequest, model: TrainedModel, form: forms.Form, kind: str
) -> HttpResponse:
    if request.method == "POST":
        require_permission(request.user, model.team, "write")
        if form.is_valid():
            filled = form.cleaned_data.items()
            question = {name: value for name, value in filled if value not in ("", None)}
            requests.request_analysis(model, request.user, kind, question)
            if not request.htmx:
                return redirect(f"training:model-{kind}", model.pk)
    listed = requests.list_analyses(model, kind)
    metric = report_of(model).get("headline_metric", "accuracy")
    context = {
        "model": model,
        "team": model.team,
        "form": form,
        "kind": kind,
        "may_ask": has_permission(request.user, model.team, "write"),
        "is_waiting": any(analysis.finished_at is None for analysis in listed),
        "listed": [_analysis_context(analysis, metric) for analysis in listed],
    }
    template = f"training/_analysis_{kind}.html" if request.htmx else "training/analysis.html"
    return render(request, template, context)


def _analysis_context(analysis: Analysis, metric: str) -> dict[str, object]:
    result = analysis.result or {}
    context: dict[str, object] = {"analysis": analysis, "question": analysis.question}
    if analysis.kind == "groups":
        context["fairness"] = [fairness_context(column) for column in result.get("fairness", [])]
        context["breakdowns"] = [
            {**breakdown, "metric": metric, "ranges": interval_rows(breakdown["slices"], metric)}
            for breakdown in result.get("breakdowns", [])
        ]
    elif result:
        context |= {"result": result, **explanation_context(cast(Explanation, result))}
    return context
