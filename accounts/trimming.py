"""Forgetting notices and deliveries after a while."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts.models import Notice, WebhookDelivery, WebhookEndpoint

BATCH = 1000


def trim() -> int:
    """Delete what is older than NOTICE_DAYS and no longer waits; how many rows."""
    before = now() - timedelta(days=settings.NOTICE_DAYS)
    deliveries = WebhookDelivery.objects.filter(created_at__lt=before, next_at=None)
    notices = Notice.objects.filter(created_at__lt=before, fanned_out_at__isnull=False)
    gone = _delete(deliveries) + _delete(notices)
    return gone + _delete(WebhookEndpoint.objects.filter(deleted_at__lt=before, deliveries=None))


def _delete(rows: QuerySet[Any]) -> int:
    """In batches: one huge delete would hold its locks for long."""
    total = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        total += rows.model._default_manager.filter(pk__in=batch).delete()[0]
    return total
