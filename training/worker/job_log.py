"""The log of a job: its engine's own lines and what its supervisor saw. Only its end is kept.

It is shown to customers, so what looks like a secret is taken out before it is stored.
"""

import os
import re
import time
from pathlib import Path

from django.utils.timezone import now

from engine import events
from training.models import Attempt, TrainingJob
from web.child_process import SECRET_NAME
from web.sse import notify

MAX_LOG_CHARACTERS = 16_000
SAVE_INTERVAL_SECONDS = 3.0
REDACTED = "[hidden]"
MIN_SECRET_LENGTH = 8

_OVERWRITTEN_LINE = re.compile(r"[^\n\r]*\r(?!\n)")  # Progress bars write one line many times.
_SECRET_PATTERN = re.compile(
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # User and password in a URL.
    r"|\b(?:hf_|sk_(?:live|test)_|rk_(?:live|test)_|whsec_|AKIA)\w{8,}"
    r"|(?<=Bearer )\S{8,}"
)


def redact_secrets(text: str) -> str:
    """The text with known secrets, and what has the shape of one, blotted out."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= MIN_SECRET_LENGTH:
            text = text.replace(value, REDACTED)
    return _SECRET_PATTERN.sub(REDACTED, text)


def describe_event(event: events.Event) -> str:
    """One line on what the engine reported; empty for what comes too often to be read."""
    match event:
        case events.PhaseStarted():
            return event.phase
        case events.CheckpointSaved():
            metrics = [f", {name} {value:.4f}" for name, value in sorted(event.metrics.items())]
            return f"checkpoint at step {event.step:,}{''.join(metrics)}"
        case events.Message():
            return event.text
        case events.Failure():
            return f"failed: {event.code}: {event.sentence}"
        case events.TrialUpdated() if event.state != "running":
            score = f", {event.score_name} {event.score:.4f}" if event.score is not None else ""
            return f"trial {event.number} {event.state}{score}"
        case events.Metric() if event.name.startswith("validation"):
            return f"step {event.step:,}: {event.name} {event.value:.4f}"
        case events.DatasetLoaded():
            rows = f"{event.train_rows:,} / {event.validation_rows:,} / {event.test_rows:,}"
            return f"rows to train, validate, test: {rows}"
    return ""


class JobLog:
    """One attempt's log file, whose end is copied to the job's row every few seconds."""

    def __init__(self, attempt: Attempt, path: Path) -> None:
        self.path = path
        self._attempt = attempt
        self._previous_tail = attempt.job.log_tail
        self._saved_at = 0.0
        self._saved_tail = ""
        self.write_line(f"attempt {attempt.number} on {attempt.worker}")

    def write_line(self, line: str) -> None:
        """Add a line of our own, with the time."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{now():%H:%M:%S} · {line}\n")

    def save_if_due(self) -> None:
        if time.monotonic() - self._saved_at >= SAVE_INTERVAL_SECONDS:
            self.save()

    def save(self) -> None:
        """Copy the end of the log to the job's row, unless a later attempt writes there by now."""
        self._saved_at = time.monotonic()
        tail = self._tail()
        if tail == self._saved_tail:
            return
        job = TrainingJob.objects.filter(pk=self._attempt.job_id)
        later = Attempt.objects.filter(job=self._attempt.job_id, number__gt=self._attempt.number)
        if not later.exists():
            job.update(log_tail=tail)
            notify(self._attempt.job.channel)
        self._saved_tail = tail

    def _tail(self) -> str:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4 * MAX_LOG_CHARACTERS))
            text = file.read().decode(errors="replace").replace("\x00", "")
        text = _OVERWRITTEN_LINE.sub("", text)
        whole = f"{self._previous_tail.rstrip()}\n{text}" if self._previous_tail else text
        return redact_secrets(whole)[-MAX_LOG_CHARACTERS:]
