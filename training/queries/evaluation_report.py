"""An evaluation report as the model page shows it. Its numbers are the engine's; none is computed
again here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from projects.queries.rows import RowQuery
from training.models import Evaluation, TrainedModel
from training.queries.attributions import Explanation, explanation_context
from training.queries.models import explanation_kind
from training.queries.report.verdict import judge_model, quality_bars
from training.queries.svg_plots import (
    HEIGHT,
    calibration_bars,
    curve_plots,
    error_histogram,
    format_interval,
    format_metric_value,
    format_number,
    format_range,
    format_value,
    interval_rows,
    residual_plot,
)
from web.browser.page_memo import once_per_page

if TYPE_CHECKING:  # Types only: the web process computes no metrics.
    from engine.evaluation.schema import (
        BaselineResult,
        Confusion,
        FairnessGap,
        FairnessReport,
        RateEstimate,
        Report,
        RobustnessReport,
    )
    from engine.metrics.measures import Measure
    from engine.metrics.paired import Significance

Row = dict[str, object]  # One thing as a template draws it.
MAX_MATRIX_LABELS = 30
FEW_ROWS = re.compile("read the intervals")  # Both sentences warn of few test rows.
ROUGH = re.compile("the reported numbers are rough")
DATA_FIELDS = (
    "train_rows", "validation_rows", "test_rows", "labels", "mean_tokens", "picture_size",
    "split", "warnings",
)  # fmt: skip
EXAMPLE_GROUPS = {
    "worst": ("Worst", "Wrong and sure: often a wrong label in the data."),
    "confused": ("Least certain", "Two answers nearly tied."),
    "too_high": ("Too high", "Predicted far above the true value."),
    "too_low": ("Too low", "Predicted far below the true value."),
    "best": ("Best", "Right and sure."),
    "random": ("Drawn at random", "As the data comes, good and bad."),
}
# Shown first; the others fold away. Tasks without these show what they have.
MAIN_METRICS = {
    "accuracy", "macro_f1", "weighted_f1", "balanced_accuracy", "roc_auc", "log_loss", "ece",
    "micro_f1", "subset_accuracy", "rmse", "mae", "r2", "median_ae", "spearman",
    "loss", "perplexity", "rougeL", "bleu", "chrf", "exact_match",
}  # fmt: skip


@dataclass(frozen=True)
class ConfusionCell:
    """One cell of the confusion matrix; `heat` is its share of the true label's rows, 0 to 1."""

    true: str
    predicted: str
    count: int
    heat: float
    is_correct: bool


@once_per_page
def report_of(model: TrainedModel) -> "Report":
    """The newest report on the test split; empty when there is none. A stored report may lack
    keys that newer ones have, so read them with `get`."""
    newest = Evaluation.objects.filter(model=model, split="test").order_by("-pk")
    return cast("Report", newest.values_list("report", flat=True).first() or {})


def report_context(report: "Report") -> Row:
    """The report as its templates use it; parts that the task does not have are empty."""
    confusion, residuals = report.get("confusion"), report.get("residuals")
    stored: Mapping[str, Any] = report  # With what the job adds: data and parity.
    bins = (report.get("calibration") or {}).get("bins", [])
    metrics = [format_metric(metric) for metric in report.get("metrics", [])]
    data = dict.fromkeys(DATA_FIELDS) | (stored.get("data") or {})
    name = report.get("headline_metric", "")
    titles = {metric["name"]: metric.get("title") or name for metric in report.get("metrics", [])}
    return {
        "report": report,
        "data": data,
        "cautions": list_cautions(report, data),
        "label_issues": [
            {
                **issue,
                "cells_of_row": cells_in(issue["text"]),
                "page": issue["row"] // RowQuery.page_size + 1,  # Of the dataset's rows.
            }
            for issue in data.get("label_issues") or []
        ],
        "verdict": judge_model(report),
        "headline_title": titles.get(name) or name.replace("_", " ").capitalize(),
        "labels_by_f1": sorted(report.get("per_class") or [], key=lambda label: label["f1"]),
        "bars": quality_bars(report),
        "importance": _importance_rows(report.get("explanations") or {}),
        "main_metrics": [metric for metric in metrics if metric["name"] in MAIN_METRICS],
        "more_metrics": [metric for metric in metrics if metric["name"] not in MAIN_METRICS],
        "contenders": _comparison_rows(report),
        "matrix": _confusion_rows(confusion),
        "pairs": confusion.get("pairs", []) if confusion else [],
        "bins": calibration_bars(bins),
        "plot": HEIGHT,
        "curves": curve_plots(report.get("curves") or []),
        "residual_plot": residual_plot(residuals),
        "error_bars": error_histogram(residuals),
        "error_ranges": residuals.get("ranges", []) if residuals else [],
        "breakdowns": _breakdown_rows(report),
        "fairness": [fairness_context(column) for column in report.get("fairness") or []],
        "robustness": _robustness_context(report.get("robustness")),
        "explanations": report.get("explanations") or {},
        "exports": _parity_rows(stored.get("parity") or {}),
        "example_groups": _example_groups(stored.get("examples") or {}),
    }


