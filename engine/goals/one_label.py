"""One label of several: softmax, cross-entropy, accuracy and F1."""

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from engine import baselines
from engine.artifact import Target
from engine.baselines import Probe
from engine.evaluation.rows import Given
from engine.goals.outline import Goal, Outputs, Rows
from engine.metrics import answers, averages, compare
from engine.training import Score


class OneLabel(Goal):
    """`truth` (rows,) holds label numbers. With `balanced`, rare labels count as much as common
    ones: each row by the inverse frequency of its label among the training rows."""

    score = Score("validation_macro_f1")

    def __init__(
        self, truth: Rows, labels: list[str], train: Rows, *, smoothing: float, balanced: bool
    ) -> None:
        self.truth, self.labels, self.outputs = truth, labels, len(labels)
        self._train, self._smoothing = train, smoothing
        self._targets = torch.from_numpy(truth)
        self._weights: Tensor | None = None
        if balanced:
            counts = np.bincount(truth[train], minlength=self.outputs).clip(1)
            weights = len(train) / (self.outputs * counts)
            self._weights = torch.from_numpy(weights.astype(np.float32))

    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        weights = None if self._weights is None else self._weights.to(outputs.device)
        return functional.cross_entropy(
            outputs.float(),
            self._targets[rows].to(outputs.device),
            weight=weights,
            label_smoothing=self._smoothing,
        )

    def weight(self, rows: Rows) -> float:
        if self._weights is None:
            return float(len(rows))
        return float(self._weights[self._targets[rows]].sum())

    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        truth = self._targets[rows]
        scores = averages(self.truth[rows], outputs.argmax(1), self.outputs)
        return {
            "validation_loss": float(functional.cross_entropy(torch.from_numpy(outputs), truth)),
            "validation_accuracy": scores["accuracy"],
            "validation_macro_f1": scores["macro_f1"],
        }

    def summary(self, metrics: dict[str, float]) -> str:
        return f"validation accuracy {metrics['validation_accuracy']:.1%}"

    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        weights = "balanced" if self._weights is not None else None
        return baselines.fit_probe(features, self.truth[rows], self.outputs, weights)

    def settle(self, outputs: Outputs, rows: Rows) -> None:
        """Nothing: the likeliest label is the answer."""

    def answers(self, outputs: Outputs, rows: Rows) -> Given:
        return answers(self.truth[rows], softmax(outputs.astype(np.float64), axis=1))

    def quality(self, outputs: Outputs, rows: Rows) -> float:
        return float((outputs.argmax(1) == self.truth[rows]).mean())

    def agreement(self, one: Outputs, other: Outputs) -> float:
        return float((one.argmax(1) == other.argmax(1)).mean())

    def p_value_of_loss(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        found = compare(outputs.argmax(1), probe.argmax(1), self.truth[rows])
        is_worse = found["other_only_right"] > found["tuned_only_right"]
        return float(found["p_value"]) if is_worse else 1.0

    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, Given]]:
        true = self.truth[test]
        majority = baselines.majority_probabilities(
            self.truth[self._train], len(test), self.outputs
        )
        words = baselines.tfidf_probabilities(
            train_texts, self.truth[train], test_texts, self.outputs
        )
        return [
            ("majority", "always guessing the most common label", answers(true, majority)),
            ("tfidf", "TF-IDF + logistic regression", answers(true, words)),
        ]

    def target(self, column: str) -> Target:
        return Target(kind="label", column=column)
