"""A file that is on its way in parts, and can go on after its connection dropped."""

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet, User
from projects.models.project import Project

LIFETIME = timedelta(days=1)  # Since its last part.


class ResumableUploadQuerySet(TeamOwnedQuerySet["ResumableUpload"]):
    team_path = "project__team"


class ResumableUpload(models.Model):
    """`received` only rises, with one guarded UPDATE for each part; `parts` are their keys in
    storage, in order. The row goes when a dataset version was made of it, or after LIFETIME."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    filename = models.CharField(max_length=255)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    parts = models.JSONField(default=list)
    touched_at = models.DateTimeField(default=now)
    objects = ResumableUploadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(received__gte=0, received__lte=models.F("size")),
                name="received_within_size",
            )
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def folder(self) -> str:
        return f"resumable-uploads/{self.pk}"

    @property
    def is_complete(self) -> bool:
        return self.received == self.size
