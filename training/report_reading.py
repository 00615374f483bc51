"""An evaluation report as the model page shows it. The numbers are the engine's, never redone."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from training.models import Evaluation, TrainedModel

LARGEST_MATRIX = 30
SHARES = {"accuracy", "macro_f1", "weighted_f1", "macro_precision", "macro_recall", "ece"}
TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "log_loss": "Log loss",
    "ece": "Calibration error",
}
VERDICTS = {
    "helped": "Tuning helped",
    "hurt": "Tuning hurt",
    "no_difference": "No clear difference",
}
DATA_FACTS = ("train_rows", "validation_rows", "test_rows", "labels", "mean_tokens", "warnings")
PLOT = 200  # Width and height of the calibration plot, in SVG units.


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix; heat is its share of the true label's rows."""

    true: str
    predicted: str
    count: int
    heat: float
    is_right: bool


@dataclass(frozen=True)
class Bin:
    """One bar of the calibration plot, placed for SVG (y grows downwards)."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float
    x: float
    width: float
    top: float
    height: float


def report_of(model: TrainedModel) -> dict[str, Any]:
    """The newest report on the test split; empty when there is none."""
    newest = Evaluation.objects.filter(model=model, split="test").order_by("-pk")
    return newest.values_list("report", flat=True).first() or {}


def page_of(report: dict[str, Any]) -> dict[str, Any]:
    """The report in the shapes the template draws."""
    return {
        "report": report,
        "data": dict.fromkeys(DATA_FACTS) | (report.get("data") or {}),
        "verdict": VERDICTS.get(report.get("verdict", ""), ""),
        "metrics": [_shown(metric) for metric in report.get("metrics", [])],
        "contenders": _side_by_side(report),
        "matrix": _matrix(report.get("confusion") or {}),
        "pairs": (report.get("confusion") or {}).get("pairs", []),
        "bins": [_bin(one) for one in (report.get("calibration") or {}).get("bins", [])],
        "plot": PLOT,
        "exports": _exports(report.get("parity") or {}),
        "example_groups": _example_groups(report.get("examples") or {}),
    }


def _shown(metric: dict[str, Any]) -> dict[str, Any]:
    name = metric["name"]
    return {
        **metric,
        "title": TITLES.get(name, name.replace("_", " ").capitalize()),
        "shown": shown_value(name, metric.get("value")),
        "interval": _interval(name, metric.get("low"), metric.get("high")),
    }


def shown_value(name: str, value: float | None) -> str:
    """A share as a percentage, anything else with three digits after the point."""
    if value is None:
        return "—"
    return f"{value:.1%}" if name in SHARES else f"{value:.3f}"


def _interval(name: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{shown_value(name, low)} – {shown_value(name, high)}"


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
            "cells": [_shown(metric) for metric in one.get("metrics", [])],
            "p_value": f"{(one.get('significance') or {}).get('p_value', 1):.2g}",
        }
        for one in [ours, *baselines]
    ]


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


def _bin(given: dict[str, Any]) -> Bin:
    low, high, accuracy = given["low"], given["high"], given["accuracy"]
    return Bin(
        low=low,
        high=high,
        rows=given["count"],
        confidence=given["confidence"],
        accuracy=accuracy,
        x=round(low * PLOT, 2),
        width=round((high - low) * PLOT - 1, 2),
        top=round((1 - accuracy) * PLOT, 2),
        height=round(accuracy * PLOT, 2),
    )


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
    titles = {
        "worst": ("Worst", "Wrong and sure: often a wrong label in the data."),
        "confused": ("Most torn", "Two labels nearly tied."),
        "best": ("Best", "Right and sure."),
    }
    return [(*titles[key], examples[key]) for key in titles if examples.get(key)]
