"""The ONNX export of boosted trees reads private attributes of one version of scikit-learn.

`engine.tasks.tabular.onnx_trees` needs the trees in double precision and their exact thresholds;
skl2onnx would round them to float32, so that rows near a threshold take another branch. Whoever
raises the pin must look at HistGradientBoosting's `_predictors` and `_baseline_prediction` again
and let tests/engine/tasks/tabular compare the exported file with scikit-learn.
"""

import re
from importlib.metadata import version

import numpy as np
import pytest

from tests.engine.conftest import ROOT

CHECKED_VERSION = "1.9.1"
NODE_FIELDS = {"is_leaf", "feature_idx", "num_threshold", "left", "right", "value"}


def test_the_pinned_version_is_the_checked_one():
    pins = re.findall(
        r"^scikit-learn==(\S+)", (ROOT / "requirements-web.txt").read_text(), re.MULTILINE
    )
    assert pins == [CHECKED_VERSION]
    assert version("scikit-learn") == CHECKED_VERSION


@pytest.mark.parametrize("labels", [2, 3])
def test_boosted_trees_still_have_the_attributes_that_the_export_reads(labels):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    rows, target = rng.normal(size=(90, 2)), np.arange(90) % labels
    model = HistGradientBoostingClassifier(max_iter=2, early_stopping=False).fit(rows, target)
    trees_per_round = 1 if labels == 2 else labels
    assert [len(trees) for trees in model._predictors] == [trees_per_round] * 2
    nodes = model._predictors[0][0].nodes
    assert set(nodes.dtype.names) >= NODE_FIELDS
    assert nodes["num_threshold"].dtype == nodes["value"].dtype == np.float64
    assert np.ravel(model._baseline_prediction).shape == (trees_per_round,)
