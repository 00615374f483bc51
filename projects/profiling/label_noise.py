"""Finds labels that are probably wrong: a model of all other rows predicts another label.

Method: confident learning (Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 2021, also used by the package cleanlab). A label is doubtful when the
confidence in the predicted label reaches that label's average, and the confidence in the given
label does not. Predictions are out of sample: a ridge classifier on TF-IDF in a low-rank space
predicts each row without it, by the closed form of leave-one-out (Allen's PRESS statistic, 1974),
so that no folds have to be trained.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Matrix = npt.NDArray[np.float64]
MIN_ROWS, MAX_ROWS = 100, 5_000
MIN_LABEL_ROWS = 8  # Of a label: fewer say too little about it.
MAX_LABELS = 200
COMPONENTS = 150
PENALTIES, SHARPNESS = (0.01, 0.1, 1.0, 10.0), (2.0, 4.0, 8.0, 16.0)
MAX_ISSUES = 50
MAX_SHARE = 0.3  # Of the rows: with more in doubt, the model is poor, not the labels.
MIN_TEXTS, MAX_TERMS = 2, 30_000  # A term is used if so many texts have it; the most frequent ones.
OVERSAMPLING, POWER_ROUNDS = 10, 2
_WORD = re.compile(r"\w+")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class LabelDoubt:
    """A row, by its position in the arguments: its label, and the one that the model predicts."""

    place: int
    label: str
    likely: str
    confidence: float  # In the likely label, 0 to 1.


def find_doubtful_labels(texts: Sequence[str], labels: Sequence[str]) -> list[LabelDoubt]:
    """The rows whose label is probably wrong, the most certain first; [] where there are too few
    rows or labels, or where the model is too poor."""
    counts = Counter(labels)
    seen_texts: set[str] = set()
    places: list[int] = []
    for place, (text, label) in enumerate(zip(texts, labels, strict=True)):
        key = " ".join(text.casefold().split())
        # A repeated text would be predicted from its copy.
        if key and key not in seen_texts and counts[label] >= MIN_LABEL_ROWS:
            seen_texts.add(key)
            places.append(place)
    names = sorted({labels[place] for place in places})
    if len(places) < MIN_ROWS or not 2 <= len(names) <= MAX_LABELS:
        return []
    features = _features([texts[place] for place in places])
    if features is None:
        return []
    given_labels = np.asarray([names.index(labels[place]) for place in places])
    confidence = predict_without_itself(features, given_labels, len(names))
    doubts = [
        LabelDoubt(
            places[row], names[given_labels[row]], names[likely], float(confidence[row, likely])
        )
        for row, likely in _off_diagonal(confidence, given_labels)
    ]
    if len(doubts) > MAX_SHARE * len(places):
        return []
    return sorted(doubts, key=lambda doubt: -doubt.confidence)[:MAX_ISSUES]


def predict_without_itself(
    features: Matrix, given_labels: npt.NDArray[np.int64], labels: int
) -> Matrix:
    """The confidence in each label, shape (rows, labels), where each row is predicted from all
    others. `features`: shape (rows, dimensions); `given_labels`: indices of labels, shape (rows,).
    """
    truth = np.eye(labels)[given_labels]
    prior = truth.mean(axis=0)
    centred = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    rotated = centred @ vectors
    best, least = np.zeros_like(truth), np.inf
    for penalty in PENALTIES:
        shrunk = rotated / (np.maximum(values, 0) + penalty)
        leverage = (shrunk * rotated).sum(axis=1, keepdims=True) + 1 / len(features)
        leverage = np.minimum(leverage, 0.99)
        fitted = prior + shrunk @ (rotated.T @ (truth - prior))
        left_out = (fitted - leverage * truth) / (1 - leverage)
        error = float(((truth - left_out) ** 2).mean())
        if error < least:
            best, least = left_out, error
    rows = np.arange(len(given_labels))
    choices = [_softmax(sharpness * best) for sharpness in SHARPNESS]
    return min(choices, key=lambda shares: float(-np.log(shares[rows, given_labels] + 1e-9).mean()))


def _off_diagonal(confidence: Matrix, given_labels: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """The rows off the diagonal of the confident joint, each with the index of its likely label."""
    thresholds = np.asarray(
        [confidence[given_labels == label, label].mean() for label in range(confidence.shape[1])]
    )
    reached = np.where(confidence >= thresholds, confidence, -1.0)
    likely = reached.argmax(axis=1)
    rows = np.arange(len(given_labels))
    is_off = (
        (reached.max(axis=1) > 0)
        & (likely != given_labels)
        & (confidence[rows, given_labels] < thresholds[given_labels])
        & (confidence[rows, given_labels] < 0.5 * confidence[rows, likely])
    )
    return [(int(row), int(likely[row])) for row in np.flatnonzero(is_off)]


def _features(texts: list[str]) -> Matrix | None:
    """TF-IDF of words and pairs of words (of characters in scripts without blanks), reduced to at
    most COMPONENTS dimensions; None where the texts share no words."""
    letters = "".join(texts[:200])
    is_unspaced = len(_IDEOGRAPH.findall(letters)) > 0.2 * len(letters)
    counted = _weighted_terms([_count_terms(text, is_unspaced=is_unspaced) for text in texts])
    components = min(COMPONENTS, min(counted.shape) - 1)
    return _reduce(counted, components) if components >= 2 else None


def _count_terms(text: str, *, is_unspaced: bool) -> Counter[str]:
    units = list(text.lower()) if is_unspaced else _WORD.findall(text.lower())
    joint = "" if is_unspaced else " "
    return Counter([*units, *(joint.join(pair) for pair in pairwise(units))])


def _weighted_terms(counts: list[Counter[str]]) -> "csr_matrix":
    """TF-IDF vectors of unit length, (1 + log count) × smoothed inverse document frequency, of the
    most frequent terms that at least MIN_TEXTS texts have. Shape (texts, terms)."""
    # Not by scikit-learn, as importing it takes longer than all of this.
    from scipy.sparse import csr_matrix

    texts_with, total = Counter[str](), Counter[str]()
    for terms in counts:
        texts_with.update(terms.keys())
        total.update(terms)
    shared = [term for term, _ in total.most_common() if texts_with[term] >= MIN_TEXTS]
    column = {term: place for place, term in enumerate(shared[:MAX_TERMS])}
    weight = [1 + np.log((1 + len(counts)) / (1 + texts_with[term])) for term in column]
    values, columns, ends = [], [], [0]
    for terms in counts:
        known_terms = [(column[term], count) for term, count in terms.items() if term in column]
        row = np.asarray([(1 + np.log(count)) * weight[place] for place, count in known_terms])
        values.append(row / (np.linalg.norm(row) or 1.0))
        columns += [place for place, _ in known_terms]
        ends.append(len(columns))
    return csr_matrix((np.concatenate(values), columns, ends), (len(counts), len(column)))


def _reduce(counted: "csr_matrix", components: int) -> Matrix:
    """The rows projected on their first singular vectors, by the randomized method of Halko,
    Martinsson and Tropp (2011). Shape (rows, components)."""
    size = components + OVERSAMPLING
    block = _orthonormal(
        counted @ np.random.default_rng(0).standard_normal((counted.shape[1], size))
    )
    for _ in range(POWER_ROUNDS):
        block = _orthonormal(counted @ _orthonormal(counted.T @ block))
    within = counted.T @ block
    values, vectors = np.linalg.eigh(within.T @ within)
    first = slice(-1, -components - 1, -1)
    reduced: Matrix = block @ vectors[:, first] * np.sqrt(np.maximum(values[first], 0))
    return reduced


def _orthonormal(block: Matrix) -> Matrix:
    """An orthonormal basis of the columns, by the eigenvectors of their Gram matrix, which is much
    faster than QR."""
    values, vectors = np.linalg.eigh(block.T @ block)
    is_large = values > 1e-10 * values[-1]
    basis: Matrix = block @ (vectors[:, is_large] / np.sqrt(values[is_large]))
    return basis


def _softmax(scores: Matrix) -> Matrix:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return shares
