"""E-mails about notices. Claimed and committed before sending, so no second worker sends it too.

A worker that dies right after the mail server took the message sends it again half an hour later,
with the same Message-ID: mailboxes show it once.
"""

import logging
import random
import smtplib
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import EmailPace, Group, Membership, Notice, NoticeEmail
from accounts.wishes import unsubscribe_token

MINUTE = 60
# Seconds after the first, second … failed attempt.
PAUSES = (1 * MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 360 * MINUTE, 720 * MINUTE)
MOST_ATTEMPTS = len(PAUSES) + 1
CLAIM = timedelta(minutes=30)  # Longer than a mail server may take over a batch.
BATCH = 10
LONGEST_SECONDS = 120.0  # Of one task; beat starts another.

# ValueError: an address or a header that cannot be written down.
UNSENT = (OSError, smtplib.SMTPException, ValueError)

logger = logging.getLogger(__name__)


def send_due() -> int:
    """Send every e-mail of its own whose time has come; how many were tried. Safe beside itself."""
    tried, deadline = 0, time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and (batch := _claim()):
        for email in batch:
            _send(email)
        tried += len(batch)
    return tried


@transaction.atomic
def _claim() -> list[NoticeEmail]:
    due = NoticeEmail.objects.due().filter(in_digest=False).order_by("next_at")
    due = due.select_related("notice__team", "user")
    claimed = list(due.select_for_update(skip_locked=True, of=("self",), no_key=True)[:BATCH])
    for email in claimed:
        email.attempts += 1
        email.next_at = now() + CLAIM
    NoticeEmail.objects.bulk_update(claimed, ["attempts", "next_at"])
    return claimed


def _send(email: NoticeEmail) -> None:
    members = Membership.objects.select_related("team", "user")
    member = members.filter(team=email.notice.team_id, user=email.user).first()
    if member is None or not email.user.is_active:
        email.move(next_at=None, given_up_at=now(), error="No longer in the team.")
        return
    if member.email_pace == EmailPace.NEVER:
        email.move(next_at=None, given_up_at=now(), error="No longer wanted.")
        return
    try:
        compose(email.notice, member).send()
    except UNSENT as problem:
        logger.warning("E-mail %s was not sent: %s", email.pk, problem)
        put_off(email, str(problem) or type(problem).__name__)
    else:
        email.move(next_at=None, sent_at=now(), error="")


def put_off(email: NoticeEmail, error: str) -> None:
    """Try again later, after a longer pause each time; in the end give up."""
    if email.attempts >= MOST_ATTEMPTS:
        email.move(next_at=None, given_up_at=now(), error=error[:300])
        return
    pause = PAUSES[email.attempts - 1] * random.uniform(1, 1.2)
    email.move(next_at=now() + timedelta(seconds=pause), error=error[:300])


def compose(notice: Notice, member: Membership) -> EmailMultiAlternatives:
    """The message: plain text, simple HTML, and headers that let mail programs unsubscribe."""
    letter = Letter(
        name=f"notice-{notice.pk}",
        subject=f"[{notice.team.name}] {notice.sentence}",
        template="notice",
        token=unsubscribe_token(member, notice.group),
    )
    link = f"{settings.PUBLIC_URL}{notice.url}" if notice.url else ""
    context = {"notice": notice, "group": Group(notice.group).label, "link": link}
    return written(letter, member, context)


@dataclass(frozen=True)
class Letter:
    """What sets one kind of message apart."""

    name: str  # The same for a repetition: it becomes the Message-ID.
    subject: str
    template: str
    token: str  # What its unsubscribe link stops.


def written(letter: Letter, member: Membership, context: dict[str, Any]) -> EmailMultiAlternatives:
    """The letter to this member, in both forms."""
    team, unsubscribe = member.team, reverse("accounts:unsubscribe", args=[letter.token])
    unsubscribe_url = settings.PUBLIC_URL + unsubscribe
    settings_page = reverse("accounts:notice-settings", args=[team.slug])
    context = context | {
        "team": team,
        "settings_url": settings.PUBLIC_URL + settings_page,
        "unsubscribe_url": unsubscribe_url,
    }
    message = EmailMultiAlternatives(
        subject=_subject(letter.subject),
        body=render_to_string(f"accounts/mail/{letter.template}.txt", context),
        to=[member.user.email],
        headers={
            "Message-ID": f"<{letter.name}-{member.user_id}@{_domain()}>",
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    html = render_to_string(f"accounts/mail/{letter.template}.html", context)
    message.attach_alternative(html, "text/html")
    return message


def _subject(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 150 else f"{line[:149].rstrip()}…"


def _domain() -> str:
    return settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0]
