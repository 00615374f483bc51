"""Labels that are probably wrong: rows whose label a model of all other rows disagrees with.

Method: confident learning (Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 2021, the method of the package cleanlab). A row is off when its predicted
label reaches that label's own average confidence and its given label does not. Predictions are out
of sample: a ridge classifier on TF-IDF in a low-rank space, each row predicted without itself by
the closed form of leave-one-out (Allen's PRESS statistic, 1974), so nothing is trained in folds.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
MIN_ROWS, MAX_ROWS = 100, 5_000
MIN_LABEL_ROWS = 8  # Of a label: fewer say too little about it.
MAX_LABELS = 200
COMPONENTS = 150
PENALTIES, SHARPNESS = (0.01, 0.1, 1.0, 10.0), (2.0, 4.0, 8.0, 16.0)
MAX_ISSUES = 50
MAX_SHARE = 0.3  # With more rows in doubt, it is the model that is poor.
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class LabelDoubt:
    """One row, by its place in what was given: its label, and what the other rows speak for."""

    place: int
    label: str
    likely: str
    confidence: float  # In the likely label, 0 to 1.


def find_doubtful_labels(texts: Sequence[str], labels: Sequence[str]) -> list[LabelDoubt]:
    """The rows whose label is probably wrong, the surest first; none where too little is known."""
    counts = Counter(labels)
    seen: set[str] = set()
    places: list[int] = []
    for place, (text, label) in enumerate(zip(texts, labels, strict=True)):
        key = " ".join(text.casefold().split())
        # A repeated text would vouch for itself.
        if key and key not in seen and counts[label] >= MIN_LABEL_ROWS:
            seen.add(key)
            places.append(place)
    names = sorted({labels[place] for place in places})
    if len(places) < MIN_ROWS or not 2 <= len(names) <= MAX_LABELS:
        return []
    features = _features([texts[place] for place in places])
    if features is None:
        return []
    given = np.asarray([names.index(labels[place]) for place in places])
    confidence = predict_without_itself(features, given, len(names))
    doubts = [
        LabelDoubt(places[row], names[given[row]], names[likely], float(confidence[row, likely]))
        for row, likely in _off_diagonal(confidence, given)
    ]
    if len(doubts) > MAX_SHARE * len(places):
        return []
    return sorted(doubts, key=lambda one: -one.confidence)[:MAX_ISSUES]


def predict_without_itself(features: Matrix, given: npt.NDArray[np.int64], labels: int) -> Matrix:
    """The confidence in each label (rows, labels), each row predicted by all others."""
    truth = np.eye(labels)[given]
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
    rows = np.arange(len(given))
    choices = [_softmax(sharpness * best) for sharpness in SHARPNESS]
    return min(choices, key=lambda one: float(-np.log(one[rows, given] + 1e-9).mean()))


def _off_diagonal(confidence: Matrix, given: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Rows and their likely label, of the confident joint's cells off the diagonal."""
    thresholds = np.asarray(
        [confidence[given == label, label].mean() for label in range(confidence.shape[1])]
    )
    reached = np.where(confidence >= thresholds, confidence, -1.0)
    likely = reached.argmax(axis=1)
    rows = np.arange(len(given))
    is_off = (
        (reached.max(axis=1) > 0)
        & (likely != given)
        & (confidence[rows, given] < thresholds[given])
        & (confidence[rows, given] < 0.5 * confidence[rows, likely])
    )
    return [(int(row), int(likely[row])) for row in np.flatnonzero(is_off)]


def _features(texts: list[str]) -> Matrix | None:
    """TF-IDF of words and pairs of words (of characters where words are not spaced), in fewer
    dimensions; None where the texts share no words."""
    # Heavy to load, and needed by tables of labelled texts only.
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    letters = "".join(texts[:200])
    is_unspaced = len(_IDEOGRAPH.findall(letters)) > 0.2 * len(letters)
    vectorizer = TfidfVectorizer(
        analyzer="char" if is_unspaced else "word",
        token_pattern=None if is_unspaced else r"(?u)\b\w+\b",
        ngram_range=(1, 2),
        min_df=2,
        max_features=30_000,
        sublinear_tf=True,
    )
    try:
        counted = vectorizer.fit_transform(texts)
    except ValueError:  # Nothing is in two texts.
        return None
    components = min(COMPONENTS, min(counted.shape) - 1)
    if components < 2:
        return None
    reduced: Matrix = TruncatedSVD(components, n_iter=2, random_state=0).fit_transform(counted)
    return reduced


def _softmax(scores: Matrix) -> Matrix:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return shares
