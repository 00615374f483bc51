"""Intervals of shares: published values, no collapse at the ends, and coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from engine.metrics import make_multiclass_predictions, make_multilabel_predictions
from engine.metrics.classification import measure
from engine.metrics.labelling import measure as measure_several
from engine.metrics.proportions import interval_of_mean, wilson_bounds, wilson_interval


@pytest.mark.parametrize(
    ("hits", "rows"), [(0, 1), (1, 1), (3, 10), (81, 263), (15, 148), (50, 50)]
)
def test_wilson_is_that_of_scipy(hits, rows):
    expected = binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson_interval(hits, rows) == pytest.approx((expected.low, expected.high))


def test_no_rows_say_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_a_mean_of_one_share_has_its_interval():
    bounds = wilson_bounds(np.array([7.0]), np.array([9.0]))
    low, high = interval_of_mean(np.array([7 / 9]), bounds, np.array([1.0]))
    assert (low, high) == pytest.approx(wilson_interval(7, 9))


def predictions_of(true, predicted, labels):
    probabilities = np.full((len(true), labels), 0.1 / (labels - 1))
    probabilities[np.arange(len(true)), predicted] = 0.9
    return make_multiclass_predictions(np.asarray(true), probabilities)


def values(measures):
    return {metric["name"]: metric for metric in measures}


def test_one_fraud_found_of_one_is_not_certainty():
    true = np.array([0] * 99 + [1])
    measured = values(measure(predictions_of(true, true, 2)))
    assert measured["accuracy"]["low"] == pytest.approx(0.963, abs=1e-3)
    assert measured["balanced_accuracy"]["low"] < 0.65
    assert measured["macro_f1"]["low"] < 0.75
    assert measured["roc_auc"]["low"] == pytest.approx(0.025)
    assert all(measured[name]["high"] == 1 for name in ("accuracy", "balanced_accuracy", "roc_auc"))


def test_every_share_of_a_faultless_model_leaves_room_for_faults():
    true = np.arange(60) % 3
    several = np.eye(3, dtype=bool)[true]
    for measures in (
        measure(predictions_of(true, true, 3)),
        measure_several(make_multilabel_predictions(several, several * 0.98 + 0.01)),
    ):
        for metric in measures:
            if metric["share"] and metric["name"] not in {"ece", "hamming_loss", "samples_f1"}:
                assert metric["low"] < 0.99 <= metric["high"], metric["name"]


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """200 draws of 40 rows from a known model: 95 % intervals hold it at least 92 times of 100."""
    rng = np.random.default_rng(5)
    rates, shares = np.array([0.97, 0.8, 0.6]), np.array([0.7, 0.2, 0.1])
    metrics = ["accuracy", "balanced_accuracy", "macro_f1"]

    def draw(rows):
        true = rng.choice(3, size=rows, p=shares)
        right = rng.random(rows) < rates[true]
        return true, np.where(right, true, (true + 1) % 3)

    true, predicted = draw(200_000)
    truth = values(measure(predictions_of(true[:50_000], predicted[:50_000], 3)))
    covered = dict.fromkeys(metrics, 0)
    for _ in range(200):
        measured = values(measure(predictions_of(*draw(40), 3), names=metrics))
        for name in metrics:
            covered[name] += measured[name]["low"] <= truth[name]["value"] <= measured[name]["high"]
    assert min(covered.values()) >= 0.92 * 200, covered
