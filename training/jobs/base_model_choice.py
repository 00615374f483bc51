"""Which base model a job starts from when nobody says: by the task, and by the texts' language."""

from collections.abc import Iterable

from engine import catalog
from engine.catalog import BaseModelEntry
from projects.models import DatasetVersion
from training.jobs.hub import is_obtainable

CHAT_TASK = "text-generation"


def default_base_model(
    task: str, version: DatasetVersion | None = None, texts: Iterable[str] = ()
) -> BaseModelEntry:
    """The task's first that knows the language of the texts and can be had; to talk, the first
    that was pretrained: one that starts from random weights only learns the forms of its rows.

    `texts` are the columns to be read; none: those that the import suggests.
    """
    offered = catalog.base_models_for_task(task)
    language = column_language(version, texts)
    if not task.startswith("text-"):
        return offered[0]
    pretrained = [entry for entry in offered if entry.source.kind != "scratch"]
    if task != CHAT_TASK and language == "en":
        return offered[0]
    fitting = (entry for entry in pretrained if not entry.languages or language in entry.languages)
    return next((entry for entry in fitting if is_obtainable(entry)), offered[0])


def column_language(version: DatasetVersion | None, texts: Iterable[str] = ()) -> str:
    """The language of these columns, by the first of them that is not English."""
    profile = version.profile if version is not None else {}
    chosen = list(texts) or (profile.get("suggested") or {}).get("text_columns") or []
    languages = {
        column["name"]: column["language"]
        for column in profile.get("columns", [])
        if column.get("language")
    }
    foreign = (languages[name] for name in chosen if languages.get(name, "en") != "en")
    return str(next(foreign, "en"))
