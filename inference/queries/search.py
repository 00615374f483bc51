"""Finds a team's things and pages by part of their names, or by a tag."""

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Found:
    """One thing or page, with where it is."""

    name: str
    kind: str
    url: str
    icon: str


def search(team: Team, text: str) -> list[Found]:
    """Pages and things whose name contains the text; without text, the pages."""
    text = text.strip()
    pages = [
        Found(name, "Page", reverse(view, args=[team.slug]), picture)
        for name, view, picture in PAGES
        if text.lower() in name.lower()
    ]
    return pages if len(text) < MIN_LETTERS else [*_find_things(team, text), *pages]


def _find_things(team: Team, text: str) -> Iterator[Found]:
    of_this = Q(name__icontains=text) | Q(tags__contains=[text])
    datasets = Dataset.objects.filter(
        of_this, project__team=team, archived_at=None, project__archived_at=None
    )
    jobs = TrainingJob.objects.not_in_trash().filter(of_this, team=team)
    models = TrainedModel.objects.not_in_trash().filter(of_this, team=team)
    endpoints = Deployment.objects.serving().filter(team=team, name__icontains=text)
    projects = Project.objects.active().filter(team=team, name__icontains=text)
    for rows, kind, view, picture in (
        (datasets, "Dataset", "projects:dataset", "data"),
        (jobs, "Fine-tune", "training:job", "tune"),
        (models, "Model", "training:model", "model"),
        (endpoints, "Endpoint", "inference:deployment", "endpoint"),
        (projects, "Project", "projects:project", "home"),
    ):
        for pk, name in rows.values_list("pk", "name")[:MAX_OF_A_KIND]:
            yield Found(name, kind, reverse(view, args=[pk]), picture)
