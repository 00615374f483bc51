"""Targets that only an error explains are found and named; honest long tails are not."""

import numpy as np
import pytest

from engine.data.splitting import Split
from engine.data.target_outliers import (
    describe_test_outliers,
    find_target_outliers,
    leave_out_outliers,
)

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(50, 10, 500),
        RNG.uniform(5, 500, 500),
        RNG.gamma(2, 100, 500) + 1,
        -RNG.uniform(1, 30, 500),
        np.round(RNG.normal(0, 3, 500)),
    ],
    ids=["normal", "uniform", "gamma", "negative", "counts"],
)
def test_a_thousandfold_value_is_found(values):
    wrong = np.array([7, 100, 250])
    values = values.copy()
    values[wrong] = 1000 * (np.median(values) or 40.0)
    assert np.flatnonzero(find_target_outliers(values)).tolist() == wrong.tolist()


@pytest.mark.parametrize(
    "values",
    [
        RNG.lognormal(10, 1, 2000),
        RNG.lognormal(3, 2, 2000),
        RNG.exponential(5, 2000),
        RNG.poisson(0.2, 2000).astype(float),
        np.full(2000, 4.0),
        np.repeat([0.0, 1e6], [1900, 100]),
        RNG.normal(0, 1, 10),
    ],
    ids=["incomes", "very skewed", "waiting times", "rare counts", "constant", "a kind", "few"],
)
def test_an_honest_distribution_has_no_outliers(values):
    assert not find_target_outliers(values).any()


def test_outliers_are_not_learnt_and_are_named_by_their_row():
    values = np.arange(100, 200, dtype=float)
    values[[3, 60, 95]] *= 1000
    split = Split(np.arange(60), np.arange(60, 80), np.arange(80, 100), ["kept"])
    rows = [position * 2 for position in range(100)]
    remaining, warnings = leave_out_outliers(split, values, rows, "price")
    assert 3 not in remaining.train
    assert 60 not in remaining.validation
    assert 95 in remaining.test
    assert remaining.warnings == ["kept"]
    assert "2 rows have a 'price'" in warnings[0]
    assert "row 7: 103,000" in warnings[0]
    assert "row 121: 160,000" in warnings[0]


def test_the_report_says_what_holds_without_them():
    true = np.arange(100, 200, dtype=float)
    predicted = true + 1
    true[5] *= 1000
    sentence = describe_test_outliers(true, predicted)
    assert sentence.startswith("1 test row holds")
    assert "error is 1 and R² 0.999" in sentence
    assert describe_test_outliers(predicted, true * 0) == ""
