"""Rates and gaps equal fairlearn's; small groups are marked and do not count."""

import json

import fairlearn.metrics as fair
import numpy as np
import pytest

from engine import metrics
from engine.analysis.fairness import assess_fairness

NAMES = ["no", "yes"]


def biased(rows=600):
    """Group b gets a yes far more often, whatever is true."""
    dice = np.random.default_rng(0)
    groups = np.where(dice.random(rows) < 0.4, "b", "a")
    true = (dice.random(rows) < 0.4).astype(int)
    yes = np.clip(0.2 + 0.5 * true + 0.35 * (groups == "b") + dice.normal(0, 0.2, rows), 0, 1)
    return metrics.make_multiclass_predictions(
        true, np.stack([1 - yes, yes], axis=1)
    ), groups.tolist()


def test_rates_and_gaps_equal_fairlearns():
    sample, groups = biased()
    fairness_report = assess_fairness(sample, "group", groups, NAMES)
    true, predicted = sample.true, sample.predicted
    question = fairness_report["questions"][0]
    assert question["label"] == "yes"
    for group in question["groups"]:
        rows = np.array(groups) == group["name"]
        rate = fair.selection_rate(true[rows], predicted[rows])
        assert group["rates"]["selection_rate"]["value"] == pytest.approx(rate)
        rate = fair.true_positive_rate(true[rows], predicted[rows])
        assert group["rates"]["tpr"]["value"] == pytest.approx(rate)
        assert group["rates"]["tpr"]["low"] <= rate <= group["rates"]["tpr"]["high"]
    gaps = {gap["name"]: gap["value"] for gap in question["gaps"]}
    sensitive = {"sensitive_features": groups}
    assert gaps["selection_rate"] == pytest.approx(
        fair.demographic_parity_difference(true, predicted, **sensitive)
    )
    assert gaps["equalized_odds"] == pytest.approx(
        fair.equalized_odds_difference(true, predicted, **sensitive)
    )
    assert fairness_report["sentence"].startswith("Groups of group are treated differently")
    json.dumps(fairness_report, allow_nan=False)


def test_a_small_group_is_marked_and_does_not_make_the_gap():
    sample, groups = biased()
    predicted = sample.predicted.copy()
    tiny = np.flatnonzero(predicted == 0)[:5]
    for row in tiny:
        groups[row] = "tiny"
    fairness_report = assess_fairness(sample, "group", groups, NAMES)
    assert "tiny: fewer than 30" in fairness_report["warnings"][0]
    without = [row for row in range(len(groups)) if groups[row] != "tiny"]
    part = metrics.MulticlassPredictions(sample.true[without], sample.probabilities[without])
    same = assess_fairness(part, "group", [groups[row] for row in without], NAMES)
    assert (
        fairness_report["questions"][0]["gaps"][0]["value"]
        == same["questions"][0]["gaps"][0]["value"]
    )


def test_alike_groups_are_not_accused():
    sample, groups = biased()
    shuffled = np.random.default_rng(1).permutation(groups).tolist()
    assert (
        "treated differently" not in assess_fairness(sample, "group", shuffled, NAMES)["sentence"]
    )


def test_numbers_are_compared_by_error_and_ages_by_quarters():
    dice = np.random.default_rng(0)
    true = dice.normal(size=400)
    ages = dice.integers(18, 80, size=400).tolist()
    predictions = metrics.make_regression_predictions(
        true, true + np.array(ages) / 40 + dice.normal(0, 0.1, 400)
    )
    fairness_report = assess_fairness(predictions, "age", ages)
    assert len(fairness_report["questions"][0]["groups"]) == 4
    assert "mean absolute errors differ by up to" in fairness_report["sentence"]


@pytest.mark.parametrize("cells", [["a"] * 50, [None] * 50, ["a"] * 49 + ["b"]])
def test_nothing_to_compare_is_said_and_not_a_crash(cells):
    predictions = metrics.make_multiclass_predictions(
        np.zeros(50, dtype=int), np.tile([0.8, 0.2], (50, 1))
    )
    fairness_report = assess_fairness(predictions, "group", cells, NAMES)
    assert fairness_report["sentence"]
    json.dumps(fairness_report, allow_nan=False)


def test_label_sets_are_asked_label_by_label_and_the_widest_gap_comes_first():
    dice = np.random.default_rng(0)
    groups = ["a", "b"] * 150
    true = dice.random((300, 3)) < 0.5
    chances = np.where(true, 0.8, 0.2)
    chances[1::2, 2] = 0.9  # Group b always gets the third label.
    fairness_report = assess_fairness(
        metrics.make_multilabel_predictions(true, chances), "group", groups, ["x", "y", "z"]
    )
    assert fairness_report["questions"][0]["label"] == "z"
