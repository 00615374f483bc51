"""An assistant: what a team asks to answer its customers' questions, and the promise it keeps."""

import uuid
from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from engine.answering.encoders import DEFAULT_ENCODER
from projects.models import Project


class AssistantQuerySet(TeamOwnedQuerySet["Assistant"]):
    def current(self) -> Self:
        return self.exclude(state=Assistant.State.RETIRED)

    def visible_to(self, viewer: object, permission: str = "read") -> Self:
        return super().visible_to(viewer, permission).filter(purged_at=None)

    def purged_of(self, viewer: object) -> Self:
        """What the viewer would see, had it not been deleted for good."""
        return super().visible_to(viewer).filter(purged_at__isnull=False)


class Assistant(models.Model):
    """`promise`: of answers given alone, the share that must be right."""

    class State(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        PAUSED = "paused"
        RETIRED = "retired"

    class Voice(models.TextChoices):
        """Who hears and speaks; of those on the server, `assistants.voice.engines`."""

        OFF = "off", "Off"
        BROWSER = "browser", "The visitor's browser"
        ADDRESS = "address", "An OpenAI-compatible address"
        OFFLINE = "offline", "This server, offline"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    name = models.SlugField(max_length=80)
    languages = ArrayField(models.CharField(max_length=8), default=list)  # First: the default.
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    promise = models.FloatField(default=0.95)
    out_of_scope_share = models.FloatField(default=0.15)  # Questions that nobody could answer.
    encoder = models.CharField(max_length=80, default=DEFAULT_ENCODER)
    texts = models.JSONField(default=dict, blank=True)  # {language: {name: sentence}}, own words.
    opening_hours = models.JSONField(default=dict, blank=True)  # {"mon": ["09:00", "17:00"]}
    time_zone = models.CharField(max_length=60, default="UTC")
    writer_model = models.CharField(
        max_length=200, blank=True, db_default=""
    )  # Empty: nobody writes.
    writer_url = models.URLField(
        max_length=500, blank=True, db_default=""
    )  # Empty: a deployment of the team.
    writer_key = models.TextField(blank=True, db_default="")  # Encrypted; of `writer_url`.
    # {origin: encrypted key} of other addresses, where versions write.
    writer_keys = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), blank=True
    )
    # What that address asks for a million tokens, in micro-USD: a cost, but no bill of ours.
    writer_input_price_micro = models.BigIntegerField(default=0, db_default=0)  # Of those it reads,
    writer_output_price_micro = models.BigIntegerField(default=0, db_default=0)  # and it writes.
    writing_style = models.CharField(  # How it writes.
        max_length=300, blank=True, default="", db_default=""
    )
    voice = models.CharField(
        max_length=8, choices=Voice.choices, default=Voice.OFF, db_default=Voice.OFF
    )
    voice_url = models.URLField(max_length=500, blank=True, db_default="")
    voice_key = models.TextField(blank=True, db_default="")  # Encrypted.
    hearing_model = models.CharField(max_length=200, blank=True, db_default="")  # Empty: deaf.
    speaking_model = models.CharField(max_length=200, blank=True, db_default="")  # Empty: mute.
    voice_name = models.CharField(max_length=80, blank=True, db_default="")
    shadow_version = models.ForeignKey(
        "assistants.Version", models.SET_NULL, related_name="+", null=True, blank=True
    )  # Decides beside the live one, for so many more questions:
    shadow_left = models.PositiveIntegerField(default=0, db_default=0)
    daily_budget_micro = models.BigIntegerField(null=True, blank=True)  # USD, per UTC day.
    # A version is built every so many days if something was taught; None: when somebody asks.
    rebuild_days = models.PositiveSmallIntegerField(null=True, blank=True)
    retention_days = models.PositiveIntegerField(default=365)
    # For how many days what was masked is kept as it was written, encrypted; None: not at all.
    original_days = models.PositiveSmallIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)  # Its data is deleted for good.
    # It was retired when the page still said that what was said stays: nothing of it is deleted.
    keeps_history = models.BooleanField(default=False, db_default=False, editable=False)
    objects = AssistantQuerySet.as_manager()
    # What a request has read with the row: [(key of the live version, when its promise broke)].
    known_live: "list[tuple[int, datetime | None]] | None" = None

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="assistants_name_once_per_team",
                fields=["team", "name"],
                condition=~Q(state="retired"),
            ),
            models.CheckConstraint(
                name="assistants_promise_in_range", condition=Q(promise__gte=0.8, promise__lte=0.99)
            ),
            models.CheckConstraint(
                name="assistants_share_in_range",
                condition=Q(out_of_scope_share__gte=0.01, out_of_scope_share__lte=0.9),
            ),
            models.CheckConstraint(
                name="assistants_writer_prices_not_negative",
                condition=Q(writer_input_price_micro__gte=0, writer_output_price_micro__gte=0),
            ),
            models.CheckConstraint(
                name="assistants_voice_known",
                condition=Q(voice__in=["off", "browser", "address", "offline"]),
            ),
            models.CheckConstraint(
                name="assistants_voice_address_has_url",
                condition=~Q(voice="address") | ~Q(voice_url=""),
            ),
            models.CheckConstraint(
                name="assistants_retired_iff_time",
                condition=Q(state="retired", retired_at__isnull=False)
                | (~Q(state="retired") & Q(retired_at=None)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """How billing names this assistant."""
        return f"assistant:{self.pk}"

    @property
    def default_language(self) -> str:
        return self.languages[0] if self.languages else "en"
