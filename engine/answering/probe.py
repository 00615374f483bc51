"""The probe: multinomial logistic regression on unit-length sentence embeddings."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression

from engine.answering.scoring import Array, Indices
from engine.artifact import verify
from engine.errors import BrokenArtifact

INVERSE_PENALTY = 10.0
MAX_ITERATIONS = 300
UNREACHED = -1e4  # A bias.


def fit_probe(embeddings: Array, answers: Indices, count: int) -> Array:
    """Weights (count, dimensions + 1), the bias last, of answers numbered from 0.

    Answers without a row get a bias that no question reaches.
    """
    present = np.unique(answers)
    weights = np.zeros((count, embeddings.shape[1] + 1))
    weights[:, -1] = UNREACHED
    if len(present) == 1:
        weights[present, -1] = 0.0
        return weights
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=MAX_ITERATIONS)
    fitted.fit(embeddings.astype(np.float64), answers)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # scikit-learn keeps one row for two classes.
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    weights[present, :-1], weights[present, -1] = coefficients, intercepts
    return weights


def read_probe(folder: Path, answers: Sequence[str]) -> Array:
    """Weights (answers, dimensions + 1), the bias last, of a trained classifier's last layer.

    Answers that it was not taught get a bias that no question reaches. Raises BrokenArtifact for a
    model whose embeddings are not the frozen encoder's at unit length.
    """
    labels = {label: row for row, label in enumerate(verify(folder).labels)}
    if not json.loads((folder / "config.json").read_text())["normalise"]:
        raise BrokenArtifact("This classifier is no linear layer on a frozen encoder.")
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        head, bias = file.get_tensor("head.weight"), file.get_tensor("head.bias")
    weights = np.zeros((len(answers), head.shape[1] + 1))
    weights[:, -1] = UNREACHED
    for place, answer in enumerate(answers):
        if (row := labels.get(answer)) is not None:
            weights[place, :-1], weights[place, -1] = head[row], bias[row]
    return weights


def nearest_cosines(
    questions: Array, phrasings: Array, answers: Indices, count: int
) -> npt.NDArray[np.float64]:
    """The cosine of each question with the nearest phrasing of each answer; -1 without one."""
    result = np.full((len(questions), count), -1.0)
    order = np.argsort(answers, kind="stable")
    present, starts = np.unique(answers[order], return_index=True)
    if len(questions) and len(present):
        similarities = questions @ phrasings[order].T
        result[:, present] = np.maximum.reduceat(similarities, starts, axis=1)
    return result
