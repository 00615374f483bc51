"""Any number of labels per row: a sigmoid and a threshold for each."""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from engine.artifact import Target
from engine.data import baselines
from engine.data.baselines import Probe
from engine.evaluation.rows import ModelPredictions
from engine.loop.interface import ValidationMetric
from engine.metrics import Floats, make_multilabel_predictions
from engine.metrics.shapes import Bools
from engine.prediction_heads.interface import Outputs, PredictionHead, Rows

THRESHOLD_GRID = np.arange(0.05, 0.96, 0.05)
# With fewer held-out rows of a label, a threshold of its own would fit noise.
MIN_ROWS_PER_THRESHOLD = 10
MAX_POSITIVE_WEIGHT = 20.0
ABSENT_LABEL_LOGIT = -8.0  # Logit of a label that no training row of the sample has.


class MultiLabel(PredictionHead):
    """`truth` (rows, labels) of booleans. With `balanced`, the presence of a rare label
    weighs more."""

    score = ValidationMetric("validation_micro_f1")
    has_thresholds = True

    def __init__(
        self, truth: Bools, labels: list[str], train: Rows, *, smoothing: float, balanced: bool
    ) -> None:
        self.truth, self.labels, self.outputs = truth, labels, len(labels)
        self._train = train
        self.thresholds: Floats = np.full(len(labels), 0.5)
        smooth = truth * (1 - smoothing) + smoothing / 2
        self._targets = torch.from_numpy(smooth.astype(np.float32))
        self._weights: Tensor | None = None
        if balanced:
            present = truth[train].sum(0).clip(1)
            weights = ((len(train) - present) / present).clip(1, MAX_POSITIVE_WEIGHT)
            self._weights = torch.from_numpy(weights.astype(np.float32))

    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        # Summed over labels, so that the gradient of each is as large as with one label alone.
        weights = None if self._weights is None else self._weights.to(outputs.device)
        targets = self._targets[rows].to(outputs.device)
        losses = functional.binary_cross_entropy_with_logits(
            outputs.float(), targets, pos_weight=weights, reduction="none"
        )
        return losses.sum(1).mean()

    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        probabilities, truth = expit(outputs), self.truth[rows]
        targets = torch.from_numpy(truth.astype(np.float32))
        loss = functional.binary_cross_entropy_with_logits(torch.from_numpy(outputs), targets)
        return {
            "validation_loss": float(loss),
            "validation_micro_f1": _find_best_threshold(probabilities, truth)[1],
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation micro F1 {metrics['validation_micro_f1']:.1%}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        balance = "balanced" if self._weights is not None else None
        make = partial(LogisticRegression, C=10.0, max_iter=300, class_weight=balance)
        return self._fit_each_label(features, rows, make)

    def fit_sparse(self, features: csr_matrix, rows: Rows, strength: float) -> Probe:
        balance = "balanced" if self._weights is not None else None
        make = partial(baselines.make_sparse_classifier, balance, strength)
        return self._fit_each_label(features, rows, make)

    def _fit_each_label(
        self, features: Outputs | csr_matrix, rows: Rows, make: Callable[[], LogisticRegression]
    ) -> Probe:
        weights = np.zeros((self.outputs, features.shape[1]), dtype=np.float32)
        bias = np.full(self.outputs, ABSENT_LABEL_LOGIT, dtype=np.float32)
        for label in range(self.outputs):
            present = self.truth[rows, label]
            if present.all() or not present.any():
                bias[label] = -ABSENT_LABEL_LOGIT if present.all() else ABSENT_LABEL_LOGIT
                continue
            model = make().fit(features, present)
            weights[label], bias[label] = model.coef_[0], model.intercept_[0]
        return Probe(weights, bias, rows=len(rows))

    def fit_thresholds(self, outputs: Outputs, rows: Rows) -> None:
        """Thresholds that maximise F1 on these rows: a common one, and its own for each label that
        enough of the rows have."""
        if not len(rows):
            return
        probabilities, truth = expit(outputs), self.truth[rows]
        common = _find_best_threshold(probabilities, truth)[0]
        self.thresholds = np.full(self.outputs, common)
        for label in np.flatnonzero(truth.sum(0) >= MIN_ROWS_PER_THRESHOLD):
            own, score = _find_best_threshold(probabilities[:, [label]], truth[:, [label]])
            if score > compute_micro_f1(probabilities[:, [label]] >= common, truth[:, [label]]):
                self.thresholds[label] = own

    def build_predictions(self, outputs: Outputs, rows: Rows) -> ModelPredictions:
        return make_multilabel_predictions(
            self.truth[rows], expit(outputs.astype(np.float64)), self.thresholds
        )

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        return compute_micro_f1(self._apply_thresholds(outputs), self.truth[rows])

    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Over single decisions, because with many labels some label of most rows is near its
        threshold."""
        return float((self._apply_thresholds(one) == self._apply_thresholds(other)).mean())

    def _apply_thresholds(self, outputs: Outputs) -> Bools:
        predicted: Bools = outputs >= logit(self.thresholds)
        return predicted

    def p_value_against_probe(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """Sign test over rows, by how many labels of the row each decides correctly."""
        truth = self.truth[rows]
        own = (self._apply_thresholds(outputs) == truth).sum(1)
        other = (self._apply_thresholds(probe) == truth).sum(1)
        return baselines.sign_test(int((own > other).sum()), int((own < other).sum()))

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, ModelPredictions]]:
        true = self.truth[test]
        shares = self.truth[self._train].mean(0)
        guesses = np.tile(shares, (len(test), 1))
        # The threshold makes the baseline predict the commonest label and those on half the rows.
        cut = np.minimum(0.5, shares.max())
        words = baselines.tfidf_multilabel_probabilities(train_texts, self.truth[train], test_texts)
        return [
            (
                "majority",
                "always the most common labels",
                make_multilabel_predictions(true, guesses, cut),
            ),
            ("tfidf", "TF-IDF + logistic regression", make_multilabel_predictions(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="labels", column=column, thresholds=self.thresholds.tolist())


def compute_micro_f1(predicted: Bools, truth: Bools) -> float:
    hits, total = float((predicted & truth).sum()), float(predicted.sum() + truth.sum())
    return 2 * hits / total if total else 1.0


def _find_best_threshold(
    probabilities: npt.NDArray[np.floating], truth: Bools
) -> tuple[float, float]:
    """The threshold with the highest micro F1, ties to the one nearest a half, and that F1."""
    scores = [
        (compute_micro_f1(probabilities >= cut, truth), -abs(cut - 0.5), cut)
        for cut in THRESHOLD_GRID
    ]
    score, _, cut = max(scores)
    return float(cut), score
