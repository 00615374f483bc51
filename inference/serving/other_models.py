"""Models that a team may ask without deploying them: base encoders, and what other apps serve."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from engine import catalog
from engine.catalog.entries import BaseModelEntry
from inference.serving.principals import ServedDeployment

ENCODER_TASK = "text-classification"
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class OtherModels:
    """Models of an app above, told apart by the beginning of their names."""

    prefix: str
    sql: str  # The names, whole, and times of creation of a team's; its id is the parameter.
    sentence: str  # Where they answer, for who asks elsewhere.


registered: list[OtherModels] = []


def register_models(models: OtherModels) -> None:
    """List these at /v1/models, too; from an app's `ready()`."""
    registered.append(models)


def sentence_for(name: str) -> str | None:
    """Where a model of this name answers, if it is another app's."""
    return next((one.sentence for one in registered if name.startswith(one.prefix)), None)


def is_encoder(entry: BaseModelEntry) -> bool:
    """Whether it gives texts a meaning before anybody trained it."""
    return ENCODER_TASK in entry.tasks and entry.source.kind != "scratch"


def is_at_hand(entry: BaseModelEntry) -> bool:
    """Others would be downloaded while a caller waits."""
    return entry.offline or entry.source.kind in ("wheel", "local")


def base_encoder(name: str) -> ServedDeployment:
    return ServedDeployment(None, name, EPOCH, f"base/{name}", "", name, ENCODER_TASK)


def base_encoders() -> Iterator[ServedDeployment]:
    """Those that answer /v1/embeddings on this machine."""
    for name, entry in catalog.CATALOG.items():
        if is_encoder(entry) and is_at_hand(entry):
            yield base_encoder(name)
