"""API tokens: credentials with which programs act for a team."""

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models.team import PERMISSIONS, Membership, Team, TeamOwnedQuerySet
from accounts.models.user import User


class TokenScope(models.TextChoices):
    READ = "read", "Read projects, datasets, fine-tunes, models and usage"
    WRITE = "write", "Upload datasets, launch and stop fine-tunes, deploy models"
    INFERENCE = "inference", "Ask deployed models"


# What a scope takes: a token has at most the rights that its creator has when it is used.
SCOPE_PERMISSIONS: dict[str, str] = {
    TokenScope.READ: "read",
    TokenScope.WRITE: "write",
    TokenScope.INFERENCE: "write",
}


def scopes_within(scopes: Iterable[str], role: str) -> set[str]:
    """Those of a token's scopes that the role of its creator carries."""
    allowed = PERMISSIONS.get(role, set())
    return {scope for scope in scopes if SCOPE_PERMISSIONS.get(scope) in allowed}


class ApiTokenQuerySet(TeamOwnedQuerySet["ApiToken"]):
    def usable(self) -> Self:
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now()), revoked_at=None)


class ApiToken(models.Model):
    """A credential that acts for a team. Only a digest is stored; the secret is shown once.

    Rotating it changes the secret and keeps the row: its prefix, limits and what was spent by it.
    """

    SECRET_PREFIX: ClassVar[str] = "lathe_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="api_tokens")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, editable=False)  # Enough to recognise it in a list.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # What it was before the last rotation, and until when it still works.
    previous_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=20, choices=TokenScope.choices))
    # Names of models that it may ask; empty: all of the team's.
    allowed_models = ArrayField(
        models.CharField(max_length=300), default=list, db_default=[], blank=True
    )
    budget_micro = models.BigIntegerField(null=True, blank=True)  # Of answers, each month.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)  # For answers.
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)
    creator_role = ""  # What `find_token` adds, as the next.
    has_former_secret = False
    spent_micro = 0  # This month; what the page of tokens adds.
    objects = ApiTokenQuerySet.as_manager()

    @property
    def has_spent_budget(self) -> bool:
        return self.budget_micro is not None and self.spent_micro >= self.budget_micro

    def renew_secret(self, overlap: timedelta) -> str:
        """Another secret with the same beginning; the former one works for the overlap. Unsaved."""
        secret = self.prefix + secrets.token_urlsafe(32)
        moment = now()
        self.previous_digest = self.digest if overlap else None
        self.previous_until = moment + overlap if overlap else None
        self.digest, self.rotated_at = self.digest_of(secret), moment
        return secret

    @staticmethod
    def digest_of(secret: str) -> str:
        """SHA-256 in hex. Secrets are 256 random bits, so no salt or slow hash is needed."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(
        cls, *, team: Team, created_by: User, name: str, **fields: Any
    ) -> "tuple[ApiToken, str]":
        """A new token row and its secret, which exists nowhere else afterwards."""
        secret = cls.SECRET_PREFIX + secrets.token_urlsafe(32)
        token = cls.objects.create(
            team=team,
            created_by=created_by,
            name=name,
            prefix=secret[:12],
            digest=cls.digest_of(secret),
            scopes=fields.pop("scopes", list(TokenScope.values)),
            **fields,
        )
        return token, secret

    def team_ids(self, permission: str = "read") -> list[uuid.UUID]:
        """A token sees its own team only, whatever else its creator belongs to, and no more of it
        than its creator does."""
        if self.creator_role:
            is_allowed = permission in PERMISSIONS.get(self.creator_role, set())
        else:
            is_allowed = self.team_id in self.created_by.team_ids(permission)
        return [self.team_id] if is_allowed else []

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


_TOKEN, _TEAM, _USER, _MEMBERSHIP = (
    model._meta.db_table for model in (ApiToken, Team, User, Membership)
)
# Which tokens work, for the statements that every request makes: neither revoked nor expired, of
# an active person who is still in the team.
WORKING_TOKENS_SQL = f"""
FROM {_TOKEN} token
JOIN {_TEAM} team ON team.id = token.team_id
JOIN {_USER} person ON person.id = token.created_by_id AND person.is_active
JOIN {_MEMBERSHIP} membership
  ON membership.team_id = token.team_id AND membership.user_id = token.created_by_id
WHERE token.revoked_at IS NULL
  AND (token.expires_at IS NULL OR token.expires_at > clock_timestamp())
"""
# The secret's digest twice: a former secret works until its overlap ends.
WITH_DIGEST_SQL = """
  AND (token.digest = %s
       OR (token.previous_digest = %s AND token.previous_until > clock_timestamp()))
"""
