"""E-mails about what may happen a hundred times a minute: one at once, then at most one every so
often, about all that still waits. What somebody took care of meanwhile is mailed to nobody.

Rows are claimed and committed before sending, as for single e-mails.
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation
from django.utils.timezone import now

from accounts.models import EmailFrequency, EventGroup, Membership, NoticeEmail, is_shown_to
from accounts.notifications import email
from accounts.notifications.email import (
    EMAIL_LOCK,
    MAX_RUN_SECONDS,
    NO_LONGER_WANTED,
    SEND_ERRORS,
    UNREACHABLE,
    VISIBILITY_TIMEOUT,
    EmailTemplate,
    build_notice_email,
    give_up,
    mark_sent,
    render_email,
    schedule_retry,
)
from accounts.notifications.events import Bundling, bundled_events
from accounts.notifications.preferences import create_unsubscribe_token
from web.advisory_lock import try_advisory_lock
from web.language.sentences import translated
from web.row_queue import claim_rows

MAX_NOTICES_SHOWN = 20
MAX_NOTICES_CLAIMED = 10_000
OUTDATED = "Somebody took care of it before it was sent."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bundle:
    """What waits for one member, oldest first."""

    member: Membership
    bundling: Bundling
    emails: list[NoticeEmail]


def send_due_exclusively() -> None:
    """Send single e-mails and bundles that are due, unless another process is sending some."""
    with try_advisory_lock(EMAIL_LOCK) as is_free:
        if is_free:
            email.send_due()
            send_due()


def send_due() -> int:
    """Send every bundle that is due; returns how many were tried. Safe to run twice at once."""
    tried, deadline = 0, time.monotonic() + MAX_RUN_SECONDS
    for event, bundling in bundled_events().items():
        give_up_unreachable(_due(event))
        while time.monotonic() < deadline and (bundle := _claim(event, bundling)):
            _send(bundle)
            tried += 1
    return tried


def _due(event: str) -> QuerySet[NoticeEmail]:
    return NoticeEmail.objects.due().filter(notice__event=event, in_digest=False)


def give_up_unreachable(due: QuerySet[NoticeEmail]) -> None:
    """End those whose recipient has left the team or cannot be reached."""
    recipient = Membership.objects.reachable().filter(
        team=OuterRef("notice__team"), user=OuterRef("user")
    )
    due.exclude(Exists(recipient)).update(next_at=None, given_up_at=now(), error=UNREACHABLE)


def _claim(event: str, bundling: Bundling) -> Bundle | None:
    """All that is due to one member whose last e-mail of this kind is long enough ago."""
    while True:
        with transaction.atomic():
            waiting = _due(event).filter(user=OuterRef("user"), notice__team=OuterRef("team"))
            members = Membership.objects.filter(Exists(waiting)).select_related("team", "user")
            member = members.select_for_update(skip_locked=True, of=("self",), no_key=True).first()
            if member is None:
                return None
            due = _due(event).filter(user=member.user, notice__team=member.team)
            if not _postpone(due, event, member, bundling.every):
                emails = claim_rows(
                    due.select_related("notice__team").order_by("notice__created_at", "pk"),
                    limit=MAX_NOTICES_CLAIMED,
                    next_at=now() + VISIBILITY_TIMEOUT,
                )
                return Bundle(member, bundling, emails) if emails else None


def _postpone(due: QuerySet[NoticeEmail], event: str, member: Membership, every: timedelta) -> bool:
    """Let these wait until `every` has passed since the last one; False where it has."""
    sent = NoticeEmail.objects.filter(
        user=member.user, notice__team=member.team, notice__event=event, in_digest=False,
        sent_at__gt=now() - every,
    )  # fmt: skip
    last = sent.order_by("-sent_at").values_list("sent_at", flat=True).first()
    if last is None:
        return False
    NoticeEmail.objects.filter(pk__in=list(due.values_list("pk", flat=True))).update(
        next_at=last + every
    )
    return True


def _send(bundle: Bundle) -> None:
    emails = drop_outdated(bundle.emails, bundle.bundling)
    if not emails:
        return
    member = bundle.member
    is_shown = is_shown_to(member.role, emails[0].notice.group)
    if member.email_pace == EmailFrequency.NEVER or not is_shown:
        for one in emails:
            give_up(one, NO_LONGER_WANTED)
        return
    if len(emails) == 1:
        send_together(emails, build_notice_email(emails[0].notice, member))
    else:
        send_together(emails, build_bundle_email(member, bundle.bundling, emails))


def send_together(emails: list[NoticeEmail], message: EmailMultiAlternatives) -> None:
    """Send the one message that stands for all of these."""
    try:
        message.send()
    except SEND_ERRORS as problem:
        logger.warning("E-mails %s were not sent: %s", [one.pk for one in emails], problem)
        for one in emails:
            schedule_retry(one, str(problem) or type(problem).__name__)
    else:
        for one in emails:
            mark_sent(one)


def drop_outdated(emails: list[NoticeEmail], bundling: Bundling) -> list[NoticeEmail]:
    """Those that still tell somebody something to do; the others are given up."""
    current = bundling.still_true([one.notice for one in emails])
    current_emails = [one for one in emails if one.notice_id in current]
    for one in emails:
        if one.notice_id not in current:
            give_up(one, OUTDATED)
    return current_emails


def build_bundle_email(
    member: Membership, bundling: Bundling, emails: list[NoticeEmail]
) -> EmailMultiAlternatives:
    """The message: how many there are, and each with its moment and link."""
    notices = [one.notice for one in emails]
    words = bundling.describe(len(notices))
    with translation.override(member.user.language or settings.LANGUAGE_CODE):
        subject = f"[{member.team.name}] {translated(words)}"
    group = notices[0].group
    template = EmailTemplate(
        name=f"bundle-{notices[0].pk}-{len(notices)}",
        subject=subject,
        template="digest",
        token=create_unsubscribe_token(member, group),
    )
    context: dict[str, object] = {
        "words": words,
        "group": EventGroup(group).label,
        "notices": [
            (notice, f"{settings.PUBLIC_URL}{notice.url}" if notice.url else "")
            for notice in notices[:MAX_NOTICES_SHOWN]
        ],
        "left_out": max(0, len(notices) - MAX_NOTICES_SHOWN),
    }
    return render_email(template, member, context)
