"""Moves finished fine-tunes and models to the trash and back, says what they are used for, and
changes what they are called."""

from typing import TypeVar

from django.db import transaction
from django.db.models import Model, Q
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob
from web.browser.details import changed_details
from web.browser.parts import uses_of
from web.browser.trash import require_restorable, require_unused

Removable = TypeVar("Removable", TrainedModel, TrainingJob)
MAX_NAMED = 5


def archive(row: Removable, by: User | ApiToken) -> None:
    """Move it to the trash. Raises StillInUse, which names what uses it."""
    kind = "model" if isinstance(row, TrainedModel) else "job"
    require_unused(row.name, uses_of(kind, row))
    with transaction.atomic():
        if type(row).objects.filter(pk=row.pk, archived_at=None).update(archived_at=now()):
            audit.record(row.team, by, f"{kind}.archived", row.name, id=str(row.pk))


def restore(row: Removable, by: User | ApiToken) -> None:
    """Bring it back from the trash. Raises TooLateToRestore."""
    require_restorable(row.archived_at)
    kind = "model" if isinstance(row, TrainedModel) else "job"
    with transaction.atomic():
        if type(row).objects.filter(pk=row.pk, archived_at__isnull=False).update(archived_at=None):
            audit.record(row.team, by, f"{kind}.restored", row.name, id=str(row.pk))


def unfinished_jobs_of(row: Model) -> list[str]:
    """Fine-tunes that are under way with a project, a dataset, or are the thing itself."""
    jobs = TrainingJob.objects.unfinished().order_by("-created_at")
    if isinstance(row, Project):
        jobs = jobs.filter(project=row)
    elif isinstance(row, Dataset):
        jobs = jobs.filter(dataset_version__dataset=row)
    elif isinstance(row, TrainedModel):
        jobs = jobs.filter(Q(source_model=row) | Q(initial_model=row))
    else:
        jobs = jobs.filter(pk=row.pk)
    return [
        f"The fine-tune “{job.name}” is {job.get_status_display().lower()}: cancel it or wait."
        for job in jobs[:MAX_NAMED]
    ]


def change_details(row: Removable, details: dict[str, object], by: User | ApiToken) -> None:
    """Give it another name, tags or notes; what is made from it keeps its own name."""
    changed = changed_details(row, details)
    if not changed:
        return
    kind = "model" if isinstance(row, TrainedModel) else "job"
    with transaction.atomic():
        type(row).objects.filter(pk=row.pk).update(**changed)
        action = f"{kind}.renamed" if "name" in changed else f"{kind}.described"
        name = str(details["name"])
        audit.record(row.team, by, action, name, old=row.name, id=str(row.pk))
