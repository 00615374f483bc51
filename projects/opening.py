"""Opens and archives projects."""

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Team, User
from projects.models import Project

FIRST_NAME = "My first project"


def open_project(team: Team, name: str, by: User | ApiToken | None) -> Project:
    """A new project of the team."""
    with transaction.atomic():
        project = Project.objects.create(team=team, name=name)
        audit.record(team, by, "project.created", name)
    return project


def archive_project(project: Project, by: User | ApiToken | None) -> None:
    """Hide a project from lists. What runs in it is stopped by the apps above, which look."""
    with transaction.atomic():
        if Project.objects.active().filter(pk=project.pk).update(archived_at=now()):
            audit.record(project.team, by, "project.archived", project.name)


def open_first_projects(user: User) -> None:
    """A project in each team of a new person that has none, so that an upload has a home."""
    for team in Team.objects.filter(memberships__user=user):
        if not Project.objects.filter(team=team).exists():
            open_project(team, FIRST_NAME, user)
