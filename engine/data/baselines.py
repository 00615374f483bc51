"""Baselines for fine-tuning: the most frequent label, a linear model on words, and a linear model
on a frozen encoder's embeddings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from engine.metrics import Floats, Ints

# Baselines see at most this many training rows, so that they never cost more than the training.
MAX_BASELINE_ROWS = 20_000
MAX_TFIDF_FEATURES = 20_000
PROBE_C = 10.0  # C of the logistic regression on unit-length embeddings.
# To choose C: at least so many rows, and of few labels as many as keep rows × labels below this.
MAX_CROSS_VALIDATED_ROWS, MAX_CROSS_VALIDATED_CELLS = 600, 4000
# Opinions need little freedom (e5 on Chinese reviews: 1), many fine labels much (intents: 30). With
# a handful of rows folds say too little for the small values.
PROBE_C_GRID, SMALL_C_GRID, MIN_ROWS_FOR_SMALL_C = (10.0, 30.0, 100.0), (1.0, 3.0), 150
USUAL_VARIANCE, MAX_SPREAD_FACTOR = 0.7, 30.0  # Of unit-length embeddings of texts on one subject.
ABSENT_LABEL_BIAS = -8.0  # Of a label without training rows, which is then hardly ever predicted.


@dataclass(frozen=True)
class Probe:
    """A linear layer on unit-length frozen embeddings: weights (labels, hidden), bias (labels,)."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    rows: int  # Training rows it has seen.

    def outputs(self, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The logits, shape (rows, labels)."""
        logits: npt.NDArray[np.float32] = embeddings @ self.weights.T + self.bias
        return logits

    def outputs_of_sparse(self, features: csr_matrix) -> npt.NDArray[np.float32]:
        """The logits of a sparse matrix of shape (rows, features)."""
        return np.asarray(features @ self.weights.T + self.bias, dtype=np.float32)


def fit_probe(
    embeddings: npt.NDArray[np.float32],
    labels: Ints,
    label_count: int,
    class_weight: str | None = None,
    strength: float | None = None,
) -> Probe:
    """A logistic regression on unit-length embeddings, shape (rows, hidden), and label indices,
    shape (rows,). `strength`: the inverse regularisation C; None chooses it."""
    strength = strength or _choose_probe_c(embeddings, labels, class_weight)
    strength *= _spread_factor(embeddings)
    model = LogisticRegression(C=strength, max_iter=300, class_weight=class_weight).fit(
        embeddings, labels
    )
    weights = np.zeros((label_count, embeddings.shape[1]), dtype=np.float32)
    # A label that the sample lacks is never predicted, but fine-tuning can still learn it.
    bias = np.full(label_count, model.intercept_.min() - 3, dtype=np.float32)
    if len(model.classes_) == 2:
        # Two labels share one column of weights: its sign decides.
        weights[model.classes_[1]], bias[model.classes_[1]] = model.coef_[0], model.intercept_[0]
        bias[model.classes_[0]] = 0.0
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return Probe(weights, bias, rows=len(labels))


def fit_sparse_classifier(
    features: csr_matrix,
    labels: Ints,
    label_count: int,
    class_weight: str | None,
    strength: float,
) -> Probe:
    """One logistic regression for each label, which on sparse features is as good as a multinomial
    one and many times faster. `strength`: the inverse regularisation C."""
    weights = np.zeros((label_count, features.shape[1]), dtype=np.float32)
    bias = np.full(label_count, ABSENT_LABEL_BIAS, dtype=np.float32)
    present = np.unique(labels)
    if len(present) == 2:  # One column decides between two: the same model, fitted once.
        model = make_sparse_classifier(class_weight, strength).fit(features, labels == present[1])
        half, middle = model.coef_[0] / 2, model.intercept_[0] / 2
        weights[present[0]], bias[present[0]] = -half, -middle
        weights[present[1]], bias[present[1]] = half, middle
        return Probe(weights, bias, rows=len(labels))
    for label in present:
        model = make_sparse_classifier(class_weight, strength).fit(features, labels == label)
        weights[label], bias[label] = model.coef_[0], model.intercept_[0]
    return Probe(weights, bias, rows=len(labels))


def make_sparse_classifier(class_weight: str | None, strength: float) -> LogisticRegression:
    return LogisticRegression(
        C=strength, solver="liblinear", tol=1e-2, class_weight=class_weight, random_state=0
    )


def _spread_factor(embeddings: npt.NDArray[np.float32]) -> float:
    """By how much to raise C for embeddings that differ little: some encoders, such as e5, put all
    texts into a narrow cone, so that weights must be larger for the same differences."""
    variance = float(np.var(embeddings, axis=0, dtype=np.float64).sum())
    return min(MAX_SPREAD_FACTOR, max(1.0, USUAL_VARIANCE / max(variance, 1e-9)))


def _choose_probe_c(
    embeddings: npt.NDArray[np.float32], labels: Ints, class_weight: str | None
) -> float:
    """By cross-validation on some of the rows; a fixed value where these hold too few of a label.
    The best value says how large weights are, which hardly depends on the number of rows."""
    limit = max(MAX_CROSS_VALIDATED_ROWS, MAX_CROSS_VALIDATED_CELLS // len(np.unique(labels)))
    if len(labels) > limit:
        chosen = np.random.default_rng(0).choice(len(labels), limit, replace=False)
        embeddings, labels = embeddings[chosen], labels[chosen]
    counts = np.bincount(labels)
    if int(counts[counts > 0].min()) < 3:
        return PROBE_C
    grid = (*SMALL_C_GRID, *PROBE_C_GRID) if len(labels) >= MIN_ROWS_FOR_SMALL_C else PROBE_C_GRID
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = {
        strength: cross_val_score(
            LogisticRegression(
                C=strength * _spread_factor(embeddings), max_iter=300, class_weight=class_weight
            ),
            embeddings,
            labels,
            cv=folds,
        ).mean()
        for strength in grid
    }
    # Of equals the usual one: a handful of rows hardly tells them apart.
    distance = {strength: abs(np.log(strength / PROBE_C)) for strength in grid}
    return max(grid, key=lambda one: (round(scores[one], 6), -distance[one]))


def majority_probabilities(train_labels: Ints, rows: int, label_count: int) -> Floats:
    """The label frequencies of the training rows, for every row; shape (rows, labels)."""
    counts = np.bincount(train_labels, minlength=label_count)
    return np.tile(counts / counts.sum(), (rows, 1))


def tfidf_probabilities(
    train_texts: list[str], train_labels: Ints, test_texts: list[str], label_count: int
) -> Floats:
    """The probabilities of TF-IDF of words and word pairs with one logistic regression for each
    label, which is as good as a multinomial one and three times as fast; shape (rows, labels)."""
    features, test_features = fit_tfidf_features(train_texts, test_texts)
    model = OneVsRestClassifier(make_sparse_classifier(None, 10.0)).fit(features, train_labels)
    probabilities = np.zeros((len(test_texts), label_count))
    probabilities[:, model.classes_] = model.predict_proba(test_features)
    return probabilities


def tfidf_multilabel_probabilities(
    train_texts: list[str], present: npt.NDArray[np.bool_], test_texts: list[str]
) -> Floats:
    """`tfidf_probabilities` for several labels a row. `present`: shape (rows, labels)."""
    features, test_features = fit_tfidf_features(train_texts, test_texts)
    probabilities = np.zeros((len(test_texts), present.shape[1]))
    for label in range(present.shape[1]):
        truth = present[:, label]
        if truth.all() or not truth.any():
            probabilities[:, label] = truth.all()
            continue
        model = make_sparse_classifier(None, 10.0).fit(features, truth)
        probabilities[:, label] = model.predict_proba(test_features)[:, 1]
    return probabilities


def fit_tfidf_features(train_texts: list[str], test_texts: list[str]) -> tuple[Any, Any]:
    """TF-IDF of words and word pairs, fitted on the training texts: two sparse matrices."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        max_features=MAX_TFIDF_FEATURES,
        token_pattern=r"(?u)\b\w+\b",
    )
    return vectorizer.fit_transform(train_texts), vectorizer.transform(test_texts)


def sign_test(better: int, worse: int) -> float:
    """The p-value of a two-sided sign test that more rows are worse than better; 1 where fewer
    are."""
    if worse <= better:
        return 1.0
    return float(binomtest(better, better + worse, 0.5).pvalue)


def sample_training_rows(rows: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """At most MAX_BASELINE_ROWS of these rows, drawn evenly."""
    if len(rows) <= MAX_BASELINE_ROWS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MAX_BASELINE_ROWS, replace=False))
