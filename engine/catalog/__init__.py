"""The base models on offer: where each comes from, how large, under which licence.

One module of entries for each task family; adding a base model is adding an entry. Loading them is
`engine.tasks`'; this list is imported by web processes and stays free of torch.
"""

from engine.catalog import generation, image, tabular, text
from engine.catalog.entries import BaseModelEntry, ModelSource, TaskName
from engine.errors import EngineError


class UnknownBaseModel(EngineError):
    """No entry of the catalog has this id."""

    code = "base_model_unavailable"
    fault = "customer"


CATALOG: dict[str, BaseModelEntry] = {
    entry.id: entry
    for entry in (*text.ENTRIES, *tabular.ENTRIES, *image.ENTRIES, *generation.ENTRIES)
}


def get_base_model(model_id: str) -> BaseModelEntry:
    """The entry with this id; raises UnknownBaseModel with the ids there are."""
    if model_id not in CATALOG:
        raise UnknownBaseModel(
            f"There is no base model {model_id!r}. Choose one of: {', '.join(CATALOG)}."
        )
    return CATALOG[model_id]


def name_of(model_id: str) -> str:
    """What people call this base model; the id itself where the catalog has none of it."""
    return CATALOG[model_id].name if model_id in CATALOG else model_id


def base_models_for_task(task: str) -> list[BaseModelEntry]:
    """What this task can start from; the first is its default."""
    return [entry for entry in CATALOG.values() if task in entry.tasks]


def get_base_model_for_task(task: str, model_id: str | None) -> BaseModelEntry:
    """The entry, or the task's default; raises UnknownBaseModel when it is for other tasks."""
    offered = base_models_for_task(task)
    if model_id is None:
        return offered[0]
    chosen = get_base_model(model_id)
    if chosen not in offered:
        choices = ", ".join(entry.id for entry in offered)
        raise UnknownBaseModel(
            f"The base model {model_id!r} is not for {task}. Choose one of: {choices}."
        )
    return chosen


__all__ = [
    "CATALOG",
    "BaseModelEntry",
    "ModelSource",
    "TaskName",
    "UnknownBaseModel",
    "base_models_for_task",
    "get_base_model",
    "get_base_model_for_task",
    "name_of",
]
