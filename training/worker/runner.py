"""Carries claimed jobs to their end: supervises the engine and translates what it says.

Runs in trainers only. Never enqueues. Knows the engine by its spec, its events and its exit code.
"""

import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from uuid import UUID

from django.conf import settings

from engine.artifact import read_manifest
from engine.errors import EXIT_OK, EXIT_STOPPED
from engine.events import Event
from engine.spec import parse_spec
from projects import storage
from training.artifacts import checkpoint_retention
from training.artifacts.storage import artifact_key, scratch_folder
from training.errors import AttemptEnded, StaleJobState
from training.estimates import announced_cost
from training.jobs import attempts, limits
from training.jobs.failures import is_storage_full
from training.jobs.recipes import Recipe
from training.models import Attempt, Evaluation, FailureCode, TrainedModel, TrainingJob
from training.scheduling import claims
from training.worker import shutdown
from training.worker.engine_process import STOP_GRACE_SECONDS, EngineProcess, prewarmed
from training.worker.event_recorder import EventRecorder, store_checkpoint
from training.worker.hardware import HardwareSampler
from training.worker.heartbeat import BillableClock, HeartbeatThread, StopReason
from training.worker.job_log import JobLog, describe_event
from training.worker.worker_heartbeat import WORKER_NAME_VARIABLE
from web.db_retry import DISCONNECT_ERRORS, retry_on_disconnect
from web.log_context import log_context

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # Longest time between two looks at the stop reason.
# Where the engine stops for reasons of ours, a job that is done is done.
FINISHABLE_REASONS = (
    StopReason.CAP,
    StopReason.COST,
    StopReason.TIME_LIMIT,
    StopReason.LEAVING,
)
INTERNAL_ERROR_MESSAGE = "Something broke on our side. You were not charged."
STORAGE_FULL_MESSAGE = "There was no room left to store the job's files. You were not charged."


def run_queued_jobs(compute_class: str) -> None:
    """Carry queued jobs to their end until none may run. A lost or repeated message is harmless."""
    # Celery's node name, or its machine and process without one.
    worker = os.environ.get(WORKER_NAME_VARIABLE) or f"{socket.gethostname()}-{os.getpid()}"
    while not shutdown.is_requested():
        attempt = claims.claim(compute_class, worker)
        if attempt is None:
            return
        # A claim reads little of the job, for it holds locks; what follows needs all of it.
        attempt.job = retry_on_disconnect(partial(_load_job, attempt.job_id))
        # AttemptEnded: someone else decided, and nothing is left to do.
        with (
            log_context(job=str(attempt.job_id)),
            shutdown.exit_on_sigterm(),
            suppress(AttemptEnded, StaleJobState),
        ):
            run_attempt(attempt)
        prewarmed.start()


def _load_job(job_id: UUID) -> TrainingJob:
    models = "source_model", "initial_model"
    needed = "compute_class", "dataset_version", "launched_by", "team", *models
    return TrainingJob.objects.select_related(*needed).get(pk=job_id)


def run_attempt(attempt: Attempt) -> None:
    """Run one attempt to whatever end it has."""
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix="job-", dir=scratch_folder()))
        AttemptSupervisor(attempt, work).run()
    except (AttemptEnded, StaleJobState):
        raise
    except Exception as error:
        _fail_attempt(attempt, error)
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        retry_on_disconnect(lambda: checkpoint_retention.delete_if_expired(attempt.job_id))


def _fail_attempt(attempt: Attempt, error: Exception) -> None:
    """An error nobody expected here: ours, unless all it says is that a disk is full.

    A database out of reach breaks no job, however long: it goes on once there is one again.
    """
    logger.exception("Attempt %s of job %s broke", attempt.number, attempt.job_id)
    if isinstance(error, DISCONNECT_ERRORS):
        retry_on_disconnect(
            lambda: attempts.fail_lost(attempt, "Its worker could not reach the database.")
        )
        return
    is_full = is_storage_full(error)
    code = FailureCode.STORAGE_FULL if is_full else FailureCode.INTERNAL
    retry_on_disconnect(
        lambda: attempts.fail(
            attempt, code, STORAGE_FULL_MESSAGE if is_full else INTERNAL_ERROR_MESSAGE
        )
    )


