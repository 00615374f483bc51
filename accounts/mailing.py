"""E-mails about notices. Claimed and committed before sending, so no second worker sends it too.

A worker that dies right after the mail server took the message sends it again half an hour later,
with the same Message-ID: mailboxes show it once.
"""

import logging
import random
import smtplib
import time
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Group, Membership, Notice, NoticeEmail
from accounts.wishes import unsubscribe_token
from web.alone import alone

MINUTE = 60
# Seconds after the first, second … failed attempt.
PAUSES = (1 * MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 360 * MINUTE, 720 * MINUTE)
MOST_ATTEMPTS = len(PAUSES) + 1
CLAIM = timedelta(minutes=30)  # Longer than a mail server may take over a batch.
BATCH = 10
LONGEST_SECONDS = 120.0  # Of one task; beat starts another.

logger = logging.getLogger(__name__)


def send_alone() -> None:
    """Send what is due, unless another process is doing so."""
    with alone("e-mails") as is_ours:
        if is_ours:
            send_due()


def send_due() -> int:
    """Send every e-mail whose time has come; how many were tried. Safe beside itself."""
    tried, deadline = 0, time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and (batch := _claim()):
        for email in batch:
            _send(email)
        tried += len(batch)
    return tried


@transaction.atomic
def _claim() -> list[NoticeEmail]:
    due = NoticeEmail.objects.due().select_related("notice__team", "user").order_by("next_at")
    claimed = list(due.select_for_update(skip_locked=True, of=("self",), no_key=True)[:BATCH])
    for email in claimed:
        email.attempts += 1
        email.next_at = now() + CLAIM
    NoticeEmail.objects.bulk_update(claimed, ["attempts", "next_at"])
    return claimed


def _send(email: NoticeEmail) -> None:
    member = Membership.objects.filter(team=email.notice.team_id, user=email.user).first()
    if member is None or not email.user.is_active:
        email.move(next_at=None, given_up_at=now(), error="No longer in the team.")
        return
    try:
        compose(email.notice, member).send()
    # ValueError: an address or a header that cannot be written down.
    except (OSError, smtplib.SMTPException, ValueError) as problem:
        logger.warning("E-mail %s was not sent: %s", email.pk, problem)
        _put_off(email, str(problem) or type(problem).__name__)
    else:
        email.move(next_at=None, sent_at=now(), error="")


def _put_off(email: NoticeEmail, error: str) -> None:
    if email.attempts >= MOST_ATTEMPTS:
        email.move(next_at=None, given_up_at=now(), error=error[:300])
        return
    pause = PAUSES[email.attempts - 1] * random.uniform(1, 1.2)
    email.move(next_at=now() + timedelta(seconds=pause), error=error[:300])


def compose(notice: Notice, member: Membership) -> EmailMultiAlternatives:
    """The message: plain text, simple HTML, and headers that let mail programs unsubscribe."""
    token = unsubscribe_token(member, notice.group)
    unsubscribe_url = settings.PUBLIC_URL + reverse("accounts:unsubscribe", args=[token])
    context = {
        "notice": notice,
        "group": Group(notice.group).label,
        "link": f"{settings.PUBLIC_URL}{notice.url}" if notice.url else "",
        "settings_url": settings.PUBLIC_URL
        + reverse("accounts:notice-settings", args=[notice.team.slug]),
        "unsubscribe_url": unsubscribe_url,
    }
    message = EmailMultiAlternatives(
        subject=_subject(f"[{notice.team.name}] {notice.sentence}"),
        body=render_to_string("accounts/mail/notice.txt", context),
        to=[member.user.email],
        headers={
            "Message-ID": f"<notice-{notice.pk}-{member.user_id}@{_domain()}>",
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("accounts/mail/notice.html", context), "text/html")
    return message


def _subject(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 150 else f"{line[:149].rstrip()}…"


def _domain() -> str:
    return settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0]
