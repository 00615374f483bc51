"""Notices of what happened to a team's things, who has read them, and the e-mails about them."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.timezone import now

from accounts.models.team import PERMISSIONS, Membership, Team, TeamOwnedQuerySet
from accounts.models.user import User
from web.language.sentences import translated


class EventGroup(models.TextChoices):
    """Kinds of events that a member wants, or does not want, as e-mail."""

    FAILURES = "failures", "Something failed or needs you"
    RESULTS = "results", "A fine-tune, dataset or endpoint is ready"
    PROGRESS = "progress", "Fine-tunes that queue, start, pause and resume"
    BUDGET = "budget", "Spend cap and credit"
    PAYMENT = "payment", "Payments"
    SECURITY = "security", "Members, API tokens and webhooks"
    INBOX = "inbox", "Visitors who wait for a person"


ICONS = {
    EventGroup.FAILURES: "alert",
    EventGroup.RESULTS: "check",
    EventGroup.PROGRESS: "clock",
    EventGroup.BUDGET: "chart",
    EventGroup.PAYMENT: "money",
    EventGroup.SECURITY: "shield",
    EventGroup.INBOX: "inbox",
}
# Shown, but asking for nobody's attention: the job's page and the inbox show the same, live, and a
# bell that counted it would soon be overlooked.
QUIET_GROUPS = (EventGroup.PROGRESS, EventGroup.INBOX)


class EmailPreference(models.TextChoices):
    ALL = "all", "All of them"
    MINE = "mine", "Only what I started"
    NEVER = "never", "No e-mail"


def is_shown_to(role: str, group: str) -> bool:
    """Whether a member in this role is told of this group: an agent of the inbox alone."""
    permissions = PERMISSIONS.get(role, set())
    return "read" in permissions or (group == EventGroup.INBOX and "inbox" in permissions)


class NoticeQuerySet(TeamOwnedQuerySet["Notice"]):
    def with_read_state(self, member: Membership) -> Self:
        """What happened since the person joined, each row with `is_read`."""
        quiet = Q(created_at__lte=member.notices_read_until) | Q(group__in=QUIET_GROUPS)
        is_read = quiet | Exists(self._reads_by(member))
        return self.shown_to(member).annotate(is_read=is_read)

    def unread_by(self, member: Membership) -> Self:
        """What the person has not read of what asks for attention."""
        newer = self.shown_to(member).filter(created_at__gt=member.notices_read_until)
        return newer.exclude(group__in=QUIET_GROUPS).filter(~Exists(self._reads_by(member)))

    def shown_to(self, member: Membership) -> Self:
        """Since the person joined, and of what their role lets them open."""
        groups = [group for group in EventGroup if is_shown_to(member.role, group)]
        return self.filter(team=member.team_id, created_at__gte=member.joined_at, group__in=groups)

    def _reads_by(self, member: Membership) -> "models.QuerySet[NoticeRead]":
        return NoticeRead.objects.filter(notice=OuterRef("pk"), user=member.user_id)

    def pending_fan_out(self) -> Self:
        """Not yet turned into e-mails and webhook deliveries."""
        return self.filter(fanned_out_at=None)


class Notice(models.Model):
    """One sentence about something that happened to a team's things."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="notices")
    event = models.CharField(max_length=60)  # For example "training_job.failed".
    group = models.CharField(max_length=10, choices=EventGroup.choices)
    sentence = models.CharField(max_length=500)
    url = models.CharField(max_length=500, blank=True)  # A path of ours, such as "/jobs/…/".
    key = models.CharField(max_length=200, blank=True)  # Published twice with it is one notice.
    data = models.JSONField(default=dict)  # What programs get: ids and values, no secrets.
    about = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")  # Who caused it.
    created_at = models.DateTimeField(default=now, editable=False)
    fanned_out_at = models.DateTimeField(null=True, editable=False)
    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="accounts_notice_once_per_key", fields=["team", "key"], condition=~Q(key="")
            )
        ]
        indexes = [
            models.Index(name="accounts_notice_by_team", fields=["team", "-created_at"]),
            models.Index(
                name="accounts_notice_untold",
                fields=["created_at"],
                condition=Q(fanned_out_at=None),
            ),
            models.Index(name="accounts_notice_by_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def shown_sentence(self) -> str:
        """In the reader's language. "Tickets: Finished" begins with somebody's own word."""
        name, sentence = f"{self.data.get('name') or ''}: ", self.sentence
        if len(name) > 2 and sentence.startswith(name):
            return name + translated(sentence.removeprefix(name))
        return translated(sentence)

    @property
    def icon(self) -> str:
        """The name of the picture beside it (web.templatetags.icons)."""
        return ICONS[EventGroup(self.group)]


class NoticeRead(models.Model):
    """One member has read one notice newer than what they marked as read altogether."""

    notice = models.ForeignKey(Notice, models.CASCADE, related_name="reads")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="accounts_notice_read_once", fields=["notice", "user"])
        ]

    def __str__(self) -> str:
        return f"{self.user} read {self.notice_id}"


class NoticePreference(models.Model):
    """Which e-mails one member wants about one group of events; no row means the default."""

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="notice_preferences")
    group = models.CharField(max_length=10, choices=EventGroup.choices)
    wish = models.CharField(max_length=5, choices=EmailPreference.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="accounts_notice_preference_once", fields=["membership", "group"]
            ),
            models.CheckConstraint(
                name="accounts_notice_preference_known",
                condition=Q(group__in=EventGroup.values, wish__in=EmailPreference.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership}: {self.group} {self.wish}"


class NoticeEmailQuerySet(models.QuerySet["NoticeEmail"]):
    def due(self) -> Self:
        return self.filter(next_at__lte=now())


class NoticeEmail(models.Model):
    """One notice that goes to one person by e-mail: waiting, sent, or given up."""

    notice = models.ForeignKey(Notice, models.CASCADE, related_name="emails")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, default=now)
    in_digest = models.BooleanField(default=False)  # Sent with others of the day in one message.
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    objects = NoticeEmailQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="accounts_notice_email_once", fields=["notice", "user"]),
            models.CheckConstraint(
                name="accounts_notice_email_waits_or_ended",
                condition=Q(next_at__isnull=False, sent_at=None, given_up_at=None)
                | Q(next_at=None, sent_at__isnull=False, given_up_at=None)
                | Q(next_at=None, sent_at=None, given_up_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="accounts_notice_email_due",
                fields=["next_at"],
                condition=Q(next_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.notice_id}"
