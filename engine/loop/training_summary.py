"""The part of every artifact's manifest that describes its training."""

from typing import TypedDict

from engine.distributed import collectives
from engine.loop.checkpoints import TrainingState
from engine.loop.device import Device
from engine.spec import JobSpec


class TrainingSummary(TypedDict):
    """The manifest's `training`."""

    method: str  # The one used.
    reason: str  # Why that is not the requested one.
    hyperparameters: dict[str, object]
    split: dict[str, object]
    steps: int
    epochs: int
    best_epoch: int
    validation: dict[str, float]
    seconds: float
    rows_per_second: float | None
    device: str
    processes: int
    precision: str


def build_training_summary(
    spec: JobSpec, device: Device, state: TrainingState, *, method: str, reason: str, seconds: float
) -> TrainingSummary:
    """`seconds` covers all attempts."""
    return {
        "method": method,
        "reason": reason,
        "hyperparameters": spec.hyperparameters.model_dump(),
        "split": spec.split.model_dump(),
        "steps": state.step,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch + 1,
        "validation": state.best_metrics,
        "seconds": seconds,
        "rows_per_second": state.rows_seen / seconds if state.rows_seen else None,
        "device": device.name,
        "processes": collectives.world_size(),
        "precision": device.precision,
    }
