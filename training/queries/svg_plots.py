"""The report's plots in SVG units, which templates draw without scripts, so that they print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # Types only: the web process computes no metrics.
    from engine.evaluation.schema import LabelCurve, Residuals, SliceResult
    from engine.metrics.calibration import CalibrationBin
    from engine.metrics.measures import Measure

WIDTH = HEIGHT = 200
NO_VALUE = "—"


@dataclass(frozen=True)
class PlotLine:
    """One curve: `points` are those of an SVG polyline."""

    label: str
    points: str
    color_index: int


@dataclass(frozen=True)
class Plot:
    """Axes with a name and two ends each, curves, and dots (x, y) in SVG units."""

    title: str
    x_label: str
    y_label: str
    axis_ends: tuple[str, str, str, str]  # Left, right, bottom, top.
    lines: list[PlotLine]
    diagonal: str = ""  # "up" or "down": a line of chance (ROC), or of exact predictions.
    dots: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Bar:
    """One bar in SVG units, whose y grows downwards."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Histogram:
    title: str
    x_label: str
    axis_ends: tuple[str, str]
    bars: list[Bar]
    zero_x: float | None = None


@dataclass(frozen=True)
class IntervalRow:
    """A value with its interval on a common scale, all in percent of the width."""

    name: str
    rows: int
    left: float
    width: float
    position: float
    value_text: str
    interval: str
    is_weak: bool
    note: str


def curve_plots(curves: "list[LabelCurve]") -> list[Plot]:
    """The ROC and the precision-recall plot, a line for each label."""
    if not curves:
        return []
    roc, precision_recall = [], []
    for number, curve in enumerate(curves):
        label = curve["label"]
        roc.append(PlotLine(f"{label} · {curve['roc_auc']:.3f}", _svg_points(curve["roc"]), number))
        area = f"{curve['average_precision']:.3f}"
        precision_recall.append(PlotLine(f"{label} · {area}", _svg_points(curve["pr"]), number))
    ends = ("0", "1", "0", "1")
    return [
        Plot("ROC", "False positive rate", "True positive rate", ends, roc, "up"),
        Plot("Precision and recall", "Recall", "Precision", ends, precision_recall),
    ]


def _svg_points(pairs: list[list[float]]) -> str:
    return " ".join(f"{across * WIDTH:.1f},{(1 - up) * HEIGHT:.1f}" for across, up in pairs)


def calibration_bars(bins: "list[CalibrationBin]") -> list[dict[str, float]]:
    """Each bin of confidence with its bar in SVG units: as high as its accuracy."""
    return [
        {
            "low": bin_["low"],
            "high": bin_["high"],
            "confidence": bin_["confidence"],
            "accuracy": bin_["accuracy"],
            "rows": bin_["count"],
            "x": round(bin_["low"] * WIDTH, 2),
            "width": round((bin_["high"] - bin_["low"]) * WIDTH - 1, 2),
            "top": round((1 - bin_["accuracy"]) * HEIGHT, 2),
            "height": round(bin_["accuracy"] * HEIGHT, 2),
        }
        for bin_ in bins
    ]


def residual_plot(residuals: "Residuals | None") -> Plot | None:
    """Predicted against true values on one scale; exact predictions lie on the diagonal."""
    points = residuals.get("points") if residuals else None
    if not points:
        return None
    low = min(min(pair) for pair in points)
    high = max(max(pair) for pair in points)
    span = (high - low) or 1.0
    dots = [
        (round((true - low) / span * WIDTH, 1), round((1 - (predicted - low) / span) * HEIGHT, 1))
        for true, predicted in points
    ]
    ends = (format_number(low), format_number(high), format_number(low), format_number(high))
    return Plot("Predicted against true", "True", "Predicted", ends, [], "up", dots)


def error_histogram(residuals: "Residuals | None") -> Histogram | None:
    """The histogram of errors; predictions too low on the left."""
    errors = residuals.get("errors") if residuals else None
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
            title=(
                f"{format_number(low)} to {format_number(high)}:"
                f" {'1 row' if count == 1 else f'{count} rows'}"
            ),
        )
        for place, (count, (low, high)) in enumerate(zip(counts, pairwise(edges), strict=True))
    ]
    ends = (format_number(edges[0]), format_number(edges[-1]))
    return Histogram("Errors", "Predicted minus true", ends, bars, WIDTH / 2)


def interval_rows(slices: "list[SliceResult]", name: str) -> list[IntervalRow]:
    """Every slice's value of this metric as a dot on its interval, on one scale."""
    measures = [
        next((measure for measure in part["metrics"] if measure["name"] == name), None)
        for part in slices
    ]
    ends = [
        end
        for measure in measures
        if measure is not None
        for end in (measure.get("low"), measure.get("high"), measure.get("value"))
        if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span = (high - low) or 1.0
    return [
        _interval_row(part, measure, low, span)
        for part, measure in zip(slices, measures, strict=True)
    ]


def _interval_row(
    part: "SliceResult", measure: "Measure | None", low: float, span: float
) -> IntervalRow:
    left = width = position = 0.0
    value = measure["value"] if measure is not None else None
    if measure is not None and value is not None:
        start, end = measure.get("low"), measure.get("high")
        start, end = (value if edge is None else edge for edge in (start, end))
        left = round(100 * (start - low) / span, 2)
        width = round(100 * (end - start) / span, 2)
        position = round(100 * (value - low) / span, 2)
    return IntervalRow(
        name=part["name"],
        rows=part["rows"],
        left=left,
        width=width,
        position=position,
        value_text=format_metric_value(measure) if measure is not None else NO_VALUE,
        interval=format_interval(measure) if measure is not None else "",
        is_weak=part.get("is_weak", False),
        note=part.get("note", ""),
    )


def format_metric_value(measure: Mapping[str, object], value: float | None = None) -> str:
    """The measured value, or another one of the same metric."""
    value_to_show = measure.get("value") if value is None else value
    return format_value(cast("float | None", value_to_show), is_share=bool(measure.get("share")))


def format_interval(measure: "Measure") -> str:
    return format_range(measure.get("low"), measure.get("high"), is_share=measure.get("share"))


def format_value(value: float | None, *, is_share: bool) -> str:
    """A share as a percentage, any other number as `format_number` writes it."""
    if value is None:
        return NO_VALUE
    return f"{value:.1%}" if is_share else format_number(value)


def format_range(low: float | None, high: float | None, *, is_share: bool) -> str:
    if low is None or high is None:
        return ""
    return f"{format_value(low, is_share=is_share)} – {format_value(high, is_share=is_share)}"


def format_number(value: float) -> str:
    """Three digits after the point for small numbers, fewer for large ones."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 100 else f"{value:.3f}"
