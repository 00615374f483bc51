"""What an assistant knows: approved answers, and the ways people ask for them."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from pgvector.django import HalfVectorField

from accounts.models import TeamOwnedQuerySet, User
from assistants.models.assistant import Assistant
from projects.models import DatasetVersion

DIMENSIONS = 384  # Of the encoders on offer.


class Source(models.Model):
    """A dataset version whose rows became phrasings or passages, and the columns that were read."""

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="sources")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    # {"question_column", "answer_key_column", "answer_column"}, or {"text_column",
    # "heading_column"} of a document.
    mapping = models.JSONField()
    answers = models.PositiveIntegerField(default=0)
    phrasings = models.PositiveIntegerField(default=0)
    passages = models.PositiveIntegerField(default=0, db_default=0)
    retired_at = models.DateTimeField(null=True, blank=True)  # Its passages are quoted no more.
    skipped_rows = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)

    def __str__(self) -> str:
        return f"{self.dataset_version} for {self.assistant}"


class Passage(models.Model):
    """A part of a document, quoted where no approved answer fits."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="passage_rows")
    position = models.PositiveIntegerField()  # In the document.
    heading = models.CharField(max_length=500, blank=True)
    text = models.TextField()
    language = models.CharField(max_length=8, default="en")
    sha256 = models.CharField(max_length=64)  # Of heading and text.

    class Meta:
        ordering = ["source", "position"]
        constraints = [
            models.UniqueConstraint(
                name="assistants_passage_once_per_source", fields=["source", "sha256"]
            ),
            models.CheckConstraint(name="assistants_passage_has_text", condition=~Q(text="")),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class AnswerQuerySet(TeamOwnedQuerySet["Answer"]):
    team_path = "assistant__team"

    def usable(self) -> Self:
        """Approved and valid now: what may be said to a customer."""
        moment = now()
        return self.filter(
            Q(valid_from=None) | Q(valid_from__lte=moment),
            Q(valid_until=None) | Q(valid_until__gt=moment),
            state=Answer.State.APPROVED,
        )


class Answer(models.Model):
    """A text that is shown word for word once somebody has approved it."""

    class State(models.TextChoices):
        DRAFT = "draft"
        APPROVED = "approved"
        RETIRED = "retired"

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="answers")
    key = models.CharField(max_length=200)
    language = models.CharField(max_length=8, default="en")
    text = models.TextField()
    link = models.URLField(max_length=500, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    approved_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    objects = AnswerQuerySet.as_manager()

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(name="assistants_answer_key_once", fields=["assistant", "key"]),
            models.CheckConstraint(name="assistants_answer_has_text", condition=~Q(text="")),
            models.CheckConstraint(
                name="assistants_answer_approved_by_somebody",
                condition=Q(approved_by=None, approved_at=None)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
            ),
            models.CheckConstraint(
                name="assistants_answer_approved_iff_time",
                condition=~Q(state="approved") | Q(approved_at__isnull=False),
            ),
            models.CheckConstraint(
                name="assistants_answer_draft_unapproved",
                condition=~Q(state="draft") | Q(approved_at=None),
            ),
            models.CheckConstraint(
                name="assistants_answer_valid_in_order",
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_until__gt=models.F("valid_from")),
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Phrasing(models.Model):
    """One way to ask for an answer. A suggested one counts only once somebody accepted it."""

    class Origin(models.TextChoices):
        IMPORT = "import"
        WRITTEN = "written"
        CORRECTION = "correction"
        SUGGESTED = "suggested"

    answer = models.ForeignKey(Answer, models.CASCADE, related_name="phrasings")
    text = models.TextField()
    language = models.CharField(max_length=8, default="en")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.WRITTEN)
    text_hash = models.CharField(max_length=64)  # SHA-256 of the normalised text.
    accepted_at = models.DateTimeField(null=True, blank=True, default=now)
    embedding = HalfVectorField(dimensions=DIMENSIONS, null=True, blank=True)
    encoder = models.CharField(max_length=80, blank=True)  # That made `embedding`.
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_phrasing_once_per_answer", fields=["answer", "text_hash"]
            ),
            models.CheckConstraint(
                name="assistants_embedding_iff_encoder",
                condition=Q(embedding=None, encoder="")
                | (Q(embedding__isnull=False) & ~Q(encoder="")),
            ),
            models.CheckConstraint(
                name="assistants_phrasing_only_suggested_waits",
                condition=Q(origin="suggested") | Q(accepted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]
