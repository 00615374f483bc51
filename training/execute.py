"""Carries claimed jobs to their end: supervises the engine and translates what it says.

Runs in trainers only. Never enqueues. Knows the engine by its spec, its events and its exit code.
"""

import json
import logging
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from engine.artifact import read_manifest
from engine.events import Event
from engine.spec import parse_spec
from projects import storage
from training import attempts, leaving, limits, orphans, ready_engine, retention, schedule
from training.engine_process import EXIT_STOPPED, STOP_GRACE_SECONDS, EngineProcess
from training.errors import AttemptEnded, JobMovedOn
from training.failures import is_storage_full
from training.heart import Heart, Meter, Stop
from training.job_log import JobLog, words_of
from training.models import Attempt, Evaluation, FailureCode, TrainedModel, TrainingJob
from training.presence import worker_name
from training.recording import Recorder, store_checkpoint
from web.patience import DATABASE_AWAY, patiently

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5  # Longest time between two looks at the stop reason.
# Where the engine stops for reasons of ours, a job that is done is done.
FINISHABLE = (Stop.CAP, Stop.TIME_LIMIT, Stop.LEAVING)
INTERNAL = "Something broke on our side. You were not charged."
FULL = "There was no room left to store the job's files. You were not charged."


def next_job(compute_class: str) -> None:
    """Carry queued jobs to their end until none may run. A lost or repeated message is harmless."""
    worker = worker_name()
    while not leaving.is_requested():
        attempt = schedule.claim(compute_class, worker)
        if attempt is None:
            return
        # A claim reads little of the job, for it holds locks; what follows needs all of it.
        attempt.job = patiently(partial(_whole_job, attempt.job_id))
        # AttemptEnded: someone else decided, and nothing is left to do.
        with leaving.interruptible(), suppress(AttemptEnded, JobMovedOn):
            carry(attempt)
        ready_engine.make_ready()


def _whole_job(job_id: UUID) -> TrainingJob:
    needed = "compute_class", "dataset_version", "launched_by", "source_model", "team"
    return TrainingJob.objects.select_related(*needed).get(pk=job_id)


def carry(attempt: Attempt) -> None:
    """Run one attempt to whatever end it has."""
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix="job-", dir=_scratch()))
        _Supervisor(attempt, work).run()
    except (AttemptEnded, JobMovedOn):
        raise
    except Exception as error:
        _fail_by(attempt, error)
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        patiently(lambda: retention.free_if_done(attempt.job_id))


def _fail_by(attempt: Attempt, error: Exception) -> None:
    """An error nobody expected here: ours, unless all it says is that a disk is full.

    A database out of reach breaks no job, however long: it goes on once there is one again.
    """
    logger.exception("Attempt %s of job %s broke", attempt.number, attempt.job_id)
    if isinstance(error, DATABASE_AWAY):
        patiently(lambda: attempts.lose(attempt, "Its worker could not reach the database."))
        return
    is_full = is_storage_full(error)
    code = FailureCode.STORAGE_FULL if is_full else FailureCode.INTERNAL
    patiently(lambda: attempts.fail(attempt, code, FULL if is_full else INTERNAL))


