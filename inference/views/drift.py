"""On a deployment's page: how its requests differ from what the model learnt from."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from inference.deployments import find_deployment
from inference.drift.comparison import measure_drift
from inference.feedback import summarise_feedback
from web.requests import AuthenticatedRequest


@login_required
@require_safe
def drift(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """A fragment, or a page of its own without JavaScript."""
    deployment = find_deployment(request.user, deployment_id)
    context = {
        "deployment": deployment,
        "team": deployment.team,
        "drift": measure_drift(deployment),
        "feedback": summarise_feedback(deployment),
    }
    template = "inference/_drift.html" if request.htmx else "inference/drift.html"
    return render(request, template, context)
