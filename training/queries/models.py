"""Models in lists and in lines of text: their main results, their versions."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from training.models import TrainedModel
from training.queries.svg_plots import format_value

MAX_VERSIONS = 20
# Metrics that lists show of a model, with whether they are shares: the first two that it has.
HEADLINE_METRICS = {
    "accuracy": ("Accuracy", True),
    "micro_f1": ("Micro F1", True),
    "macro_f1": ("Macro F1", True),
    "rmse": ("RMSE", False),
    "r2": ("R²", False),
    "loss": ("Loss of a token", False),
    "rougeL": ("ROUGE-L", True),
}
RESULT_WORDS = {
    "accuracy": "Accuracy {value}",
    "micro_f1": "Micro F1 {value}",
    "macro_f1": "Macro F1 {value}",
    "rmse": "RMSE {value}",
    "r2": "R² {value}",
    "loss": "Loss of a token {value}",
    "rougeL": "ROUGE-L {value}",
}
MAX_RESULTS_SHOWN = 2


def headline_results(model: TrainedModel) -> list[str]:
    """The model's main metrics, at most MAX_RESULTS_SHOWN, such as "Accuracy 94.7%"."""
    measured = [name for name in HEADLINE_METRICS if model.metrics.get(name) is not None]
    return [
        RESULT_WORDS[name].format(
            value=format_value(model.metrics[name], is_share=HEADLINE_METRICS[name][1])
        )
        for name in measured[:MAX_RESULTS_SHOWN]
    ]


def with_results(models: Iterable[TrainedModel]) -> list[tuple[TrainedModel, list[str]]]:
    return [(model, headline_results(model)) for model in models]


def filter_models(models: QuerySet[TrainedModel], text: str, tag: str) -> QuerySet[TrainedModel]:
    """Those with this text in their name, their base model's or dataset's, and this tag."""
    if tag:
        models = models.filter(tags__contains=[tag])
    if text:
        models = models.filter(
            Q(name__icontains=text)
            | Q(base_model__icontains=text)
            | Q(dataset_version__dataset__name__icontains=text)
        )
    return models


def versions_of(model: TrainedModel) -> list[TrainedModel]:
    """Models of the same project made from the same dataset, newest first, this one among them."""
    dataset = model.dataset_version.dataset_id
    same = TrainedModel.objects.filter(
        project=model.project_id, dataset_version__dataset=dataset, task=model.task
    )
    return list(same.select_related("dataset_version__dataset")[:MAX_VERSIONS])


def explanation_kind(model: TrainedModel) -> str:
    """What a worker can explain this model's answers to: text, features or image; "" for none."""
    kind = (model.manifest.get("inputs") or {}).get("kind", "")
    return kind if kind in ("text", "features", "image") else ""


# The metric that a running job shows of its validation rows is the first of these that it has
# measured; the value says whether it is a share.
VALIDATION_METRICS = {
    "accuracy": True,
    "micro_f1": True,
    "rmse": False,
    "mae": False,
    "loss": False,
}
DEFAULT_METRIC_NAMES = {
    "regression": "error",
    "generation": "loss",
}  # By the last word of the task.


def headline_test_result(metrics: dict[str, float]) -> tuple[str, str] | None:
    """Name and value of the main metric on test rows. The last validation of the network would
    mislead where another model, such as boosted trees, was kept in the end."""
    for name, (title, share) in HEADLINE_METRICS.items():
        if metrics.get(name) is not None:
            words = title if title[1].isupper() else title[0].lower() + title[1:]
            return f"Test {words}", format_value(metrics[name], is_share=share)
    return None


def validation_words(name: str) -> str:
    words = {"rmse": "RMSE", "mae": "mean error", "micro_f1": "micro F1"}
    return words.get(name, name.replace("_", " "))


def latest_validation_result(values: dict[str, float], task: str) -> tuple[str, str]:
    """Name and newest value of the main metric on validation rows; "—" before the first."""
    for name, share in VALIDATION_METRICS.items():
        value = values.get(f"validation_{name}")
        if value is not None:
            return f"Validation {validation_words(name)}", format_value(value, is_share=share)
    return f"Validation {DEFAULT_METRIC_NAMES.get(task.split('-')[-1], 'accuracy')}", "—"
