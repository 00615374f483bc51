"""What pages say about models beside their reports."""

from collections.abc import Iterable

from training.models import TrainedModel
from training.report_plots import shown_value

MOST_VERSIONS = 20
# What a model is known by in lists: of each kind of task the first two that it has.
RESULTS = {
    "accuracy": ("Accuracy", True),
    "micro_f1": ("Micro F1", True),
    "macro_f1": ("Macro F1", True),
    "rmse": ("RMSE", False),
    "r2": ("R²", False),
    "loss": ("Loss of a token", False),
    "rougeL": ("ROUGE-L", True),
}
SHOWN_RESULTS = 2


def results_of(model: TrainedModel) -> list[str]:
    """The results that count, in words that fit a cell."""
    known = [name for name in RESULTS if model.metrics.get(name) is not None]
    return [
        f"{RESULTS[name][0]} "
        + shown_value({"value": model.metrics[name], "share": RESULTS[name][1]})
        for name in known[:SHOWN_RESULTS]
    ]


def with_results(models: Iterable[TrainedModel]) -> list[tuple[TrainedModel, list[str]]]:
    return [(model, results_of(model)) for model in models]


def versions_of(model: TrainedModel) -> list[TrainedModel]:
    """Models of the same project made from the same dataset, newest first, this one among them."""
    dataset = model.dataset_version.dataset_id
    same = TrainedModel.objects.filter(
        project=model.project_id, dataset_version__dataset=dataset, task=model.task
    )
    return list(same.select_related("dataset_version__dataset")[:MOST_VERSIONS])


def explained_kind(model: TrainedModel) -> str:
    """What a worker can explain this model's answers to: text, features or image; "" for none."""
    kind = (model.manifest.get("inputs") or {}).get("kind", "")
    return kind if kind in ("text", "features", "image") else ""


def shows_pictures(model: TrainedModel) -> bool:
    """Whether its rows are pictures, of which the dataset has thumbnails."""
    return model.task.startswith("image")


# What a running job shows of its validation rows: the first that it has told.
VALIDATION = {"accuracy": True, "micro_f1": True, "rmse": False, "mae": False, "loss": False}
EXPECTED = {"regression": "error", "generation": "loss"}  # By the last word of the task.


def result_of_test(metrics: dict[str, float]) -> tuple[str, str] | None:
    """Name and value of the metric on test rows that counts most. The network's last validation
    would mislead where something else was kept in the end."""
    for name, (title, share) in RESULTS.items():
        if metrics.get(name) is not None:
            words = title if title[1].isupper() else title[0].lower() + title[1:]
            return f"Test {words}", shown_value({"value": metrics[name], "share": share})
    return None


def validation_of(values: dict[str, float], task: str) -> tuple[str, str]:
    """Name and value of the newest validation metric that counts."""
    for name, share in VALIDATION.items():
        value = values.get(f"validation_{name}")
        if value is not None:
            words = {"rmse": "RMSE", "mae": "mean error"}.get(name, name.replace("_", " "))
            return f"Validation {words}", shown_value({"value": value, "share": share})
    return f"Validation {EXPECTED.get(task.split('-')[-1], 'accuracy')}", "—"
