"""The audit log's rows."""

from django.db import models
from django.utils.timezone import now

from accounts.models.team import Team, TeamOwnedQuerySet


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
