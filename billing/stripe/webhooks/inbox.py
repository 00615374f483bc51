"""Stores Stripe's events, each once, and fetches events that did not arrive."""

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
LOOKBACK = timedelta(days=3)  # As long as Stripe tries to deliver an event.
MAX_EVENT_TYPES = 20  # Of one call of Stripe's event list.
PROCESS = "billing.tasks.process_webhooks"


def receive(events: list[StripeEventData], endpoint: WebhookEvent.Endpoint) -> None:
    """Store events and have them handled at once; an event that is stored already is ignored."""
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
    """Fetch the events of LOOKBACK from Stripe; returns how many had not arrived."""
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
        stored = WebhookEvent.objects.in_bulk([event.id for event in events])
        # The list has events in the account's own API version, not in that of our endpoint.
        missed = [
            event.model_copy(update={"api_version": ""})
            for event in reversed(events)
            if event.id not in stored
        ]
        receive(missed, endpoint)
        count += len(missed)
    return count


@transaction.atomic
def replay(event: WebhookEvent, by: User) -> None:
    """Have an event handled again. Effects have keys, so that none happens twice."""
    WebhookEvent.objects.filter(pk=event.pk).update(
        status=Status.WAITING, next_at=Now(), processed_at=None, attempts=0, error=""
    )
    audit.record(None, by, "webhook.replayed", event.pk, type=event.type)
    enqueue_on_commit(PROCESS)
