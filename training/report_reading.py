"""An evaluation report as the model page shows it. The numbers are the engine's, never redone."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from training.models import Evaluation, TrainedModel
from training.report_explanations import explanation_shown
from training.report_plots import (
    HEIGHT,
    calibration_bars,
    curve_plots,
    error_bars,
    interval_of,
    number,
    ranges_of,
    residual_plot,
    shown_value,
)

LARGEST_MATRIX = 30
VERDICTS = {
    "helped": "Tuning helped",
    "hurt": "Tuning hurt",
    "no_difference": "No clear difference",
    "unknown": "Not compared",
}
DATA_FACTS = (
    "train_rows", "validation_rows", "test_rows", "labels", "mean_tokens", "picture_size",
    "warnings",
)  # fmt: skip
EXAMPLES = {
    "worst": ("Worst", "Wrong and sure: often a wrong label in the data."),
    "confused": ("Most torn", "Two answers nearly tied."),
    "too_high": ("Too high", "Predicted far above the true value."),
    "too_low": ("Too low", "Predicted far below the true value."),
    "best": ("Best", "Right and sure."),
    "random": ("Drawn evenly", "Neither good nor bad on purpose."),
}
# Shown first; the others fold away. Tasks without these show what they have.
MAIN_METRICS = {
    "accuracy", "macro_f1", "weighted_f1", "balanced_accuracy", "roc_auc", "log_loss", "ece",
    "micro_f1", "subset_accuracy", "rmse", "mae", "r2", "median_ae", "spearman",
    "loss", "perplexity", "rougeL", "bleu", "chrf", "exact_match",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix; heat is its share of the true label's rows."""

    true: str
    predicted: str
    count: int
    heat: float
    is_right: bool


def report_of(model: TrainedModel) -> dict[str, Any]:
    """The newest report on the test split; empty when there is none."""
    newest = Evaluation.objects.filter(model=model, split="test").order_by("-pk")
    return newest.values_list("report", flat=True).first() or {}


def page_of(report: dict[str, Any]) -> dict[str, Any]:
    """The report in the shapes the templates draw; what a task does not have is empty."""
    confusion, residuals = report.get("confusion") or {}, report.get("residuals") or {}
    bins = (report.get("calibration") or {}).get("bins", [])
    metrics = [shown_metric(metric) for metric in report.get("metrics", [])]
    return {
        "report": report,
        "data": dict.fromkeys(DATA_FACTS) | (report.get("data") or {}),
        "verdict": VERDICTS.get(report.get("verdict", ""), ""),
        "main_metrics": [metric for metric in metrics if metric["name"] in MAIN_METRICS],
        "more_metrics": [metric for metric in metrics if metric["name"] not in MAIN_METRICS],
        "contenders": _side_by_side(report),
        "matrix": _matrix(confusion),
        "pairs": confusion.get("pairs", []),
        "bins": calibration_bars(bins),
        "plot": HEIGHT,
        "curves": curve_plots(report.get("curves") or []),
        "residual_plot": residual_plot(residuals),
        "error_bars": error_bars(residuals),
        "error_ranges": residuals.get("ranges", []),
        "breakdowns": _breakdowns(report),
        "fairness": [fairness_shown(one) for one in report.get("fairness") or []],
        "robustness": _robustness(report.get("robustness") or {}),
        "explanations": report.get("explanations") or {},
        "exports": _exports(report.get("parity") or {}),
        "example_groups": _example_groups(report.get("examples") or {}),
    }


def shown_metric(metric: dict[str, Any]) -> dict[str, Any]:
    title = metric.get("title") or metric["name"].replace("_", " ").capitalize()
    shown = {"shown": shown_value(metric), "interval": interval_of(metric)}
    return {**metric, "title": title, **shown}


def _side_by_side(report: dict[str, Any]) -> list[dict[str, Any]]:
    """This model first, then what it is compared with, by the same few metrics."""
    baselines = report.get("baselines", [])
    if not baselines:
        return []
    names = [metric["name"] for metric in baselines[0].get("metrics", [])]
    own = {metric["name"]: metric for metric in report.get("metrics", [])}
    ours = {"name": "This model", "ours": True, "metrics": [own[n] for n in names if n in own]}
    return [
        {
            **one,
            "cells": [shown_metric(metric) for metric in one.get("metrics", [])],
            **significance_shown(one.get("significance"), own),
        }
        for one in [ours, *baselines]
    ]


