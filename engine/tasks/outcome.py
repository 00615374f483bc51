"""What every artifact says of the training that made it."""

from typing import Any

from engine import distributed
from engine.checkpoints import TrainingState
from engine.device import Device
from engine.spec import JobSpec


def about_training(
    spec: JobSpec, device: Device, state: TrainingState, *, method: str, reason: str, seconds: float
) -> dict[str, Any]:
    """The manifest's `training`. `method` is what was kept, `reason` why it is not what was
    asked for, if so; `seconds` covers all attempts."""
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
        "processes": distributed.count(),
        "precision": device.precision,
    }
