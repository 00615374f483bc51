"""A measured, immutable version of an assistant and the index it answers from."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from pgvector.django import HalfVectorField

from accounts.models import TeamOwnedQuerySet, User
from assistants.errors import StaleVersionState
from assistants.models.assistant import Assistant
from assistants.models.knowledge import DIMENSIONS, Answer, Passage
from projects.models import DatasetVersion
from training.models import TrainedModel, TrainingJob


class VersionStatus(models.TextChoices):
    BUILDING = "building"
    MEASURED = "measured"
    LIVE = "live"
    RETIRED = "retired"
    FAILED = "failed"


# A status that is not a key here is final. Rolling back makes a retired version live again.
NEXT = {
    VersionStatus.BUILDING: {VersionStatus.MEASURED, VersionStatus.FAILED},
    VersionStatus.MEASURED: {VersionStatus.LIVE},
    VersionStatus.LIVE: {VersionStatus.RETIRED},
    VersionStatus.RETIRED: {VersionStatus.LIVE},
}


NOTHING = models.Value({}, models.JSONField())  # For rows that older code inserts.


class Precision(models.TextChoices):
    """Those of EncoderPrecision."""

    FLOAT32 = "float32"
    INT8 = "int8"


class VersionQuerySet(TeamOwnedQuerySet["Version"]):
    team_path = "assistant__team"


class Version(models.Model):
    """What was measured is what answers: phrasings, weights and thresholds never change."""

    assistant = models.ForeignKey(Assistant, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=8, choices=VersionStatus.choices, default=VersionStatus.BUILDING
    )
    encoder = models.CharField(max_length=80)
    # Of the vectors that it was measured with, and is asked with.
    encoder_precision = models.CharField(
        max_length=8, choices=Precision.choices, default=Precision.INT8, db_default="float32"
    )
    promise = models.FloatField()
    out_of_scope_share = models.FloatField()
    # Audited questions that this share is of; 0: it is assumed.
    share_audited = models.PositiveIntegerField(default=0, db_default=0)
    rules = models.JSONField(default=list)  # Frozen rule specs, in order.
    # Who writes, and how (assistants.writing.writers); None: built by code that froze none.
    writer = models.JSONField(null=True, blank=True)
    knowledge_hash = models.CharField(max_length=64, blank=True)
    report = models.JSONField(default=dict)  # {language: engine LanguageReport}
    passage_report = models.JSONField(
        default=dict, db_default=NOTHING
    )  # {language: engine PassageReport}
    fusions = models.JSONField(default=dict, db_default=NOTHING)  # {language: engine PassageFusion}
    failure_sentence = models.TextField(blank=True)
    awaits_classifier = models.BooleanField(
        default=False, db_default=False
    )  # A job trains it before measuring.
    dataset_version = models.ForeignKey(
        DatasetVersion, models.SET_NULL, related_name="+", null=True, blank=True
    )  # What it learns, as rows: those of its classifier's job, too.
    job = models.ForeignKey(TrainingJob, models.SET_NULL, related_name="+", null=True, blank=True)
    classifier = models.ForeignKey(
        TrainedModel, models.SET_NULL, related_name="+", null=True, blank=True
    )
    classifier_note = models.TextField(blank=True, db_default="")  # Why no job trained it.
    publish_when_measured = models.BooleanField(default=False)  # If the gate lets it pass.
    claimed_until = models.DateTimeField(null=True, blank=True)  # A worker's claim on the build.
    attempts = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    measured_at = models.DateTimeField(null=True, blank=True)
    promise_broken_at = models.DateTimeField(null=True, blank=True)  # By the audit: asks back.
    live_at = models.DateTimeField(null=True, blank=True)  # When it last went live.
    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                name="assistants_version_number_once", fields=["assistant", "number"]
            ),
            models.UniqueConstraint(
                name="assistants_one_live_version",
                fields=["assistant"],
                condition=Q(status="live"),
            ),
            models.UniqueConstraint(
                name="assistants_one_building_version",
                fields=["assistant"],
                condition=Q(status="building"),
            ),
            models.CheckConstraint(
                name="assistants_version_measured_iff_time",
                condition=Q(status__in=["building", "failed"], measured_at=None)
                | Q(status__in=["measured", "live", "retired"], measured_at__isnull=False),
            ),
            models.CheckConstraint(
                name="assistants_version_failed_iff_sentence",
                condition=(Q(status="failed") & ~Q(failure_sentence=""))
                | (~Q(status="failed") & Q(failure_sentence="")),
            ),
            models.CheckConstraint(
                name="assistants_version_live_has_time",
                condition=~Q(status__in=["live", "retired"]) | Q(live_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.assistant} v{self.number}"

    def transition(self, to: VersionStatus, **fields: Any) -> None:
        """The one way to change the status. Raises StaleVersionState when it changed meanwhile."""
        allowed_from = [status for status, targets in NEXT.items() if to in targets]
        guarded = Version.objects.filter(pk=self.pk, status__in=allowed_from)
        updated = guarded.filter(status=self.status).update(status=to, **fields)
        self.refresh_from_db()
        if not updated:
            raise StaleVersionState


class LanguageModel(models.Model):
    """What scores the questions of one language."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="language_models")
    language = models.CharField(max_length=8)
    answers = models.JSONField()  # Keys of `Answer`, in the order of the probe's rows.
    calibrator = models.JSONField()  # engine.answering.scoring.Calibrator
    probe = models.BinaryField()  # float32 (answers, dimensions + 1), the bias last.

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_language_once_per_version", fields=["version", "language"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.language}"


class IndexEntry(models.Model):
    """A phrasing as a version knows it: later changes of the knowledge do not reach it."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="index")
    answer = models.ForeignKey(Answer, models.CASCADE, related_name="+")
    language = models.CharField(max_length=8)
    text = models.TextField()
    embedding = HalfVectorField(dimensions=DIMENSIONS)

    class Meta:
        indexes = [
            models.Index(name="assistants_index_by_language", fields=["version", "language"])
        ]

    def __str__(self) -> str:
        return self.text[:80]


class PassageEntry(models.Model):
    """A passage as a version knows it, with its vector."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="passages")
    passage = models.ForeignKey(Passage, models.CASCADE, related_name="+")
    language = models.CharField(max_length=8)
    embedding = HalfVectorField(dimensions=DIMENSIONS)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_passage_once_per_version", fields=["version", "passage"]
            )
        ]
        indexes = [models.Index(name="assistants_passages_by_lang", fields=["version", "language"])]

    def __str__(self) -> str:
        return str(self.passage)


class PassageTerm(models.Model):
    """What a term adds to the BM25 score of a passage; see engine.answering.terms."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="passage_terms")
    language = models.CharField(max_length=8)
    term = models.CharField(max_length=100)
    passage = models.ForeignKey(Passage, models.CASCADE, related_name="+")
    weight = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_passage_term_once",
                fields=["version", "language", "term", "passage"],
            )
        ]

    def __str__(self) -> str:
        return self.term


class Term(models.Model):
    """What a term adds to the BM25 score of an answer; see engine.answering.terms."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="terms")
    language = models.CharField(max_length=8)
    term = models.CharField(max_length=100)
    answer = models.ForeignKey(Answer, models.CASCADE, related_name="+")
    weight = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="assistants_term_once", fields=["version", "language", "term", "answer"]
            ),
            models.CheckConstraint(name="assistants_term_weight", condition=Q(weight__gt=0)),
        ]

    def __str__(self) -> str:
        return self.term
