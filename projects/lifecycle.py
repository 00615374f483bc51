"""Opens projects; moves projects and datasets to the trash and back, and changes what people
write about them."""

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Team, User
from projects.models import Dataset, Project
from web.browser.details import changed_details
from web.browser.parts import uses_of
from web.browser.trash import InTrash, require_restorable, require_unused
from web.language.sentences import translated

FIRST_PROJECT_NAME = "My first project"


def create_project(team: Team, name: str, by: User | ApiToken | None) -> Project:
    """A new project of the team."""
    with transaction.atomic():
        project = Project.objects.create(team=team, name=name)
        audit.record(team, by, "project.created", name)
    return project


def archive_project(project: Project, by: User | ApiToken | None) -> None:
    """Move a project to the trash. What it holds stays as it is. Raises StillInUse."""
    require_unused(project.name, uses_of("project", project))
    with transaction.atomic():
        if Project.objects.active().filter(pk=project.pk).update(archived_at=now()):
            audit.record(project.team, by, "project.archived", project.name)


def restore_project(project: Project, by: User | ApiToken) -> None:
    """Bring a project back from the trash. Raises TooLateToRestore."""
    require_restorable(project.archived_at)
    with transaction.atomic():
        if Project.objects.filter(pk=project.pk, archived_at__isnull=False).update(
            archived_at=None
        ):
            audit.record(project.team, by, "project.restored", project.name)


def archive_dataset(dataset: Dataset, by: User | ApiToken | None) -> None:
    """Move a dataset to the trash; models made from it stay. Raises StillInUse."""
    require_unused(dataset.name, uses_of("dataset", dataset))
    with transaction.atomic():
        if Dataset.objects.filter(pk=dataset.pk, archived_at=None).update(archived_at=now()):
            audit.record(dataset.project.team, by, "dataset.archived", dataset.name)


def restore_dataset(dataset: Dataset, by: User | ApiToken) -> None:
    """Bring a dataset back from the trash. Raises TooLateToRestore, or InTrash of its project."""
    require_restorable(dataset.archived_at)
    if dataset.project.archived_at is not None:
        raise InTrash(f"Its project {dataset.project} is in the trash. Restore that first.")
    with transaction.atomic():
        if Dataset.objects.filter(pk=dataset.pk, archived_at__isnull=False).update(
            archived_at=None
        ):
            audit.record(dataset.project.team, by, "dataset.restored", dataset.name)


def change_details(row: Project | Dataset, details: dict[str, object], by: User | ApiToken) -> None:
    """Give it another name, tags or notes; what it holds keeps its own names."""
    changed = changed_details(row, details)
    if not changed:
        return
    kind, team = (
        ("project", row.team) if isinstance(row, Project) else ("dataset", row.project.team)
    )
    with transaction.atomic():
        type(row).objects.filter(pk=row.pk).update(**changed)
        action = f"{kind}.renamed" if "name" in changed else f"{kind}.described"
        audit.record(team, by, action, str(details["name"]), old=row.name)


def create_first_projects(user: User, **_: object) -> None:
    """On sign-up: a project in each of the person's teams that has none, ready for an upload."""
    for team in Team.objects.filter(memberships__user=user):
        if not Project.objects.filter(team=team).exists():
            create_project(team, translated(FIRST_PROJECT_NAME), user)
