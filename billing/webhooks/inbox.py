"""Keeping what Stripe tells us, each message once; finding the ones that never reached us."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing import stripe_gateway as gateway
from billing.models import WebhookEvent
from billing.stripe_facts import EventFacts
from billing.tasks import process_webhooks
from billing.webhooks.effects import SNAPSHOT_EFFECTS, THIN_EFFECTS

Endpoint, Status = WebhookEvent.Endpoint, WebhookEvent.Status
SWEPT = timedelta(days=3)  # As long as Stripe itself keeps trying to deliver.
MOST_TYPES = 20  # What one call of Stripe's event list takes.


def receive(event: EventFacts, endpoint: WebhookEvent.Endpoint) -> None:
    """Keep the message if it is new, and say that there is work."""
    keep([event], endpoint)
    nudge()


def keep(events: list[EventFacts], endpoint: WebhookEvent.Endpoint) -> None:
    """INSERT … ON CONFLICT DO NOTHING: a message that is known already stays as it is."""
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


def nudge() -> None:
    """Processing starts at once; if this message is lost, beat's next tick finds the work."""
    transaction.on_commit(
        lambda: process_webhooks.apply_async(expires=60, retry=False), robust=True
    )


def sweep() -> int:
    """Ask Stripe for the events of the last days; returns how many had not reached us."""
    if not gateway.is_on():
        return 0
    found = _sweep(Endpoint.SNAPSHOT, gateway.events_since, sorted(SNAPSHOT_EFFECTS))
    found += _sweep(Endpoint.THIN, gateway.thin_events_since, sorted(THIN_EFFECTS))
    if found:
        nudge()
    return found


def _sweep(
    endpoint: WebhookEvent.Endpoint,
    events_since: Callable[[datetime, list[str]], Iterator[EventFacts]],
    types: list[str],
) -> int:
    found = 0
    for start in range(0, len(types), MOST_TYPES):
        events = list(events_since(now() - SWEPT, types[start : start + MOST_TYPES]))
        known = WebhookEvent.objects.in_bulk([event.id for event in events])
        # The list shows events in the account's own version, which says nothing about an endpoint.
        missed = [replace(one, api_version="") for one in reversed(events) if one.id not in known]
        keep(missed, endpoint)
        found += len(missed)
    return found


@transaction.atomic
def replay(event: WebhookEvent, by: User) -> None:
    """Carry the message out again. Effects are keyed, so what it did before is not done twice."""
    WebhookEvent.objects.filter(pk=event.pk).update(
        status=Status.WAITING, next_at=Now(), processed_at=None, attempts=0, error=""
    )
    audit.record(None, by, "webhook.replayed", event.pk, type=event.type)
    nudge()
