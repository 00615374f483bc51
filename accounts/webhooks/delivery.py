"""Sending webhook deliveries at least once: claim and commit, send, then write the outcome.

A delivery whose worker dies in between is due again after VISIBILITY_TIMEOUT and carries the same
webhook-id. Attempts are spread over three days; an endpoint that failed all that time is disabled.
"""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.models.webhook import VISIBILITY_TIMEOUT
from accounts.notifications.publish import publish
from accounts.webhooks import http_client, signing
from accounts.webhooks.http_client import DeliveryResult
from accounts.webhooks.secret_encryption import decrypt
from web.advisory_lock import try_advisory_lock
from web.row_queue import claim_rows, fair_order, retry_at
from web.sse import notify

MINUTE, HOUR = 60, 3600
# Seconds after the first, second … failed attempt; about three days in all.
RETRY_DELAYS = (
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
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1
DISABLE_AFTER = timedelta(days=3)  # Of failures only, after which an endpoint is disabled.
MAX_THREADS, MAX_PER_TEAM, MAX_PER_ENDPOINT = 12, 6, 3
LOOK_AGAIN_SECONDS = 0.5  # For what became due while all that was sent is still under way.
MAX_RUN_SECONDS = 120.0  # Of one task; beat starts another.


def deliver_due_exclusively() -> None:
    """Deliver what is due, unless another process is delivering."""
    with try_advisory_lock("webhooks") as is_free:
        if is_free:
            deliver_due()


def deliver_due() -> int:
    """Attempt every delivery that is due; returns how many. Safe to run twice at once.

    Each thread takes the next delivery as soon as it is free, so a slow receiver holds up nobody
    but its own team, which has MAX_PER_TEAM of the threads at most.
    """
    attempted, deadline = 0, time.monotonic() + MAX_RUN_SECONDS
    in_flight: dict[Future[DeliveryResult], WebhookDelivery] = {}
    with ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="webhook") as threads:
        while True:
            batch = _claim([*in_flight.values()]) if time.monotonic() < deadline else []
            for delivery in batch:
                _send(delivery, threads, in_flight)
            attempted += len(batch)
            if not in_flight:
                if batch:
                    continue
                return attempted
            for future in wait(in_flight, LOOK_AGAIN_SECONDS, FIRST_COMPLETED).done:
                record_attempt(in_flight.pop(future), future.result())


def _claim(in_flight: Sequence[WebhookDelivery] = ()) -> list[WebhookDelivery]:
    """Take as many due deliveries as there are free threads, few per endpoint and per team."""
    teams = Counter(delivery.endpoint.team_id for delivery in in_flight)
    endpoints = Counter(delivery.endpoint_id for delivery in in_flight)
    keys: list[UUID] = []
    waiting: QuerySet[Any] = fair_order(WebhookDelivery.objects.due(), "endpoint", "next_at")
    nearest = waiting.filter(place__lte=MAX_PER_ENDPOINT)
    for key, team, endpoint in nearest.values_list("pk", "endpoint__team", "endpoint"):
        if len(in_flight) + len(keys) >= MAX_THREADS:
            break
        if teams[team] < MAX_PER_TEAM and endpoints[endpoint] < MAX_PER_ENDPOINT:
            teams[team] += 1
            endpoints[endpoint] += 1
            keys.append(key)
    return claim_rows(
        WebhookDelivery.objects.due().filter(pk__in=keys).select_related("endpoint__team"),
        limit=MAX_THREADS,
        attempted_at=now(),
        answered_at=None,
        next_at=now() + VISIBILITY_TIMEOUT,
    )


def _send(
    delivery: WebhookDelivery,
    threads: ThreadPoolExecutor,
    in_flight: dict[Future[DeliveryResult], WebhookDelivery],
) -> None:
    """Threads only send: rows are read before and written after, on this thread's connection."""
    try:
        keys = signing_keys(delivery.endpoint)
    except InvalidToken:
        problem = "The secret cannot be read. Rotate it on the page."
        record_attempt(delivery, DeliveryResult(error=problem))
        return
    headers = signing.signature_headers(
        keys, event_id=delivery.event_id, timestamp=int(time.time()), body=delivery.body
    )
    future = threads.submit(http_client.post, delivery.endpoint.url, headers, delivery.body)
    in_flight[future] = delivery


def signing_keys(endpoint: WebhookEndpoint) -> list[str]:
    """The secrets to sign with: the current one and, for a day after a rotation, the old one."""
    encrypted = [endpoint.sealed_secret]
    if endpoint.old_secret_until and endpoint.old_secret_until > now():
        encrypted.append(endpoint.old_sealed_secret)
    return [decrypt(secret) for secret in encrypted]


@transaction.atomic
def record_attempt(delivery: WebhookDelivery, result: DeliveryResult) -> None:
    """Write the result of this attempt and what it means for the endpoint."""
    # The endpoint is locked first, as everywhere: two workers must not wait for each other.
    WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=delivery.endpoint_id)
    fields: dict[str, Any] = {
        "answered_at": now(),
        "status_code": result.status,
        "excerpt": result.excerpt,
        "error": result.error,
        "milliseconds": result.milliseconds,
    }
    if result.is_success:
        fields |= {"delivered_at": now(), "next_at": None}
    elif delivery.attempts >= MAX_ATTEMPTS:
        fields |= {"failed_at": now(), "next_at": None}
    else:
        fields |= {"next_at": retry_at(delivery.attempts, RETRY_DELAYS)}
    if delivery.record_outcome(**fields):
        _update_endpoint_health(delivery.endpoint, result)
    notify(deliveries_channel(delivery.endpoint))


def _update_endpoint_health(endpoint: WebhookEndpoint, result: DeliveryResult) -> None:
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if result.is_success:
        rows.filter(failing_since__isnull=False).update(failing_since=None)
        return
    rows.filter(failing_since=None).update(failing_since=now())
    if result.status == 410:
        _disable(endpoint, "It answered 410 Gone.")
    elif rows.filter(failing_since__lt=now() - DISABLE_AFTER).exists():
        _disable(endpoint, f"Nothing was received for three days. {result.error}")


def _disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """Stop sending, give up what waits, and notify the team once."""
    enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if not enabled.update(disabled_at=now(), disabled_reason=reason[:200]):
        return
    waiting = endpoint.deliveries.filter(next_at__isnull=False)
    waiting.update(next_at=None, failed_at=now(), error="The webhook was disabled.")
    publish(
        endpoint.team,
        "webhook.disabled",
        f"The webhook {endpoint} was disabled. {reason}",
        url=reverse("accounts:webhook", args=[endpoint.pk]),
        data={"id": str(endpoint.pk), "reason": reason},
    )


def deliveries_channel(endpoint: WebhookEndpoint) -> str:
    """The channel to which the page of this endpoint listens."""
    return f"webhook:{endpoint.pk}"
