"""Will it fit, and how long will it take: said before launching, from measured speeds.

One module for each task family says what a job needs; the ranges around it are made here. They
are wide on purpose: shared processors vary twofold from minute to minute.
"""

import math
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.estimate import generation, image, tabular, text
from engine.estimate.facts import ComputeDevice, DataFacts, Workload
from engine.spec import TrainingSpec

GIBIBYTE = 2**30
LEAST_OF_A_TRIAL = 0.3  # Of a whole job's time, when pruning is lucky.
WORKLOADS: dict[str, Callable[[Any, DataFacts, ComputeDevice], Workload]] = {
    "text-classification": text.workload,
    "text-regression": text.workload,
    "tabular-classification": tabular.workload,
    "tabular-regression": tabular.workload,
    "image-classification": image.workload,
    "text-generation": generation.workload,
}


class Spread(BaseModel):
    """The quickest and slowest plausible run as shares of the estimate, and the usual memory."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    memory_bytes: int


SPREADS: dict[ComputeDevice, Spread] = {
    # 277 rows/s of 16 tokens in quiet minutes, a third of that beside busy neighbours.
    "cpu": Spread(low=0.6, high=2.2, memory_bytes=8 * GIBIBYTE),
    # Not measured: a cautious tenth of what a data-centre GPU's bf16 peak would allow.
    "cuda": Spread(low=0.3, high=3.0, memory_bytes=20 * GIBIBYTE),
}


class Estimate(BaseModel):
    model_config = ConfigDict(frozen=True)

    fits: bool
    memory_bytes: int
    seconds: float  # The single guess behind the range, before what past jobs taught.
    seconds_low: float
    seconds_high: float
    sentence: str


def estimate(
    spec: TrainingSpec,
    facts: DataFacts,
    *,
    device: ComputeDevice = "cpu",
    memory_limit_bytes: int | None = None,
    slowness: tuple[float, float] | None = None,
) -> Estimate:
    """Time and memory of a whole job.

    Raises UnknownBaseModel. `memory_limit_bytes` replaces the device's usual memory; `slowness`
    its usual spread, as shares of the guess that past jobs on the machine took.
    """
    needed, spread = WORKLOADS[spec.task](spec, facts, device), SPREADS[device]
    limit = memory_limit_bytes or spread.memory_bytes
    fits = needed.memory_bytes <= limit
    low, high = slowness or (spread.low, spread.high)
    low, high = _span(spec, needed.seconds, low, high)
    return Estimate(
        fits=fits,
        memory_bytes=needed.memory_bytes,
        seconds=round(needed.seconds, 1),
        seconds_low=round(low, 1),
        seconds_high=round(high, 1),
        sentence=_sentence(needed, limit, low, high),
    )


def _span(spec: TrainingSpec, seconds: float, low: float, high: float) -> tuple[float, float]:
    """Quickest and slowest plausible run, with a search's trials within their budget."""
    if spec.search is None:
        return seconds * low, seconds * high
    budget = spec.search.seconds or math.inf
    trials = spec.search.trials
    fewest = min(seconds * low * trials * LEAST_OF_A_TRIAL, budget)
    most = min(seconds * high * trials, budget)
    return seconds * low + fewest, seconds * high + most


def _sentence(needed: Workload, limit: int, low: float, high: float) -> str:
    memory = f"{needed.memory_bytes / GIBIBYTE:.1f} GiB of {limit / GIBIBYTE:.0f} GiB memory"
    if needed.memory_bytes > limit:
        return f"This does not fit: it needs about {memory}. {needed.advice}"
    return f"Takes {_duration(low)} to {_duration(high)} and about {memory}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{round(seconds)} seconds"
    if seconds < 5400:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


__all__ = ["ComputeDevice", "DataFacts", "Estimate", "estimate"]