def list_cautions(report: "Report", data: Mapping[str, Any]) -> list[str]:
    """The report's notes and the data's warnings; that test rows are few is said once only, by the
    report."""
    notes, warnings = report.get("notes") or [], data.get("warnings") or []
    notes_say_few_rows = any(FEW_ROWS.search(note) for note in notes)
    return [
        *notes,
        *(warning for warning in warnings if not (notes_say_few_rows and ROUGH.search(warning))),
    ]


def report_tabs(report: "Report", model: TrainedModel) -> list[tuple[str, str]]:
    """Key and title of the tabs of a model's page that have content."""
    stored: Mapping[str, Any] = report
    tabs = {
        "summary": ("Summary", True),
        "mistakes": ("Mistakes", bool(stored.get("examples") or stored.get("samples"))),
        "confusion": ("Confusion", bool(report.get("confusion"))),
        "labels": ("Labels", bool(report.get("per_class"))),
        "confidence": ("Confidence", bool((report.get("calibration") or {}).get("bins"))),
        "groups": ("Groups", bool(report.get("breakdowns") or model.task != "text-generation")),
        "robustness": ("Robustness", bool(report.get("robustness"))),
        "metrics": ("Metrics", bool(report.get("metrics"))),
        "explain": ("Explain", bool(explanation_kind(model))),
        "files": ("Files & exports", True),
    }
    return [(key, words) for key, (words, has_content) in tabs.items() if has_content]


def format_metric(metric: "Measure") -> Row:
    title = metric.get("title") or metric["name"].replace("_", " ").capitalize()
    texts = {"shown": format_metric_value(metric), "interval": format_interval(metric)}
    return {**metric, "title": title, **texts}


def _comparison_rows(report: "Report") -> list[Row]:
    """This model first, then what it is compared with, by the same few metrics."""
    baselines = report.get("baselines", [])
    if not baselines:
        return []
    own = {metric["name"]: metric for metric in report.get("metrics", [])}
    names = [metric["name"] for metric in baselines[0].get("metrics", [])]
    ours = [own[name] for name in names if name in own]
    rows: list[Row] = [{"name": "This model", "ours": True, "metrics": ours}]
    rows[0] |= {"cells": [format_metric(metric) for metric in ours]}
    rows[0] |= format_significance(None, own)
    return rows + [_baseline_row(baseline, own) for baseline in baselines]


def _baseline_row(baseline: "BaselineResult", own: "Mapping[str, Measure]") -> Row:
    cells = [format_metric(metric) for metric in baseline.get("metrics", [])]
    return {
        **baseline,
        "cells": cells,
        **format_significance(baseline.get("significance"), own),
    }


def format_significance(
    significance: "Significance | None", metrics: Mapping[str, Mapping[str, object]]
) -> dict[str, str]:
    """This model's lead over a baseline, its interval and the p-value, as short texts."""
    if not significance:
        return {"lead": "", "lead_interval": "", "p_value": ""}
    is_share = bool(metrics.get(significance.get("metric", ""), {"share": True}).get("share"))
    ends = significance.get("low"), significance.get("high")
    return {
        "lead": _format_difference(significance.get("difference"), is_share=is_share),
        "lead_interval": " to ".join(
            _format_difference(end, is_share=is_share) for end in ends if end is not None
        ),
        "p_value": format_p_value(significance.get("p_value", 1)),
    }


def format_p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def _format_difference(value: float | None, *, is_share: bool) -> str:
    if value is None:
        return ""
    return f"{100 * value:+.1f} points" if is_share else f"{value:+.3f}"


