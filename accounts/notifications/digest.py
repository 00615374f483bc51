"""One e-mail a day to each member who wants that: all notices that wait for it, in one message.

Rows are claimed and committed before sending, as for single e-mails; a digest that is repeated
after a crash has the same notices and the same Message-ID.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation
from django.utils.timezone import now
from django.utils.translation import gettext, ngettext

from accounts.models import EmailFrequency, Membership, NoticeEmail
from accounts.notifications.bundles import drop_outdated, give_up_unreachable, send_together
from accounts.notifications.email import (
    EMAIL_LOCK,
    MAX_RUN_SECONDS,
    NO_LONGER_WANTED,
    VISIBILITY_TIMEOUT,
    EmailTemplate,
    give_up,
    render_email,
)
from accounts.notifications.events import bundled_events
from accounts.notifications.preferences import create_unsubscribe_token
from web.advisory_lock import try_advisory_lock
from web.row_queue import claim_rows

DIGEST_HOUR_UTC = 7  # UTC: before work begins in Europe, after it has ended in the Americas.
MAX_NOTICES_SHOWN = 100
MAX_NOTICES_CLAIMED = 10_000  # What more there is goes into a digest of its own.

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Digest:
    """The notices of one message to one member, oldest first."""

    member: Membership
    emails: list[NoticeEmail]


def next_digest_at(moment: datetime) -> datetime:
    """When the digest with what happens at this moment is sent."""
    today = moment.astimezone(UTC).replace(hour=DIGEST_HOUR_UTC, minute=0, second=0, microsecond=0)
    return today if moment < today else today + timedelta(days=1)


def send_due_exclusively() -> None:
    """Send what is due, unless another process is sending e-mails."""
    with try_advisory_lock(EMAIL_LOCK) as is_free:
        if is_free:
            send_due()


def send_due() -> int:
    """Send every digest that is due; returns how many were tried. Safe to run twice at once."""
    give_up_unreachable(_due_emails())
    tried, deadline = 0, time.monotonic() + MAX_RUN_SECONDS
    while time.monotonic() < deadline and (digest := _claim()):
        _send(digest)
        tried += 1
    return tried


def _due_emails() -> QuerySet[NoticeEmail]:
    return NoticeEmail.objects.due().filter(in_digest=True)


@transaction.atomic
def _claim() -> Digest | None:
    """Claim all that is due to one member; the lock on their row keeps it together."""
    waiting = _due_emails().filter(user=OuterRef("user"), notice__team=OuterRef("team"))
    members = Membership.objects.filter(Exists(waiting)).select_related("team", "user")
    member = members.select_for_update(skip_locked=True, of=("self",), no_key=True).first()
    if member is None:
        return None
    due = _due_emails().filter(user=member.user, notice__team=member.team).select_related("notice")
    emails = claim_rows(
        due.order_by("notice__created_at", "pk"),
        limit=MAX_NOTICES_CLAIMED,
        next_at=now() + VISIBILITY_TIMEOUT,
    )
    return Digest(member, emails) if emails else None  # None: another worker was faster.


def _send(claimed: Digest) -> None:
    digest = Digest(claimed.member, _drop_outdated(claimed.emails))
    if not digest.emails:
        return
    if digest.member.email_pace == EmailFrequency.NEVER:
        for email in digest.emails:
            give_up(email, NO_LONGER_WANTED)
        return
    send_together(digest.emails, build_digest_email(digest))


def _drop_outdated(emails: list[NoticeEmail]) -> list[NoticeEmail]:
    """Without what somebody took care of meanwhile, oldest first."""
    remaining = emails
    for event, bundling in bundled_events().items():
        of_event = [email for email in remaining if email.notice.event == event]
        current = {email.pk for email in drop_outdated(of_event, bundling)} if of_event else set()
        remaining = [
            email for email in remaining if email.notice.event != event or email.pk in current
        ]
    return remaining


def build_digest_email(digest: Digest) -> EmailMultiAlternatives:
    """The message: every notice with its moment and link."""
    notices, member = [email.notice for email in digest.emails], digest.member
    count = len(notices)
    with translation.override(member.user.language or settings.LANGUAGE_CODE):
        words = ngettext("{n} notice", "{n} notices", count).format(n=count)
        since = gettext("{words} since {day}").format(
            words=words, day=f"{notices[0].created_at:%Y-%m-%d}"
        )
    template = EmailTemplate(
        name=f"digest-{notices[0].pk}-{count}",
        subject=f"[{member.team.name}] {since}",
        template="digest",
        token=create_unsubscribe_token(member),
    )
    shown = [
        (notice, f"{settings.PUBLIC_URL}{notice.url}" if notice.url else "")
        for notice in notices[:MAX_NOTICES_SHOWN]
    ]
    context: dict[str, object] = {
        "words": words,
        "notices": shown,
        "left_out": max(0, count - MAX_NOTICES_SHOWN),
    }
    return render_email(template, member, context)
