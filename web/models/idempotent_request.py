"""Requests that may come twice, and the answer to each, so that the second has no effect."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now


class IdempotentRequest(models.Model):
    """One request under one key, from its first byte of work until a day later.

    The key is kept as a digest only, and the answer encrypted with it: some answers hold a secret
    that is shown once.
    """

    digest = models.CharField(max_length=64, unique=True)  # Of whose key it is, and the key.
    fingerprint = models.CharField(max_length=64)  # Of method, address and body.
    created_at = models.DateTimeField(default=now, db_index=True)
    sealed_answer = models.BinaryField(null=True)  # Null while the work is under way.
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="web_idempotentrequest_finished_with_answer",
                condition=Q(finished_at=None, sealed_answer=None)
                | Q(finished_at__isnull=False, sealed_answer__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} of {self.created_at:%Y-%m-%d %H:%M}"
