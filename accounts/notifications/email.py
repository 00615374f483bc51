"""E-mails about single notices, and what digests share with them.

Rows are claimed and committed before sending, so no second worker sends the same e-mail. A worker
that dies right after the mail server took the message sends it again half an hour later, with the
same Message-ID: mailboxes show it once.
"""

import logging
import smtplib
import time
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.timezone import now

from accounts.models import (
    EmailFrequency,
    EventGroup,
    Membership,
    Notice,
    NoticeEmail,
    is_shown_to,
)
from accounts.notifications.events import bundled_events
from accounts.notifications.preferences import create_unsubscribe_token
from web.row_queue import claim_rows, fair_order, retry_at, update_claimed

MINUTE = 60
# Seconds after the first, second … failed attempt.
RETRY_DELAYS = (1 * MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE, 360 * MINUTE, 720 * MINUTE)
MAX_ATTEMPTS = len(RETRY_DELAYS) + 1
VISIBILITY_TIMEOUT = timedelta(minutes=30)  # Longer than a mail server may take over a batch.
BATCH_SIZE = 10
MAX_RUN_SECONDS = 120.0  # Of one task; beat starts another.
EMAIL_LOCK = "e-mails"  # Of single e-mails and digests: a slow mail server holds up one worker.
MAX_SUBJECT_LENGTH = 150
NO_LONGER_WANTED = "No longer wanted."
UNREACHABLE = "No longer in the team, or the address is not confirmed."

# ValueError: an address or a header that cannot be encoded.
SEND_ERRORS = (OSError, smtplib.SMTPException, ValueError)

logger = logging.getLogger(__name__)


def send_due() -> int:
    """Send every single e-mail that is due; returns how many were tried. Safe to run twice."""
    tried, deadline = 0, time.monotonic() + MAX_RUN_SECONDS
    while time.monotonic() < deadline and (batch := _claim()):
        for email in batch:
            _send(email)
        tried += len(batch)
    return tried


def _claim() -> list[NoticeEmail]:
    due = NoticeEmail.objects.due().filter(in_digest=False)
    due = due.exclude(notice__event__in=bundled_events())
    keys = list(
        fair_order(due, "notice__team", "next_at").values_list("pk", flat=True)[:BATCH_SIZE]
    )
    return claim_rows(
        due.filter(pk__in=keys).select_related("notice__team", "user"),
        limit=BATCH_SIZE,
        next_at=now() + VISIBILITY_TIMEOUT,
    )


def _send(email: NoticeEmail) -> None:
    members = Membership.objects.reachable().select_related("team", "user")
    member = members.filter(team=email.notice.team_id, user=email.user).first()
    if member is None:
        give_up(email, UNREACHABLE)
        return
    is_shown = is_shown_to(member.role, email.notice.group)
    if member.email_pace == EmailFrequency.NEVER or not is_shown:
        give_up(email, NO_LONGER_WANTED)
        return
    try:
        build_notice_email(email.notice, member).send()
    except SEND_ERRORS as problem:
        logger.warning("E-mail %s was not sent: %s", email.pk, problem)
        schedule_retry(email, str(problem) or type(problem).__name__)
    else:
        mark_sent(email)


def mark_sent(email: NoticeEmail) -> None:
    """End this e-mail well, unless another worker has claimed it since."""
    update_claimed(email, next_at=None, sent_at=now(), error="")


def give_up(email: NoticeEmail, reason: str) -> None:
    """Never send this e-mail, unless another worker has claimed it since."""
    update_claimed(email, next_at=None, given_up_at=now(), error=reason[:300])


def schedule_retry(email: NoticeEmail, error: str) -> None:
    """Try again after a delay that grows with each attempt; give up after MAX_ATTEMPTS."""
    if email.attempts >= MAX_ATTEMPTS:
        give_up(email, error)
    else:
        update_claimed(email, next_at=retry_at(email.attempts, RETRY_DELAYS), error=error[:300])


def build_notice_email(notice: Notice, member: Membership) -> EmailMultiAlternatives:
    """The message: plain text, simple HTML, and headers that let mail programs unsubscribe."""
    with translation.override(member.user.language or settings.LANGUAGE_CODE):
        subject = f"[{notice.team.name}] {notice.shown_sentence}"
    template = EmailTemplate(
        name=f"notice-{notice.pk}",
        subject=subject,
        template="notice",
        token=create_unsubscribe_token(member, notice.group),
    )
    link = f"{settings.PUBLIC_URL}{notice.url}" if notice.url else ""
    context = {"notice": notice, "group": EventGroup(notice.group).label, "link": link}
    return render_email(template, member, context)


@dataclass(frozen=True)
class EmailTemplate:
    """What distinguishes one kind of message from another."""

    name: str  # Equal for a repetition: it becomes the Message-ID.
    subject: str
    template: str
    token: str  # Of the unsubscribe link.


def render_email(
    template: EmailTemplate, member: Membership, context: dict[str, object]
) -> EmailMultiAlternatives:
    """The message to this member in their language, as plain text and as HTML."""
    with translation.override(member.user.language or settings.LANGUAGE_CODE):
        return _render_email(template, member, context)


def _render_email(
    template: EmailTemplate, member: Membership, context: dict[str, object]
) -> EmailMultiAlternatives:
    unsubscribe_url = settings.PUBLIC_URL + reverse("accounts:unsubscribe", args=[template.token])
    settings_page = reverse("accounts:notice-settings", args=[member.team.slug])
    context = context | {
        "team": member.team,
        "settings_url": settings.PUBLIC_URL + settings_page,
        "unsubscribe_url": unsubscribe_url,
    }
    subject = " ".join(template.subject.split())
    if len(subject) > MAX_SUBJECT_LENGTH:
        subject = f"{subject[: MAX_SUBJECT_LENGTH - 1].rstrip()}…"
    domain = urlsplit(settings.PUBLIC_URL).hostname
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"accounts/mail/{template.template}.txt", context),
        to=[member.user.email],
        headers={
            "Message-ID": f"<{template.name}-{member.user_id}@{domain}>",
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    html = render_to_string(f"accounts/mail/{template.template}.html", context)
    message.attach_alternative(html, "text/html")
    return message
