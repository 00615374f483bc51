"""Pages of teams' projects: home, overview, a project, a new one."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.access import can, find_team, require
from accounts.context import current_team
from projects.forms import ProjectForm
from projects.models import Dataset, Project
from projects.opening import archive_project, open_project

RECENT_DATASETS = 5


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Where signing in leads: the team last looked at."""
    team = current_team(request)
    return redirect("projects:overview", team.slug) if team else redirect("accounts:settings")


@login_required
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    unarchived = Count("datasets", filter=Q(datasets__archived_at=None))
    projects = Project.objects.active().filter(team=team).annotate(dataset_count=unarchived)
    datasets = _datasets_of(request).filter(project__team=team)[:RECENT_DATASETS]
    context = {
        "team": team,
        "projects": projects,
        "datasets": datasets,
        "may_write": can(request.user, team, "write"),  # type: ignore[arg-type]
    }
    return render(request, "projects/overview.html", context)


@login_required
@require_GET
def project(request: HttpRequest, project_id: str) -> HttpResponse:
    found = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    context = {
        "team": found.team,
        "project": found,
        "datasets": _datasets_of(request).filter(project=found),
        "may_write": can(request.user, found.team, "write"),  # type: ignore[arg-type]
    }
    return render(request, "projects/project.html", context)


@login_required
def create_project(request: HttpRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require(request.user, team, "write")  # type: ignore[arg-type]
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        created = open_project(team, form.cleaned_data["name"], request.user)  # type: ignore[arg-type]
        return redirect("projects:project", created.pk)
    return render(request, "projects/create_project.html", {"team": team, "form": form})


@login_required
@require_POST
def archive(request: HttpRequest, project_id: str) -> HttpResponse:
    found = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require(request.user, found.team, "write")  # type: ignore[arg-type]
    archive_project(found, request.user)  # type: ignore[arg-type]
    messages.success(request, f"{found.name} is archived.")
    return redirect("projects:overview", found.team.slug)


@login_required
@require_GET
def datasets(request: HttpRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    context = {
        "team": team,
        "datasets": _datasets_of(request).filter(project__team=team)[:200],
        "projects": Project.objects.active().filter(team=team),
        "may_write": can(request.user, team, "write"),  # type: ignore[arg-type]
    }
    return render(request, "projects/datasets.html", context)


def _datasets_of(request: HttpRequest) -> "QuerySet[Dataset]":
    visible = Dataset.objects.visible_to(request.user).filter(archived_at=None)
    return visible.select_related("project").prefetch_related("versions")
