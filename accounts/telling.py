"""From a notice to its e-mails and webhook deliveries, once, however often it is tried."""

from django.db import transaction
from django.utils.timezone import now

from accounts import digests
from accounts.models import (
    EmailPace,
    Membership,
    Notice,
    NoticeEmail,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.nudging import nudge_deliveries, nudge_emails
from accounts.webhooks.delivering import channel_of
from accounts.webhooks.payloads import events_of
from accounts.wishes import readers_by_email
from web.live import notify

BATCH = 50


def fan_out_due() -> int:
    """Turn every untold notice into rows to send; how many there were. Safe beside itself."""
    total = 0
    while told := _fan_out_some():
        total += told
    return total


@transaction.atomic
def _fan_out_some() -> int:
    untold = Notice.objects.untold().select_for_update(skip_locked=True, of=("self",), no_key=True)
    batch = list(untold.select_related("team").order_by("created_at")[:BATCH])
    for notice in batch:
        _queue_emails(notice)
        _queue_deliveries(notice)
    Notice.objects.filter(pk__in=[notice.pk for notice in batch]).update(fanned_out_at=now())
    return len(batch)


def _queue_emails(notice: Notice) -> None:
    emails = [_email(notice, member) for member in readers_by_email(notice)]
    if NoticeEmail.objects.bulk_create(emails, ignore_conflicts=True):
        nudge_emails()


def _email(notice: Notice, member: Membership) -> NoticeEmail:
    if member.email_pace == EmailPace.DAILY:
        return NoticeEmail(
            notice=notice, user=member.user, in_digest=True, next_at=digests.next_hour(now())
        )
    return NoticeEmail(notice=notice, user=member.user)


def _queue_deliveries(notice: Notice) -> None:
    for event, event_id, body in events_of(notice):
        for endpoint in WebhookEndpoint.objects.wanting(event).filter(team=notice.team):
            WebhookDelivery.objects.get_or_create(
                endpoint=endpoint,
                event_id=event_id,
                defaults={"event": event, "body": body, "notice": notice},
            )
            notify(channel_of(endpoint))
            nudge_deliveries()
