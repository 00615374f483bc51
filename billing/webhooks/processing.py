"""Carrying out kept messages: claim one, do it, note what became of it."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from billing import stripe_gateway as gateway
from billing.alerts import alert
from billing.models import WebhookEvent
from billing.stripe_errors import StripeFailure
from billing.webhooks.effects import SNAPSHOT_EFFECTS, THIN_EFFECTS

log = logging.getLogger(__name__)
Status = WebhookEvent.Status
CLAIM = timedelta(minutes=5)  # A worker that died with a message lets it go after so long.
LONGEST_WAIT = timedelta(hours=1)
MOST_ATTEMPTS = 80  # About three days.


def process_due(most: int = 500) -> int:
    """Carry out every message that is due; returns how many were taken up."""
    if not gateway.is_on():
        return 0
    done = 0
    while done < most and (event := _claim()) is not None:
        _carry_out(event)
        done += 1
    return done


@transaction.atomic
def _claim() -> WebhookEvent | None:
    """One due message that is nobody else's. The claim is its next due time."""
    event = WebhookEvent.objects.due().select_for_update(skip_locked=True).first()
    if event is not None:
        rows = WebhookEvent.objects.filter(pk=event.pk)
        rows.update(next_at=now() + CLAIM, attempts=F("attempts") + 1)
        event.attempts += 1
    return event


def _carry_out(event: WebhookEvent) -> None:
    """No transaction around this: effects ask Stripe, and open their own when they write."""
    is_snapshot = event.endpoint == WebhookEvent.Endpoint.SNAPSHOT
    if is_snapshot and event.api_version not in {gateway.api_version(), ""}:
        _refuse(event)
        return
    effect = (SNAPSHOT_EFFECTS if is_snapshot else THIN_EFFECTS).get(event.type)
    if effect is None:
        _end(event, Status.IGNORED)
        return
    try:
        effect(event)
    except StripeFailure as failure:
        _try_later(event, failure.sentence)
    except Exception as error:  # The top of a worker: one bad message must not stop the others.
        log.exception("Carrying out %s failed", event)
        _try_later(event, f"{type(error).__name__}: {error}")
    else:
        _end(event, Status.DONE)


def _end(event: WebhookEvent, status: WebhookEvent.Status) -> None:
    _mark(event, status=status, processed_at=now(), error="")


def _refuse(event: WebhookEvent) -> None:
    made_for, ours = event.api_version, gateway.api_version()
    sentence = f"made for API version {made_for}, but this installation speaks {ours}"
    _mark(event, status=Status.REFUSED, error=sentence)
    alert(
        f"api-version:{made_for}",
        f"Stripe's webhook endpoint sends events {sentence}. They are kept and not carried out. "
        f"Make the endpoint anew with api_version={ours}, then replay them in the admin.",
    )


def _try_later(event: WebhookEvent, error: str) -> None:
    if event.attempts >= MOST_ATTEMPTS:
        _mark(event, status=Status.FAILED, error=error)
        alert(
            f"webhook:{event.pk}",
            f"Stripe's message {event.pk} ({event.type}) could not be carried out: {error}. "
            "Repair the cause and replay it in the admin.",
        )
        return
    wait = min(LONGEST_WAIT, timedelta(seconds=5 * 2 ** min(event.attempts, 12)))
    _mark(event, next_at=now() + wait, error=error)


def _mark(event: WebhookEvent, **facts: object) -> None:
    """Guarded: a message that was replayed meanwhile (attempts restarted) is left alone."""
    rows = WebhookEvent.objects.filter(pk=event.pk, status=Status.WAITING, attempts=event.attempts)
    rows.update(**facts)
