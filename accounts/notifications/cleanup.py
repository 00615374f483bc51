"""Deleting old notices and webhook deliveries."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts.models import Notice, WebhookDelivery, WebhookEndpoint

BATCH_SIZE = 1000


def delete_old() -> int:
    """Delete what is older than NOTICE_DAYS and no longer waits; returns how many rows."""
    before = now() - timedelta(days=settings.NOTICE_DAYS)
    deliveries = WebhookDelivery.objects.filter(created_at__lt=before, next_at=None)
    notices = Notice.objects.filter(created_at__lt=before, fanned_out_at__isnull=False)
    deleted = _delete_in_batches(deliveries) + _delete_in_batches(notices)
    return deleted + _delete_in_batches(
        WebhookEndpoint.objects.filter(deleted_at__lt=before, deliveries=None)
    )


def _delete_in_batches(rows: QuerySet[Any]) -> int:
    """In batches, because one huge DELETE would hold its locks for long."""
    total = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH_SIZE]):
        total += rows.model._default_manager.filter(pk__in=batch).delete()[0]
    return total
