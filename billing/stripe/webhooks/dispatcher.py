"""Handles stored events: claims one, runs its handler, and stores the outcome."""

import logging
from datetime import timedelta

from django.utils.timezone import now

from billing.models import WebhookEvent
from billing.stripe import gateway
from billing.stripe.errors import StripeFailure
from billing.stripe.operator_alerts import raise_alert
from billing.stripe.webhooks.handlers import SNAPSHOT_HANDLERS, THIN_HANDLERS
from web.row_queue import claim_rows, retry_at, update_claimed

logger = logging.getLogger(__name__)
Status = WebhookEvent.Status
VISIBILITY_TIMEOUT = timedelta(minutes=5)  # An event whose worker died is due again after this.
RETRY_DELAYS = (10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600)
MAX_ATTEMPTS = 80  # About three days.


def process_due(limit: int = 500) -> int:
    """Handle every event that is due; returns how many were claimed."""
    if not gateway.is_enabled():
        return 0
    handled = 0
    while handled < limit:
        claim_until = now() + VISIBILITY_TIMEOUT
        claimed = claim_rows(WebhookEvent.objects.due(), limit=1, next_at=claim_until)
        if not claimed:
            break
        _dispatch(claimed[0])
        handled += 1
    return handled


def _dispatch(event: WebhookEvent) -> None:
    """Run the event's handler. Not in a transaction, as handlers call Stripe and open their own."""
    is_snapshot = event.endpoint == WebhookEvent.Endpoint.SNAPSHOT
    if is_snapshot and event.api_version not in {gateway.api_version(), ""}:
        made_for, ours = event.api_version, gateway.api_version()
        sentence = f"made for API version {made_for}, but this installation speaks {ours}"
        update_claimed(event, status=Status.REFUSED, error=sentence)
        raise_alert(
            f"api-version:{made_for}",
            f"Stripe's webhook endpoint sends events {sentence}. They are kept and not carried "
            f"out. Make the endpoint anew with api_version={ours}, then replay them in the admin.",
        )
        return
    if event.payload.get("livemode", gateway.is_live_mode()) != gateway.is_live_mode():
        ignored = "of the other mode than this installation's key"
        update_claimed(event, status=Status.IGNORED, processed_at=now(), error=ignored)
        return
    handler = (SNAPSHOT_HANDLERS if is_snapshot else THIN_HANDLERS).get(event.type)
    if handler is None:
        update_claimed(event, status=Status.IGNORED, processed_at=now(), error="")
        return
    try:
        handler(event)
    except StripeFailure as failure:
        _schedule_retry(event, failure.sentence)
    except Exception as error:  # One bad event must not stop the others.
        logger.exception("Handling %s failed", event)
        _schedule_retry(event, f"{type(error).__name__}: {error}")
    else:
        update_claimed(event, status=Status.DONE, processed_at=now(), error="")


def _schedule_retry(event: WebhookEvent, error: str) -> None:
    if event.attempts >= MAX_ATTEMPTS:
        update_claimed(event, status=Status.FAILED, error=error)
        raise_alert(
            f"webhook:{event.pk}",
            f"Stripe's message {event.pk} ({event.type}) could not be carried out: {error}. "
            "Repair the cause and replay it in the admin.",
        )
        return
    update_claimed(event, next_at=retry_at(event.attempts, RETRY_DELAYS), error=error)
