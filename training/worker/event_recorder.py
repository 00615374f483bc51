"""What a running engine reports, written to the job's rows. Every write is fenced."""

from datetime import timedelta
from functools import singledispatchmethod
from pathlib import Path

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.timezone import now

from engine import events
from projects import storage
from training.artifacts import checkpoint_retention
from training.artifacts.storage import checkpoint_key
from training.errors import AttemptEnded
from training.models import Attempt, Checkpoint, MetricPoint, Status, TrainingJob, Trial
from training.worker.heartbeat import BillableClock, HeartbeatThread
from web.sse import notify

UNBILLED_PHASES = {"downloading"}
MAX_METRIC_BUFFER = 50
FLUSH_INTERVAL = timedelta(seconds=1)


class EventRecorder:
    """Writes one attempt's events. Raises AttemptEnded once the job is no longer ours."""

    def __init__(self, attempt: Attempt, meter: BillableClock, heart: HeartbeatThread) -> None:
        self.attempt = attempt
        self.job = attempt.job
        self.clock = meter
        self.heartbeat = heart
        self.result: events.Result | None = None
        self.failure: events.Failure | None = None
        self._points: list[MetricPoint] = []
        self._flushed_at = now()

    @singledispatchmethod
    def record(self, event: events.Event) -> None:
        raise TypeError(f"unknown event {event!r}")

    @record.register
    def _(self, event: events.PhaseStarted) -> None:
        if event.phase in UNBILLED_PHASES:
            self.clock.pause()
        else:
            self.clock.start()
        self._update(phase=event.phase)

    @record.register
    def _(self, event: events.Progress) -> None:
        self._update(
            progress=min(1.0, max(0.0, event.fraction)),
            step=event.step,
            total_steps=event.total_steps,
            epoch=event.epoch,
            epochs=event.epochs,
            eta_seconds=event.eta_seconds,
            rows_per_second=event.rows_per_second,
        )

    @record.register
    def _(self, event: events.Metric) -> None:
        self._points.append(
            MetricPoint(
                job=self.job,
                attempt_number=self.attempt.number,
                name=event.name,
                step=event.step,
                epoch=event.epoch,
                value=event.value,
            )
        )
        if len(self._points) >= MAX_METRIC_BUFFER or now() - self._flushed_at > FLUSH_INTERVAL:
            self.flush()

    @record.register
    def _(self, event: events.Message) -> None:
        self.job.add_event(event.text, level=event.level)

    @record.register
    def _(self, event: events.DatasetLoaded) -> None:
        facts = event.model_dump(exclude={"event"})
        self._update(data_facts=facts)
        for warning in event.warnings:
            self.job.add_event(warning, level="warning")

    @record.register
    def _(self, event: events.TrialUpdated) -> None:
        record_trial(self.attempt, event)

    @record.register
    def _(self, event: events.CheckpointSaved) -> None:
        self.flush()
        store_checkpoint(self.attempt, event, self.heartbeat)

    @record.register
    def _(self, event: events.Result) -> None:
        self.result = event

    @record.register
    def _(self, event: events.Failure) -> None:
        self.failure = event

    def flush(self) -> None:
        """Write the metric points gathered so far and wake the job's pages."""
        if self._points:
            MetricPoint.objects.bulk_create(self._points, ignore_conflicts=True)
            notify(self.job.channel)
        self._points, self._flushed_at = [], now()

    def _update(self, **facts: object) -> None:
        if not _active_job(self.attempt).update(**facts):
            raise AttemptEnded
        notify(self.job.channel)


@transaction.atomic
def record_trial(attempt: Attempt, event: events.TrialUpdated) -> None:
    """How a trial of the search stands now. Only one is the best so far."""
    if not _active_job(attempt).select_for_update(of=("self",)).exists():
        raise AttemptEnded
    facts = event.model_dump(exclude={"event", "number", "higher_is_better"})
    trials = Trial.objects.filter(job=attempt.job_id)
    if event.is_best:
        trials.exclude(number=event.number).update(is_best=False)
    trials.update_or_create(
        job_id=attempt.job_id,
        number=event.number,
        defaults=facts | {"attempt_number": attempt.number},
    )
    notify(attempt.job.channel)


def _active_job(attempt: Attempt) -> QuerySet[TrainingJob]:
    """The job's row while this attempt carries it; empty once it does not."""
    live = Attempt.objects.filter(pk=attempt.pk, job=OuterRef("pk"), ended_at=None)
    return TrainingJob.objects.filter(Exists(live), pk=attempt.job_id, status=Status.RUNNING)


def store_checkpoint(
    attempt: Attempt, event: events.CheckpointSaved, heart: HeartbeatThread | None = None
) -> None:
    """Put a checkpoint into storage; the work it holds is kept and never refunded from then on.

    Also called after a pause, when the attempt has ended but its last state is still the newest.
    """
    if not _is_latest_attempt(attempt):
        return
    key = checkpoint_key(attempt, event.step)
    storage.delete(key)
    try:
        storage.put_folder(key, Path(event.path))
    except FileNotFoundError:  # The engine wrote a newer one meanwhile; its event follows.
        storage.delete(key)
        return
    except Exception:  # Such as a full disk: half a folder helps nobody.
        storage.delete(key)
        raise
    if heart is not None:
        heart.mark_checkpointed()
    if not _is_latest_attempt(attempt):
        storage.delete(key)
        return
    # A step can be saved twice: on the clock, then at a stop. Two rows would share one folder, and
    # retention would delete it with the older of them.
    Checkpoint.objects.update_or_create(
        job_id=attempt.job_id,
        attempt_number=attempt.number,
        step=event.step,
        defaults={
            "epoch": event.epoch,
            "storage_key": key,
            "metrics": event.metrics,
            "is_best": event.best,
            "deleted_at": None,
        },
    )
    checkpoint_retention.delete_superseded(attempt.job_id)
    notify(attempt.job.channel)


def _is_latest_attempt(attempt: Attempt) -> bool:
    """No later attempt has begun and the job can still use what we saved."""
    job = TrainingJob.objects.filter(pk=attempt.job_id).exclude(
        status__in=[Status.CANCELLED, Status.SUCCEEDED]
    )
    later = Attempt.objects.filter(job=attempt.job_id, number__gt=attempt.number)
    return job.exists() and not later.exists()
