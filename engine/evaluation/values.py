"""The parts of a report on predicted numbers: residuals, error by range, rows worth reading."""

from typing import Any

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import ErrorRange, Histogram, Residuals
from engine.metrics import regression
from engine.metrics.shapes import Ints, Numbers

SHOWN_ROWS = 10
SHOWN_POINTS = 400
HISTOGRAM_BINS = 21
RANGES = 5
FEWEST_IN_RANGE = 5
SHOWN_CHARACTERS = 2000


def parts(given: Numbers, rows: TestRows) -> Any:
    """A partial Report."""
    return {"residuals": residuals(given), "examples": _examples(given, rows)}


def residuals(given: Numbers) -> Residuals:
    return {"points": _points(given), "errors": _histogram(given), "ranges": _ranges(given)}


def _points(given: Numbers) -> list[list[float]]:
    """Rows drawn evenly along the true value, so that rare extremes are seen."""
    order = np.argsort(given.true, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, SHOWN_POINTS).astype(int))]
    return [[float(given.true[row]), float(given.predicted[row])] for row in kept]


def _histogram(given: Numbers) -> Histogram:
    """Errors around zero; the outermost bins also hold the few errors beyond them."""
    reach = float(np.quantile(np.abs(given.errors), 0.99)) or 1.0
    counts, edges = np.histogram(
        np.clip(given.errors, -reach, reach), bins=HISTOGRAM_BINS, range=(-reach, reach)
    )
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _ranges(given: Numbers) -> list[ErrorRange]:
    """Errors in fifths of the true value; equal values stay together."""
    edges = np.unique(np.quantile(given.true, np.linspace(0, 1, RANGES + 1)))
    place = np.clip(np.searchsorted(edges, given.true, side="right") - 1, 0, max(0, len(edges) - 2))
    chosen = (np.flatnonzero(place == number) for number in np.unique(place))
    return [_range(given, rows) for rows in chosen]


def _range(given: Numbers, rows: Ints) -> ErrorRange:
    part = Numbers(given.true[rows], given.predicted[rows])
    measured = {one["name"]: one for one in regression.measure(part)}
    return {
        "low": float(part.true.min()),
        "high": float(part.true.max()),
        "rows": len(rows),
        "mae": float(np.abs(part.errors).mean()),
        "mae_low": measured["mae"]["low"] if len(rows) >= FEWEST_IN_RANGE else None,
        "mae_high": measured["mae"]["high"] if len(rows) >= FEWEST_IN_RANGE else None,
        "bias": float(part.errors.mean()),
    }


def _examples(given: Numbers, rows: TestRows) -> dict[str, list[dict[str, Any]]]:
    """worst: furthest off. best: nearest. Those too high and too low apart."""
    sizes = np.abs(given.errors)
    by_error = np.argsort(given.errors, kind="stable")
    orders: dict[str, Ints] = {
        "worst": np.argsort(-sizes, kind="stable"),
        "too_high": by_error[::-1][: int((given.errors > 0).sum())],
        "too_low": by_error[: int((given.errors < 0).sum())],
        "best": np.argsort(sizes, kind="stable"),
    }
    return {
        name: [_shown(given, rows, int(row)) for row in order[:SHOWN_ROWS]]
        for name, order in orders.items()
    }


def _shown(given: Numbers, rows: TestRows, row: int) -> dict[str, Any]:
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:SHOWN_CHARACTERS],
        "true": float(given.true[row]),
        "predicted": float(given.predicted[row]),
        "error": float(given.errors[row]),
    }
