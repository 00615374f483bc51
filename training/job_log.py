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
from web.live import notify

KEPT_CHARACTERS = 16_000
SAVE_EVERY_SECONDS = 3.0
HIDDEN = "[hidden]"
SHORTEST_SECRET = 8

_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|_KEY|CREDENTIAL|_DSN|DATABASE_URL|REDIS_URL|STORAGE_URL", re.I
)
_OVERWRITTEN = re.compile(r"[^\n\r]*\r(?!\n)")  # Progress bars write one line many times.
_NEEDED = {"HF_TOKEN"}  # The engine fetches gated base models with it.
_SECRET_SHAPES = re.compile(
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # User and password in a URL.
    r"|\b(?:hf_|sk_(?:live|test)_|rk_(?:live|test)_|whsec_|AKIA)\w{8,}"
    r"|(?<=Bearer )\S{8,}"
)


def harmless_environment() -> dict[str, str]:
    """Our environment without what an engine, and so a customer's log, has no business with."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED or not _SECRET_NAME.search(name)
    }


def without_secrets(text: str) -> str:
    """The text with known secrets, and what has the shape of one, blotted out."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    return _SECRET_SHAPES.sub(HIDDEN, text)


def words_of(event: events.Event) -> str:
    """One line on what the engine reported; empty for what comes too often to be read."""
    match event:
        case events.Phase():
            return event.phase
        case events.CheckpointSaved():
            return f"checkpoint at step {event.step:,}{_measured(event.metrics)}"
        case events.Message():
            return event.text
        case events.Failure():
            return f"failed: {event.code}: {event.sentence}"
        case events.Trial() if event.state != "running":
            score = f", {event.score_name} {event.score:.4f}" if event.score is not None else ""
            return f"trial {event.number} {event.state}{score}"
        case events.Metric() if event.name.startswith("validation"):
            return f"step {event.step:,}: {event.name} {event.value:.4f}"
        case events.Data():
            rows = f"{event.train_rows:,} / {event.validation_rows:,} / {event.test_rows:,}"
            return f"rows to train, validate, test: {rows}"
    return ""


def _measured(metrics: dict[str, float]) -> str:
    return "".join(f", {name} {value:.4f}" for name, value in sorted(metrics.items()))


class JobLog:
    """One attempt's log file, whose end is copied to the job's row every few seconds."""

    def __init__(self, attempt: Attempt, path: Path) -> None:
        self.path = path
        self._attempt = attempt
        self._earlier = attempt.job.log_tail
        self._saved_at = 0.0
        self._saved = ""
        self.note(f"attempt {attempt.number} on {attempt.worker}")

    def note(self, line: str) -> None:
        """Add a line of our own, with the time."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{now():%H:%M:%S} · {line}\n")

    def save_if_due(self) -> None:
        if time.monotonic() - self._saved_at >= SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Copy the end of the log to the job's row, unless a later attempt writes there by now."""
        self._saved_at = time.monotonic()
        tail = self._tail()
        if tail == self._saved:
            return
        job = TrainingJob.objects.filter(pk=self._attempt.job_id)
        later = Attempt.objects.filter(job=self._attempt.job_id, number__gt=self._attempt.number)
        if not later.exists():
            job.update(log_tail=tail)
            notify(self._attempt.job.channel)
        self._saved = tail

    def _tail(self) -> str:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4 * KEPT_CHARACTERS))
            text = file.read().decode(errors="replace").replace("\x00", "")
        text = _OVERWRITTEN.sub("", text)
        whole = f"{self._earlier.rstrip()}\n{text}" if self._earlier else text
        return without_secrets(whole)[-KEPT_CHARACTERS:]
