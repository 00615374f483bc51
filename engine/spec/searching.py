"""The spec of a hyperparameter search, and the spaces it searches."""

from typing import Any

from pydantic import Field

from engine.spec.frozen import FrozenModel


class Range(FrozenModel):
    """Numbers between two bounds; `is_relative` bounds are multiples of the configured value."""

    low: float
    high: float
    is_log: bool = False
    is_relative: bool = False


class Choices(FrozenModel):
    options: tuple[Any, ...]


SearchSpace = dict[str, Range | Choices]


class SearchSpec(FrozenModel):
    """How long to search, and which hyperparameters. The best trial is trained once more as the
    model."""

    trials: int = Field(
        default=10,
        ge=2,
        le=200,
        title="Trials",
        description=(
            "Most trainings to try. The first is your own settings; those that do badly after an"
            " epoch are cut short."
        ),
    )
    seconds: float | None = Field(
        default=None,
        ge=10,
        le=30 * 86_400,
        title="Time for the search",
        description=(
            "Seconds for all trials and the final training; no trial starts that would not fit."
            " Starting, exporting and testing come on top."
        ),
    )
    parameters: list[str] = Field(
        default=[],
        max_length=20,
        title="Searched",
        description="Hyperparameters to vary. Empty: all that the task can search.",
    )
