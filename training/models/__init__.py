"""What you teach: jobs, the attempts that carry them, what they report and the models they make."""

from training.models.analyses import Analysis
from training.models.attempts import Attempt
from training.models.compute import ComputeClass
from training.models.history import Checkpoint, MetricPoint
from training.models.jobs import (
    NEXT,
    UNFINISHED,
    FailureCode,
    JobEvent,
    PauseCode,
    Status,
    TrainingJob,
)
from training.models.results import Evaluation, TrainedModel
from training.models.trials import Trial, TrialState
from training.models.workers import Wish, Worker, WorkerState

__all__ = [
    "Analysis",
    "Attempt",
    "Checkpoint",
    "ComputeClass",
    "Evaluation",
    "FailureCode",
    "JobEvent",
    "MetricPoint",
    "NEXT",
    "PauseCode",
    "Status",
    "TrainedModel",
    "TrainingJob",
    "Trial",
    "TrialState",
    "UNFINISHED",
    "Wish",
    "Worker",
    "WorkerState",
]
