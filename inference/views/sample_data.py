"""A dataset to try everything with, for a team that has none at hand."""

import tempfile
from pathlib import Path

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.permissions import find_team, require_permission
from inference.demo_data import write_demo_csv
from projects.importing.uploads import receive_upload
from projects.lifecycle import FIRST_PROJECT_NAME, create_project
from projects.models import Project
from web.requests import AuthenticatedRequest

FILENAME, ROWS = "sample-support-tickets.csv", 1200


@login_required
@require_POST
def use_sample_data(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    """Upload invented support tickets with their queues to the team's first project."""
    team = find_team(request, slug)
    require_permission(request.user, team, "write")
    project = Project.objects.active().filter(team=team).first()
    if project is None:
        project = create_project(team, FIRST_PROJECT_NAME, request.user)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILENAME
        write_demo_csv(path, rows=ROWS, seed=1)
        result = receive_upload(
            project=project, filename=FILENAME, chunks=[path.read_bytes()], by=request.user
        )
    return redirect("projects:dataset", result.version.dataset_id)
