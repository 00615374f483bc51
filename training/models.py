"""What you teach: jobs, the attempts that carry them, what they report and the models they make."""

import uuid
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, User
from accounts.visibility import TeamOwnedQuerySet
from billing.models import MeteredRun
from projects.models import DatasetVersion, Project
from training.errors import JobMovedOn
from web.live import notify


class ComputeClass(models.Model):
    """A kind of machine with a price; its code is also the SKU of its rate."""

    code = models.SlugField(primary_key=True)  # For example "cpu" or "gpu-h100".
    name = models.CharField(max_length=80)
    device = models.CharField(max_length=10, choices=[("cpu", "CPU"), ("cuda", "NVIDIA GPU")])
    devices = models.PositiveSmallIntegerField(default=1)
    memory_bytes = models.BigIntegerField()
    is_offered = models.BooleanField(default=True)
    order = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return self.name

    @property
    def queue(self) -> str:
        """The Celery queue its trainers listen to."""
        return f"compute.{self.code}"


class Worker(models.Model):
    """A trainer process that has been seen, so that waiting can be explained."""

    name = models.CharField(primary_key=True, max_length=120)
    compute_class = models.ForeignKey(ComputeClass, models.CASCADE, related_name="workers")
    version = models.CharField(max_length=20)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Status(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The whole life of a job. A status that is not a key here is final.
NEXT: dict[Status, set[Status]] = {
    Status.QUEUED: {Status.RUNNING, Status.PAUSED, Status.FAILED, Status.CANCELLED},
    Status.RUNNING: {
        Status.SUCCEEDED,
        Status.FAILED,
        Status.CANCELLED,
        Status.PAUSED,
        Status.QUEUED,  # Its worker was lost; it resumes from the last checkpoint.
    },
    Status.PAUSED: {Status.QUEUED, Status.CANCELLED},
}
UNFINISHED = list(NEXT)


class FailureCode(models.TextChoices):
    BAD_DATA = "bad_data"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    BASE_MODEL_UNAVAILABLE = "base_model_unavailable"
    STORAGE_FULL = "storage_full"
    WORKER_LOST = "worker_lost"
    TIME_LIMIT = "time_limit"
    INTERNAL = "internal"


class TrainingJobQuerySet(TeamOwnedQuerySet["TrainingJob"]):
    def unfinished(self) -> Self:
        return self.filter(status__in=UNFINISHED)


class TrainingJob(models.Model):
    """One fine-tune. Its row is the queue and the truth; every status change is a guarded verb."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    compute_class = models.ForeignKey(ComputeClass, models.PROTECT, related_name="+")
    launched_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    name = models.CharField(max_length=120)
    task = models.CharField(max_length=40)
    base_model = models.CharField(max_length=120)
    recipe = models.JSONField()  # engine.spec fields the customer chose, frozen at launch.
    estimate = models.JSONField(default=dict)  # What launch promised: seconds, cost, memory.
    priority = models.SmallIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    phase = models.CharField(max_length=20, blank=True)
    progress = models.FloatField(default=0)  # 0 to 1 over the whole job.
    step = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    epoch = models.FloatField(default=0)
    epochs = models.PositiveIntegerField(default=0)
    eta_seconds = models.FloatField(null=True)
    rows_per_second = models.FloatField(null=True)
    data_facts = models.JSONField(
        default=dict
    )  # Split sizes, labels and warnings, from the engine.
    created_at = models.DateTimeField(default=now, editable=False)
    queued_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failure_code = models.CharField(
        max_length=40, choices=FailureCode.choices, null=True, blank=True
    )
    failure_sentence = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    model = models.OneToOneField("TrainedModel", models.PROTECT, null=True, related_name="job")
    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="training_job_finished_at_iff_final",
                condition=Q(status__in=UNFINISHED, finished_at=None)
                | (~Q(status__in=UNFINISHED) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="training_job_failed_iff_code",
                condition=(Q(status=Status.FAILED) & Q(failure_code__isnull=False))
                | (~Q(status=Status.FAILED) & Q(failure_code=None)),
            ),
            models.CheckConstraint(
                name="training_job_succeeded_iff_model",
                condition=(Q(status=Status.SUCCEEDED) & Q(model__isnull=False))
                | (~Q(status=Status.SUCCEEDED) & Q(model=None)),
            ),
            models.CheckConstraint(
                name="training_job_progress_is_a_fraction",
                condition=Q(progress__gte=0, progress__lte=1),
            ),
        ]
        indexes = [
            models.Index(name="training_job_by_team", fields=["team", "-created_at"]),
            models.Index(
                name="training_job_queue",
                fields=["compute_class", "-priority", "queued_at"],
                condition=Q(status="queued"),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """How billing names this job."""
        return f"training-job:{self.pk}"

    @property
    def channel(self) -> str:
        """Where live pages of this job listen."""
        return f"job:{self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.status not in UNFINISHED

    def start(self) -> None:
        self._move(Status.RUNNING, "Started", started_at=self.started_at or now())

    def succeed(self, model: "TrainedModel") -> None:
        self._move(
            Status.SUCCEEDED,
            "Finished",
            finished_at=now(),
            model=model,
            progress=1,
            eta_seconds=None,
            phase="",
        )

    def fail(self, code: str, sentence: str) -> None:
        self._move(
            Status.FAILED,
            sentence,
            finished_at=now(),
            failure_code=code,
            failure_sentence=sentence,
            eta_seconds=None,
        )

    def cancel(self, sentence: str = "Cancelled") -> None:
        self._move(Status.CANCELLED, sentence, finished_at=now(), eta_seconds=None)

    def pause(self, sentence: str = "Paused") -> None:
        self._move(Status.PAUSED, sentence, eta_seconds=None)

    def requeue(self, sentence: str) -> None:
        """Back to the queue because its worker was lost or must leave."""
        self._move(Status.QUEUED, sentence, only_from=Status.RUNNING, eta_seconds=None, phase="")

    def resume(self, sentence: str = "Resumed") -> None:
        """Back to the queue because the user wants it to go on."""
        self._move(Status.QUEUED, sentence, only_from=Status.PAUSED, queued_at=now())

    def say(self, message: str, *, level: str = "info", kind: str = "message", **data: Any) -> None:
        """Add one line to the job's history and wake the pages that watch it."""
        JobEvent.objects.create(job=self, message=message, level=level, kind=kind, data=data)
        notify(self.channel)

    def _move(
        self, to: Status, message: str, *, only_from: Status | None = None, **facts: Any
    ) -> None:
        """One guarded UPDATE with its event, so that of several actors exactly one wins."""
        allowed_from = [status for status, targets in NEXT.items() if to in targets]
        if only_from is not None:
            allowed_from = [status for status in allowed_from if status == only_from]
        with transaction.atomic():
            updated = TrainingJob.objects.filter(pk=self.pk, status__in=allowed_from).update(
                status=to, **facts
            )
            if updated:
                level = "error" if to == Status.FAILED else "info"
                self.say(message, level=level, kind="status", status=str(to))
        self.refresh_from_db()
        if not updated:
            raise JobMovedOn


class AttemptQuerySet(TeamOwnedQuerySet["Attempt"]):
    team_path = "job__team"

    def live(self) -> Self:
        return self.filter(ended_at=None)


class Attempt(models.Model):
    """One worker's try at a job. Its number is the fence: an older attempt can change nothing."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=120)
    run = models.OneToOneField(MeteredRun, models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=60, blank=True)
    resumed_from_step = models.PositiveIntegerField(null=True)
    halved_batches = models.PositiveSmallIntegerField(default=0)  # Times memory ran out before.
    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="training_attempt_fence", fields=["job", "number"]),
            models.UniqueConstraint(
                name="training_attempt_one_live_per_job",
                fields=["job"],
                condition=Q(ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job} attempt {self.number}"


class JobEvent(models.Model):
    """One line of a job's history. Written with the change it tells of."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="events")
    at = models.DateTimeField(default=now)
    level = models.CharField(max_length=10, default="info")
    kind = models.CharField(max_length=20, default="message")
    message = models.TextField()
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(name="training_event_by_job", fields=["job", "id"])]

    def __str__(self) -> str:
        return self.message