class AttemptSupervisor:
    """One attempt's engine, from its spec to its end."""

    def __init__(self, attempt: Attempt, work: Path) -> None:
        self.attempt = attempt
        self.work = work
        self.clock = BillableClock()
        self.heartbeat = HeartbeatThread(
            attempt,
            self.clock,
            retry_on_disconnect(partial(limits.remaining_ms, attempt)),
            retry_on_disconnect(partial(announced_cost.time_budget, attempt)),
        )
        self.recorder = EventRecorder(attempt, self.clock, self.heartbeat)
        self.log = JobLog(attempt, work / "engine.log")

    def run(self) -> None:
        """Raises AttemptEnded when somebody else ended the attempt meanwhile."""
        self.heartbeat.start()
        try:
            spec = retry_on_disconnect(self._write_spec)
            with EngineProcess(
                spec,
                log=self.log.path,
                devices=self.attempt.job.compute_class.devices,
            ) as engine:
                self.clock.start()
                self._relay_events(engine)
                self.clock.pause()
                # The heart goes on: storing a large artifact may take longer than a lease.
                retry_on_disconnect(partial(self._finish, engine))
        except BaseException as error:
            if not isinstance(error, Exception):  # The worker itself is told to leave.
                with suppress(AttemptEnded):
                    self._release_attempt()
            raise
        finally:
            self.heartbeat.stop()
            with suppress(OSError):
                retry_on_disconnect(self.log.save)

    def _write_spec(self) -> Path:
        job = self.attempt.job
        data = self.work / "data.parquet"
        storage.fetch_file(job.dataset_version.parquet_key, data)
        spec = parse_spec(
            job.recipe
            | self._fetch_source()
            | self._fetch_initial_model()
            | {
                "data": data,
                "output": self.work / "artifact",
                "work": self.work / "engine",
                "resume_from": self._fetch_checkpoint(),
                "halvings": self.attempt.halved_batches,
                "memory_bytes": job.compute_class.memory_bytes,
                "nice": settings.TRAININGS_YIELD,
            }
        )
        path = self.work / "spec.json"
        path.write_text(spec.model_dump_json())
        return path

    def _fetch_source(self) -> Recipe:
        """Of an export job: the finished model beside the data."""
        model = self.attempt.job.source_model
        if model is None:
            return {}
        folder = self.work / "source"
        storage.fetch_folder(model.artifact_key, folder)
        return {"export": self.attempt.job.recipe["export"] | {"source": folder}}

    def _fetch_initial_model(self) -> Recipe:
        """The finished model whose weights training goes on from."""
        model = self.attempt.job.initial_model
        if model is None:
            return {}
        folder = self.work / "initial-model"
        storage.fetch_folder(model.artifact_key, folder)
        return {"initial_model": folder}

    def _fetch_checkpoint(self) -> Path | None:
        checkpoint = claims.latest_checkpoint(self.attempt.job)
        if checkpoint is None:
            return None
        folder = self.work / "resume"
        try:
            storage.fetch_folder(checkpoint.storage_key, folder)
        except storage.IncompleteFolder:
            logger.exception("Checkpoint %s cannot be read", checkpoint.storage_key)
            self.attempt.job.add_event(
                "The last checkpoint could not be read; starting again.", level="warning"
            )
            return None
        return folder

    def _relay_events(self, engine: EngineProcess) -> None:
        """Record events until the engine is over or must stop."""
        hardware = HardwareSampler(self.attempt, engine.pid)
        while not engine.has_ended and self.heartbeat.stop_reason is None:
            self._record_events(engine)
            retry_on_disconnect(self.log.save_if_due)
            hardware.sample_if_due()
        # The money lasted to the end.
        is_money = self.heartbeat.stop_reason in {StopReason.CAP, StopReason.COST}
        is_done = engine.has_ended and is_money
        if self.heartbeat.stop_reason is not None and not is_done:
            self._stop_engine(engine, self.heartbeat.stop_reason)
        retry_on_disconnect(self.recorder.flush)

    def _record_events(self, engine: EngineProcess) -> None:
        for event in engine.events(POLL_SECONDS):
            self._log_event(event)
            try:
                retry_on_disconnect(partial(self.recorder.record, event))
            except (
                AttemptEnded
            ):  # Seen before the heartbeat saw it: the state is still to be saved.
                self.heartbeat.stop_reason = StopReason.ENDED
            if self.heartbeat.stop_reason is not None:
                return

    def _log_event(self, event: Event) -> None:
        if words := describe_event(event):
            self.log.write_line(words)

    def _stop_engine(self, engine: EngineProcess, reason: StopReason) -> None:
        """Let the engine save its state, store it if it is still of use, and leave.

        Returns only when the artifact was complete before: such a job succeeds.
        """
        self.clock.pause()
        self.log.write_line(f"stopping: {reason.replace('_', ' ')}")
        if reason in FINISHABLE_REASONS and self._wait_for_result(engine):
            return
        if reason == StopReason.CAP:
            retry_on_disconnect(
                lambda: attempts.pause_at_spend_cap(self.attempt, claims.PAUSED_AT_CAP_MESSAGE)
            )
        if reason == StopReason.COST:
            retry_on_disconnect(lambda: attempts.pause_at_announced_cost(self.attempt))
        engine.request_stop()
        self._store_last_checkpoint(engine, reason)
        engine.kill()
        if reason == StopReason.LEAVING:
            self._release_attempt()
        if reason == StopReason.TIME_LIMIT:
            retry_on_disconnect(lambda: attempts.fail_at_time_limit(self.attempt))
        raise AttemptEnded  # Out of touch, the watchdog ends it at the lease's end.

    def _release_attempt(self) -> None:
        retry_on_disconnect(lambda: attempts.release(self.attempt, "Its worker is shutting down."))

    def _wait_for_result(self, engine: EngineProcess) -> bool:
        """Whether the engine's last word was its result; waits for it to leave then."""
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while self.recorder.result is not None and time.monotonic() < deadline:
            if engine.has_ended:
                return True
            for _ in engine.events(POLL_SECONDS):
                pass
        return False

    def _store_last_checkpoint(self, engine: EngineProcess, reason: StopReason) -> None:
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while not engine.has_ended and time.monotonic() < deadline:
            for event in engine.events(POLL_SECONDS):
                self._log_event(event)
                if event.event == "checkpoint" and reason != StopReason.OUT_OF_TOUCH:
                    retry_on_disconnect(partial(store_checkpoint, self.attempt, event))

    def _finish(self, engine: EngineProcess) -> None:
        """Turn the engine's exit into the attempt's end."""
        is_done = engine.exit_code == EXIT_OK and self.recorder.result is not None
        self.heartbeat.is_publishing = is_done
        self.heartbeat.renew_lease()
        if is_done:
            self._publish_model()
            return
        self.log.write_line(f"the engine left with code {engine.exit_code}")
        retry_on_disconnect(self.log.save)
        if engine.ran_out_of_memory:
            attempts.retry_with_smaller_batch(self.attempt)
        elif engine.exit_code == EXIT_STOPPED:
            attempts.release(self.attempt, "Its worker was asked to stop.")
        elif (failure := self.recorder.failure) is not None:
            attempts.fail(self.attempt, FailureCode(failure.code), failure.sentence)
        elif engine.exit_code is not None and engine.exit_code < 0:
            name = signal.Signals(-engine.exit_code).name
            attempts.fail_lost(self.attempt, f"The training process was killed ({name}).")
        else:
            logger.error("Engine of job %s exited %s", self.attempt.job_id, engine.exit_code)
            attempts.fail(self.attempt, FailureCode.INTERNAL, INTERNAL_ERROR_MESSAGE)

    def _publish_model(self) -> None:
        """Store the artifact, then make the model and the job's success one fact."""
        model = self._built_model
        self.log.write_line("storing the model")
        storage.put_folder(model.artifact_key, self.work / "artifact")
        report = json.loads((self.work / "artifact" / "report.json").read_bytes())
        try:
            attempts.finish(self.attempt, model, Evaluation(model=model, report=report))
        except AttemptEnded:
            # Unless our own commit went through and only its answer was lost.
            if not TrainedModel.objects.filter(pk=model.pk).exists():
                storage.delete(model.artifact_key)
            raise

    @cached_property
    def _built_model(self) -> TrainedModel:
        job, artifact = self.attempt.job, self.work / "artifact"
        manifest = read_manifest(artifact)
        assert self.recorder.result is not None
        model = TrainedModel(
            team_id=job.team_id,
            project_id=job.project_id,
            dataset_version_id=job.dataset_version_id,
            name=job.name,
            task=job.task,
            base_model=job.base_model,
            labels=manifest.labels,
            metrics=self.recorder.result.metrics,
            manifest=manifest.model_dump(mode="json"),
            artifact_bytes=sum(f.stat().st_size for f in artifact.rglob("*") if f.is_file()),
        )
        model.artifact_key = artifact_key(model.pk)
        return model
