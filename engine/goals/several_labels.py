"""Any number of labels per row: a sigmoid and a threshold for each."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from engine import baselines
from engine.artifact import Target
from engine.baselines import Probe
from engine.evaluation.rows import Given
from engine.goals.outline import Goal, Outputs, Rows
from engine.metrics import Floats, label_sets
from engine.metrics.shapes import Bools
from engine.training import Score

GRID = np.arange(0.05, 0.96, 0.05)
# With fewer held-out rows of a label, a threshold of its own would be luck.
FEWEST_ROWS_FOR_A_THRESHOLD = 10
LARGEST_WEIGHT = 20.0
NEVER = -8.0  # Logit of a label that no training row of the sample has.


class SeveralLabels(Goal):
    """`truth` (rows, labels) of booleans. With `balanced`, a label's rare presence counts more."""

    score = Score("validation_micro_f1")
    settles = True

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
            weights = ((len(train) - present) / present).clip(1, LARGEST_WEIGHT)
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
        wanted = torch.from_numpy(truth.astype(np.float32))
        loss = functional.binary_cross_entropy_with_logits(torch.from_numpy(outputs), wanted)
        return {
            "validation_loss": float(loss),
            "validation_micro_f1": _best_common(probabilities, truth)[1],
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation micro F1 {metrics['validation_micro_f1']:.1%}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        weights = np.zeros((self.outputs, features.shape[1]), dtype=np.float32)
        bias = np.full(self.outputs, NEVER, dtype=np.float32)
        for label in range(self.outputs):
            present = self.truth[rows, label]
            if present.all() or not present.any():
                bias[label] = -NEVER if present.all() else NEVER
                continue
            balance = "balanced" if self._weights is not None else None
            model = LogisticRegression(C=10.0, max_iter=300, class_weight=balance)
            model.fit(features, present)
            weights[label], bias[label] = model.coef_[0], model.intercept_[0]
        return Probe(weights, bias, rows=len(rows))

    def settle(self, outputs: Outputs, rows: Rows) -> None:
        """Thresholds that maximise F1 on these rows: a common one, and a label's own where enough
        of the rows have it."""
        if not len(rows):
            return
        probabilities, truth = expit(outputs), self.truth[rows]
        common = _best_common(probabilities, truth)[0]
        self.thresholds = np.full(self.outputs, common)
        for label in np.flatnonzero(truth.sum(0) >= FEWEST_ROWS_FOR_A_THRESHOLD):
            own, score = _best_common(probabilities[:, [label]], truth[:, [label]])
            if score > micro_f1(probabilities[:, [label]] >= common, truth[:, [label]]):
                self.thresholds[label] = own

    def answers(self, outputs: Outputs, rows: Rows) -> Given:
        return label_sets(self.truth[rows], expit(outputs.astype(np.float64)), self.thresholds)

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        return micro_f1(self._given(outputs), self.truth[rows])

    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Of single decisions: in most rows some label of many stands at its threshold."""
        return float((self._given(one) == self._given(other)).mean())

    def _given(self, outputs: Outputs) -> Bools:
        given: Bools = outputs >= logit(self.thresholds)
        return given

    def p_value_of_loss(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """Sign test over rows: on which of them does each decide more labels rightly?"""
        truth = self.truth[rows]
        own = (self._given(outputs) == truth).sum(1)
        other = (self._given(probe) == truth).sum(1)
        return baselines.sign_test(int((own > other).sum()), int((own < other).sum()))

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, Given]]:
        true = self.truth[test]
        shares = self.truth[self._train].mean(0)
        guesses = np.tile(shares, (len(test), 1))
        # Nobody tuned the guesser's threshold: it names the commonest label, and those on half
        # the rows.
        cut = np.minimum(0.5, shares.max())
        words = baselines.tfidf_tags(train_texts, self.truth[train], test_texts)
        return [
            ("majority", "always the most common labels", label_sets(true, guesses, cut)),
            ("tfidf", "TF-IDF + logistic regression", label_sets(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="labels", column=column, thresholds=self.thresholds.tolist())


def micro_f1(given: Bools, truth: Bools) -> float:
    both, either = float((given & truth).sum()), float(given.sum() + truth.sum())
    return 2 * both / either if either else 1.0


def _best_common(probabilities: npt.NDArray[np.floating], truth: Bools) -> tuple[float, float]:
    """The threshold with the highest micro F1, ties to the one nearest a half, and that F1."""
    scores = [(micro_f1(probabilities >= cut, truth), -abs(cut - 0.5), cut) for cut in GRID]
    score, _, cut = max(scores)
    return float(cut), score
