"""The specs of training jobs, frozen. Forms, API bodies and documentation are made from them.

One spec class for each task family, joined by `task`; a task is on offer once `engine.tasks`
knows a module for it. Nothing here loads torch.
"""

from collections.abc import Mapping
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
SPEC_CLASSES: dict[str, type[TrainingSpec]] = {
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


def parse_spec(fields: Mapping[str, Any]) -> TrainingSpec:
    """The spec of the task it names; raises pydantic's ValidationError naming the field."""
    return _ADAPTER.validate_python({"task": DEFAULT_TASK, **fields})


def hyperparameters_class(task: str) -> type[LoopHyperparameters]:
    """The class whose fields are this task's hyperparameters."""
    return type(SPEC_CLASSES[task].model_fields["hyperparameters"].default)


def error_field(location: tuple[int | str, ...]) -> str:
    """The field a validation error is about, without the task that the union puts in front."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:] if parts and parts[0] in SPEC_CLASSES else parts)


__all__ = [
    "DEFAULT_TASK",
    "SPEC_CLASSES",
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
    "hyperparameters_class",
    "parse_spec",
    "error_field",
]