class MetricPoint(models.Model):
    """One measured value at one step; of two attempts at a step the newest fence is shown."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="metrics")
    attempt_number = models.PositiveIntegerField()
    name = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    epoch = models.FloatField(default=0)
    value = models.FloatField()
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="training_metric_once", fields=["job", "attempt_number", "name", "step"]
            )
        ]
        indexes = [models.Index(name="training_metric_by_name", fields=["job", "name", "step"])]

    def __str__(self) -> str:
        return f"{self.name}@{self.step}={self.value}"


class Checkpoint(models.Model):
    """A complete saved state in storage from which any worker can go on."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="checkpoints")
    attempt_number = models.PositiveIntegerField()
    step = models.PositiveIntegerField()
    epoch = models.FloatField(default=0)
    storage_key = models.CharField(max_length=255)
    metrics = models.JSONField(default=dict)
    is_best = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    deleted_at = models.DateTimeField(null=True)  # Its files are gone; a newer one replaced them.

    class Meta:
        ordering = ["-step", "-id"]
        indexes = [models.Index(name="training_checkpoint_by_job", fields=["job", "-step"])]

    def __str__(self) -> str:
        return f"step {self.step}"


class TrainedModelQuerySet(TeamOwnedQuerySet["TrainedModel"]):
    pass


class TrainedModel(models.Model):
    """The customer's model: an artifact that was tested and can be served."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    task = models.CharField(max_length=40)
    base_model = models.CharField(max_length=120)
    artifact_key = models.CharField(max_length=255)  # Folder in storage, complete with manifest.
    artifact_bytes = models.BigIntegerField(default=0)
    labels = ArrayField(models.TextField(), default=list)
    metrics = models.JSONField(default=dict)  # Headline numbers on the untouched test split.
    manifest = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True)
    objects = TrainedModelQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Evaluation(models.Model):
    """The whole report of one model on one split."""

    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="evaluations")
    split = models.CharField(max_length=20, default="test")
    report = models.JSONField()
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.model} on {self.split}"
