"""Who you are: people, teams, what they may do, and the credentials that act for a team."""

import hashlib
import secrets
import uuid
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.visibility import TeamOwnedQuerySet


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; there are no user names."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **facts: Any) -> "User":
        """A user with a normalised e-mail address; no password means none can be used."""
        user = self.model(email=self.normalize_email(email).lower(), **facts)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **facts: Any) -> "User":
        """A user who may enter the Django admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **facts)


class User(AbstractUser):
    """A person. Belongs to teams through memberships."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[assignment,misc]

    def team_ids(self) -> list[uuid.UUID]:
        """The teams whose rows this person may see."""
        return list(Membership.objects.filter(user=self).values_list("team_id", flat=True))

    def __str__(self) -> str:
        return self.get_full_name() or self.email


class TeamQuerySet(TeamOwnedQuerySet["Team"]):
    team_path = "pk"


class Team(models.Model):
    """Who owns and pays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(default=now, editable=False)
    frozen_at = models.DateTimeField(null=True, blank=True)  # Set by an admin: nothing new may run.
    objects = TeamQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"


# What each role may do. A permission not listed for a role is refused.
PERMISSIONS: dict[str, set[str]] = {
    Role.OWNER: {"write", "tokens", "billing", "team"},
    Role.ADMIN: {"write", "tokens", "billing", "team"},
    Role.MEMBER: {"write", "tokens"},
    Role.VIEWER: set(),
    Role.BILLING: {"billing"},
}


class EmailPace(models.TextChoices):
    """When a member gets those e-mails about notices that they want."""

    AT_ONCE = "at_once", "As it happens"
    DAILY = "daily", "Once a day, all in one e-mail"
    NEVER = "never", "No e-mail at all"


class Membership(models.Model):
    """One person's role in one team."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(default=now, editable=False)
    notices_read_until = models.DateTimeField(default=now, editable=False)
    email_pace = models.CharField(
        max_length=7, choices=EmailPace.choices, default=EmailPace.AT_ONCE
    )

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
                condition=Q(email_pace__in=EmailPace.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} ({self.role})"


class Scope(models.TextChoices):
    READ = "read", "Read projects, datasets, jobs, models and usage"
    WRITE = "write", "Upload datasets, launch and stop jobs, deploy models"
    INFERENCE = "inference", "Ask deployed models"


class ApiTokenQuerySet(TeamOwnedQuerySet["ApiToken"]):
    def usable(self) -> Self:
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now()), revoked_at=None)

    def matching(self, secret: str) -> Self:
        """The usable token with this secret, if any."""
        return self.usable().filter(digest=ApiToken.digest_of(secret))


class ApiToken(models.Model):
    """A credential that acts for a team. Only a digest is stored; the secret is shown once."""

    SECRET_PREFIX: ClassVar[str] = "lathe_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="api_tokens")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, editable=False)  # Enough to recognise it in a list.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices))
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    objects = ApiTokenQuerySet.as_manager()

    @staticmethod
    def digest_of(secret: str) -> str:
        """SHA-256 in hex. Secrets are 256 random bits, so no salt or slow hash is needed."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(
        cls, *, team: Team, created_by: User, name: str, **facts: Any
    ) -> "tuple[ApiToken, str]":
        """A new token row and its secret, which exists nowhere else afterwards."""
        secret = cls.SECRET_PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(
            team=team,
            created_by=created_by,
            name=name,
            prefix=secret[:12],
            digest=cls.digest_of(secret),
            scopes=facts.pop("scopes", list(Scope.values)),
            **facts,
        )
        return token, secret

    def team_ids(self) -> list[uuid.UUID]:
        """A token sees its own team only, whatever else its creator belongs to."""
        return [self.team_id]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class InvitationQuerySet(TeamOwnedQuerySet["Invitation"]):
    def open(self) -> Self:
        return self.filter(accepted_at=None, expires_at__gt=now())


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


class AuditEntryQuerySet(TeamOwnedQuerySet["AuditEntry"]):
    pass


class AuditEntry(models.Model):
    """One thing somebody did that touches security, money or state. Append-only."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="audit_entries", null=True)
    actor = models.CharField(max_length=255)  # An e-mail address, "token <prefix>" or "system".
    action = models.CharField(max_length=60)  # For example "token.created".
    target = models.CharField(max_length=255, blank=True)
    detail = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=now, editable=False)
    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(name="accounts_audit_by_team", fields=["team", "-at"])]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
