"""Moves finished fine-tunes and models to the trash and back, says what they are used for, and
changes what they are called."""

from typing import TypeVar

from django.db import transaction
from django.db.models import Model, Q
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob
from web.browser.details import changed_details
from web.browser.parts import uses_of
from web.browser.trash import require_restorable, require_unused

Removable = TypeVar("Removable", TrainedModel, TrainingJob)
MAX_NAMED = 5


def archive(thing: Removable, by: User) -> None:
    """Move it to the trash. Raises StillInUse, which names what uses it."""
    kind = "model" if isinstance(thing, TrainedModel) else "job"
    require_unused(thing.name, uses_of(kind, thing))
    with transaction.atomic():
        if type(thing).objects.filter(pk=thing.pk, archived_at=None).update(archived_at=now()):
            audit.record(thing.team, by, f"{kind}.archived", thing.name, id=str(thing.pk))


def restore(thing: Removable, by: User) -> None:
    """Bring it back from the trash. Raises TooLateToRestore."""
    require_restorable(thing.archived_at)
    kind = "model" if isinstance(thing, TrainedModel) else "job"
    with transaction.atomic():
        if (
            type(thing)
            .objects.filter(pk=thing.pk, archived_at__isnull=False)
            .update(archived_at=None)
        ):
            audit.record(thing.team, by, f"{kind}.restored", thing.name, id=str(thing.pk))


def unfinished_jobs_of(thing: Model) -> list[str]:
    """Fine-tunes that are under way with a project, a dataset, or are the thing itself."""
    jobs = TrainingJob.objects.unfinished().order_by("-created_at")
    if isinstance(thing, Project):
        jobs = jobs.filter(project=thing)
    elif isinstance(thing, Dataset):
        jobs = jobs.filter(dataset_version__dataset=thing)
    elif isinstance(thing, TrainedModel):
        jobs = jobs.filter(Q(source_model=thing) | Q(initial_model=thing))
    else:
        jobs = jobs.filter(pk=thing.pk)
    return [
        f"The fine-tune “{job.name}” is {job.get_status_display().lower()}: cancel it or wait."
        for job in jobs[:MAX_NAMED]
    ]


def change_details(thing: Removable, details: dict[str, object], by: User) -> None:
    """Give it another name, tags or notes; what is made from it keeps its own name."""
    changed = changed_details(thing, details)
    if not changed:
        return
    kind = "model" if isinstance(thing, TrainedModel) else "job"
    with transaction.atomic():
        type(thing).objects.filter(pk=thing.pk).update(**changed)
        action = f"{kind}.renamed" if "name" in changed else f"{kind}.described"
        name = str(details["name"])
        audit.record(thing.team, by, action, name, old=thing.name, id=str(thing.pk))
