"""Finds a team's objects and pages by part of their names, or by a tag."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from accounts.models import Team
from inference.models import Deployment
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob

MAX_OF_A_KIND = 5
MIN_LETTERS = 2
# Pages of a team: what they are called, where they are, and their icon.
PAGES = [
    ("Overview", "projects:overview", "home"),
    ("Datasets", "projects:datasets", "data"),
    ("Fine-tunes", "training:jobs", "tune"),
    ("Models", "training:models", "model"),
    ("Endpoints", "inference:deployments", "endpoint"),
    ("API tokens", "accounts:tokens", "key"),
    ("Usage & billing", "billing:usage", "money"),
    ("Team", "accounts:members", "team"),
    ("Notifications", "accounts:notices", "bell"),
    ("Trash", "inference:trash", "trash"),
]


# Of apps above: (kind, its page, its icon, what finds (key, name) of a team's by part of a name).
Finder = Callable[[Team, str], Iterable[tuple[UUID, str]]]
_kinds: list[tuple[str, str, str, Finder]] = []


def register_kind(kind: str, view: str, icon: str, find: Finder) -> None:
    """Find things of this kind, too; `view` is the page of one."""
    _kinds.append((kind, view, icon, find))


def register_page(name: str, view: str, icon: str) -> None:
    """Find this page of a team, too."""
    PAGES.append((name, view, icon))


@dataclass(frozen=True)
class SearchResult:
    """One object or page of a team, with its address."""

    name: str
    kind: str
    url: str
    icon: str


def search(team: Team, text: str) -> list[SearchResult]:
    """Objects and pages whose name contains the text in any case, and objects with it as a tag; for
    fewer than MIN_LETTERS, pages only."""
    text = text.strip()
    pages = [
        SearchResult(name, "Page", reverse(view, args=[team.slug]), picture)
        for name, view, picture in PAGES
        if text.lower() in name.lower()
    ]
    return pages if len(text) < MIN_LETTERS else [*_find_objects(team, text), *pages]


def _find_objects(team: Team, text: str) -> Iterator[SearchResult]:
    matches = Q(name__icontains=text) | Q(tags__contains=[text])
    datasets = Dataset.objects.filter(
        matches, project__team=team, archived_at=None, project__archived_at=None
    )
    jobs = TrainingJob.objects.not_in_trash().filter(matches, team=team)
    models = TrainedModel.objects.not_in_trash().filter(matches, team=team)
    endpoints = Deployment.objects.serving().filter(team=team, name__icontains=text)
    projects = Project.objects.active().filter(matches, team=team)
    for rows, kind, view, picture in (
        (datasets, "Dataset", "projects:dataset", "data"),
        (jobs, "Fine-tune", "training:job", "tune"),
        (models, "Model", "training:model", "model"),
        (endpoints, "Endpoint", "inference:deployment", "endpoint"),
        (projects, "Project", "projects:project", "home"),
    ):
        for pk, name in rows.values_list("pk", "name")[:MAX_OF_A_KIND]:
            yield SearchResult(name, kind, reverse(view, args=[pk]), picture)
    for kind, view, picture, find in _kinds:
        for pk, name in list(find(team, text))[:MAX_OF_A_KIND]:
            yield SearchResult(name, kind, reverse(view, args=[pk]), picture)
