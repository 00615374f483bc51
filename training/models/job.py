"""The job: its row is the queue and the truth."""

import uuid
from typing import Any, Self

from django.db import models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import EventGroup, Team, TeamOwnedQuerySet, User
from accounts.notifications.publish import publish
from engine import catalog
from projects.models import DatasetVersion, Project
from training.errors import StaleJobState
from training.models.compute_class import ComputeClass
from training.models.trained_model import TrainedModel
from web.models.described import Described
from web.sse import notify


class Status(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The whole life of a job. A status that is not a key here is final.
STATUS_TRANSITIONS: dict[Status, set[Status]] = {
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


UNFINISHED_STATUSES = list(STATUS_TRANSITIONS)


class PauseCode(models.TextChoices):
    """Why a paused job is paused."""

    USER = "user", "by a person"
    SPEND_CAP = "spend_cap", "spend cap"
    HOLD = "hold", "team on hold"
    COST = "cost", "announced cost reached"


# A team orders its own jobs from -10 to 10; above that, only operators go, and such a job also
# goes before other teams' jobs.
TEAM_PRIORITY_RANGE = (-10, 10)
MAX_PRIORITY = 100


class FailureCode(models.TextChoices):
    BAD_DATA = "bad_data"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    BASE_MODEL_UNAVAILABLE = "base_model_unavailable"
    STORAGE_FULL = "storage_full"
    EXPORT_REFUSED = "export_refused"
    WORKER_LOST = "worker_lost"
    TIME_LIMIT = "time_limit"
    INTERNAL = "internal"


class TrainingJobQuerySet(TeamOwnedQuerySet["TrainingJob"]):
    def unfinished(self) -> Self:
        return self.filter(status__in=UNFINISHED_STATUSES)

    def not_in_trash(self) -> Self:
        """What lists show: a job goes to the trash by itself or with its project."""
        return self.filter(archived_at=None, project__archived_at=None)


class TrainingJob(Described):
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
    time_limit_seconds = models.PositiveIntegerField(null=True)  # Null: its class's.
    retry_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="retries")
    start_from = models.ForeignKey(  # Another job's saved state, until it has one of its own.
        "Checkpoint", models.PROTECT, null=True, related_name="restarts"
    )
    source_model = models.ForeignKey(  # Of an export job: the model it makes another form of.
        "TrainedModel", models.PROTECT, null=True, related_name="exports"
    )
    initial_model = models.ForeignKey(  # Whose weights training goes on from; null: the base's.
        "TrainedModel", models.PROTECT, null=True, related_name="continuations"
    )
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
    pause_code = models.CharField(max_length=10, choices=PauseCode.choices, null=True, blank=True)
    log_tail = models.TextField(blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)  # In the trash, since when.
    purged_at = models.DateTimeField(null=True, blank=True)  # Its log and curves are deleted.
    model = models.OneToOneField("TrainedModel", models.PROTECT, null=True, related_name="job")
    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="training_job_finished_at_iff_final",
                condition=Q(status__in=UNFINISHED_STATUSES, finished_at=None)
                | (~Q(status__in=UNFINISHED_STATUSES) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="training_job_failed_iff_code",
                condition=(Q(status=Status.FAILED) & Q(failure_code__isnull=False))
                | (~Q(status=Status.FAILED) & Q(failure_code=None)),
            ),
            models.CheckConstraint(
                name="training_job_paused_iff_pause_code",
                condition=(Q(status=Status.PAUSED) & Q(pause_code__isnull=False))
                | (~Q(status=Status.PAUSED) & Q(pause_code=None)),
            ),
            models.CheckConstraint(
                name="training_job_priority_in_bounds",
                condition=Q(priority__gte=TEAM_PRIORITY_RANGE[0], priority__lte=MAX_PRIORITY),
            ),
            models.UniqueConstraint(
                name="training_job_one_unfinished_retry",
                fields=["retry_of"],
                condition=Q(status__in=UNFINISHED_STATUSES),
            ),
            models.UniqueConstraint(
                name="training_job_one_unfinished_restart",
                fields=["start_from"],
                condition=Q(status__in=UNFINISHED_STATUSES),
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
                fields=["compute_class", "team", "-priority", "queued_at", "id"],
                condition=Q(status="queued"),
            ),
            models.Index(
                name="training_job_running", fields=["team"], condition=Q(status="running")
            ),
            models.Index(  # Where a claim looks first.
                name="training_job_oldest",
                fields=["compute_class", "queued_at", "id", "team"],
                condition=Q(status="queued"),
            ),
            models.Index(
                name="training_job_urgent",
                fields=["compute_class"],
                condition=Q(status="queued", priority__gt=TEAM_PRIORITY_RANGE[1]),
            ),
            models.Index(  # All teams' jobs, as operators list them.
                name="training_job_newest", fields=["-created_at"]
            ),
            models.Index(  # What retention looks for.
                name="training_job_finished", fields=["finished_at"]
            ),
        ]

    def get_absolute_url(self) -> str:
        return reverse("training:job", args=[self.pk])

    def __str__(self) -> str:
        return self.name

    @property
    def base_model_name(self) -> str:
        return catalog.name_of(self.base_model)

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
        return self.status not in UNFINISHED_STATUSES

    def start(self, sentence: str = "Started") -> None:
        """The row is locked and was read under that lock."""
        started_at = self.started_at or now()
        self._transition(Status.RUNNING, sentence, is_fresh=True, started_at=started_at)

    def succeed(self, model: "TrainedModel", sentence: str = "Finished") -> None:
        self._transition(
            Status.SUCCEEDED,
            sentence,
            finished_at=now(),
            model=model,
            progress=1,
            eta_seconds=None,
            phase="",
        )

    def fail(self, code: str, sentence: str) -> None:
        self._transition(
            Status.FAILED,
            sentence,
            finished_at=now(),
            failure_code=code,
            failure_sentence=sentence,
            eta_seconds=None,
        )

    def cancel(self, sentence: str = "Cancelled") -> None:
        self._transition(Status.CANCELLED, sentence, finished_at=now(), eta_seconds=None)

    def pause(
        self, sentence: str = "Paused", *, code: PauseCode = PauseCode.USER, by: User | None = None
    ) -> None:
        """`by`: who asked for it. Nobody did: the team must act. Another member: who launched it
        should know."""
        group = EventGroup.FAILURES if by is None else EventGroup.RESULTS
        if by is not None and by.pk == self.launched_by_id:
            group = EventGroup.PROGRESS
        self._transition(Status.PAUSED, sentence, group=group, eta_seconds=None, pause_code=code)

    def requeue(self, sentence: str) -> None:
        """Back to the queue because its worker was lost or must leave."""
        self._transition(
            Status.QUEUED, sentence, only_from=Status.RUNNING, eta_seconds=None, phase=""
        )

    def resume(self, sentence: str = "Resumed") -> None:
        """Back to the queue because the user wants it to go on."""
        self._transition(
            Status.QUEUED, sentence, only_from=Status.PAUSED, event="resumed", queued_at=now()
        )

    def add_event(
        self, message: str, *, level: str = "info", kind: str = "message", **data: Any
    ) -> int:
        """Add one line to the job's history and wake the pages that watch it; the line's id."""
        event_id = self._create_event(message, level, kind, data)
        notify(self.channel)
        return event_id

    def _create_event(self, message: str, level: str, kind: str, data: dict[str, object]) -> int:
        event = JobEvent.objects.create(
            job=self, message=message, level=level, kind=kind, data=data
        )
        return event.pk

    def record_status_change(
        self,
        status: Status,
        message: str,
        event: str = "",
        *,
        group: EventGroup | None = None,
        **data: Any,
    ) -> None:
        """Put a new status into the history and tell the team, with the change itself.

        `event` names what happened where the status alone does not, `group` whom it concerns.
        """
        level = "error" if status == Status.FAILED else "info"
        event_id = self._create_event(message, level, "status", {"status": str(status)} | data)
        publish(
            self.team,
            f"training_job.{event or status}",
            f"{self.name}: {message}",
            url=reverse("training:job", args=[self.pk]),
            key=f"training_job:{self.pk}:{event_id}",
            data={"id": str(self.pk), "name": self.name, "status": str(status)} | data,
            about=self.launched_by,
            group=group,
            refresh_channel=self.channel,
        )

    def _transition(
        self,
        to: Status,
        message: str,
        *,
        only_from: Status | None = None,
        event: str = "",
        group: EventGroup | None = None,
        is_fresh: bool = False,
        **facts: Any,
    ) -> None:
        """One guarded UPDATE with its event, so that of several actors exactly one wins.

        `is_fresh`: nobody can have changed the row since it was read; it is not read again.
        """
        allowed_from = [status for status, targets in STATUS_TRANSITIONS.items() if to in targets]
        if only_from is not None:
            allowed_from = [status for status in allowed_from if status == only_from]
        changes = {"status": to, "pause_code": None} | facts
        with transaction.atomic(savepoint=False):
            updated = TrainingJob.objects.filter(pk=self.pk, status__in=allowed_from).update(
                **changes
            )
            if updated:
                code = facts.get("failure_code") or facts.get("pause_code")
                data = {"code": str(code)} if code else {}
                self.record_status_change(to, message, event, group=group, **data)
        if updated and is_fresh:
            vars(self).update(changes)
            return
        self.refresh_from_db()
        if not updated:
            raise StaleJobState


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
