"""From three scores of each answer to the best answer and the probability that it is right."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
FEATURES = (
    "log_probability", "margin", "cosine", "cosine_margin", "probe", "best_cosine", "term_share"
)  # fmt: skip
CANDIDATES = 3  # Offered when the assistant asks back.


class Mixture(BaseModel):
    """How much the cosine and the share of BM25 add to the probe's log probability."""

    model_config = ConfigDict(frozen=True)

    cosine: float = 2.0
    terms: float = 0.0


class Calibrator(BaseModel):
    """A logistic regression on standardised FEATURES, and the thresholds on its probability.

    `answer` is None where no promise can be kept: then nothing is answered alone.
    """

    model_config = ConfigDict(frozen=True)

    mixture: Mixture
    mean: list[float]
    scale: list[float]
    weights: list[float]
    bias: float
    answer: float | None
    ask: float

    def probability(self, features: Array) -> Array:
        """P(the first candidate is right) of each row of features (rows, FEATURES)."""
        standard = (features - np.asarray(self.mean)) / np.asarray(self.scale)
        return np.asarray(1 / (1 + np.exp(-(standard @ np.asarray(self.weights) + self.bias))))


@dataclass(frozen=True)
class Scores:
    """Of some questions for every answer, each (questions, answers)."""

    probe: Array  # Log probabilities.
    cosine: Array  # With the answer's nearest phrasing.
    terms: Array  # The answer's share of all BM25 scores; 0 where nothing matches.


@dataclass(frozen=True)
class Ranking:
    """The order of answers by question, and the features of the first."""

    order: Indices  # (questions, at most CANDIDATES)
    features: Array  # (questions, FEATURES)


def probe_scores(weights: Array, embeddings: Array) -> Array:
    """Log softmax of a linear layer (answers, dimensions + 1), the bias last."""
    logits = embeddings @ weights[:, :-1].T + weights[:, -1]
    return log_softmax(logits)


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def term_shares(scores: Array) -> Array:
    """BM25 scores as shares of the question's sum."""
    total = scores.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(scores, total, out=np.zeros_like(scores), where=total > 0))


def rank(scores: Scores, mixture: Mixture) -> Ranking:
    """Order the answers of each question and describe the first by FEATURES."""
    fused = log_softmax(
        scores.probe + mixture.cosine * scores.cosine + mixture.terms * scores.terms
    )
    order = np.argsort(-fused, axis=1, kind="stable")[:, :CANDIDATES]
    rows, first = np.arange(len(fused)), order[:, 0]
    second = order[:, min(1, order.shape[1] - 1)]
    others = scores.cosine.copy()
    others[rows, first] = -1.0
    features = np.stack(
        [
            fused[rows, first],
            fused[rows, first] - fused[rows, second],
            scores.cosine[rows, first],
            scores.cosine[rows, first] - others.max(axis=1),
            scores.probe[rows, first],
            scores.cosine.max(axis=1),
            scores.terms[rows, first],
        ],
        axis=1,
    )
    return Ranking(order.astype(np.int64), features)
