"""The trash of a team: all removed objects that can still be restored, latest removed first."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from accounts.models import Team
from inference.models import Deployment
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob
from web.browser.trash import TRASH_DAYS, restorable_since

MAX_OF_A_KIND = 100


@dataclass(frozen=True)
class TrashItem:
    """One removed object, with the name of the view that restores it."""

    kind: str
    name: str
    id: UUID
    removed_at: datetime
    project: str
    restore_view: str

    @property
    def gone_at(self) -> datetime:
        """From when on it cannot be restored."""
        return self.removed_at + timedelta(days=TRASH_DAYS)


_sources: list[Callable[[Team], Iterable[TrashItem]]] = []


def register_trash(source: Callable[[Team], Iterable[TrashItem]]) -> None:
    """List what apps above have in the trash, too; called from an app's `ready()`."""
    if source not in _sources:
        _sources.append(source)


def list_trash(team: Team) -> list[TrashItem]:
    since = restorable_since()
    projects = Project.objects.filter(team=team, archived_at__gte=since)
    datasets = Dataset.objects.filter(project__team=team, archived_at__gte=since)
    jobs = TrainingJob.objects.filter(team=team, archived_at__gte=since).defer("log_tail")
    models = TrainedModel.objects.filter(team=team, archived_at__gte=since)
    endpoints = Deployment.objects.filter(team=team, retired_at__gte=since)
    items = [
        *_items("Project", projects, "projects:restore-project"),
        *_items("Dataset", datasets.select_related("project"), "projects:restore-dataset"),
        *_items("Fine-tune", jobs.select_related("project"), "training:restore-job"),
        *_items("Model", models.select_related("project"), "training:restore-model"),
        *_items("Endpoint", endpoints.select_related("project"), "inference:restore"),
        *(item for source in _sources for item in list(source(team))[:MAX_OF_A_KIND]),
    ]
    return sorted(items, key=lambda item: item.removed_at, reverse=True)


def _items(
    kind: str,
    rows: "Iterable[Project | Dataset | TrainingJob | TrainedModel | Deployment]",
    restore_view: str,
) -> list[TrashItem]:
    items = []
    for row in list(rows)[:MAX_OF_A_KIND]:
        removed_at = row.retired_at if isinstance(row, Deployment) else row.archived_at
        assert removed_at is not None  # The rows were chosen by it.
        project = "" if isinstance(row, Project) else row.project.name
        items.append(TrashItem(kind, row.name, row.pk, removed_at, project, restore_view))
    return items
