"""What another threshold would do: precision, recall and cost on a classifier's test rows."""

import json
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from training.artifacts.thresholds import count_by_threshold
from training.forms.thresholds import ThresholdForm
from training.queries.lookups import find_model
from training.queries.report.thresholds import (
    cheapest_place,
    outcome_at,
    served_place,
    threshold_curves,
)
from training.queries.svg_plots import HEIGHT
from web.requests import AuthenticatedRequest


@login_required
@require_safe
def thresholds(request: AuthenticatedRequest, model_id: UUID) -> HttpResponse:
    """A fragment of the report for htmx; a page of its own without JavaScript."""
    model = find_model(request.user, model_id)
    form = ThresholdForm(request.GET)
    is_valid = form.is_valid()
    counts = count_by_threshold(model, form.cleaned_data.get("label") or "")
    context: dict[str, object] = {"model": model, "team": model.team, "form": form}
    if counts is not None:
        costs = form.cost("cost_wrong"), form.cost("cost_missed")
        cheapest = cheapest_place(counts, *costs)
        precision, recall = threshold_curves(counts)
        context |= {
            "counts": counts,
            "points": json.dumps(counts.points),
            "outcome": outcome_at(counts, form.place(served_place(counts)), *costs),
            "cheapest": outcome_at(counts, cheapest, *costs),
            "cost_wrong": costs[0],
            "cost_missed": costs[1],
            "precision_line": precision,
            "recall_line": recall,
            "plot": HEIGHT,
        }
    template = "training/_thresholds.html" if request.htmx else "training/thresholds.html"
    return render(request, template, context, status=200 if is_valid else 400)
