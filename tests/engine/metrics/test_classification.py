"""Our numbers are scikit-learn's numbers, and our resampled formulas are the same formulas."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from engine import metrics
from engine.metrics import classification, ranking
from engine.metrics.counting import compute_multiclass_metrics, count_labels
from engine.metrics.paired import binomial_p_value


@pytest.fixture(params=[0, 1, 2])
def given(request):
    dice = np.random.default_rng(request.param)
    true = dice.integers(6, size=300)
    true[true == 5] = 0  # A label that never occurs.
    probabilities = dice.dirichlet(np.ones(6), size=300)
    probabilities[np.arange(300), true] += dice.random(300)
    return metrics.make_multiclass_predictions(true, probabilities)


def values_of(measured):
    return {one["name"]: one["value"] for one in measured}


def test_single_label_values_equal_scikit_learn(given):
    own, (true, said) = values_of(metrics.measure(given)), (given.true, given.predicted)
    assert own["accuracy"] == pytest.approx(sk.accuracy_score(true, said))
    for kind in ("macro", "weighted"):
        for name in ("f1", "precision", "recall"):
            function = getattr(sk, f"{name}_score")
            expected = function(true, said, average=kind, zero_division=0)
            assert own[f"{kind}_{name}"] == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of answers that never are true.
        assert own["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(true, said))
    assert own["mcc"] == pytest.approx(sk.matthews_corrcoef(true, said))
    every = list(range(6))
    assert own["log_loss"] == pytest.approx(sk.log_loss(true, given.probabilities, labels=every))
    top = sk.top_k_accuracy_score(true, given.probabilities, k=3, labels=every)
    assert own["top_3_accuracy"] == pytest.approx(top)
    brier = sk.brier_score_loss(true, given.probabilities, labels=every, scale_by_half=False)
    assert own["brier"] == pytest.approx(brier)


def test_auc_over_labels_equals_scikit_learns_one_against_the_rest():
    dice = np.random.default_rng(5)
    predictions = metrics.make_multiclass_predictions(
        np.arange(200) % 4, dice.dirichlet(np.ones(4), size=200)
    )
    own = values_of(metrics.measure(predictions))
    expected = sk.roc_auc_score(predictions.true, predictions.probabilities, multi_class="ovr")
    assert own["roc_auc"] == pytest.approx(expected)
    one_hot = np.eye(4)[predictions.true]
    precision = sk.average_precision_score(one_hot, predictions.probabilities)
    assert own["average_precision"] == pytest.approx(precision)


def test_binary_auc_comes_from_probabilities_not_from_logits():
    dice = np.random.default_rng(6)
    logits = dice.normal(size=(200, 2)) * [1, 5]  # The margin and one logit rank differently.
    true = (logits[:, 1] - logits[:, 0] + dice.normal(size=200) > 0).astype(int)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = values_of(metrics.measure(metrics.make_multiclass_predictions(true, chances)))
    assert own["roc_auc"] == pytest.approx(sk.roc_auc_score(true, chances[:, 1]))
    assert own["roc_auc"] != pytest.approx(sk.roc_auc_score(true, logits[:, 1]))
    assert own["average_precision"] == pytest.approx(
        sk.average_precision_score(true, chances[:, 1])
    )
    assert own["brier"] == pytest.approx(sk.brier_score_loss(true, chances[:, 1]))


def test_resampled_formulas_give_the_point_values_when_each_row_is_drawn_once(given):
    once = np.ones((1, 300))
    points = values_of(metrics.measure(given))
    resampled = classification._resampled_metrics(given, once)
    resampled |= ranking.macro_areas_under_curves(*classification._one_vs_rest(given), once)
    assert set(resampled) == set(points)
    for name, values in resampled.items():
        assert values[0] == pytest.approx(points[name]), name


def test_weighted_areas_equal_scikit_learn_with_ties():
    dice = np.random.default_rng(1)
    true, scores = dice.random(80) > 0.6, dice.integers(6, size=80) / 5
    weights = dice.integers(4, size=(3, 80)).astype(float)
    auc, precision = ranking.areas_under_curves(ranking.rank_scores(true, scores), weights)
    for sample in range(3):
        expected = sk.roc_auc_score(true, scores, sample_weight=weights[sample])
        assert auc[sample] == pytest.approx(expected)
        expected = sk.average_precision_score(true, scores, sample_weight=weights[sample])
        assert precision[sample] == pytest.approx(expected)


def test_count_metrics_under_weights_equal_scikit_learn_on_the_drawn_rows(given):
    drawn = np.random.default_rng(3).integers(300, size=300)
    weights = np.bincount(drawn, minlength=300)[None].astype(float)
    own = compute_multiclass_metrics(count_labels(given.true, given.predicted, 6, weights))
    true, said = given.true[drawn], given.predicted[drawn]
    assert own["macro_f1"][0] == pytest.approx(sk.f1_score(true, said, average="macro"))
    assert own["mcc"][0] == pytest.approx(sk.matthews_corrcoef(true, said))
    assert own["accuracy"][0] == pytest.approx(sk.accuracy_score(true, said))


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


def test_the_interval_of_the_accuracy_is_about_the_binomial_one():
    predictions = metrics.make_multiclass_predictions(
        np.repeat([0, 1], [600, 400]), np.tile([0.9, 0.1], (1000, 1))
    )
    accuracy = metrics.measure(predictions)[0]
    width = 1.96 * np.sqrt(0.6 * 0.4 / 1000)
    assert accuracy["low"] == pytest.approx(0.6 - width, abs=0.01)
    assert accuracy["high"] == pytest.approx(0.6 + width, abs=0.01)


def test_test_rows_of_one_label_have_no_auc_and_the_report_says_why():
    predictions = metrics.make_multiclass_predictions(
        [1, 1, 1], [[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]]
    )
    measured = metrics.measure(predictions)
    assert values_of(measured)["roc_auc"] is None
    assert "only one" in next(one["note"] for one in measured if one["name"] == "roc_auc")
    json.dumps(measured, allow_nan=False)


def test_one_test_row_is_measured_without_a_crash():
    json.dumps(
        metrics.measure(metrics.make_multiclass_predictions([0], [[0.2, 0.8]])), allow_nan=False
    )


def test_calibration_error_of_a_sure_and_wrong_model_is_one():
    predictions = metrics.make_multiclass_predictions([0, 0], [[0.0, 1.0], [0.0, 1.0]])
    wrong = predictions.true == predictions.predicted
    assert metrics.calibration_error(wrong, predictions.confidence) == pytest.approx(1.0)


def test_calibration_bins_add_up_to_the_calibration_error(given):
    bins = metrics.calibration_bins(given)
    total = sum(one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / 300
    correct = given.true == given.predicted
    assert total == pytest.approx(metrics.calibration_error(correct, given.confidence))


def test_curves_hold_scikit_learns_areas_and_stay_small():
    dice = np.random.default_rng(2)
    true = dice.random(20_000) > 0.7
    scores = dice.normal(size=20_000) + true
    curves = ranking.compute_curve_points(true, scores)
    assert max(map(len, curves.values())) <= ranking.CURVE_POINTS + 3
    across, up = np.array(curves["roc"]).T
    assert np.trapezoid(up, across) == pytest.approx(sk.roc_auc_score(true, scores), abs=2e-3)


def test_equal_answers_are_no_difference():
    same = np.array([0, 1, 1])
    assert metrics.mcnemar_test(same, same, np.array([0, 1, 0]))["p_value"] == 1.0


@pytest.mark.parametrize(("fewer", "trials"), [(0, 1), (3, 10), (5, 10), (40, 120), (900, 2000)])
def test_the_exact_binomial_equals_scipys(fewer, trials):
    from scipy.stats import binomtest

    assert binomial_p_value(fewer, trials) == pytest.approx(binomtest(fewer, trials, 0.5).pvalue)
