"""Pages of teams' projects: home, overview, a project, a new one."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.context import current_team
from accounts.permissions import find_own_team, find_team, has_permission, require_permission
from projects.forms.datasets import ProjectForm
from projects.lifecycle import archive_project, change_details, create_project, restore_project
from projects.models import Dataset, Project
from projects.queries.dataset_list import list_with_glances
from web.browser.confirmation import require_typed_name
from web.browser.details import save_details, tags_in
from web.browser.parts import uses_of
from web.browser.trash import TRASH_DAYS
from web.requests import AuthenticatedRequest

DATASETS_PER_PAGE = 50
MANY_PROJECTS = 8  # From so many on the overview offers to filter them.


@login_required
@require_GET
def home(request: AuthenticatedRequest) -> HttpResponse:
    """Where signing in leads: the team last looked at."""
    team = current_team(request)
    return redirect("projects:overview", team.slug) if team else redirect("accounts:settings")


@login_required
@require_GET
def overview(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_own_team(request, slug)
    if not has_permission(request.user, team, "read"):
        return redirect("assistants:inbox", team.slug)  # All that an agent may open.
    unarchived = Count("datasets", filter=Q(datasets__archived_at=None))
    every = list(Project.objects.active().filter(team=team).annotate(dataset_count=unarchived))
    text, tag = request.GET.get("q", "").strip(), request.GET.get("tag", "")
    tags = sorted({word for project in every for word in project.tags}, key=str.casefold)
    context = {
        "team": team,
        "projects": [
            project
            for project in every
            if text.casefold() in project.name.casefold() and (not tag or tag in project.tags)
        ],
        "has_projects": bool(every),
        "can_filter": len(every) >= MANY_PROJECTS or tags,
        "text": text,
        "tag": tag,
        "tags": tags,
        "may_write": has_permission(request.user, team, "write"),
    }
    return render(request, "projects/overview.html", context)


@login_required
@require_GET
def project_detail(request: AuthenticatedRequest, project_id: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    context = {
        "team": project.team,
        "project": project,
        "datasets": list_with_glances(_visible_datasets(request).filter(project=project)),
        "may_write": has_permission(request.user, project.team, "write"),
        "archive_title": f"Move “{project.name}” to the trash?",
        "uses": uses_of("project", project),
        "trash_days": TRASH_DAYS,
    }
    return render(request, "projects/project.html", context)


@login_required
def project_create(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team = find_team(request, slug)
    require_permission(request.user, team, "write")
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        created = create_project(team, form.cleaned_data["name"], request.user)
        return redirect("projects:project", created.pk)
    return render(request, "projects/create_project.html", {"team": team, "form": form})


@login_required
@require_POST
def project_rename(request: AuthenticatedRequest, project_id: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require_permission(request.user, project.team, "write")
    save_details(request, project, change_details, max_name_length=120)
    return redirect("projects:project", project.pk)


@login_required
@require_POST
def project_archive(request: AuthenticatedRequest, project_id: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require_permission(request.user, project.team, "write")
    require_typed_name(request, project.name)
    archive_project(project, request.user)
    messages.success(request, f"{project.name} is in the trash for {TRASH_DAYS} days.")
    return redirect("projects:overview", project.team.slug)


@login_required
@require_POST
def project_restore(request: AuthenticatedRequest, project_id: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    require_permission(request.user, project.team, "write")
    restore_project(project, request.user)
    messages.success(request, f"{project.name} is back.")
    return redirect("projects:project", project.pk)


@login_required
@require_GET
def dataset_list(request: AuthenticatedRequest, slug: str) -> HttpResponse:
    team, text = find_team(request, slug), request.GET.get("q", "").strip()
    tag = request.GET.get("tag", "")
    every = _visible_datasets(request).filter(project__team=team, project__archived_at=None)
    datasets = every.filter(tags__contains=[tag]) if tag else every
    if text:
        datasets = datasets.filter(Q(name__icontains=text) | Q(project__name__icontains=text))
    page = Paginator(datasets, DATASETS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "team": team,
        "page": page,
        "datasets": list_with_glances(cast("QuerySet[Dataset]", page.object_list)),
        "text": text,
        "tag": tag,
        "tags": tags_in(every),
        "projects": list(Project.objects.active().filter(team=team)[:1]),
        "may_write": has_permission(request.user, team, "write"),
    }
    return render(request, "projects/datasets.html", context)


def _visible_datasets(request: AuthenticatedRequest) -> "QuerySet[Dataset]":
    visible = Dataset.objects.visible_to(request.user).filter(archived_at=None)
    return visible.select_related("project")
