"""Estimates whether a job fits into memory and how long it takes, from measured speeds.

Each task family's module computes what a job needs; this one adds the range. Ranges are wide on
purpose: the speed of shared processors varies twofold from minute to minute.
"""

import math
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.estimate import generation, image, tabular, text
from engine.estimate.types import ComputeDevice, DatasetStats, Workload
from engine.spec import SearchSpec, TrainingSpec

GIBIBYTE = 2**30
MIN_TRIAL_SHARE = 0.3  # Of a whole job's time, when pruning is lucky.
WORKLOAD_ESTIMATORS: dict[str, Callable[[Any, DatasetStats, ComputeDevice], Workload]] = {
    "text-classification": text.estimate_workload,
    "text-regression": text.estimate_workload,
    "tabular-classification": tabular.estimate_workload,
    "tabular-regression": tabular.estimate_workload,
    "image-classification": image.estimate_workload,
    "text-generation": generation.estimate_workload,
}


class DeviceProfile(BaseModel):
    """The quickest and slowest plausible run as shares of the estimate, and the usual memory."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    memory_bytes: int


DEVICE_PROFILES: dict[ComputeDevice, DeviceProfile] = {
    # 277 rows/s of 16 tokens in quiet minutes, a third of that beside busy neighbours.
    "cpu": DeviceProfile(low=0.6, high=2.2, memory_bytes=8 * GIBIBYTE),
    # Not measured: a cautious tenth of what a data-centre GPU's bf16 peak would allow.
    "cuda": DeviceProfile(low=0.3, high=3.0, memory_bytes=20 * GIBIBYTE),
}


class Estimate(BaseModel):
    model_config = ConfigDict(frozen=True)

    fits: bool
    memory_bytes: int
    seconds: float  # The single guess behind the range, before past jobs corrected it.
    seconds_low: float
    seconds_high: float
    sentence: str


def estimate(
    spec: TrainingSpec,
    stats: DatasetStats,
    *,
    device: ComputeDevice = "cpu",
    memory_limit_bytes: int | None = None,
    slowness: tuple[float, float] | None = None,
) -> Estimate:
    """Time and memory of a whole job.

    Raises UnknownBaseModel. `memory_limit_bytes` replaces the device's usual memory; `slowness`
    its usual spread, as shares of the guess that past jobs on the machine took.
    """
    profile = DEVICE_PROFILES[device]
    workload = WORKLOAD_ESTIMATORS[spec.task](spec, stats, device)
    limit = memory_limit_bytes or profile.memory_bytes
    fits = workload.memory_bytes <= limit
    low, high = _time_range(
        spec.search, workload.seconds, *(slowness or (profile.low, profile.high))
    )
    memory = f"{workload.memory_bytes / GIBIBYTE:.1f} GiB of {limit / GIBIBYTE:.0f} GiB memory"
    if fits:
        sentence = f"Takes {_format_duration(low)} to {_format_duration(high)} and about {memory}."
    else:
        sentence = f"This does not fit: it needs about {memory}. {workload.advice}"
    return Estimate(
        fits=fits,
        memory_bytes=workload.memory_bytes,
        seconds=round(workload.seconds, 1),
        seconds_low=round(low, 1),
        seconds_high=round(high, 1),
        sentence=sentence,
    )


def _time_range(
    search: SearchSpec | None, seconds: float, low: float, high: float
) -> tuple[float, float]:
    """Quickest and slowest plausible run, with a search's trials within their budget."""
    if search is None:
        return seconds * low, seconds * high
    budget = search.seconds or math.inf
    fewest = min(seconds * low * search.trials * MIN_TRIAL_SHARE, budget)
    most = min(seconds * high * search.trials, budget)
    return seconds * low + fewest, seconds * high + most


def _format_duration(seconds: float) -> str:
    if seconds < 90:
        whole = round(seconds)
        return "1 second" if whole == 1 else f"{whole} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


__all__ = ["ComputeDevice", "DatasetStats", "Estimate", "estimate"]
