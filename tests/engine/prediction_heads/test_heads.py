"""Losses, thresholds and paired tests of each kind of answer, against scikit-learn and scipy."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import binomtest
from sklearn.metrics import f1_score, log_loss

from engine.metrics import (
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)
from engine.prediction_heads import MultiClass, MultiLabel, Regression

ROWS, LABELS = 60, 3
EVERY = np.arange(ROWS)
TRAIN = np.arange(40)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def multiclass(truth=None, *, smoothing=0.0, balanced=False) -> MultiClass:
    truth = EVERY % LABELS if truth is None else truth
    names = ["a", "b", "c"]
    return MultiClass(truth, names, TRAIN, smoothing=smoothing, balanced=balanced)


def multilabel(truth, *, smoothing=0.0, balanced=False) -> MultiLabel:
    return MultiLabel(truth, ["a", "b", "c"], TRAIN, smoothing=smoothing, balanced=balanced)


def logits(rng, width=LABELS):
    return rng.normal(size=(ROWS, width)).astype(np.float32)


def test_the_loss_of_one_label_is_scikit_learns_log_loss(rng):
    outputs, head = logits(rng), multiclass()
    loss = float(head.loss(torch.from_numpy(outputs), EVERY))
    assert loss == pytest.approx(log_loss(head.truth, softmax(outputs, axis=1)), rel=1e-5)


def test_smoothing_makes_certain_answers_cost_more(rng):
    sure = torch.from_numpy(20.0 * np.eye(LABELS, dtype=np.float32)[EVERY % LABELS])
    assert multiclass(smoothing=0.1).loss(sure, EVERY) > multiclass().loss(sure, EVERY)


def test_balanced_rows_weigh_the_inverse_of_their_labels_frequency():
    truth = np.array([0] * 30 + [1] * 8 + [2] * 22)
    head = multiclass(truth, balanced=True)
    counts = np.bincount(truth[TRAIN], minlength=3)
    assert head.weight(np.array([0])) == pytest.approx(40 / (3 * counts[0]))
    assert sum(head.weight(np.flatnonzero(truth[TRAIN] == label)) for label in range(3)) == (
        pytest.approx(40)
    )
    assert multiclass(truth).weight(TRAIN) == 40


def test_predictions_of_one_label_are_its_softmax(rng):
    outputs, head = logits(rng), multiclass()
    predictions = head.build_predictions(outputs, EVERY)
    assert isinstance(predictions, MulticlassPredictions)
    np.testing.assert_allclose(predictions.probabilities, softmax(outputs, axis=1), rtol=1e-5)
    assert head.quality(outputs, EVERY) == (outputs.argmax(1) == head.truth).mean()
    assert head.agreement(outputs, outputs) == 1.0
    assert head.agreement(outputs, -outputs) < 1.0


def test_a_probe_is_only_significant_where_it_is_better():
    head, right = multiclass(), 5.0 * np.eye(LABELS, dtype=np.float32)[EVERY % LABELS]
    wrong = np.roll(right, 1, axis=1)
    assert head.p_value_against_probe(right, wrong, EVERY) == 1.0
    assert head.p_value_against_probe(wrong, right, EVERY) < 1e-9


def test_validation_metrics_name_the_score_that_chooses_the_epoch(rng):
    truth = rng.random((ROWS, LABELS)) < 0.4
    heads = [
        (multiclass(), logits(rng)),
        (multilabel(truth), logits(rng)),
        (Regression(rng.normal(size=ROWS), TRAIN), logits(rng, 1)),
    ]
    for head, outputs in heads:
        metrics = head.validation(outputs, EVERY)
        assert head.score.name in metrics
        assert all(name.startswith("validation_") for name in metrics)
        assert head.summary(metrics).startswith("validation ")


def test_the_loss_of_several_labels_sums_over_labels(rng):
    truth, outputs = rng.random((ROWS, LABELS)) < 0.4, logits(rng)
    chances = np.where(truth, expit(outputs), 1 - expit(outputs))
    loss = float(multilabel(truth).loss(torch.from_numpy(outputs), EVERY))
    assert loss == pytest.approx(-np.log(chances).sum(1).mean(), rel=1e-5)


def test_a_rare_label_weighs_more_but_not_without_bound():
    truth = np.zeros((ROWS, LABELS), dtype=bool)
    truth[:20, 0] = truth[:1, 1] = True
    head = multilabel(truth, balanced=True)
    assert head._weights.tolist() == pytest.approx([1.0, 20.0, 20.0])


def test_thresholds_reach_the_best_f1_of_the_grid(rng):
    truth = rng.random((ROWS, LABELS)) < 0.4
    outputs = logits(rng) + 1.5 * truth - 1.5
    head = multilabel(truth)
    before = head.quality(outputs, EVERY)
    head.fit_thresholds(outputs, EVERY)
    assert head.quality(outputs, EVERY) >= before
    predictions = head.build_predictions(outputs, EVERY)
    assert isinstance(predictions, MultilabelPredictions)
    expected = f1_score(truth, predictions.predicted, average="micro")
    assert head.quality(outputs, EVERY) == pytest.approx(expected)


def test_a_label_of_few_rows_gets_the_common_threshold():
    truth = np.zeros((ROWS, LABELS), dtype=bool)
    truth[:30, 0] = truth[30:, 1] = truth[:4, 2] = True
    chances = np.where(truth, 0.9, 0.1)
    chances[:, 1] = np.where(truth[:, 1], 0.3, 0.1)  # A threshold of its own helps this one.
    chances[:, 2] = np.where(truth[:, 2], 0.3, 0.1)  # It would help this one too, by luck.
    head = multilabel(truth)
    head.fit_thresholds(np.log(chances / (1 - chances)).astype(np.float32), EVERY)
    assert head.thresholds[1] <= 0.3
    assert head.thresholds[2] == head.thresholds[0]


def test_without_held_out_rows_thresholds_stay_at_one_half(rng):
    head = multilabel(rng.random((ROWS, LABELS)) < 0.5)
    head.fit_thresholds(logits(rng), np.arange(0))
    assert head.thresholds.tolist() == [0.5] * LABELS


def test_a_label_that_all_or_no_training_rows_have_gets_a_constant_probe(rng):
    truth = rng.random((ROWS, LABELS)) < 0.5
    truth[:, 0], truth[:, 1] = True, False
    probe = multilabel(truth).fit_probe(rng.normal(size=(40, 4)).astype(np.float32), TRAIN)
    outputs = probe.outputs(rng.normal(size=(5, 4)).astype(np.float32))
    assert (outputs[:, 0] > 5).all()
    assert (outputs[:, 1] < -5).all()


def test_numbers_are_predicted_in_the_datas_unit(rng):
    truth = 100 + 15 * rng.normal(size=ROWS)
    head = Regression(truth, TRAIN)
    standardised = ((truth - truth[TRAIN].mean()) / truth[TRAIN].std()).astype(np.float32)[:, None]
    predictions = head.build_predictions(standardised, EVERY)
    assert isinstance(predictions, RegressionPredictions)
    np.testing.assert_allclose(predictions.predicted, truth, rtol=1e-5)
    assert float(head.loss(torch.from_numpy(standardised), EVERY)) == pytest.approx(0, abs=1e-9)
    assert head.quality(standardised, EVERY) == pytest.approx(1.0)
    assert head.validation(standardised, EVERY)["validation_rmse"] == pytest.approx(0, abs=1e-4)


def test_a_constant_target_does_not_divide_by_zero():
    head = Regression(np.full(ROWS, 7.0), TRAIN)
    assert (head.mean, head.deviation) == (7.0, 1.0)


def test_numbers_agree_within_a_small_share_of_the_deviation():
    head = Regression(np.arange(float(ROWS)), TRAIN)
    near, far = np.full((4, 1), 0.04, np.float32), np.full((4, 1), 0.06, np.float32)
    zero = np.zeros((4, 1), np.float32)
    assert (head.agreement(zero, near), head.agreement(zero, far)) == (1.0, 0.0)


def test_the_sign_test_counts_rows_on_which_the_probe_is_nearer():
    head = Regression(np.zeros(ROWS) + np.arange(ROWS) % 2, TRAIN)
    exact = ((head.truth - head.mean) / head.deviation).astype(np.float32)[:, None]
    off = exact + 1
    assert head.p_value_against_probe(exact, off, EVERY) == 1.0
    expected = binomtest(0, ROWS, 0.5).pvalue
    assert head.p_value_against_probe(off, exact, EVERY) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["label", "labels", "number"])
def test_the_manifest_describes_the_target(kind, rng):
    heads = {
        "label": multiclass(),
        "labels": multilabel(rng.random((ROWS, LABELS)) < 0.5),
        "number": Regression(rng.normal(size=ROWS), TRAIN),
    }
    target = heads[kind].target("column")
    assert (target.kind, target.column) == (kind, "column")
    assert len(target.thresholds) == (LABELS if kind == "labels" else 0)
