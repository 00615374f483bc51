"""What a training job is told, frozen. Forms, API bodies and documentation are made from it.

One spec class for each task family, joined by `task`; a task is on offer once `engine.tasks`
knows a module for it. Nothing here loads torch.
"""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from engine.spec.exporting import ExportSpec
from engine.spec.generation import GenerationHyperparameters, GenerationSpec
from engine.spec.image import ImageHyperparameters, ImageSpec
from engine.spec.searching import SearchSpec
from engine.spec.shared import ColumnRole, JobSpec, LoopHyperparameters, SplitSpec
from engine.spec.tabular import TabularHyperparameters, TabularSpec
from engine.spec.text import TextHyperparameters, TextSpec

TrainingSpec = TextSpec | TabularSpec | ImageSpec | GenerationSpec
SPECS: dict[str, type[TrainingSpec]] = {
    "text-classification": TextSpec,
    "text-regression": TextSpec,
    "tabular-classification": TabularSpec,
    "tabular-regression": TabularSpec,
    "image-classification": ImageSpec,
    "text-generation": GenerationSpec,
}
DEFAULT_TASK = "text-classification"
_ADAPTER: TypeAdapter[TrainingSpec] = TypeAdapter(
    Annotated[TrainingSpec, Field(discriminator="task")]
)


def parse_spec(given: dict[str, Any]) -> TrainingSpec:
    """The spec of the task it names; raises pydantic's ValidationError naming the field."""
    return _ADAPTER.validate_python({"task": DEFAULT_TASK} | given)


def hyperparameters_of(task: str) -> type[LoopHyperparameters]:
    """The class whose fields are this task's dials."""
    found: type[LoopHyperparameters] = SPECS[task].model_fields["hyperparameters"].annotation  # type: ignore[assignment]
    return found


def place_of(location: tuple[int | str, ...]) -> str:
    """The field a validation error is about, without the task that the union puts in front."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if parts and parts[0] in SPECS else parts)


__all__ = [
    "DEFAULT_TASK",
    "SPECS",
    "SearchSpec",
    "ColumnRole",
    "ExportSpec",
    "GenerationHyperparameters",
    "GenerationSpec",
    "ImageHyperparameters",
    "ImageSpec",
    "JobSpec",
    "LoopHyperparameters",
    "SplitSpec",
    "TabularHyperparameters",
    "TabularSpec",
    "TextHyperparameters",
    "TextSpec",
    "TrainingSpec",
    "hyperparameters_of",
    "parse_spec",
    "place_of",
]
