"""Deletes for good the models and fine-tunes that were in the trash for too long."""

import logging

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from projects import storage
from projects.purge import MAX_AT_ONCE, in_trash_too_long
from training.artifacts.storage import checkpoint_folder
from training.models import (
    Analysis,
    Checkpoint,
    Evaluation,
    JobEvent,
    MetricPoint,
    TrainedModel,
    TrainingJob,
)

logger = logging.getLogger(__name__)


def purge_models() -> int:
    """Delete files, reports and answers; the row stays for what was paid. Returns how many."""
    due = TrainedModel.objects.filter(in_trash_too_long(), purged_at=None).select_related("team")
    purged = list(due.order_by("pk")[:MAX_AT_ONCE])
    for model in purged:
        storage.delete(model.artifact_key)
        with transaction.atomic():
            if TrainedModel.objects.filter(pk=model.pk, purged_at=None).update(
                purged_at=now(), manifest={}, artifact_bytes=0, tags=[], notes=""
            ):
                Evaluation.objects.filter(model=model).delete()  # They quote test rows.
                Analysis.objects.filter(model=model).delete()
                audit.record(model.team, None, "model.purged", model.name, id=str(model.pk))
        logger.info("Deleted model %s from the trash", model.pk)
    return len(purged)


def purge_jobs() -> int:
    """Delete saved states, log, events and curves; cost and settings stay. Returns how many."""
    due = TrainingJob.objects.filter(
        in_trash_too_long(), purged_at=None, finished_at__isnull=False
    ).select_related("team")
    purged = list(due.order_by("pk")[:MAX_AT_ONCE])
    for job in purged:
        storage.delete(checkpoint_folder(job.pk))
        with transaction.atomic():
            if TrainingJob.objects.filter(pk=job.pk, purged_at=None).update(
                purged_at=now(), log_tail="", tags=[], notes=""
            ):
                Checkpoint.objects.filter(job=job, deleted_at=None).update(deleted_at=now())
                MetricPoint.objects.filter(job=job).delete()
                JobEvent.objects.filter(job=job).delete()
                audit.record(job.team, None, "job.purged", job.name, id=str(job.pk))
        logger.info("Deleted what fine-tune %s left, from the trash", job.pk)
    return len(purged)
