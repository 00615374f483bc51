"""What twice the rows would give follows from what the rows gave so far."""

import numpy as np
import pytest

from engine.data.learning_curve import extrapolate, measure_learning_curve


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((0.6, 0.7, 0.75), 0.775),  # Each doubling takes half of what the one before took.
        ((0.9, 0.9, 0.9), 0.9),
        ((0.9, 0.92, 0.91), 0.91),
        ((0.5, 0.5, 0.9), 1.0),
    ],
)
def test_the_curve_is_drawn_on(accuracies, expected):
    assert extrapolate(*accuracies) == pytest.approx(min(1.0, expected))


def test_a_model_that_needs_rows_is_told_to_get_more():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(240, 30))
    labels = (features[:, :10].sum(1) > 0).astype(np.int64)

    def predict(train, held_out):
        signs = 2.0 * labels[train] - 1
        weights = np.linalg.lstsq(features[train], signs, rcond=None)[0]
        scores = features[held_out] @ weights
        return np.stack([-scores, scores], 1)

    curve = measure_learning_curve(labels, predict, seed=0)
    assert curve is not None
    assert curve["rows"] == [40, 80, 160]
    assert curve["accuracy"][0] < curve["accuracy"][2] < curve["doubled_accuracy"] <= 1
    assert "points more" in curve["sentence"]
    known = measure_learning_curve(labels, lambda _, rows: np.eye(2)[labels[rows]], seed=0)
    assert known is not None
    assert "hardly help" in known["sentence"]
    assert measure_learning_curve(labels[:30], predict, seed=0) is None
