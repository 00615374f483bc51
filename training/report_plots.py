"""The report's plots as places in SVG units, drawn by templates: no script, and they print."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = HEIGHT = 200


@dataclass(frozen=True)
class Line:
    """One curve: `points` is a polyline's, `number` picks its colour."""

    label: str
    points: str
    number: int


@dataclass(frozen=True)
class Plot:
    """Axes with a name and two ends each, curves, and perhaps dots."""

    title: str
    across: str
    up: str
    ends: tuple[str, str, str, str]  # Left, right, bottom, top.
    lines: list[Line]
    diagonal: str = ""  # "up" or "down": the line of guessing, or of being exactly right.
    dots: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Bar:
    """One bar; y grows downwards."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Bars:
    title: str
    across: str
    ends: tuple[str, str]
    bars: list[Bar]
    middle: float | None = None


@dataclass(frozen=True)
class Range:
    """A value with its interval on a common scale, all in percent of the width."""

    name: str
    rows: int
    left: float
    width: float
    at: float
    shown: str
    interval: str
    is_weak: bool
    note: str


def curve_plots(curves: list[dict[str, Any]]) -> list[Plot]:
    """The ROC and the precision-recall plot, a line for each label."""
    if not curves:
        return []
    lines = {
        key: [
            Line(f"{one['label']} · {one[area]:.3f}", _points(one[key]), number)
            for number, one in enumerate(curves)
        ]
        for key, area in (("roc", "roc_auc"), ("pr", "average_precision"))
    }
    ends = ("0", "1", "0", "1")
    return [
        Plot("ROC", "False positive rate", "True positive rate", ends, lines["roc"], "up"),
        Plot("Precision and recall", "Recall", "Precision", ends, lines["pr"]),
    ]


def _points(pairs: list[list[float]]) -> str:
    return " ".join(f"{across * WIDTH:.1f},{(1 - up) * HEIGHT:.1f}" for across, up in pairs)


def calibration_bars(bins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each bin with its bar."""
    return [
        {
            **one,
            "rows": one["count"],
            "x": round(one["low"] * WIDTH, 2),
            "width": round((one["high"] - one["low"]) * WIDTH - 1, 2),
            "top": round((1 - one["accuracy"]) * HEIGHT, 2),
            "height": round(one["accuracy"] * HEIGHT, 2),
        }
        for one in bins
    ]


def residual_plot(residuals: dict[str, Any]) -> Plot | None:
    """Predicted against true; on the diagonal is exactly right."""
    points = residuals.get("points")
    if not points:
        return None
    low = min(min(pair) for pair in points)
    high = max(max(pair) for pair in points)
    span = (high - low) or 1.0
    dots = [
        (round((true - low) / span * WIDTH, 1), round((high - said) / span * HEIGHT, 1))
        for true, said in points
    ]
    ends = (number(low), number(high), number(low), number(high))
    return Plot("Predicted against true", "True", "Predicted", ends, [], "up", dots)


def error_bars(residuals: dict[str, Any]) -> Bars | None:
    """The histogram of errors; predictions too low on the left."""
    errors = residuals.get("errors")
    if not errors:
        return None
    counts, edges = errors["counts"], errors["edges"]
    highest, width = max(counts) or 1, WIDTH / len(counts)
    bars = [
        Bar(
            x=round(place * width, 2),
            y=round(HEIGHT * (1 - count / highest), 2),
            width=round(width - 1, 2),
            height=round(HEIGHT * count / highest, 2),
            title=f"{number(edges[place])} to {number(edges[place + 1])}: {count} rows",
        )
        for place, count in enumerate(counts)
    ]
    ends = (number(edges[0]), number(edges[-1]))
    return Bars("Errors", "Predicted minus true", ends, bars, WIDTH / 2)


def ranges_of(slices: list[dict[str, Any]], name: str) -> list[Range]:
    """Every slice's value of this metric as a dot on its interval, on one scale."""
    found = [(one, _metric(one["metrics"], name)) for one in slices]
    ends = [
        end
        for _, metric in found
        for end in (metric.get("low"), metric.get("high"), metric.get("value"))
        if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span = (high - low) or 1.0
    return [_range(one, metric, low, span) for one, metric in found]


def _metric(metrics: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((metric for metric in metrics if metric["name"] == name), {"value": None})


def _range(one: dict[str, Any], metric: dict[str, Any], low: float, span: float) -> Range:
    value = metric["value"]
    start, end = metric.get("low"), metric.get("high")
    start, end = (value if edge is None else edge for edge in (start, end))
    is_known = value is not None and start is not None and end is not None
    return Range(
        name=one["name"],
        rows=one["rows"],
        left=round(100 * (start - low) / span, 2) if is_known else 0,
        width=round(100 * (end - start) / span, 2) if is_known else 0,
        at=round(100 * (value - low) / span, 2) if is_known else 0,
        shown=shown_value(metric),
        interval=interval_of(metric),
        is_weak=one.get("is_weak", False),
        note=one.get("note", ""),
    )


def shown_value(metric: dict[str, Any], value: float | None = None) -> str:
    """A share as a percentage, anything else with digits that tell something."""
    value = metric.get("value") if value is None else value
    if value is None:
        return "—"
    return f"{value:.1%}" if metric.get("share") else number(value)


def interval_of(metric: dict[str, Any]) -> str:
    low, high = metric.get("low"), metric.get("high")
    if low is None or high is None:
        return ""
    return f"{shown_value(metric, low)} – {shown_value(metric, high)}"


def number(value: float) -> str:
    """Three digits after the point for small numbers, fewer for large ones."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 100 else f"{value:.3f}"
