"""What tuning must beat: the commonest label, words with a linear model, a frozen encoder."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from engine.metrics import Floats, Ints

# Baselines see at most this many training rows, so that they never cost more than the training.
MOST_ROWS = 20_000
MOST_WORDS = 20_000
PROBE_STRENGTH = 10.0  # C of the logistic regression on unit-length embeddings.
FEW_ROWS = 600
STRENGTHS = (10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Probe:
    """A linear layer on unit-length frozen embeddings: weights (labels, hidden), bias (labels,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    rows: int  # Training rows it has seen.

    def outputs(self, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(rows, labels), before any softmax or sigmoid."""
        logits: npt.NDArray[np.float32] = embeddings @ self.weights.T + self.bias
        return logits


def fit_probe(
    embeddings: npt.NDArray[np.float32],
    labels: Ints,
    label_count: int,
    class_weight: str | None = None,
    strength: float | None = None,
) -> Probe:
    """`strength` is how far the weights may go; None chooses it."""
    chosen = strength or _strength(embeddings, labels, class_weight)
    model = _logistic(class_weight).set_params(C=chosen)
    model.fit(embeddings, labels)
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


def _logistic(class_weight: str | None) -> LogisticRegression:
    return LogisticRegression(C=PROBE_STRENGTH, max_iter=300, class_weight=class_weight)


def _strength(embeddings: npt.NDArray[np.float32], labels: Ints, class_weight: str | None) -> float:
    """How far the weights may go: a fixed strength, chosen by cross-validation with few rows,
    where the right one varies most and trying costs little."""
    counts = np.bincount(labels)
    fewest = int(counts[counts > 0].min())
    if len(labels) > FEW_ROWS or fewest < 3:
        return PROBE_STRENGTH
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = {
        strength: cross_val_score(
            _logistic(class_weight).set_params(C=strength), embeddings, labels, cv=folds
        ).mean()
        for strength in STRENGTHS
    }
    return max(STRENGTHS, key=lambda strength: (round(scores[strength], 6), -strength))


def majority_probabilities(train_labels: Ints, rows: int, label_count: int) -> Floats:
    """Always the label frequencies of the training rows: the commonest label wins every row."""
    counts = np.bincount(train_labels, minlength=label_count)
    return np.tile(counts / counts.sum(), (rows, 1))


def tfidf_probabilities(
    train_texts: list[str], train_labels: Ints, test_texts: list[str], label_count: int
) -> Floats:
    """TF-IDF of words and word pairs with one logistic regression for each label: as good as a
    multinomial one for many labels, and three times as quick."""
    features, asked = tfidf_features(train_texts, test_texts)
    model = OneVsRestClassifier(_logistic_of_words()).fit(features, train_labels)
    probabilities = np.zeros((len(test_texts), label_count))
    probabilities[:, model.classes_] = model.predict_proba(asked)
    return probabilities


def tfidf_tags(
    train_texts: list[str], present: npt.NDArray[np.bool_], test_texts: list[str]
) -> Floats:
    """The same words with one logistic regression for each label of `present` (rows, labels)."""
    features, asked = tfidf_features(train_texts, test_texts)
    probabilities = np.zeros((len(test_texts), present.shape[1]))
    for label in range(present.shape[1]):
        truth = present[:, label]
        if truth.all() or not truth.any():
            probabilities[:, label] = truth.all()
            continue
        model = _logistic_of_words().fit(features, truth)
        probabilities[:, label] = model.predict_proba(asked)[:, 1]
    return probabilities


def _logistic_of_words() -> LogisticRegression:
    return LogisticRegression(C=10.0, solver="liblinear", tol=1e-2, random_state=0)


def tfidf_features(train_texts: list[str], test_texts: list[str]) -> tuple[Any, Any]:
    """TF-IDF of words and word pairs, fitted on the first texts: two sparse matrices."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_WORDS, token_pattern=r"(?u)\b\w+\b"
    )
    return vectorizer.fit_transform(train_texts), vectorizer.transform(test_texts)


def sign_test(better: int, worse: int) -> float:
    """How likely chance alone gives so many more `worse`; 1 where there are not more."""
    if worse <= better:
        return 1.0
    return float(binomtest(better, better + worse, 0.5).pvalue)


def sample_rows(rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """At most MOST_ROWS of these rows, drawn evenly."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
