"""Batches as clients steer them: begun and cancelled."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from inference.errors import BatchIsOver, NoSuchObject
from inference.models import ApiFile, Batch, BatchStatus, Purpose
from web.enqueue import enqueue_on_commit

WINDOW = timedelta(hours=24)
TASK = "inference.tasks.work_on_batches"


@transaction.atomic
def begin(
    token: ApiToken, file: ApiFile, *, endpoint: str, window: str, metadata: dict[str, str] | None
) -> Batch:
    """Queue the file's requests. Raises NoSuchObject for a file of another purpose."""
    if file.purpose != Purpose.BATCH:
        raise NoSuchObject(
            "input_file_id must name a file with the purpose 'batch'.", param="input_file_id"
        )
    batch = Batch.objects.create(
        team=token.team,
        created_by=person_behind(token),
        token=token,
        endpoint=endpoint,
        completion_window=window,
        input_file=file,
        metadata=metadata,
        expires_at=now() + WINDOW,
    )
    audit.record(token.team, token, "batch.created", file.filename, batch=str(batch.pk))
    enqueue_on_commit(TASK)
    return batch


def cancel(batch: Batch, by: User | ApiToken) -> Batch:
    """Ask for no more lines; what was answered is kept. Raises BatchIsOver."""
    stoppable = [BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS]
    with transaction.atomic():
        changed = Batch.objects.filter(pk=batch.pk, status__in=stoppable).update(
            status=BatchStatus.CANCELLING, cancelling_at=now(), next_at=now()
        )
        if not changed:
            raise BatchIsOver
        audit.record(batch.team, by, "batch.cancelled", str(batch.pk), batch=str(batch.pk))
        enqueue_on_commit(TASK)
    batch.refresh_from_db()
    return batch
