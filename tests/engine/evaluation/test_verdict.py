"""The report's sentences follow the figures in direction, size and certainty."""

import numpy as np
import pytest

from engine.evaluation import verdict
from engine.evaluation.answer_types import get_answer_type, get_main_metric
from engine.metrics.measures import NO_INTERVAL, PointEstimate, make_measure
from engine.metrics.shapes import MulticlassPredictions


def measure(name: str, value, interval=NO_INTERVAL):
    return make_measure(name, PointEstimate(value, "method", "numpy"), interval, "bootstrap")


def significance(difference: float, p_value: float, low=None, high=None):
    return {
        "method": "m",
        "metric": "accuracy",
        "difference": difference,
        "low": low,
        "high": high,
        "p_value": p_value,
    }


def baseline(id_: str, value, tested, metric="accuracy", name=None):
    return {
        "id": id_,
        "name": name or f"the {id_}",
        "note": "",
        "metrics": [measure(metric, value)],
        "significance": tested,
    }


@pytest.mark.parametrize(
    ("difference", "p_value", "better", "expected"),
    [
        (0.1, 0.01, "up", "helped"),
        (-0.1, 0.01, "up", "hurt"),
        (-0.1, 0.01, "down", "helped"),
        (0.1, 0.01, "down", "hurt"),
        (0.1, 0.05, "up", "no_difference"),
        (0.0, 0.0, "up", "no_difference"),
    ],
)
def test_the_verdict_depends_on_direction_and_significance(difference, p_value, better, expected):
    assert verdict.decide_verdict(significance(difference, p_value), better) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("accuracy", 0.1234, "12.3%"),
        ("rmse", 0.12345, "0.123"),
        ("rmse", -99.99, "-99.990"),
        ("rmse", 1234.56, "1,234.6"),
    ],
)
def test_values_have_the_digits_that_matter(name, value, expected):
    assert verdict.format_value(measure(name, value), value) == expected


def conclusion(own, *baselines):
    return verdict.draw_conclusion(own["name"], [own], list(baselines), 120)


def test_the_best_baseline_counts_and_guessing_is_named_last():
    own = measure("accuracy", 0.9, (0.88, 0.92))
    drawn = conclusion(
        own,
        baseline("majority", 0.4, significance(0.5, 0.0001)),
        baseline("tfidf", 0.8, significance(0.1, 0.0001, 0.08, 0.12)),
    )
    assert drawn["verdict"] == "helped"
    assert drawn["headline"] == (
        "Tuning helped: accuracy 90.0% (95% CI 88.0–92.0) against 80.0% for the tfidf and 40.0%"
        " for the majority."
    )
    assert drawn["sure"] == (
        "It is 10.0 points better than the tfidf (95% CI 8.0 to 12.0). That is practically certain"
        " to be no chance (p < 0.001)."
    )


def test_an_error_is_better_when_it_is_smaller():
    own = measure("rmse", 2.0, (1.8, 2.2))
    drawn = conclusion(
        own,
        baseline("mean", 9.0, significance(-7.0, 0.0001), "rmse"),
        baseline("linear", 3.0, significance(-1.0, 0.02, -1.5, -0.5), "rmse"),
    )
    assert drawn["verdict"] == "helped"
    assert drawn["headline"].startswith(
        "Tuning helped: root mean squared error 2.000 (95% CI 1.800–2.200)"
    )
    assert drawn["sure"] == (
        "It is 1.000 better than the linear (95% CI 0.500 to 1.500). That is unlikely to be chance"
        " (p = 0.02)."
    )


def test_an_interval_is_left_out_where_the_test_is_not_sure():
    drawn = conclusion(
        measure("accuracy", 0.9), baseline("tfidf", 0.89, significance(0.01, 0.3, 0.001, 0.02))
    )
    assert drawn["verdict"] == "no_difference"
    assert drawn["sure"] == (
        "It is 1.0 points better than the tfidf. That may well be chance (p = 0.3): 120 test"
        " rows cannot tell the two apart."
    )


def test_the_frozen_model_is_compared_apart():
    own = measure("accuracy", 0.9)
    probe = baseline("probe", 0.91, significance(-0.01, 0.5))
    drawn = conclusion(own, probe, baseline("tfidf", 0.7, significance(0.2, 0.001)))
    assert "0.91" not in drawn["headline"]
    assert drawn["probe_sentence"] == (
        "The same base model, frozen, with a linear layer reaches 91.0%: the difference may be"
        " chance (p = 0.5)."
    )
    assert drawn["next_step"].startswith("The quick probe is about as good")


