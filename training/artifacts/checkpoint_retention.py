"""Which saved states are kept, and for how long.

While a job may go on: its newest checkpoint and its best one, of a language model the newest
ANSWERING_CHECKPOINTS, since those can answer by themselves. After a failure or a cancel they stay
for CHECKPOINT_RETENTION_DAYS, so that it can be restarted; after a success those of language models
do, and the others go at once, because the model holds the result. What an unfinished restart starts
from, or an endpoint answers with, is never deleted.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from projects import storage
from training.artifacts.storage import checkpoint_folder
from training.models import UNFINISHED_STATUSES, Checkpoint, Status, TrainingJob
from web.browser.parts import uses_of

ANSWERING_TASK = "text-generation"
ANSWERING_CHECKPOINTS = 3


def delete_superseded(job_id: UUID) -> None:
    """Keep the newest and the best; the newest folder holds the best weights as well."""
    checkpoints = list(Checkpoint.objects.kept().filter(job=job_id).order_by("-step", "-pk"))
    best = next((one for one in checkpoints if one.is_best), None)
    spared = ANSWERING_CHECKPOINTS if _can_answer(job_id) else 1
    for checkpoint in checkpoints[spared:]:
        if checkpoint != best:
            delete_checkpoint(checkpoint)


def _can_answer(job_id: UUID) -> bool:
    """Whether the saved states of this job can be asked under names of their own."""
    return TrainingJob.objects.filter(pk=job_id, task=ANSWERING_TASK, source_model=None).exists()


def delete_if_expired(job_id: UUID) -> None:
    """Free the storage of a job that has its model, or whose time to be restarted is over."""
    job = TrainingJob.objects.get(pk=job_id)
    if not _is_expired(job):
        return
    remaining = [one for one in job.checkpoints.kept() if not delete_checkpoint(one)]
    if not remaining:
        storage.delete(checkpoint_folder(job_id))  # Also what a killed worker left half stored.


def delete_expired() -> int:
    """Free what is past its time. Returns how many jobs were looked at."""
    over = TrainingJob.objects.filter(finished_at__lt=_retention_cutoff())
    ids = set(over.filter(checkpoints__in=Checkpoint.objects.kept()).values_list("pk", flat=True))
    for job_id in ids:
        delete_if_expired(job_id)
    return len(ids)


def _retention_cutoff() -> datetime:
    return now() - timedelta(days=settings.CHECKPOINT_RETENTION_DAYS)


def _is_expired(job: TrainingJob) -> bool:
    if job.status == Status.SUCCEEDED and not _can_answer(job.pk):
        return True
    return job.finished_at is not None and job.finished_at < _retention_cutoff()


def delete_checkpoint(checkpoint: Checkpoint) -> bool:
    """Mark, then delete; False when a restart needs it. The lock is `actions.restart`'s, too."""
    with transaction.atomic():
        locked = Checkpoint.objects.kept().select_for_update(of=("self",)).filter(pk=checkpoint.pk)
        if (
            not locked.exists()
            or checkpoint.restarts.filter(status__in=UNFINISHED_STATUSES).exists()
            or uses_of("checkpoint", checkpoint)
        ):
            return False
        Checkpoint.objects.filter(pk=checkpoint.pk).update(deleted_at=now())
    storage.delete(checkpoint.storage_key)
    return True