class _Supervisor:
    """One attempt's engine, from its spec to its end."""

    def __init__(self, attempt: Attempt, work: Path) -> None:
        self.attempt = attempt
        self.work = work
        self.meter = Meter()
        self.heart = Heart(attempt, self.meter, patiently(partial(limits.left_ms, attempt)))
        self.recorder = Recorder(attempt, self.meter, self.heart)
        self.log = JobLog(attempt, work / "engine.log")

    def run(self) -> None:
        """Raises AttemptEnded when somebody else ended the attempt meanwhile."""
        self.heart.start()
        try:
            spec = patiently(self._write_spec)
            with EngineProcess(
                spec,
                log=self.log.path,
                devices=self.attempt.job.compute_class.devices,
            ) as engine:
                self.meter.run()
                self._follow(engine)
                self.meter.hold()
                # The heart goes on: storing a large artifact may take longer than a lease.
                patiently(partial(self._conclude, engine))
        except BaseException as error:
            if not isinstance(error, Exception):  # The worker itself is told to leave.
                with suppress(AttemptEnded):
                    self._hand_back()
            raise
        finally:
            self.heart.rest()
            with suppress(OSError):
                patiently(self.log.save)

    def _write_spec(self) -> Path:
        job = self.attempt.job
        data = self.work / "data.parquet"
        storage.fetch_file(job.dataset_version.parquet_key, data)
        spec = parse_spec(
            job.recipe
            | self._fetch_source()
            | {
                "data": data,
                "output": self.work / "artifact",
                "work": self.work / "engine",
                "resume_from": self._fetch_checkpoint(),
                "halvings": self.attempt.halved_batches,
                "memory_bytes": job.compute_class.memory_bytes,
                "nice": True,
            }
        )
        path = self.work / "spec.json"
        path.write_text(spec.model_dump_json())
        return path

    def _fetch_source(self) -> dict[str, Any]:
        """Of an export job: the finished model beside the data."""
        model = self.attempt.job.source_model
        if model is None:
            return {}
        folder = self.work / "source"
        storage.fetch_folder(model.artifact_key, folder)
        return {"export": self.attempt.job.recipe["export"] | {"source": folder}}

    def _fetch_checkpoint(self) -> Path | None:
        checkpoint = schedule.latest_checkpoint(self.attempt.job)
        if checkpoint is None:
            return None
        folder = self.work / "resume"
        try:
            storage.fetch_folder(checkpoint.storage_key, folder)
        except storage.FolderIncomplete:
            logger.exception("Checkpoint %s cannot be read", checkpoint.storage_key)
            self.attempt.job.say(
                "The last checkpoint could not be read; starting again.", level="warning"
            )
            return None
        return folder

    def _follow(self, engine: EngineProcess) -> None:
        """Record events until the engine is over or must stop."""
        while not engine.is_over and self.heart.stop is None:
            self._drain(engine)
            patiently(self.log.save_if_due)
        is_done = engine.is_over and self.heart.stop == Stop.CAP  # The money lasted to the end.
        if self.heart.stop is not None and not is_done:
            self._stop(engine, self.heart.stop)
        patiently(self.recorder.flush)

    def _drain(self, engine: EngineProcess) -> None:
        for event in engine.events(WAIT_SECONDS):
            self._note(event)
            patiently(partial(self.recorder.record, event))
            if self.heart.stop is not None:
                return

    def _note(self, event: Event) -> None:
        if words := words_of(event):
            self.log.note(words)

    def _stop(self, engine: EngineProcess, reason: Stop) -> None:
        """Let the engine save its state, store it if it is still of use, and leave.

        Returns only when the artifact was complete before: such a job succeeds.
        """
        self.meter.hold()
        self.log.note(f"stopping: {reason.replace('_', ' ')}")
        if reason in FINISHABLE and self._has_finished(engine):
            return
        if reason == Stop.CAP:
            patiently(lambda: attempts.pause_at_cap(self.attempt, schedule.PAUSED_AT_CAP))
        engine.ask_to_stop()
        self._store_last_state(engine, reason)
        engine.kill()
        if reason == Stop.LEAVING:
            self._hand_back()
        if reason == Stop.TIME_LIMIT:
            patiently(lambda: attempts.run_out_of_time(self.attempt))
        raise AttemptEnded  # Out of touch, the watchdog ends it at the lease's end.

    def _hand_back(self) -> None:
        patiently(lambda: attempts.hand_back(self.attempt, "Its worker is shutting down."))

    def _has_finished(self, engine: EngineProcess) -> bool:
        """Whether the engine's last word was its result; waits for it to leave then."""
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while self.recorder.result is not None and time.monotonic() < deadline:
            if engine.is_over:
                return True
            for _ in engine.events(WAIT_SECONDS):
                pass
        return False

    def _store_last_state(self, engine: EngineProcess, reason: Stop) -> None:
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while not engine.is_over and time.monotonic() < deadline:
            for event in engine.events(WAIT_SECONDS):
                self._note(event)
                if event.event == "checkpoint" and reason != Stop.OUT_OF_TOUCH:
                    patiently(partial(store_checkpoint, self.attempt, event))

    def _conclude(self, engine: EngineProcess) -> None:
        """Turn the engine's exit into the attempt's end."""
        is_done = engine.exit_code == 0 and self.recorder.result is not None
        self.heart.is_publishing = is_done
        self.heart.beat()
        if is_done:
            self._publish()
            return
        self.log.note(f"the engine left with code {engine.exit_code}")
        patiently(self.log.save)
        if engine.ran_out_of_memory:
            attempts.retry_smaller(self.attempt)
        elif engine.exit_code == EXIT_STOPPED:
            attempts.hand_back(self.attempt, "Its worker was asked to stop.")
        elif (failure := self.recorder.failure) is not None:
            attempts.fail(self.attempt, FailureCode(failure.code), failure.sentence)
        elif engine.exit_code is not None and engine.exit_code < 0:
            name = signal.Signals(-engine.exit_code).name
            attempts.lose(self.attempt, f"The training process was killed ({name}).")
        else:
            logger.error("Engine of job %s exited %s", self.attempt.job_id, engine.exit_code)
            attempts.fail(self.attempt, FailureCode.INTERNAL, INTERNAL)

    def _publish(self) -> None:
        """Store the artifact, then make the model and the job's success one fact."""
        model = self._model
        self.log.note("storing the model")
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
    def _model(self) -> TrainedModel:
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
        model.artifact_key = orphans.key_of(model.pk)
        return model


def _scratch() -> Path:
    folder = settings.VAR_DIR / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder)