def significance_shown(
    found: dict[str, Any] | None, metrics: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """The lead of this model, its interval and p in words that fit a cell."""
    if not found:
        return {"lead": "", "lead_interval": "", "p_value": ""}
    metric = metrics.get(found.get("metric", ""), {"share": True})
    return {
        "lead": _signed(metric, found.get("difference")),
        "lead_interval": " to ".join(
            _signed(metric, found[end]) for end in ("low", "high") if found.get(end) is not None
        ),
        "p_value": p_shown(found.get("p_value", 1)),
    }


def p_shown(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def _signed(metric: dict[str, Any], value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:+.1f} points" if metric.get("share") else f"{value:+.3f}"


def _matrix(confusion: dict[str, Any]) -> list[tuple[str, list[Cell]]] | None:
    """Rows of cells, true label first; None when there are too many labels to read."""
    labels, counts = confusion.get("labels", []), confusion.get("matrix")
    if not counts or len(labels) > LARGEST_MATRIX:
        return None
    return [
        (true, [_cell(true, label, count, sum(row)) for label, count in zip_longest(labels, row)])
        for true, row in zip_longest(labels, counts)
    ]


def _cell(true: str, predicted: str, count: int, total: int) -> Cell:
    return Cell(true, predicted, count, round(count / total, 3) if total else 0, true == predicted)


def _breakdowns(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Each with the value that counts, as dots on intervals."""
    name = report.get("headline_metric", "accuracy")
    found = report.get("breakdowns") or []
    metrics = {metric["name"]: metric for metric in report.get("metrics", [])}
    title = metrics.get(name, {}).get("title", name)
    return [{**one, "metric": title, "ranges": ranges_of(one["slices"], name)} for one in found]


def fairness_shown(found: dict[str, Any]) -> dict[str, Any]:
    """The widest question first, rates as percentages."""
    questions = [
        {
            **question,
            "groups": [
                {**group, "cells": [_rate(n, group["rates"][n]) for n in _ordered(group["rates"])]}
                for group in question["groups"]
            ],
            "gaps": [{**gap, **_rate(gap["name"], gap)} for gap in question["gaps"]],
        }
        for question in found.get("questions", [])
    ]
    return {**found, "questions": questions}


RATE_TITLES = {
    "selection_rate": "Selection rate",
    "tpr": "True positive rate",
    "fpr": "False positive rate",
    "accuracy": "Accuracy",
    "equalized_odds": "Equalised odds",
    "mae": "Mean absolute error",
    "bias": "Mean error",
}


def _ordered(rates: dict[str, Any]) -> list[str]:
    """The database does not keep the order of keys."""
    return [name for name in RATE_TITLES if name in rates]


def _rate(name: str, rate: dict[str, Any]) -> dict[str, str]:
    metric = {**rate, "share": name not in ("mae", "bias")}
    title = RATE_TITLES.get(name, name)
    return {"title": title, "shown": shown_value(metric), "interval": interval_of(metric)}


def _robustness(found: dict[str, Any]) -> dict[str, Any]:
    """The headline metric before and after each change."""
    if not found:
        return {}
    changes = [
        {
            **one,
            "cells": [shown_metric(metric) for metric in one["metrics"]],
            **significance_shown(one["significance"], {m["name"]: m for m in one["metrics"]}),
        }
        for one in found.get("changes", [])
    ]
    unchanged = [shown_metric(metric) for metric in found.get("unchanged", [])]
    return {**found, "changes": changes, "unchanged": unchanged}


def _exports(parity: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per exported file: does it compute what the trained network computes?"""
    served = parity.get("served")
    return [
        {
            **facts,
            "file": name,
            "is_served": name == served,
            "accuracy_change": f"{facts.get('accuracy_delta', 0):+.2%}",
            "difference": f"{facts.get('largest_logit_difference', 0):.2g}",
        }
        for name, facts in parity.items()
        if isinstance(facts, dict)
    ]


def _example_groups(examples: dict[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    return [
        (*EXAMPLES[key], [_example(one) for one in examples[key]])
        for key in EXAMPLES
        if examples.get(key)
    ]


def _example(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers as text; words or squares with how much each counted, ready for a template."""
    shown = {
        key: number(value) if isinstance(value, float) and "prob" not in key else value
        for key, value in row.items()
    }
    return shown | explanation_shown({"text": row.get("text"), **(row.get("explanation") or {})})
