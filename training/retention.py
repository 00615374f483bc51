"""Which saved states are kept, and for how long.

While a job may go on: its newest checkpoint and its best one. After a failure or a cancel they
stay for CHECKPOINT_RETENTION_DAYS, so that it can be restarted; after a success they go at once,
because the model holds the result. What an unfinished restart starts from is never deleted.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from projects import storage
from training.models import UNFINISHED, Checkpoint, Status, TrainingJob


def folder_of(job_id: UUID) -> str:
    """Where a job's checkpoints lie in storage."""
    return f"checkpoints/{job_id}"


def delete_superseded(job_id: UUID) -> None:
    """Keep the newest and the best; the newest folder holds the best weights as well."""
    kept = list(Checkpoint.objects.kept().filter(job=job_id).order_by("-step", "-pk"))
    best = next((one for one in kept if one.is_best), None)
    for checkpoint in kept[1:]:
        if checkpoint != best:
            delete(checkpoint)


def free_if_done(job_id: UUID) -> None:
    """Free the storage of a job that has its model, or whose time to be restarted is over."""
    job = TrainingJob.objects.get(pk=job_id)
    if not _is_needless(job):
        return
    remaining = [one for one in job.checkpoints.kept() if not delete(one)]
    if not remaining:
        storage.delete(folder_of(job_id))  # Also what a killed worker left half stored.


def sweep() -> int:
    """Free what is past its time. Returns how many jobs were looked at."""
    over = TrainingJob.objects.filter(finished_at__lt=_kept_since())
    ids = set(over.filter(checkpoints__in=Checkpoint.objects.kept()).values_list("pk", flat=True))
    for job_id in ids:
        free_if_done(job_id)
    return len(ids)


def _kept_since() -> datetime:
    return now() - timedelta(days=settings.CHECKPOINT_RETENTION_DAYS)


def _is_needless(job: TrainingJob) -> bool:
    if job.status == Status.SUCCEEDED:
        return True
    return job.finished_at is not None and job.finished_at < _kept_since()


def delete(checkpoint: Checkpoint) -> bool:
    """Mark, then delete; False when a restart needs it. The lock is `again.restart`'s, too."""
    with transaction.atomic():
        locked = Checkpoint.objects.kept().select_for_update(of=("self",)).filter(pk=checkpoint.pk)
        if not locked.exists() or checkpoint.restarts.filter(status__in=UNFINISHED).exists():
            return False
        Checkpoint.objects.filter(pk=checkpoint.pk).update(deleted_at=now())
    storage.delete(checkpoint.storage_key)
    return True
