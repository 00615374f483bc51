"""Jobs, the attempts that carry them, what they report, and the models they make."""

from training.models.analysis import Analysis
from training.models.attempt import Attempt
from training.models.checkpoint import Checkpoint
from training.models.compute_class import ComputeClass
from training.models.job import (
    STATUS_TRANSITIONS,
    UNFINISHED_STATUSES,
    FailureCode,
    JobEvent,
    PauseCode,
    Status,
    TrainingJob,
)
from training.models.metric_point import MetricPoint
from training.models.trained_model import Evaluation, TrainedModel
from training.models.trial import Trial, TrialState
from training.models.worker import DesiredState, Worker, WorkerState

__all__ = [
    "Analysis",
    "Attempt",
    "Checkpoint",
    "ComputeClass",
    "Evaluation",
    "FailureCode",
    "JobEvent",
    "MetricPoint",
    "STATUS_TRANSITIONS",
    "PauseCode",
    "Status",
    "TrainedModel",
    "TrainingJob",
    "Trial",
    "TrialState",
    "UNFINISHED_STATUSES",
    "DesiredState",
    "Worker",
    "WorkerState",
]
