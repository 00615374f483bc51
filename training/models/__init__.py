"""What you teach: jobs, the attempts that carry them, what they report and the models they make."""

from training.models.attempts import Attempt
from training.models.compute import ComputeClass, Worker
from training.models.history import Checkpoint, MetricPoint
from training.models.jobs import NEXT, UNFINISHED, FailureCode, JobEvent, Status, TrainingJob
from training.models.results import Evaluation, TrainedModel

__all__ = [
    "Attempt",
    "Checkpoint",
    "ComputeClass",
    "Evaluation",
    "FailureCode",
    "JobEvent",
    "MetricPoint",
    "NEXT",
    "Status",
    "TrainedModel",
    "TrainingJob",
    "UNFINISHED",
    "Worker",
]
