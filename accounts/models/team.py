"""Teams, who belongs to them in which role, and the rule that only members see a team's rows."""

import uuid
from typing import Any, Protocol, Self, TypeVar

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models.user import User

Row = TypeVar("Row", bound=models.Model)


class Viewer(Protocol):
    """A signed-in User or an ApiToken: whatever knows the teams it belongs to."""

    def team_ids(self, permission: str = "read") -> list[uuid.UUID]: ...


class TeamOwnedQuerySet(models.QuerySet[Row]):
    """Rows that belong to a team through `team_path` (a lookup such as "project__team")."""

    team_path = "team"

    def visible_to(self, viewer: Viewer | Any, permission: str = "read") -> Self:
        """Only rows of teams in which the viewer has this permission; an anonymous viewer sees
        nothing."""
        if not hasattr(viewer, "team_ids"):
            return self.none()
        return self.filter(**{f"{self.team_path}__in": viewer.team_ids(permission)})


class TeamQuerySet(TeamOwnedQuerySet["Team"]):
    team_path = "pk"


class Team(models.Model):
    """Who owns and pays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(default=now, editable=False)
    # By an operator: nothing new may run.
    frozen_at = models.DateTimeField("suspended at", null=True, blank=True)
    objects = TeamQuerySet.as_manager()

    def get_absolute_url(self) -> str:
        return reverse("projects:overview", args=[self.slug])

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"
    AGENT = "agent"


# What each role may do. A permission not listed for a role is refused. "read" is every row and page
# of the team but the conversations of its assistants' visitors, which are "inbox".
PERMISSIONS: dict[str, set[str]] = {
    Role.OWNER: {"read", "write", "inbox", "tokens", "billing", "team"},
    Role.ADMIN: {"read", "write", "inbox", "tokens", "billing", "team"},
    Role.MEMBER: {"read", "write", "inbox", "tokens"},
    Role.VIEWER: {"read"},
    Role.BILLING: {"read", "billing"},
    Role.AGENT: {"inbox"},
}


def roles_with(permission: str) -> list[str]:
    """The roles that may do this."""
    return [role for role, allowed in PERMISSIONS.items() if permission in allowed]


class EmailFrequency(models.TextChoices):
    """When a member gets those e-mails about notices that they want."""

    AT_ONCE = "at_once", "As it happens"
    DAILY = "daily", "Once a day, all in one e-mail"
    NEVER = "never", "No e-mail at all"


class MembershipQuerySet(TeamOwnedQuerySet["Membership"]):
    def reachable(self) -> Self:
        """Those whose person is active and has confirmed their address: only then is it theirs."""
        return self.filter(
            user__is_active=True,
            user__emailaddress__verified=True,
            user__emailaddress__email__iexact=F("user__email"),
        )


class Membership(models.Model):
    """One person's role in one team."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(default=now, editable=False)
    notices_read_until = models.DateTimeField(default=now, editable=False)
    email_pace = models.CharField(
        max_length=7, choices=EmailFrequency.choices, default=EmailFrequency.AT_ONCE
    )
    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="accounts_membership_once_per_team", fields=["team", "user"]
            ),
            models.CheckConstraint(
                name="accounts_membership_known_role", condition=Q(role__in=Role.values)
            ),
            models.CheckConstraint(
                name="accounts_membership_known_pace",
                condition=Q(email_pace__in=EmailFrequency.values),
            ),
        ]

    @property
    def permissions(self) -> set[str]:
        return PERMISSIONS.get(self.role, set())

    def __str__(self) -> str:
        return f"{self.user} in {self.team} ({self.role})"


class InvitationQuerySet(TeamOwnedQuerySet["Invitation"]):
    def open(self) -> Self:
        """Those that still let somebody in: the issuer may still invite, and to that role."""
        issuer = Membership.objects.filter(
            team=OuterRef("team"), user=OuterRef("invited_by"), user__is_active=True
        )
        return self.filter(
            Exists(issuer.filter(role__in=roles_with("team"))),
            ~Q(role=Role.OWNER) | Exists(issuer.filter(role=Role.OWNER)),
            accepted_at=None,
            expires_at__gt=now(),
        )


class Invitation(models.Model):
    """An offer to join a team, redeemed by whoever holds its link and the invited address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    objects = InvitationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.email} to {self.team}"
