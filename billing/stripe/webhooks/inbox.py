"""Storing Stripe's events, each once; finding the ones that never reached us."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing.models import WebhookEvent
from billing.stripe import gateway
from billing.stripe.dtos import StripeEventData
from billing.stripe.webhooks.handlers import SNAPSHOT_HANDLERS, THIN_HANDLERS
from web.enqueue import enqueue_on_commit

Endpoint, Status = WebhookEvent.Endpoint, WebhookEvent.Status
LOOKBACK = timedelta(days=3)  # As long as Stripe itself keeps trying to deliver.
MAX_EVENT_TYPES = 20  # What one call of Stripe's event list takes.
PROCESS = "billing.tasks.process_webhooks"


def receive(events: list[StripeEventData], endpoint: WebhookEvent.Endpoint) -> None:
    """Store events and have them handled at once; one that is known already stays as it is."""
    rows = [
        WebhookEvent(
            id=event.id,
            endpoint=endpoint,
            type=event.type[:100],
            api_version=event.api_version[:40],
            created_at=event.created,
            payload=event.payload,
        )
        for event in events
    ]
    WebhookEvent.objects.bulk_create(rows, ignore_conflicts=True)
    enqueue_on_commit(PROCESS)


def fetch_missed_events() -> int:
    """Ask Stripe for the events of the last days; returns how many had not reached us."""
    if not gateway.is_enabled():
        return 0
    since, types = now() - LOOKBACK, sorted(SNAPSHOT_HANDLERS)
    calls = [
        (
            Endpoint.SNAPSHOT,
            gateway.list_events_since(since, types[start : start + MAX_EVENT_TYPES]),
        )
        for start in range(0, len(types), MAX_EVENT_TYPES)
    ]
    calls.append((Endpoint.THIN, gateway.list_thin_events_since(since, sorted(THIN_HANDLERS))))
    count = 0
    for endpoint, listed in calls:
        events = list(listed)
        known = WebhookEvent.objects.in_bulk([event.id for event in events])
        # The list shows events in the account's own version, which says nothing about an endpoint.
        missed = [
            event.model_copy(update={"api_version": ""})
            for event in reversed(events)
            if event.id not in known
        ]
        receive(missed, endpoint)
        count += len(missed)
    return count


@transaction.atomic
def replay(event: WebhookEvent, by: User) -> None:
    """Handle the event again. Effects are keyed, so what it did before is not done twice."""
    WebhookEvent.objects.filter(pk=event.pk).update(
        status=Status.WAITING, next_at=Now(), processed_at=None, attempts=0, error=""
    )
    audit.record(None, by, "webhook.replayed", event.pk, type=event.type)
    enqueue_on_commit(PROCESS)
