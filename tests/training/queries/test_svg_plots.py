"""Plots as numbers: places against what the data says, by hand."""

import pytest

from training.queries import svg_plots
from training.queries.svg_plots import HEIGHT, NO_VALUE, WIDTH


def measure(value, low=None, high=None, name="accuracy", share=True):
    return {"name": name, "title": name, "value": value, "low": low, "high": high, "share": share}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (99.94, "99.940"),
        (100.06, "100.1"),
        (-100.06, "-100.1"),
        (1234.6, "1,235"),
        (0, "0.000"),
    ],
)
def test_numbers_keep_the_digits_that_tell_something(value, text):
    assert svg_plots.format_number(value) == text


@pytest.mark.parametrize(
    ("value", "is_share", "text"),
    [(0.5, True, "50.0%"), (0.5, False, "0.500"), (None, True, NO_VALUE), (0.0, True, "0.0%")],
)
def test_a_share_is_a_percentage_and_what_is_missing_a_dash(value, is_share, text):
    assert svg_plots.format_value(value, is_share=is_share) == text


def test_an_interval_needs_both_ends():
    assert svg_plots.format_interval(measure(0.5, 0.4, 0.6)) == "40.0% – 60.0%"
    assert svg_plots.format_interval(measure(0.5, None, 0.6)) == ""
    assert svg_plots.format_metric_value(measure(0.5), 0.25) == "25.0%"


def test_each_slice_lies_where_its_value_is_on_the_common_scale():
    slices = [
        {"name": "short", "rows": 10, "metrics": [measure(0.2, 0.0, 0.4)], "is_weak": True},
        {"name": "long", "rows": 20, "metrics": [measure(1.0, 0.8, 1.0)], "is_weak": False},
        {"name": "other", "rows": 1, "metrics": [measure(0.5, name="f1")], "is_weak": False},
    ]
    short, long, unknown = svg_plots.interval_rows(slices, "accuracy")
    assert (short.left, short.position, short.width) == (0, 20, 40)
    assert (long.left, long.position, long.width) == (80, 100, 20)
    assert short.is_weak
    assert not long.is_weak
    assert (unknown.value_text, unknown.width, unknown.interval) == (NO_VALUE, 0, "")


def test_a_value_without_an_interval_is_a_dot_without_width():
    (row,) = svg_plots.interval_rows(
        [{"name": "a", "rows": 1, "metrics": [measure(0.5)], "is_weak": False}], "accuracy"
    )
    assert (row.left, row.width, row.position) == (0, 0, 0)
    assert row.value_text == "50.0%"


def test_a_histogram_fills_the_box_and_names_its_ranges():
    plot = svg_plots.error_histogram({"errors": {"edges": [-2, 0, 2], "counts": [1, 4]}})
    left, right = plot.bars
    assert (left.x, right.x) == (0, WIDTH / 2)
    assert right.height == HEIGHT
    assert left.height == HEIGHT / 4
    assert left.y == HEIGHT - left.height
    assert left.title == "-2.000 to 0.000: 1 row"
    assert plot.axis_ends == ("-2.000", "2.000")


def test_dots_of_exactly_right_predictions_lie_on_the_diagonal():
    plot = svg_plots.residual_plot({"points": [[0, 0], [5, 5], [10, 10]]})
    assert plot.dots == [(0, HEIGHT), (WIDTH / 2, HEIGHT / 2), (WIDTH, 0)]
    assert plot.axis_ends == ("0.000", "10.000", "0.000", "10.000")


@pytest.mark.parametrize("residuals", [None, {}, {"points": [], "errors": None}])
def test_without_residuals_there_is_no_plot(residuals):
    assert svg_plots.residual_plot(residuals) is None
    assert svg_plots.error_histogram(residuals) is None


def test_one_point_alone_is_drawn_without_dividing_by_zero():
    assert svg_plots.residual_plot({"points": [[3, 3]]}).dots == [(0, HEIGHT)]


def test_curves_name_their_label_and_area_and_start_at_the_lower_left():
    curve = {
        "label": "card",
        "positives": 3,
        "roc_auc": 0.75,
        "average_precision": 0.5,
        "roc": [[0, 0], [1, 1]],
        "pr": [[0, 1], [1, 0]],
    }
    roc, precision_recall = svg_plots.curve_plots([curve])
    assert roc.lines[0].label == "card · 0.750"
    assert precision_recall.lines[0].label == "card · 0.500"
    assert roc.lines[0].points == f"0.0,{HEIGHT:.1f} {WIDTH:.1f},0.0"
    assert roc.diagonal == "up"
    assert svg_plots.curve_plots([]) == []


def test_a_calibration_bar_is_as_high_as_its_accuracy():
    (bar,) = svg_plots.calibration_bars(
        [{"low": 0.5, "high": 0.6, "count": 7, "confidence": 0.55, "accuracy": 0.25}]
    )
    assert (bar["x"], bar["width"]) == (100, 19)
    assert (bar["top"], bar["height"]) == (150, 50)
    assert bar["rows"] == 7
