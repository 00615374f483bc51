"""Sending what is due, at least once: claim and commit, send, then write the outcome.

A worker that dies in between has already set the time of the next attempt, which carries the same
webhook-id. Attempts are spread over three days; an endpoint that failed all that time is disabled.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils.timezone import now

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.models.webhooks import CLAIM
from accounts.notices import tell
from accounts.sealing import unseal
from accounts.webhooks import posting, signing
from accounts.webhooks.posting import Answer
from web.alone import alone
from web.live import notify

MINUTE, HOUR = 60, 3600
# Seconds after the first, second … failed attempt; about three days in all.
PAUSES = (
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
MOST_ATTEMPTS = len(PAUSES) + 1
JITTER = 0.2  # Each pause is up to this share longer, so that many do not return at once.
PATIENCE = timedelta(days=3)  # Of failures only, after which an endpoint is disabled.
CLAIMED_FIELDS = ["attempts", "attempted_at", "answered_at", "next_at"]
BATCH, PER_ENDPOINT, THREADS = 24, 3, 8
LONGEST_SECONDS = 120.0  # Of one task; beat starts another.


def deliver_alone() -> None:
    """Deliver what is due, unless another process is doing so."""
    with alone("webhooks") as is_ours:
        if is_ours:
            deliver_due()


def deliver_due() -> int:
    """Attempt every delivery whose time has come; how many. Safe beside itself."""
    attempted, deadline = 0, time.monotonic() + LONGEST_SECONDS
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as threads:
        while time.monotonic() < deadline and (batch := _claim()):
            for delivery, answer in _sent(threads, batch):
                settle(delivery, answer)
            attempted += len(batch)
    return attempted


@transaction.atomic
def _claim() -> list[WebhookDelivery]:
    """Take some due deliveries, few per endpoint, so that a slow one does not hold up others."""
    place = Window(RowNumber(), partition_by=F("endpoint"), order_by="next_at")
    fair = WebhookDelivery.objects.due().annotate(place=place).filter(place__lte=PER_ENDPOINT)
    wanted = list(fair.order_by("next_at").values_list("pk", flat=True)[:BATCH])
    rows = WebhookDelivery.objects.due().filter(pk__in=wanted).select_related("endpoint__team")
    claimed = list(rows.select_for_update(skip_locked=True, of=("self",), no_key=True))
    for delivery in claimed:
        delivery.attempts += 1
        delivery.attempted_at, delivery.answered_at = now(), None
        delivery.next_at = max(_next(delivery.attempts), now() + CLAIM)
    WebhookDelivery.objects.bulk_update(claimed, CLAIMED_FIELDS)
    return claimed


def _sent(
    threads: ThreadPoolExecutor, batch: list[WebhookDelivery]
) -> Iterator[tuple[WebhookDelivery, Answer]]:
    """Threads only send: rows are read before and written after, on this thread's connection."""
    under_way: dict[Future[Answer], WebhookDelivery] = {}
    for delivery in batch:
        try:
            keys = keys_of(delivery.endpoint)
        except InvalidToken:
            yield delivery, Answer(error="The secret cannot be read. Rotate it on the page.")
            continue
        headers = signing.headers(
            keys, event_id=delivery.event_id, timestamp=int(time.time()), body=delivery.body
        )
        sending = threads.submit(posting.post, delivery.endpoint.url, headers, delivery.body)
        under_way[sending] = delivery
    for done in as_completed(under_way):
        yield under_way[done], done.result()


def keys_of(endpoint: WebhookEndpoint) -> list[str]:
    """The secrets to sign with: the current one and, for a day after a rotation, the old one."""
    sealed = [endpoint.sealed_secret]
    if endpoint.old_secret_until and endpoint.old_secret_until > now():
        sealed.append(endpoint.old_sealed_secret)
    return [unseal(one) for one in sealed]


@transaction.atomic
def settle(delivery: WebhookDelivery, answer: Answer) -> None:
    """Write what came of this attempt and what it says about the endpoint."""
    # The endpoint first, as everywhere: two workers must not wait for each other.
    WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=delivery.endpoint_id)
    facts: dict[str, Any] = {
        "answered_at": now(),
        "status_code": answer.status,
        "excerpt": answer.excerpt,
        "error": answer.error,
        "milliseconds": answer.milliseconds,
    }
    if answer.is_success:
        facts |= {"delivered_at": now(), "next_at": None}
    elif delivery.attempts >= MOST_ATTEMPTS:
        facts |= {"failed_at": now(), "next_at": None}
    else:
        facts |= {"next_at": _next(delivery.attempts)}
    if delivery.move(**facts):
        _judge(delivery.endpoint, answer)
    notify(channel_of(delivery.endpoint))


def _judge(endpoint: WebhookEndpoint, answer: Answer) -> None:
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if answer.is_success:
        rows.filter(failing_since__isnull=False).update(failing_since=None)
        return
    rows.filter(failing_since=None).update(failing_since=now())
    if answer.status == 410:
        _disable(endpoint, "It answered 410 Gone.")
    elif rows.filter(failing_since__lt=now() - PATIENCE).exists():
        _disable(endpoint, f"Nothing was received for three days. {answer.error}")


def _disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """Stop sending, give up what waits, and tell the team once."""
    enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if not enabled.update(disabled_at=now(), disabled_reason=reason[:200]):
        return
    waiting = endpoint.deliveries.filter(next_at__isnull=False)
    waiting.update(next_at=None, failed_at=now(), error="The endpoint was disabled.")
    tell(
        endpoint.team,
        "webhook.disabled",
        f"The webhook endpoint {endpoint} was disabled. {reason}",
        url=f"/webhooks/{endpoint.pk}/",
        data={"id": str(endpoint.pk), "reason": reason},
    )


def channel_of(endpoint: WebhookEndpoint) -> str:
    """Where the page of this endpoint listens."""
    return f"webhook:{endpoint.pk}"


def _next(attempts: int) -> datetime:
    pause = PAUSES[min(attempts, len(PAUSES)) - 1]
    return now() + timedelta(seconds=pause * random.uniform(1, 1 + JITTER))
