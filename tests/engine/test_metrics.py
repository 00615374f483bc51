"""Our numbers are scikit-learn's numbers."""

import numpy as np
import pytest
from sklearn import metrics as sk

from engine import metrics


@pytest.fixture(params=[0, 1, 2])
def given(request):
    dice = np.random.default_rng(request.param)
    true = dice.integers(6, size=300)
    true[true == 5] = 0  # A label that never occurs.
    probabilities = dice.dirichlet(np.ones(6), size=300)
    probabilities[np.arange(300), true] += dice.random(300)
    return metrics.answers(true, probabilities)


def test_averages_equal_scikit_learn(given):
    own = metrics.averages(given.true, given.predicted, 6)
    true, predicted = given.true, given.predicted
    assert own["accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    for kind in ("macro", "weighted"):
        expected = sk.f1_score(true, predicted, average=kind, zero_division=0)
        assert own[f"{kind}_f1"] == pytest.approx(expected)
    precision = sk.precision_score(true, predicted, average="macro", zero_division=0)
    assert own["macro_precision"] == pytest.approx(precision)
    recall = sk.recall_score(true, predicted, average="macro", zero_division=0)
    assert own["macro_recall"] == pytest.approx(recall)


def test_row_losses_average_to_scikit_learns_log_loss(given):
    expected = sk.log_loss(given.true, given.probabilities, labels=range(6))
    assert metrics.row_losses(given).mean() == pytest.approx(expected)


def test_each_metric_names_its_method_and_lies_in_its_interval(given):
    measured = metrics.measure(given)
    assert [metric["name"] for metric in measured][:2] == ["accuracy", "macro_f1"]
    for metric in measured:
        assert metric["method"]
        assert metric["library"]
        assert metric["version"]
        if metric["name"] != "ece":  # Resampling biases it upwards; its interval says so.
            assert metric["low"] <= metric["value"] <= metric["high"]


def test_calibration_error_of_a_sure_and_wrong_model_is_one():
    given = metrics.answers([0, 0], [[0.0, 1.0], [0.0, 1.0]])
    wrong = given.true == given.predicted
    assert metrics.calibration_error(wrong, given.confidence) == pytest.approx(1.0)


def test_calibration_bins_add_up_to_the_calibration_error(given):
    bins = metrics.calibration_bins(given)
    total = sum(one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / 300
    correct = given.true == given.predicted
    assert total == pytest.approx(metrics.calibration_error(correct, given.confidence))


def test_equal_answers_are_no_difference():
    same = np.array([0, 1, 1])
    assert metrics.compare(same, same, np.array([0, 1, 0]))["p_value"] == 1.0