def _confusion_rows(
    confusion: "Confusion | None",
) -> list[tuple[str, list[ConfusionCell]]] | None:
    """Rows of cells, true label first; None when there are too many labels to read."""
    if not confusion:
        return None
    labels, counts = confusion.get("labels", []), confusion.get("matrix")
    if not counts or len(labels) > MAX_MATRIX_LABELS:
        return None
    return [
        (
            true,
            [
                ConfusionCell(
                    true=true,
                    predicted=predicted,
                    count=count,
                    heat=round(count / sum(row), 3) if sum(row) else 0,
                    is_correct=true == predicted,
                )
                for predicted, count in zip_longest(labels, row)
            ],
        )
        for true, row in zip_longest(labels, counts)
    ]


def _breakdown_rows(report: "Report") -> list[Row]:
    """Each breakdown with the headline metric of its slices, as dots on intervals."""
    name = report.get("headline_metric", "accuracy")
    titles = {metric["name"]: metric["title"] for metric in report.get("metrics", [])}
    return [
        {
            **breakdown,
            "metric": titles.get(name, name),
            "ranges": interval_rows(breakdown["slices"], name),
        }
        for breakdown in report.get("breakdowns") or []
    ]


def fairness_context(fairness: "FairnessReport") -> Row:
    """The report on fairness with its rates and gaps as texts, in percent where they are shares."""
    questions: list[Row] = [
        {
            **question,
            "groups": [
                {
                    **group,
                    "cells": [
                        # In this order: the database does not keep that of keys.
                        _format_rate(name, group["rates"][name])
                        for name in RATE_TITLES
                        if name in group["rates"]
                    ],
                }
                for group in question["groups"]
            ],
            "gaps": [{**gap, **_format_rate(gap["name"], gap)} for gap in question["gaps"]],
        }
        for question in fairness.get("questions", [])
    ]
    return {**fairness, "questions": questions}


RATE_TITLES = {
    "selection_rate": "Selection rate",
    "tpr": "True positive rate",
    "fpr": "False positive rate",
    "accuracy": "Accuracy",
    "equalized_odds": "Equalised odds",
    "mae": "Mean absolute error",
    "bias": "Mean error",
}


def _format_rate(name: str, rate: "RateEstimate | FairnessGap") -> dict[str, str]:
    is_share = name not in ("mae", "bias")
    return {
        "title": RATE_TITLES.get(name, name),
        "shown": format_value(rate.get("value"), is_share=is_share),
        "interval": format_range(rate.get("low"), rate.get("high"), is_share=is_share),
    }


def _robustness_context(robustness: "RobustnessReport | None") -> Row:
    """The headline metric before and after each change."""
    if not robustness:
        return {}
    changes: list[Row] = []
    for change in robustness.get("changes", []):
        metrics = {metric["name"]: metric for metric in change["metrics"]}
        cells = [format_metric(metric) for metric in change["metrics"]]
        words = format_significance(change["significance"], metrics)
        changes.append({**change, "cells": cells, **words})
    unchanged = [format_metric(metric) for metric in robustness.get("unchanged", [])]
    return {**robustness, "changes": changes, "unchanged": unchanged}


def _importance_rows(explanations: Mapping[str, Any]) -> list[Row]:
    """The columns that the answers rest on, each with its score in percent of the largest."""
    columns = explanations.get("columns") or []
    largest = max((column["score"] for column in columns), default=0) or 1
    return [
        {**column, "share": round(max(0, 100 * column["score"] / largest), 1)} for column in columns
    ]


def _parity_rows(parity: Mapping[str, Any]) -> list[Row]:
    """One row for each exported file: how far its answers differ from the trained network's."""
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


def _example_groups(
    examples: Mapping[str, list[Row]],
) -> list[tuple[str, str, list[Row]]]:
    return [
        (*EXAMPLE_GROUPS[key], [_format_example(row) for row in examples[key]])
        for key in EXAMPLE_GROUPS
        if examples.get(key)
    ]


def _format_example(row: Row) -> Row:
    """The row with numbers as text, and with its explanation as `explanation_context` gives it."""
    values = {
        key: format_number(value) if isinstance(value, float) and "prob" not in key else value
        for key, value in row.items()
    }
    explanation = {"text": row.get("text"), **cast(Row, row.get("explanation") or {})}
    cells = {"cells_of_row": cells_in(str(row.get("text") or ""))}
    return values | cells | explanation_context(cast(Explanation, explanation))


def cells_in(text: str) -> list[tuple[str, str]]:
    """The cells of a table's row, which the engine writes as "name=value, name=value"; none of
    a text that only looks a little like that."""
    parts = [part.partition("=") for part in text.split(", ")]
    if len(parts) < 2 or not all(name and sign and len(name) < 60 for name, sign, _ in parts):
        return []
    return [(name, value) for name, _, value in parts]
