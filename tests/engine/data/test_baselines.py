"""Baselines and probes: fitted on one thread whatever the machine offers."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from engine.data import baselines


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def embedded(rows: int, labels: int, seed: int = 0):
    dice = np.random.default_rng(seed)
    truth = np.arange(rows) % labels
    centres = dice.normal(size=(labels, 24))
    values = (centres[truth] + dice.normal(size=(rows, 24))).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True), truth


@pytest.mark.parametrize(("rows", "labels"), [(60, 2), (900, 5)])
@pytest.mark.parametrize("strength", [None, 10.0])
def test_threads_do_not_wait_for_one_another_in_small_products(rows, labels, strength, monkeypatch):
    seen = []

    class Watched(baselines.LogisticRegression):
        def fit(self, *given, **more):
            seen.append(blas_threads())
            return super().fit(*given, **more)

    monkeypatch.setattr(baselines, "LogisticRegression", Watched)
    values, truth = embedded(rows, labels)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        baselines.fit_probe(values, truth, labels, strength=strength)
        assert blas_threads() == before  # As it was for whatever comes next.
    assert seen
    assert all(threads == {1} for threads in seen)
