"""On a language model's deployment page: where it is answered."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from inference.deployments import find_deployment
from inference.queries.answering_place import read_answering_place
from web.requests import AuthenticatedRequest


@login_required
@require_safe
def answering_place(request: AuthenticatedRequest, deployment_id: UUID) -> HttpResponse:
    """A fragment: a server is asked first, for which no page waits."""
    deployment = find_deployment(request.user, deployment_id)
    context = {"place": read_answering_place(deployment)}
    return render(request, "inference/_answering_place.html", context)
