"""Turning a notice into its e-mails and webhook deliveries, once, however often it is tried."""

from django.db import transaction
from django.utils.timezone import now

from accounts.models import EmailFrequency, Notice, NoticeEmail, WebhookDelivery, WebhookEndpoint
from accounts.notifications.digest import next_digest_at
from accounts.notifications.preferences import email_recipients
from accounts.webhooks.delivery import deliveries_channel
from accounts.webhooks.payloads import build_events
from web.enqueue import enqueue_on_commit
from web.row_queue import fair_order
from web.sse import notify

BATCH_SIZE = 50


def fan_out_pending() -> int:
    """Turn every pending notice into rows to send; returns how many. Safe to run twice at once."""
    total = 0
    while batch := _fan_out_batch():
        total += batch
    return total


@transaction.atomic
def _fan_out_batch() -> int:
    pending = Notice.objects.pending_fan_out()
    keys = list(fair_order(pending, "team", "created_at").values_list("pk", flat=True)[:BATCH_SIZE])
    # Not claim_rows: all of the work fits into the transaction that holds the rows.
    locked = pending.filter(pk__in=keys).select_for_update(
        skip_locked=True, of=("self",), no_key=True
    )
    batch = list(locked.select_related("team").order_by("created_at"))
    for notice in batch:
        _create_emails(notice)
        _create_deliveries(notice)
    Notice.objects.filter(pk__in=[notice.pk for notice in batch]).update(fanned_out_at=now())
    return len(batch)


def _create_emails(notice: Notice) -> None:
    emails = []
    for member in email_recipients(notice):
        email = NoticeEmail(notice=notice, user=member.user)
        if member.email_pace == EmailFrequency.DAILY:
            email.in_digest, email.next_at = True, next_digest_at(now())
        emails.append(email)
    if NoticeEmail.objects.bulk_create(emails, ignore_conflicts=True):
        enqueue_on_commit("accounts.tasks.send_emails")


def _create_deliveries(notice: Notice) -> None:
    for event, event_id, body in build_events(notice):
        for endpoint in WebhookEndpoint.objects.subscribed_to(event).filter(team=notice.team):
            WebhookDelivery.objects.get_or_create(
                endpoint=endpoint,
                event_id=event_id,
                defaults={"event": event, "body": body, "notice": notice},
            )
            notify(deliveries_channel(endpoint))
            enqueue_on_commit("accounts.tasks.deliver_webhooks")
