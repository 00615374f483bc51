"""Several labels, numbers and texts: equal to the libraries, and calm where nothing is defined."""

import json

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from scipy import stats
from sklearn import metrics as sk

from engine import metrics
from engine.metrics import generation, labelling, regression


def values_of(measured):
    return {one["name"]: one["value"] for one in measured}


@pytest.fixture
def sets():
    dice = np.random.default_rng(0)
    true = dice.random((150, 4)) < [0.5, 0.2, 0.05, 0]  # The last label never occurs.
    chances = np.clip(0.35 * true + 0.7 * dice.random((150, 4)), 0, 1)
    return metrics.make_multilabel_predictions(true, chances, [0.5, 0.4, 0.5, 0.5])


def test_multi_label_values_equal_scikit_learn(sets):
    own, (true, predicted) = values_of(labelling.measure(sets)), (sets.true, sets.predicted)
    for kind in ("micro", "macro", "weighted", "samples"):
        expected = sk.f1_score(true, predicted, average=kind, zero_division=0)
        assert own[f"{kind}_f1"] == pytest.approx(expected)
    assert own["subset_accuracy"] == pytest.approx(sk.accuracy_score(true, predicted))
    assert own["hamming_loss"] == pytest.approx(sk.hamming_loss(true, predicted))
    seen, chances = true[:, :3], sets.probabilities[:, :3]
    assert own["roc_auc"] == pytest.approx(sk.roc_auc_score(seen, chances))
    assert own["average_precision"] == pytest.approx(sk.average_precision_score(seen, chances))
    columns = range(4)
    each = [sk.log_loss(true[:, k], sets.probabilities[:, k], labels=[0, 1]) for k in columns]
    assert own["log_loss"] == pytest.approx(np.mean(each))
    each = [
        sk.brier_score_loss(true[:, k], sets.probabilities[:, k], pos_label=1) for k in range(3)
    ]
    assert own["brier"] == pytest.approx((sum(each) + np.mean(sets.probabilities[:, 3] ** 2)) / 4)


def test_multi_label_resampling_repeats_the_point_values(sets):
    points = values_of(labelling.measure(sets))
    for name, values in labelling._resampled_metrics(sets, np.ones((1, 150))).items():
        assert values[0] == pytest.approx(points[name]), name


@pytest.fixture
def prices():
    dice = np.random.default_rng(1)
    true = dice.normal(50, 10, size=201).round()
    return metrics.make_regression_predictions(true, true + dice.normal(1, 4, size=201).round())


def test_regression_values_equal_scikit_learn_and_scipy(prices):
    own, true, predicted = values_of(regression.measure(prices)), prices.true, prices.predicted
    assert own["mae"] == pytest.approx(sk.mean_absolute_error(true, predicted))
    assert own["rmse"] == pytest.approx(np.sqrt(sk.mean_squared_error(true, predicted)))
    assert own["r2"] == pytest.approx(sk.r2_score(true, predicted))
    assert own["median_ae"] == pytest.approx(sk.median_absolute_error(true, predicted))
    assert own["spearman"] == pytest.approx(stats.spearmanr(true, predicted).statistic)


@pytest.mark.parametrize("rows", [200, 201])
def test_regression_formulas_equal_the_libraries_on_drawn_rows(prices, rows):
    predictions = metrics.make_regression_predictions(prices.true[:rows], prices.predicted[:rows])
    drawn = np.random.default_rng(4).integers(rows, size=rows)
    weights = np.bincount(drawn, minlength=rows)[None].astype(float)
    true, predicted = predictions.true[drawn], predictions.predicted[drawn]
    own = {
        name: values[0]
        for name, values in regression._resampled_metrics(predictions, weights).items()
    }
    assert own["median_ae"] == pytest.approx(sk.median_absolute_error(true, predicted))
    assert own["spearman"] == pytest.approx(stats.spearmanr(true, predicted).statistic)
    assert own["r2"] == pytest.approx(sk.r2_score(true, predicted))
    assert own["rmse"] == pytest.approx(np.sqrt(sk.mean_squared_error(true, predicted)))


@pytest.mark.parametrize(
    ("true", "said"), [([3, 3, 3], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([5], [4])]
)
def test_constants_and_single_rows_have_no_correlation_and_stay_valid_json(true, said):
    measured = regression.measure(metrics.make_regression_predictions(true, said))
    assert values_of(measured)["spearman"] is None
    assert values_of(measured)["mae"] is not None
    json.dumps(measured, allow_nan=False)


REFERENCES = ["the cat sat on the mat", "a dog barks", "", "it rains today in the old town"]
OUTPUTS = ["the cat sat on a mat", "a dog barks", "something", ""]


def test_generation_values_equal_sacrebleu_and_rouge_score_with_their_signatures():
    measured = generation.measure(metrics.GenerationPredictions(REFERENCES, OUTPUTS))
    own = values_of(measured)
    bleu, chrf = BLEU(), CHRF()
    assert own["bleu"] == pytest.approx(bleu.corpus_score(OUTPUTS, [REFERENCES]).score)
    assert own["chrf"] == pytest.approx(chrf.corpus_score(OUTPUTS, [REFERENCES]).score)
    methods = {one["name"]: one["method"] for one in measured}
    assert str(bleu.get_signature()) in methods["bleu"]
    assert str(chrf.get_signature()) in methods["chrf"]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for name in ("rouge1", "rouge2", "rougeL"):
        pairs = zip(REFERENCES, OUTPUTS, strict=True)
        each = [scorer.score(reference, output)[name].fmeasure for reference, output in pairs]
        assert own[name] == pytest.approx(np.mean(each))
    assert own["exact_match"] == 0.25
    assert own["loss"] is own["perplexity"] is None


def test_loss_is_per_token_and_perplexity_its_exponential():
    answers = metrics.GenerationPredictions(
        ["a", "b"], ["a", "c"], np.array([6.0, 2.0]), np.array([3, 1])
    )
    own = values_of(generation.measure(answers))
    assert own["loss"] == pytest.approx(2.0)
    assert own["perplexity"] == pytest.approx(np.exp(2.0))


def test_other_scripts_are_not_scored_zero():
    same = metrics.GenerationPredictions(
        ["今日は雨です。", "привет мир"], ["今日は雨です。", "привет мир"]
    )
    own = values_of(generation.measure(same))
    assert own["rouge1"] == own["exact_match"] == 1.0
    assert own["chrf"] == pytest.approx(100)


def test_empty_texts_and_endless_loss_stay_valid_json():
    answers = metrics.GenerationPredictions(
        ["", ""], ["", ""], np.array([1e6, 1e6]), np.array([1, 1])
    )
    measured = generation.measure(answers)
    json.dumps(measured, allow_nan=False)
    assert values_of(measured)["perplexity"] is None


def test_a_paired_bootstrap_finds_a_clear_difference_and_none_where_there_is_none():
    dice = np.random.default_rng(0)
    noise = dice.normal(size=400)
    assert (
        metrics.bootstrap_row_scores(noise + 0.3, noise + dice.normal(0, 0.5, 400), "x")["p_value"]
        < 0.01
    )
    assert metrics.bootstrap_row_scores(noise, dice.permutation(noise), "x")["p_value"] > 0.05
    assert metrics.bootstrap_row_scores(noise, noise, "x")["p_value"] == 1.0
