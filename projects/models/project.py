"""A product area of one team."""

import uuid
from typing import Self

from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from web.models.described import Described


class ProjectQuerySet(TeamOwnedQuerySet["Project"]):
    def active(self) -> Self:
        return self.filter(archived_at=None)


class Project(Described):
    """A product area of one team: its datasets, jobs and models."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]

    def get_absolute_url(self) -> str:
        return reverse("projects:project", args=[self.pk])

    def __str__(self) -> str:
        return self.name
