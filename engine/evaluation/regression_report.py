"""The parts of a report on predicted numbers: residuals, error by range, example rows."""

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import (
    AnswerTypeParts,
    ErrorRange,
    Histogram,
    NumberExample,
    Residuals,
)
from engine.evaluation.verdict import find_measure
from engine.metrics import regression
from engine.metrics.shapes import Ints, RegressionPredictions

MAX_DISPLAY_ROWS = 10
MAX_DISPLAY_POINTS = 400
HISTOGRAM_BINS = 21
RANGE_COUNT = 5
MIN_ROWS_FOR_INTERVAL = 5
MAX_DISPLAY_CHARACTERS = 2000


def build_regression_parts(predictions: RegressionPredictions, rows: TestRows) -> AnswerTypeParts:
    return {
        "residuals": compute_residuals(predictions),
        "examples": _select_examples(predictions, rows),
    }


def compute_residuals(predictions: RegressionPredictions) -> Residuals:
    # Points are drawn evenly over the ordered true values, so that rare extremes are among them.
    order = np.argsort(predictions.true, kind="stable")
    drawn = order[np.unique(np.linspace(0, len(order) - 1, MAX_DISPLAY_POINTS).astype(int))]
    return {
        "points": [
            [float(predictions.true[row]), float(predictions.predicted[row])] for row in drawn
        ],
        "errors": _error_histogram(predictions),
        "ranges": _error_ranges(predictions),
    }


def _error_histogram(predictions: RegressionPredictions) -> Histogram:
    """Errors around zero; the outermost bins include the few errors beyond them."""
    reach = float(np.quantile(np.abs(predictions.errors), 0.99)) or 1.0
    counts, edges = np.histogram(
        np.clip(predictions.errors, -reach, reach), bins=HISTOGRAM_BINS, range=(-reach, reach)
    )
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _error_ranges(predictions: RegressionPredictions) -> list[ErrorRange]:
    """Errors in fifths of the true value; equal values stay together."""
    edges = np.unique(np.quantile(predictions.true, np.linspace(0, 1, RANGE_COUNT + 1)))
    place = np.clip(
        np.searchsorted(edges, predictions.true, side="right") - 1, 0, max(0, len(edges) - 2)
    )
    chosen = (np.flatnonzero(place == number) for number in np.unique(place))
    return [_measure_range(predictions, rows) for rows in chosen]


def _measure_range(predictions: RegressionPredictions, rows: Ints) -> ErrorRange:
    part = RegressionPredictions(predictions.true[rows], predictions.predicted[rows])
    has_interval = len(rows) >= MIN_ROWS_FOR_INTERVAL
    mae = find_measure(regression.measure(part), "mae")
    return {
        "low": float(part.true.min()),
        "high": float(part.true.max()),
        "rows": len(rows),
        "mae": float(np.abs(part.errors).mean()),
        "mae_low": mae["low"] if has_interval else None,
        "mae_high": mae["high"] if has_interval else None,
        "bias": float(part.errors.mean()),
    }


def _select_examples(
    predictions: RegressionPredictions, rows: TestRows
) -> dict[str, list[NumberExample]]:
    """worst and best by the size of the error; too_high and too_low by its sign."""
    sizes = np.abs(predictions.errors)
    by_error = np.argsort(predictions.errors, kind="stable")
    orders: dict[str, Ints] = {
        "worst": np.argsort(-sizes, kind="stable"),
        "too_high": by_error[::-1][: int((predictions.errors > 0).sum())],
        "too_low": by_error[: int((predictions.errors < 0).sum())],
        "best": np.argsort(sizes, kind="stable"),
    }
    return {
        name: [_format_example(predictions, rows, int(row)) for row in order[:MAX_DISPLAY_ROWS]]
        for name, order in orders.items()
    }


def _format_example(predictions: RegressionPredictions, rows: TestRows, row: int) -> NumberExample:
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:MAX_DISPLAY_CHARACTERS],
        "true": float(predictions.true[row]),
        "predicted": float(predictions.predicted[row]),
        "error": float(predictions.errors[row]),
    }
