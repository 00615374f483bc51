"""Linear models are fitted on one thread whatever the machine offers, with a penalty that fits."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from engine.data import baselines
from web import child_process

LIST_THREADS = """
import json, numpy, scipy.linalg, sklearn.linear_model
from threadpoolctl import threadpool_info
print(json.dumps([one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]))
"""
THREADS_OF_A_CHILD = f"""
from web import child_process
import sys
done = child_process.run([sys.executable, "-c", {LIST_THREADS!r}], seconds=60)
print(done.stdout.strip())
"""
STARTS = {
    "a process of Django": f"import config.settings\n{LIST_THREADS}",
    "its child": f"import config.settings\n{THREADS_OF_A_CHILD}",
    "the engine": f"from engine import __main__ as cli\ncli._set_thread_env(4)\n{LIST_THREADS}",
}


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_threads_do_not_wait_for_one_another_in_small_products(start):
    environment = child_process.clean_environment(
        {"DATABASE_URL": "postgresql://nobody@localhost/x"}
    )
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", STARTS[start]], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    threads = json.loads(done.stdout.splitlines()[-1])
    assert threads
    assert set(threads) == {1} or os.cpu_count() == 1


def _noisy_embeddings(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit-length vectors of which one direction in 200 tells two labels, not without error."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    vectors = rng.normal(size=(rows, 200))
    vectors[:, 0] += 1.5 * (2 * labels - 1)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("rows", [300, 900])
def test_a_probe_of_noisy_embeddings_gets_a_strong_penalty(rows: int) -> None:
    embeddings, labels = _noisy_embeddings(rows)
    test, truth = _noisy_embeddings(2000, seed=1)
    chosen = baselines.fit_probe(embeddings, labels, 2).outputs(test).argmax(1)
    fixed = baselines.fit_probe(embeddings, labels, 2, strength=baselines.PROBE_C)
    assert (chosen == truth).mean() > (fixed.outputs(test).argmax(1) == truth).mean()


def test_a_probe_of_a_handful_of_rows_never_gets_the_strongest_penalty() -> None:
    embeddings, labels = _noisy_embeddings(40)
    loosest = baselines.fit_probe(embeddings, labels, 2)
    strict = baselines.fit_probe(embeddings, labels, 2, strength=baselines.SMALL_C_GRID[-1])
    assert np.abs(loosest.weights).sum() > np.abs(strict.weights).sum()
