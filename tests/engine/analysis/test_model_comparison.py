"""Two models on the same rows, and refusals in words when they were asked differently."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine import metrics
from engine.analysis.model_comparison import ModelsNotComparable, compare_predictions
from engine.evaluation import StoredPredictions, TestRows

NAMES = ["card", "transfer", "other"]


def answers_right(share, rows=200):
    true = np.arange(rows) % 3
    predicted = np.where(np.arange(rows) < share * rows, true, (true + 1) % 3)
    return metrics.make_multiclass_predictions(true, np.eye(3)[predicted] * 0.8 + 0.1)


def predictions(answers, names=NAMES, first=0):
    count = len(getattr(answers, "true", getattr(answers, "outputs", [])))
    rows = TestRows(
        texts=[f"question {number // 2}" for number in range(count)],  # Each text occurs twice.
        lengths=[],
        source_rows=list(range(first, first + count)),
        label_names=names,
    )
    return StoredPredictions(answers, rows, rows.keys)


def test_the_better_of_two_is_named_with_its_test_and_the_rows_that_tell():
    comparison = compare_predictions(
        predictions(answers_right(0.9)), predictions(answers_right(0.7)), same_data=True
    )
    json.dumps(comparison, allow_nan=False)
    assert comparison["sentence"].startswith("The first is better: accuracy by 20.0 points")
    assert comparison["counts"] == {
        "both_right": 140, "only_first_right": 40, "only_second_right": 0, "both_wrong": 20
    }  # fmt: skip
    assert comparison["metrics"][0]["first"] == pytest.approx(0.9)
    assert {one["name"] for one in comparison["metrics"]} == {"accuracy", "macro_f1"}
    assert comparison["disagreeing_rows"] == 40
    assert comparison["disagreements"][0]["first"] == comparison["disagreements"][0]["true"]
    back = compare_predictions(
        predictions(answers_right(0.7)), predictions(answers_right(0.9)), same_data=True
    )
    assert back["sentence"].startswith("The second is better")


def test_equal_models_are_called_equal():
    same = predictions(answers_right(0.9))
    comparison = compare_predictions(same, same, same_data=True)
    assert comparison["verdict"] == "no_difference"
    assert comparison["disagreements"] == []


def test_labels_in_another_order_are_the_same_labels():
    answers = answers_right(0.8)
    turned = metrics.make_multiclass_predictions(
        (answers.true + 1) % 3, np.roll(answers.probabilities, 1, axis=1)
    )
    other = predictions(turned, names=["other", "card", "transfer"])
    comparison = compare_predictions(predictions(answers), other, same_data=True)
    assert comparison["disagreeing_rows"] == 0


def test_across_versions_rows_are_matched_by_content_even_when_texts_repeat():
    comparison = compare_predictions(
        predictions(answers_right(0.9)), predictions(answers_right(0.9), first=500), same_data=False
    )
    assert comparison["rows"] == 200


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (predictions(answers_right(0.9), first=100), "tested on different rows: 100 in common"),
        (predictions(answers_right(0.9), names=["card", "transfer", "else"]), "same labels"),
        (
            predictions(metrics.make_regression_predictions([1, 2], [1, 2])),
            "different kinds of answers",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(other, reason):
    with pytest.raises(ModelsNotComparable, match=reason):
        compare_predictions(predictions(answers_right(0.9)), other, same_data=True)


def test_another_truth_for_the_same_rows_is_refused():
    answers = answers_right(0.9)
    changed = replace(answers, true=(answers.true + 1) % 3)
    with pytest.raises(ModelsNotComparable, match="true answers"):
        compare_predictions(predictions(answers), predictions(changed), same_data=True)


def test_numbers_and_texts_are_compared_too():
    dice = np.random.default_rng(0)
    true = dice.normal(size=200)
    good, bad = (
        metrics.make_regression_predictions(true, true + dice.normal(0, s, 200)) for s in (0.1, 1)
    )
    comparison = compare_predictions(predictions(good), predictions(bad), same_data=True)
    assert comparison["sentence"].startswith("The first is better: root mean squared error by")
    texts = [metrics.GenerationPredictions(["a b c"] * 60, [said] * 60) for said in ("a b c", "x")]
    comparison = compare_predictions(*(predictions(given) for given in texts), same_data=True)
    json.dumps(comparison, allow_nan=False)
    assert comparison["metrics"][0]["name"] == "rougeL"
    true = np.eye(3)[np.arange(90) % 3]
    sets = [
        metrics.make_multilabel_predictions(true, np.eye(3)[(np.arange(90) + k) % 3])
        for k in (0, 1)
    ]
    comparison = compare_predictions(*(predictions(given) for given in sets), same_data=True)
    assert comparison["per_class"][0]["difference"] == 1.0


def test_comparing_loads_no_heavy_library():
    import subprocess
    import sys

    from tests.engine.conftest import ROOT

    code = (
        "import numpy as np; from engine import metrics;"
        "from engine.analysis.model_comparison import compare_predictions;"
        "from tests.engine.analysis.test_model_comparison import *;"
        "sides = [predictions(answers_right(share)) for share in (.9, .7)];"
        "compare_predictions(*sides, same_data=True);"
        "import sys; print({'torch', 'sklearn', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
