"""Models that apps above serve: listed at /v1/models beside the deployments."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OtherModels:
    """Models of an app above, told apart by the beginning of their names."""

    prefix: str
    sql: str  # The names, whole, and times of creation of a team's; its id is the parameter.
    sentence: str  # Where they answer, for who asks elsewhere.


registered: list[OtherModels] = []


def register_models(models: OtherModels) -> None:
    """List these, too; from an app's `ready()`."""
    registered.append(models)


def sentence_for(name: str) -> str | None:
    """Where a model of this name answers, if it is another app's."""
    return next((one.sentence for one in registered if name.startswith(one.prefix)), None)
