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
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from django.conf import settings

from engine.artifact import read_manifest
from engine.spec import parse_spec
from projects import storage
from training import attempts, leaving, recording, schedule
from training.engine_process import EXIT_STOPPED, STOP_GRACE_SECONDS, EngineProcess
from training.errors import AttemptEnded, JobMovedOn
from training.heart import Heart, Meter, Stop
from training.models import Attempt, Evaluation, FailureCode, TrainedModel
from training.patience import patiently
from training.recording import Recorder, store_checkpoint

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5  # Longest time between two looks at the stop reason.
INTERNAL = "Something broke on our side. You were not charged. Try again; if it happens again, \
tell your administrator."


def worker_name() -> str:
    """This trainer's name on pages: its machine and process."""
    return f"{socket.gethostname()}-{os.getpid()}"


def next_job(compute_class: str) -> None:
    """Carry queued jobs to their end until none may run. A lost or repeated message is harmless."""
    worker = worker_name()
    schedule.greet(worker, compute_class)
    while not leaving.is_requested():
        attempt = schedule.claim(compute_class, worker)
        if attempt is None:
            return
        # AttemptEnded: someone else decided, and nothing is left to do.
        with leaving.interruptible(), suppress(AttemptEnded, JobMovedOn):
            carry(attempt)
        schedule.greet(worker, compute_class)


def carry(attempt: Attempt) -> None:
    """Run one attempt to whatever end it has."""
    work = Path(tempfile.mkdtemp(prefix="job-", dir=_scratch()))
    try:
        _Supervisor(attempt, work).run()
    except (AttemptEnded, JobMovedOn):
        raise
    except Exception:
        logger.exception("Attempt %s of job %s broke", attempt.number, attempt.job_id)
        patiently(lambda: attempts.fail(attempt, FailureCode.INTERNAL, INTERNAL, is_our_fault=True))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        patiently(lambda: recording.delete_unneeded_checkpoints(attempt.job_id))


class _Supervisor:
    """One attempt's engine, from its spec to its end."""

    def __init__(self, attempt: Attempt, work: Path) -> None:
        self.attempt = attempt
        self.work = work
        self.meter = Meter()
        self.heart = Heart(attempt, self.meter)
        self.recorder = Recorder(attempt, self.meter, self.heart)

    def run(self) -> None:
        """Raises AttemptEnded when somebody else ended the attempt meanwhile."""
        self.heart.start()
        try:
            spec = self._write_spec()
            log = self.work / "engine.log"
            with EngineProcess(spec, log=log, environment=_environment()) as engine:
                self.meter.run()
                self._follow(engine)
                self.meter.hold()
                # The heart goes on: storing a large artifact may take longer than a lease.
                patiently(partial(self._conclude, engine))
        except BaseException as error:
            if not isinstance(error, Exception):  # The worker itself is told to leave.
                with suppress(AttemptEnded):
                    attempts.hand_back(self.attempt, "Its worker is shutting down.")
            raise
        finally:
            self.heart.rest()

    def _write_spec(self) -> Path:
        job = self.attempt.job
        data = self.work / "data.parquet"
        storage.fetch_file(job.dataset_version.parquet_key, data)
        spec = parse_spec(
            job.recipe
            | {
                "data": data,
                "output": self.work / "artifact",
                "work": self.work / "engine",
                "resume_from": self._fetch_checkpoint(),
                "halvings": self.attempt.halved_batches,
                "nice": True,
            }
        )
        path = self.work / "spec.json"
        path.write_text(spec.model_dump_json())
        return path

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
            self._drain(engine, self.recorder.record)
        if self.heart.stop is not None:
            self._stop(engine, self.heart.stop)
        patiently(self.recorder.flush)

    def _drain(self, engine: EngineProcess, record: Callable[[Any], None]) -> None:
        for event in engine.events(WAIT_SECONDS):
            patiently(partial(record, event))
            if self.heart.stop is not None:
                return

    def _stop(self, engine: EngineProcess, reason: Stop) -> None:
        """Let the engine save its state, store it if it is still of use, and leave."""
        self.meter.hold()
        if reason == Stop.CAP:
            patiently(lambda: attempts.pause_at_cap(self.attempt, schedule.PAUSED_AT_CAP))
        engine.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        while not engine.is_over and time.monotonic() < deadline:
            for event in engine.events(WAIT_SECONDS):
                if event.event == "checkpoint" and reason != Stop.OUT_OF_TOUCH:
                    store_checkpoint(self.attempt, event)
        engine.kill()
        if reason == Stop.LEAVING:
            attempts.hand_back(self.attempt, "Its worker is shutting down.")
        raise AttemptEnded  # Out of touch, the watchdog ends it at the lease's end.

    def _conclude(self, engine: EngineProcess) -> None:
        """Turn the engine's exit into the attempt's end."""
        self.heart.beat()
        failure = self.recorder.failure
        if engine.exit_code == 0 and self.recorder.result is not None:
            self._publish()
        elif engine.ran_out_of_memory:
            attempts.retry_smaller(self.attempt)
        elif engine.exit_code == EXIT_STOPPED:
            attempts.hand_back(self.attempt, "Its worker was asked to stop.")
        elif failure is not None:
            self._save_log(engine)
            is_ours = failure.fault == "platform"
            attempts.fail(self.attempt, failure.code, failure.sentence, is_our_fault=is_ours)
        elif engine.exit_code is not None and engine.exit_code < 0:
            name = signal.Signals(-engine.exit_code).name
            attempts.lose(self.attempt, f"The training process was killed ({name}).")
        else:
            self._save_log(engine)
            logger.error("Engine of job %s exited %s", self.attempt.job_id, engine.exit_code)
            attempts.fail(self.attempt, FailureCode.INTERNAL, INTERNAL, is_our_fault=True)

    def _save_log(self, engine: EngineProcess) -> None:
        type(self.attempt.job).objects.filter(pk=self.attempt.job_id).update(
            log_tail=engine.log_tail()
        )

    def _publish(self) -> None:
        """Store the artifact, then make the model and the job's success one fact."""
        model = self._model
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
        model.artifact_key = f"artifacts/{model.pk}"
        return model


def _environment() -> dict[str, str]:
    """A trainer beside a server waits without spinning, so that pages stay quick."""
    return {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "PYTHONUNBUFFERED": "1"}


def _scratch() -> Path:
    folder = settings.VAR_DIR / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder)
