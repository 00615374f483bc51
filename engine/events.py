"""The JSON lines that a running engine prints, one class for each kind of event."""

import time
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from engine.errors import ErrorCode, Fault

PhaseName = Literal[
    "loading",
    "downloading",
    "preparing",
    "searching",
    "training",
    "cross-validating",
    "exporting",
    "evaluating",
    "saving",
]
PROGRESS_INTERVAL_SECONDS = 1.0


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null", protected_namespaces=())


class PhaseStarted(_Event):
    event: Literal["phase"] = "phase"
    phase: PhaseName


class Progress(_Event):
    event: Literal["progress"] = "progress"
    step: int
    total_steps: int
    epoch: int
    epochs: int
    fraction: float  # 0..1 of the whole job, evaluation and export included; never decreases.
    eta_seconds: float | None  # For the whole job; None while still estimating.
    rows_per_second: float | None = None


class Metric(_Event):
    event: Literal["metric"] = "metric"
    name: str
    step: int
    epoch: int
    value: float


class Message(_Event):
    event: Literal["message"] = "message"
    level: Literal["info", "warning"]
    text: str


class CheckpointSaved(_Event):
    event: Literal["checkpoint"] = "checkpoint"
    step: int
    epoch: int
    path: str
    metrics: dict[str, float]
    best: bool


class DatasetLoaded(_Event):
    event: Literal["data"] = "data"
    train_rows: int
    validation_rows: int
    test_rows: int
    labels: list[str]
    warnings: list[str]
    # How many rows of "train", "validation" and "test" have each of `labels`, in their order.
    label_rows: dict[str, list[int]] = {}


class TrialUpdated(_Event):
    """One trial of a search: sent when it starts, after each of its epochs, and at its end."""

    event: Literal["trial"] = "trial"
    number: int  # From 0, whose settings are those of the job.
    state: Literal["running", "finished", "pruned", "stopped", "failed"]
    parameters: dict[str, float | int | str]
    score_name: str = ""
    higher_is_better: bool = True
    scores: list[float] = []  # Of the validation rows after each epoch.
    score: float | None = None  # The best of them, once there is one.
    seconds: float = 0.0
    is_best: bool = False  # The best so far that was not cut short.


class Result(_Event):
    event: Literal["result"] = "result"
    artifact: str
    metrics: dict[str, float]


class Failure(_Event):
    event: Literal["error"] = "error"
    code: ErrorCode
    sentence: str
    fault: Fault
    detail: str | None = None  # For bad_data: which problem, e.g. too_few_labels.


Event = (
    PhaseStarted
    | Progress
    | Metric
    | Message
    | CheckpointSaved
    | DatasetLoaded
    | TrialUpdated
    | Result
    | Failure
)
_EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def parse_event(line: str | bytes) -> Event:
    """Parse one line of the engine's output; raises ValueError if it is not an event."""
    return _EVENT_ADAPTER.validate_json(line)


class Reporter:
    """Passes events to `write`, one JSON line each, progress at most once a second."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._last_progress_at = float("-inf")

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress) and event.fraction < 1:
            if time.monotonic() - self._last_progress_at < PROGRESS_INTERVAL_SECONDS:
                return
            self._last_progress_at = time.monotonic()
        self._write(event.model_dump_json() + "\n")

    def report_score(self, name: str, value: float, *, higher_is_better: bool) -> None:
        """Called with each epoch's validation score; a search overrides it to end bad trials."""

    def info(self, text: str) -> None:
        self(Message(level="info", text=text))

    def warn(self, text: str) -> None:
        self(Message(level="warning", text=text))
