"""One e-mail a day to each member who wants that: all notices that wait for it, told together.

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
from django.utils.timezone import now

from accounts.mailing import CLAIM, LONGEST_SECONDS, UNSENT, Letter, put_off, written
from accounts.models import EmailPace, Membership, NoticeEmail
from accounts.wishes import unsubscribe_token

HOUR = 7  # UTC: before work begins in Europe, after it has ended in the Americas.
MOST_SHOWN = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Digest:
    """What one member is told today, oldest first."""

    member: Membership
    emails: list[NoticeEmail]


def next_hour(moment: datetime) -> datetime:
    """When what happens at this moment is told of."""
    today = moment.astimezone(UTC).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return today if moment < today else today + timedelta(days=1)


def send_due() -> int:
    """Send every digest whose hour has come; how many were tried. Safe beside itself."""
    _due().exclude(Exists(_member_of_email())).update(
        next_at=None, given_up_at=now(), error="No longer in the team."
    )
    tried, deadline = 0, time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and (digest := _claim()):
        _send(digest)
        tried += 1
    return tried


def _due() -> QuerySet[NoticeEmail]:
    return NoticeEmail.objects.due().filter(in_digest=True)


def _member_of_email() -> QuerySet[Membership]:
    return Membership.objects.filter(
        team=OuterRef("notice__team"), user=OuterRef("user"), user__is_active=True
    )


@transaction.atomic
def _claim() -> Digest | None:
    """All that is due to one member, whose row is locked so that nobody takes a part of it."""
    waiting = _due().filter(user=OuterRef("user"), notice__team=OuterRef("team"))
    members = Membership.objects.filter(Exists(waiting)).select_related("team", "user")
    member = members.select_for_update(skip_locked=True, of=("self",), no_key=True).first()
    if member is None:
        return None
    mine = _due().filter(user=member.user, notice__team=member.team).select_related("notice")
    emails = list(mine.order_by("notice__created_at", "pk"))
    for email in emails:
        email.attempts += 1
        email.next_at = now() + CLAIM
    NoticeEmail.objects.bulk_update(emails, ["attempts", "next_at"])
    return Digest(member, emails)


def _send(digest: Digest) -> None:
    if digest.member.email_pace == EmailPace.NEVER:
        for email in digest.emails:
            email.move(next_at=None, given_up_at=now(), error="No longer wanted.")
        return
    try:
        compose(digest).send()
    except UNSENT as problem:
        logger.warning("The digest for %s was not sent: %s", digest.member, problem)
        for email in digest.emails:
            put_off(email, str(problem) or type(problem).__name__)
    else:
        for email in digest.emails:
            email.move(next_at=None, sent_at=now(), error="")


def compose(digest: Digest) -> EmailMultiAlternatives:
    """The message: every notice with its moment and link."""
    notices, member = [email.notice for email in digest.emails], digest.member
    count = len(notices)
    words = f"{count} notices" if count > 1 else "1 notice"
    letter = Letter(
        name=f"digest-{notices[0].pk}-{count}",
        subject=f"[{member.team.name}] {words} since {notices[0].created_at:%Y-%m-%d}",
        template="digest",
        token=unsubscribe_token(member),
    )
    shown = [
        (notice, f"{settings.PUBLIC_URL}{notice.url}" if notice.url else "")
        for notice in notices[:MOST_SHOWN]
    ]
    context = {"words": words, "notices": shown, "left_out": max(0, count - MOST_SHOWN)}
    return written(letter, member, context)
