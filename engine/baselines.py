"""What tuning must beat: the commonest label, words with a linear model, a frozen encoder."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from engine.metrics import Floats, Ints

# Baselines see at most this many training rows, so that they never cost more than the training.
MOST_ROWS = 20_000
MOST_WORDS = 20_000


@dataclass(frozen=True)
class Probe:
    """A linear layer on unit-length frozen embeddings: weights (labels, hidden), bias (labels,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    rows: int  # Training rows it has seen.

    def probabilities(self, embeddings: npt.NDArray[np.float32]) -> Floats:
        logits = embeddings.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = exponents / exponents.sum(axis=1, keepdims=True)
        return shares


def fit_probe(embeddings: npt.NDArray[np.float32], labels: Ints, label_count: int) -> Probe:
    model = LogisticRegression(C=10.0, max_iter=300, tol=1e-3).fit(embeddings, labels)
    weights = np.zeros((label_count, embeddings.shape[1]), dtype=np.float32)
    # A label the sample does not have loses, yet fine-tuning can still learn it from here.
    bias = np.full(label_count, model.intercept_.min() - 3, dtype=np.float32)
    if len(model.classes_) == 2:
        # Two labels share one column of weights: its sign decides.
        weights[model.classes_[1]], bias[model.classes_[1]] = model.coef_[0], model.intercept_[0]
        bias[model.classes_[0]] = 0.0
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return Probe(weights, bias, rows=len(labels))


def majority_probabilities(train_labels: Ints, rows: int, label_count: int) -> Floats:
    """Always the label frequencies of the training rows: the commonest label wins every row."""
    counts = np.bincount(train_labels, minlength=label_count)
    return np.tile(counts / counts.sum(), (rows, 1))


def tfidf_probabilities(
    train_texts: list[str], train_labels: Ints, test_texts: list[str], label_count: int
) -> Floats:
    """TF-IDF of words and word pairs with multinomial logistic regression."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_WORDS, token_pattern=r"(?u)\b\w+\b"
    )
    features = vectorizer.fit_transform(train_texts)
    model = LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(features, train_labels)
    probabilities = np.zeros((len(test_texts), label_count))
    probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(test_texts))
    return probabilities


def sample_rows(rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """At most MOST_ROWS of these rows, drawn evenly."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
