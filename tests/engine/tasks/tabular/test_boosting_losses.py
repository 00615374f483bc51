"""Boosted trees by three losses: exported files answer alike, and bad targets do little."""

import numpy as np
import onnxruntime
import pytest

from engine.data.target_outliers import is_long_tailed
from engine.tasks.tabular.ensemble_members import (
    ABSOLUTE,
    SQUARED,
    BoostingLoss,
    EncodedRows,
    LogTarget,
    fit_boosted_with,
)
from engine.tasks.tabular.onnx_graph import INPUT, OnnxGraphBuilder

RNG = np.random.default_rng(3)
MATRIX = RNG.normal(size=(400, 3)).astype(np.float32)
NUMBERS = np.exp(1.5 * MATRIX[:, 0] + 0.1 * RNG.normal(size=400)) * 1000
MEAN, DEVIATION = float(NUMBERS.mean()), float(NUMBERS.std())
LOG = BoostingLoss(log_target=LogTarget(MEAN, DEVIATION))


def fit(kind, numbers):
    rows = EncodedRows(MATRIX[:300], (numbers[:300] - MEAN) / DEVIATION, None)
    return fit_boosted_with(rows, 1, 60, seed=0, kind=kind)


def median_error(member):
    answers = member.outputs(MATRIX[300:])[:, 0] * DEVIATION + MEAN
    return float(np.median(np.abs(answers - NUMBERS[300:]) / NUMBERS[300:]))


@pytest.mark.parametrize("kind", [SQUARED, ABSOLUTE, LOG], ids=["squared", "absolute", "log"])
def test_the_exported_file_answers_as_the_trees_do(kind, tmp_path):
    member = fit(kind, NUMBERS)
    graph = OnnxGraphBuilder()
    graph.add_boosted_trees(member, 0.75, "some")
    graph.add_boosted_trees(member, 0.25, "others")
    graph.save(tmp_path / "model.onnx", 3, 1)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (served,) = session.run(None, {INPUT: MATRIX})
    assert np.abs(served - member.outputs(MATRIX)).max() < 1e-4


def test_a_hundredth_of_targets_a_thousand_times_too_large_bends_two_of_three():
    wrong = NUMBERS.copy()
    wrong[RNG.choice(300, 3, replace=False)] *= 1000
    bent, absolute, log = (median_error(fit(kind, wrong)) for kind in (SQUARED, ABSOLUTE, LOG))
    assert max(absolute, log) < 0.5
    assert bent > 2 * max(absolute, log)


def test_prices_are_long_tailed_and_heights_are_not():
    assert is_long_tailed(NUMBERS)
    assert not is_long_tailed(np.random.default_rng(0).normal(170, 10, 300))
    assert not is_long_tailed(np.random.default_rng(0).normal(0, 1, 300))