def test_only_the_frozen_model_gives_no_verdict():
    drawn = conclusion(measure("accuracy", 0.9), baseline("probe", 0.5, significance(0.4, 0.001)))
    assert (drawn["verdict"], drawn["sure"]) == ("unknown", "")
    assert drawn["next_step"] == "Train a second model on the same data and compare the two."


def test_a_baseline_without_a_value_is_passed_over():
    drawn = conclusion(
        measure("accuracy", 0.9),
        baseline("tfidf", None, significance(0.0, 1.0)),
        baseline("majority", 0.4, significance(0.5, 0.0001)),
    )
    assert drawn["headline"] == "Tuning helped: accuracy 90.0% against 40.0% for the majority."


def test_an_undefined_metric_is_said():
    drawn = conclusion(measure("rmse", None), baseline("mean", 3.0, significance(0, 1.0), "rmse"))
    assert drawn["headline"].endswith(
        "the root mean squared error is not defined on these test rows."
    )


@pytest.mark.parametrize(
    ("interval", "opening"), [((0.80, 0.95), "Add labelled rows"), ((0.89, 0.91), "Read the most")]
)
def test_a_wide_interval_asks_for_more_rows(interval, opening):
    drawn = conclusion(
        measure("accuracy", 0.9, interval), baseline("tfidf", 0.5, significance(0.4, 0.0001))
    )
    assert drawn["next_step"].startswith(opening)


@pytest.mark.parametrize("metric", ["accuracy", "micro_f1", "rmse", "loss", "rougeL"])
def test_every_main_metric_has_a_next_step(metric):
    own = measure(metric, 0.5)
    sign = 1 if own["better"] == "up" else -1
    drawn = conclusion(own, baseline("other", 0.4, significance(sign * 0.1, 0.0001), metric))
    assert drawn["verdict"] == "helped"
    assert drawn["next_step"].endswith(".")


@pytest.mark.parametrize(
    ("gain", "p_value", "auc", "is_told"),
    [
        (0.01, 0.6, (0.46, 0.55), True),
        (-0.02, 0.4, (0.44, 0.56), True),
        (0.01, 0.6, (0.61, 0.72), False),  # It ranks better than chance: rare labels.
        (0.01, 0.01, (0.46, 0.55), False),  # Little, but no chance.
        (0.30, 0.06, (0.40, 0.90), False),  # Much, and too few rows to be sure.
    ],
)
def test_what_is_no_better_than_a_guess_is_called_no_signal(gain, p_value, auc, is_told):
    own = measure("accuracy", 0.5 + gain)
    guess = baseline("majority", 0.5, significance(gain, p_value))
    measured = [own, measure("roc_auc", 0.5, auc)]
    drawn = verdict.draw_conclusion("accuracy", measured, [guess], 120)
    assert drawn["headline"].startswith("No signal found") == is_told
    assert ("do not tell the target" in drawn["sure"]) == is_told


def test_where_one_label_dominates_log_loss_decides():
    """One in twenty: both guess the common label, and only one knows which rows are doubtful."""
    rng = np.random.default_rng(0)
    true = (rng.random(600) < 0.05).astype(int)
    doubt = np.where(true == 1, 0.35, 0.02)
    knowing = MulticlassPredictions(true, np.stack([1 - doubt, doubt], 1))
    guessing = MulticlassPredictions(true, np.tile([0.95, 0.05], (600, 1)))
    kind = get_answer_type(knowing)
    tested = kind.compare(knowing, guessing)
    assert get_main_metric(kind, knowing) == "log_loss"
    assert (tested["metric"], verdict.decide_verdict(tested, "down")) == ("log_loss", "helped")
    even = MulticlassPredictions(np.arange(600) % 2, np.full((600, 2), 0.5))
    assert get_main_metric(kind, even) == "accuracy"


def test_a_model_that_was_never_wrong_is_not_sent_to_look_for_its_mistakes():
    drawn = conclusion(
        measure("accuracy", 1.0, (0.97, 1.0)), baseline("tfidf", 0.5, significance(0.5, 0.0001))
    )
    assert drawn["next_step"].startswith("No test row went wrong")
